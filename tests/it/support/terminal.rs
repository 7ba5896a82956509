//! The program `callq` on a terminal, as a person has it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr::null_mut;

use super::Database;

/// A terminal of some width at which somebody types.
#[derive(Clone, Copy)]
pub(crate) struct Terminal {
    pub(crate) columns: u16,
    /// What is typed, before anybody asks.
    pub(crate) typed: &'static str,
}

impl Terminal {
    /// Runs `callq` on it to its end; returns its exit code and what stood on the terminal.
    pub(crate) async fn run(self, database: &Database, arguments: &[&str]) -> (i32, String) {
        let environment = [("DATABASE_URL", database.url())];
        self.run_in(&environment, arguments).await
    }

    /// The same in an environment that has nothing else.
    pub(crate) async fn run_in(
        self,
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callq"));
        let environment = environment.iter().copied();
        command.args(arguments).env_clear().envs(environment);
        let running = tokio::task::spawn_blocking(move || self.to_end(command));
        running.await.expect("it runs to its end")
    }

    #[allow(unsafe_code, reason = "std knows no terminals")]
    fn to_end(self, mut command: Command) -> (i32, String) {
        let size = libc::winsize {
            ws_row: 50,
            ws_col: self.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let (mut ours, mut its) = (-1, -1);
        // SAFETY: writes two descriptors, which are ours alone, and reads the size.
        let (mut ours, its) = unsafe {
            let size = (&raw const size).cast_mut();
            let opened = libc::openpty(&raw mut ours, &raw mut its, null_mut(), null_mut(), size);
            assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
            (File::from_raw_fd(ours), OwnedFd::from_raw_fd(its))
        };
        command
            .stdin(its.try_clone().expect("a descriptor can be copied"))
            .stdout(its.try_clone().expect("a descriptor can be copied"))
            .stderr(its);
        // SAFETY: two system calls, which may be made between fork and exec.
        unsafe {
            command.pre_exec(|| {
                // The terminal is its own, not that of whoever runs the tests.
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let mut child = command.spawn().expect("the program starts");
        // Holds its end of the terminal, which would then never close.
        drop(command);
        ours.write_all(self.typed.as_bytes())
            .expect("a terminal takes what is typed");
        let mut shown = Vec::new();
        // A terminal that nobody has open any more ends with an error.
        let _closed = ours.read_to_end(&mut shown);
        let status = child.wait().expect("a child can be waited for");
        let code = status.code().expect("no signal ended it");
        (code, String::from_utf8_lossy(&shown).into_owned())
    }
}
