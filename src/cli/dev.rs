//! `callq dev`

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;

use anyhow::Context as _;
use clap::Args;
use tokio::process::Command;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::{Failure, logging, print, signals};
use crate::call::readable;
use crate::config;
use crate::config::settings::{self, Section};
use crate::dev::postgres::StartOptions;
use crate::dev::{self, Stack};
use crate::sandbox;

/// The exit code of a start that a signal broke off: what a shell tells of SIGTERM.
const STOPPED: u8 = 128 + 15;

/// Try callq on this machine: a private PostgreSQL, a sandbox in Tencent's place, a worker.
///
/// Prints how to connect and an INSERT to try, and shows calls as they happen, until SIGINT or
/// SIGTERM. Needs PostgreSQL's server programs on this machine; works as root and as an ordinary
/// user. The data are kept for the next run in the same folder. Never reads DATABASE_URL.
#[derive(Debug, Args)]
pub(super) struct Dev {
    /// Forget what earlier runs in this folder kept, and start with an empty database
    #[arg(long, conflicts_with = "exec")]
    fresh: bool,

    /// Run a command with DATABASE_URL set to an empty database of its own; end with its exit code
    ///
    /// Everything after --exec is the command. Its stdout is left alone; what callq says goes to
    /// stderr. A sandbox and a worker run beside it, and the variables of the app default are set
    /// to the sandbox's, whatever the shell says.
    #[arg(long, num_args = 1.., value_name = "CMD", allow_hyphen_values = true)]
    exec: Option<Vec<OsString>>,

    /// The variables of the shell that are not obeyed here, though psql would.
    #[arg(skip)]
    forgotten: Vec<&'static str>,
}

impl Dev {
    pub(super) async fn run(self) -> Result<(), Failure> {
        // sqlx complains of connections that end with the server, as they do at each stop.
        logging::init_for_trying("warn,sqlx=error")?;
        match &self.exec {
            Some(command) => exec(command).await,
            None => self.watch().await,
        }
    }

    /// Must be called while the process has one thread.
    pub(super) fn forget_libpq_variables(&mut self) {
        self.forgotten = config::forget_libpq_variables();
    }

    async fn watch(&self) -> Result<(), Failure> {
        let stop = signals::stop_on_signal()?;
        let project = config::current_folder().context("could not find the current folder")?;
        let options = StartOptions::kept_for(&project);
        if self.fresh {
            dev::forget(&options.data)?;
        }
        print::note("starting a private PostgreSQL, a sandbox in Tencent's place, and a worker");
        let stack = tokio::select! {
            stack = Stack::start(options) => stack?,
            () = stop.cancelled() => return Ok(()),
        };
        let shown = self.show(&stack, &stop).await;
        stack.stop().await?;
        shown
    }

    /// How to connect, then the calls as they happen, until `stop`.
    async fn show(&self, stack: &Stack, stop: &CancellationToken) -> Result<(), Failure> {
        print::line(&format!(
            "Connect:\n\n  {}\n\nand try:\n",
            self.psql_line(stack)
        ))?;
        print::line("  INSERT INTO callq.jobs (robot_account, callees, run_at)")?;
        print::line("  VALUES ('reminder-bot', '{jack}', now() + interval '10 seconds');\n")?;
        let sandbox = stack.sandbox();
        print::line(&format!(
            "The sandbox is at {}; it rings nobody. Ctrl-C ends this.",
            sandbox.url()
        ))?;
        print::line("Calls, as they happen:\n")?;
        let mut requests = sandbox.subscribe();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = stack.worker_stops() => return Ok(()),
                request = requests.recv() => match request {
                    Ok(record) => print::line(&sandbox::line(&record))?,
                    Err(RecvError::Lagged(n)) => {
                        print::line(&format!("({n} calls were not shown)"))?;
                    }
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
        }
    }

    /// A line for a shell that has the variables we do not obey.
    fn psql_line(&self, stack: &Stack) -> String {
        let psql = stack.psql_line();
        if self.forgotten.is_empty() {
            return psql;
        }
        format!("env -u {} {psql}", self.forgotten.join(" -u "))
    }
}

async fn exec(command: &[OsString]) -> Result<(), Failure> {
    let stop = signals::stop_on_signal()?;
    let stack = tokio::select! {
        stack = Stack::start(StartOptions::throwaway()) => stack?,
        () = stop.cancelled() => return Err(Failure::Exit(STOPPED)),
    };
    let code = run_to_end(command, &stack, stop).await;
    let stopped = stack.stop().await;
    match code? {
        0 => Ok(stopped?),
        code => Err(Failure::Exit(code)),
    }
}

/// Runs the command. A signal that stops us is passed on to it as SIGTERM.
async fn run_to_end(
    command: &[OsString],
    stack: &Stack,
    stop: CancellationToken,
) -> anyhow::Result<u8> {
    let (program, arguments) = command.split_first().context("--exec needs a command")?;
    let mut command = Command::new(program);
    for setting in settings::ALL {
        if setting.section == Section::App {
            command.env_remove(setting.environment);
        }
    }
    let mut child = command
        .args(arguments)
        .env_remove(settings::DATABASE_URL_FILE.environment)
        .env(settings::DATABASE_URL.environment, stack.url())
        .env(settings::HOST.environment, stack.sandbox().url())
        .env(
            settings::SDK_APP_ID.environment,
            sandbox::SANDBOX_SDK_APP_ID.to_string(),
        )
        .env(
            settings::ADMIN_ACCOUNT.environment,
            sandbox::SANDBOX_ADMIN_ACCOUNT,
        )
        .env(
            settings::SECRET_KEY.environment,
            sandbox::SANDBOX_SECRET_KEY,
        )
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("could not run {}", readable(&program.display().to_string())))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = stop.cancelled() => {
            if let Some(pid) = child.id() {
                dev::terminate(pid);
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
