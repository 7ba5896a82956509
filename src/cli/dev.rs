//! `callq dev`

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use tokio::process::Command;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::{Failure, logging, signals};
use crate::dev::Stack;
use crate::dev::postgres::{DataDir, StartOptions};
use crate::sandbox;

/// Try callq on this machine: a private PostgreSQL, a sandbox in Tencent's place, a worker.
///
/// Prints how to connect and an INSERT to try, and shows calls as they happen, until SIGINT. Needs
/// PostgreSQL's server programs on this machine; works as root and as an ordinary user. The data are
/// kept for the next run in the same folder. Never reads DATABASE_URL.
#[derive(Debug, Args)]
pub(super) struct Dev {
    /// Forget what earlier runs in this folder kept, and start with an empty database
    #[arg(long, conflicts_with = "exec")]
    fresh: bool,

    /// Run a command with DATABASE_URL set to an empty database of its own; end with its exit code
    ///
    /// The command's stdout is left alone; everything that callq says goes to stderr.
    #[arg(long, num_args = 1.., value_name = "CMD", allow_hyphen_values = true)]
    exec: Option<Vec<String>>,
}

impl Dev {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::init(logging::LogFormat::Text, "warn")?;
        match self.exec {
            Some(command) => exec(&command).await,
            None => watch(self.fresh).await,
        }
    }
}

async fn watch(fresh: bool) -> Result<(), Failure> {
    let stop = signals::stop_on_signal()?;
    let project = std::env::current_dir().context("could not find the current folder")?;
    let options = StartOptions::kept_for(&project);
    if fresh && let DataDir::Kept(path) = &options.data {
        forget(path)?;
    }
    eprintln!("callq: starting a private PostgreSQL, a sandbox in Tencent's place, and a worker");
    let stack = Stack::start(options).await?;
    println!("Connect:\n\n  {}\n\nand try:\n", stack.psql_line());
    println!("  INSERT INTO callq.jobs (robot_account, callees, run_at)");
    println!("  VALUES ('reminder-bot', '{{jack}}', now() + interval '10 seconds');\n");
    println!(
        "The sandbox is at {}; it rings nobody. Ctrl-C ends this.",
        stack.sandbox().url()
    );
    println!("Calls, as they happen:\n");
    let mut requests = stack.sandbox().subscribe();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            request = requests.recv() => match request {
                Ok(record) => println!("{}", sandbox::line(&record)),
                Err(RecvError::Lagged(n)) => println!("({n} calls were not shown)"),
                Err(RecvError::Closed) => break,
            },
        }
    }
    stack.stop().await?;
    Ok(())
}

fn forget(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

async fn exec(command: &[String]) -> Result<(), Failure> {
    let stop = signals::stop_on_signal()?;
    let stack = Stack::start(StartOptions::throwaway()).await?;
    let code = run_to_end(command, &stack.url(), stop).await;
    let stopped = stack.stop().await;
    match code? {
        0 => Ok(stopped?),
        code => Err(Failure::Exit(code)),
    }
}

/// Runs the command. A signal that stops us is passed on to it as SIGTERM.
async fn run_to_end(command: &[String], url: &str, stop: CancellationToken) -> anyhow::Result<u8> {
    let (program, arguments) = command.split_first().context("--exec needs a command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("DATABASE_URL", url)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("could not run {program}"))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = stop.cancelled() => {
            if let Some(pid) = child.id() {
                terminate(pid);
            }
            child.wait().await?
        }
    };
    // As a shell reports it: 128 and the signal's number.
    let code = status
        .code()
        .or_else(|| status.signal().map(|s| 128 + s))
        .unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(1))
}

#[allow(
    unsafe_code,
    reason = "tokio and std can only kill a child, not ask it to end"
)]
fn terminate(pid: u32) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: kill takes two numbers and touches no memory; the child has not been waited for,
        // so its number is still its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}
