//! A child process that is asked to end.

/// Sends SIGTERM to a child that has not been waited for.
#[allow(
    unsafe_code,
    reason = "tokio and std can only kill a child, not ask it to end"
)]
pub fn terminate(pid: u32) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: kill takes two numbers and touches no memory; the child has not been waited for,
        // so its number is still its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}
