//! The program `callq`, run as a process with an environment of its own.

use std::{
    env, io,
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    sync::watch,
    time::timeout,
};

/// Far more than anything here takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(5);

/// The command `callq`. Of our environment it has only what finds programs and homes.
pub(crate) fn callq<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callq"));
    command.args(arguments).env_clear().kill_on_drop(true);
    hears_interrupts(&mut command);
    for name in ["PATH", "HOME", "CALLQ_PG_BIN"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// What a shell starts in the background is deaf to SIGINT, and so is what that starts.
#[allow(unsafe_code, reason = "std cannot set what a signal does")]
fn hears_interrupts(command: &mut Command) {
    // SAFETY: one system call, which may be made between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        });
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// Its exit code; as a shell has it where a signal ended it.
    pub(crate) fn code(&self) -> i32 {
        let signal = || 128 + self.status.signal().expect("a code or a signal");
        self.status.code().unwrap_or_else(signal)
    }

    /// Fails the test unless the code is this one.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{self}");
        self
    }

    /// What it printed, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}\n{}", self.status, self.text(), self.stderr)
    }
}

/// Runs a command to its end.
pub(crate) async fn run(command: &mut Command) -> Ended {
    Program::start(command).end().await
}

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    stdout: Heard,
    stderr: Heard,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        Self {
            stdout: Heard::listen(child.stdout.take().expect("it is piped")),
            stderr: Heard::listen(child.stderr.take().expect("it is piped")),
            child,
        }
    }

    /// Waits until it has printed `words` on stdout; returns all of stdout until then.
    pub(crate) async fn prints(&mut self, words: &str) -> String {
        let (stdout, stderr) = (&mut self.stdout, &self.stderr);
        stdout.wait_for(words, stderr).await
    }

    /// The same for stderr.
    pub(crate) async fn says(&mut self, words: &str) -> String {
        let (stderr, stdout) = (&mut self.stderr, &self.stdout);
        stderr.wait_for(words, stdout).await
    }

    /// Waits until it has said `words` so many times on stderr.
    pub(crate) async fn says_times(&mut self, words: &str, times: usize) {
        let met = |all: &Vec<u8>| String::from_utf8_lossy(all).matches(words).count() >= times;
        let said = timeout(PATIENCE, self.stderr.0.wait_for(met)).await;
        let said = said.is_ok_and(|seen| seen.is_ok());
        assert!(
            said,
            "not {times} times {words:?} in:\n{}",
            self.stderr.text()
        );
    }

    /// Sends it a signal.
    #[allow(unsafe_code, reason = "std can only kill a child")]
    pub(crate) fn signal(&self, signal: i32) {
        let pid = self.child.id().expect("it has not been waited for");
        let pid = libc::pid_t::try_from(pid).expect("a process id");
        // SAFETY: two integers; the child is not reaped yet, so the number is its own.
        let sent = unsafe { libc::kill(pid, signal) };
        assert_eq!(sent, 0, "{}", io::Error::last_os_error());
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| {
            panic!("it does not end; stderr:\n{}", self.stderr.text());
        });
        Ended {
            status: status.expect("a child can be waited for"),
            stdout: self.stdout.all().await,
            stderr: String::from_utf8_lossy(&self.stderr.all().await).into_owned(),
        }
    }
}

/// What came through one pipe.
#[derive(Debug)]
struct Heard(watch::Receiver<Vec<u8>>);

impl Heard {
    fn listen(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut piece = vec![0; 64 * 1024];
            while let Ok(read) = pipe.read(&mut piece).await {
                if read == 0 {
                    break;
                }
                sender.send_modify(|all| all.extend_from_slice(&piece[..read]));
            }
        });
        Self(receiver)
    }

    async fn wait_for(&mut self, words: &str, other: &Self) -> String {
        let met = |all: &Vec<u8>| all.windows(words.len()).any(|w| w == words.as_bytes());
        if let Ok(Ok(all)) = timeout(PATIENCE, self.0.wait_for(met)).await {
            return String::from_utf8_lossy(&all).into_owned();
        }
        panic!("no {words:?} in:\n{}\n{}", self.text(), other.text());
    }

    /// Everything, once the pipe is closed.
    async fn all(&mut self) -> Vec<u8> {
        while self.0.changed().await.is_ok() {}
        self.0.borrow().clone()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}
