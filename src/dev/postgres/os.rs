//! The few system calls that std does not wrap. The only unsafe code of the library.
#![allow(
    unsafe_code,
    reason = "libc calls without pointers, or with pointers to locals; each is explained"
)]

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{self, Command},
};

/// Our effective user id.
pub(super) fn effective_uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Our effective group id.
pub(super) fn effective_gid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getegid() }
}

/// Sends a signal to one process. `pid` is positive, so this never reaches a process group.
pub(super) fn send_signal(pid: i32, signal: i32) -> io::Result<()> {
    assert!(pid > 0, "a signal goes to one process");
    // SAFETY: takes two integers.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until our child `pid` has ended, without reaping it, so that its id cannot be given to
/// another process yet.
pub(super) fn wait_for_end(pid: u32) {
    loop {
        // SAFETY: a siginfo_t is plain data for which zeroes are valid, and waitid only writes to
        // it.
        let rc = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(
                libc::P_PID,
                pid,
                &raw mut info,
                libc::WEXITED | libc::WNOWAIT,
            )
        };
        if rc == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}

/// Has the kernel send `signal` to the child when the thread that spawns it ends, also when killed.
///
/// The spawning thread, not the process, counts: spawn from a thread that lives as long as the
/// child should.
#[cfg(target_os = "linux")]
pub(super) fn end_with_parent(command: &mut Command, signal: i32) {
    let parent = process::id();
    let arm = move || {
        // SAFETY: prctl and getppid take integers, allocate nothing and are async-signal-safe, as
        // code between fork and exec must be; so is building an error from a number.
        let armed = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) } == 0;
        // The parent may have died before the line above: then no signal ever comes.
        let alive = u32::try_from(unsafe { libc::getppid() }) == Ok(parent);
        if armed && alive {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
    };
    // SAFETY: the closure does only what is allowed between fork and exec, see there. std runs it
    // after the change of the user id, which would clear the setting.
    unsafe { command.pre_exec(arm) };
}

/// Nothing to arm on this system: the next start stops what a killed process left behind.
#[cfg(not(target_os = "linux"))]
pub(super) fn end_with_parent(_command: &mut Command, _signal: i32) {}

/// Has `hook` run when this process exits normally, also through `exit()`, which drops nothing.
pub(super) fn at_exit(hook: extern "C" fn()) -> bool {
    // SAFETY: the function lives as long as the program and must not unwind; an `extern "C"`
    // function aborts instead.
    unsafe { libc::atexit(hook) == 0 }
}
