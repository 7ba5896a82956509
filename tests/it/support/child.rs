//! Tests that need a process they may kill: this test binary, run again.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::{fs::PermissionsExt as _, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use tempfile::TempDir;

/// The variable that tells the child what to do.
pub(crate) const ROLE: &str = "CALLQ_TEST_ROLE";

/// The variable that tells the child where its data are; empty for temporary ones.
pub(crate) const DATA: &str = "CALLQ_TEST_DATA";

/// A folder that the server's user can reach: as root that is not us.
pub(crate) fn open_folder() -> TempDir {
    let open = fs::Permissions::from_mode(0o755);
    tempfile::Builder::new()
        .permissions(open)
        .tempdir_in("/tmp")
        .expect("a test may make folders")
}

/// This test binary, run again to play one role.
pub(crate) struct ChildProcess {
    pub(crate) process: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) server_pid: i32,
    pub(crate) data_dir: PathBuf,
    _copy: Option<TempDir>,
}

impl ChildProcess {
    pub(crate) fn run(role: &str, data: &Path, user: Option<(u32, u32)>) -> Self {
        let mut program = env::current_exe().expect("a process knows its program");
        // The build folder may lie where another user cannot go.
        let copy = user.map(|_| open_folder());
        if let Some(folder) = &copy {
            program = folder.path().join("it");
            // By another process: while this one has it open for writing, whatever another thread
            // starts has it open, too, and a program that is open for writing does not start.
            let ours = env::current_exe().expect("known");
            let copied = Command::new("cp").arg(ours).arg(&program).status();
            assert!(
                copied.is_ok_and(|done| done.success()),
                "a test may copy files"
            );
        }
        let mut command = Command::new(program);
        command
            .args(["dev_postgres::child_process", "--exact", "--nocapture"])
            .current_dir("/");
        command.env(ROLE, role).env(DATA, data);
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let line = stdout
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("server ").map(str::to_owned))
            .expect("the child says which server it holds");
        let (pid, data_dir) = line.split_once(' ').expect("two words");
        Self {
            stdin: process.stdin.take(),
            process,
            server_pid: pid.parse().expect("a process id"),
            data_dir: data_dir.into(),
            _copy: copy,
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// The end of a process that is not our child, as an event.
pub(crate) struct ProcessEnd(OwnedFd);

#[allow(
    unsafe_code,
    reason = "std offers no way to wait for a process that is not a child"
)]
impl ProcessEnd {
    const PATIENCE_MS: i32 = 30_000;

    pub(crate) fn of(pid: i32) -> Self {
        // SAFETY: takes two integers; the descriptor it returns is ours alone.
        let fd = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
            assert!(
                fd >= 0,
                "process {pid} is there: {}",
                io::Error::last_os_error()
            );
            OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor is an int"))
        };
        Self(fd)
    }

    pub(crate) fn wait(&self) {
        let mut poll = libc::pollfd {
            fd: self.0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let ready = loop {
            // SAFETY: one pollfd, on the stack, for a descriptor that is open.
            let ready = unsafe { libc::poll(&raw mut poll, 1, Self::PATIENCE_MS) };
            // The end of a child of another test is a signal, which any thread may get.
            let interrupted = io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
            if ready >= 0 || !interrupted {
                break ready;
            }
        };
        assert_eq!(ready, 1, "the process outlived its parent");
    }
}
