//! The command line: one file per subcommand, and the only printer.
//!
//! What a program may read goes to stdout; progress, logs and errors go to stderr. Exit codes:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | could not: the database, the network or the machine was in the way; later it may work |
//! | 2 | cannot: the command line or the configuration is wrong |
//! | 3 | there is no such thing, as in `callq jobs show 0` |
//! | 130 | stopped by a second signal, with requests under way |
//!
//! `callq dev --exec` ends with the code of its command.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the only printer"
)]

mod demo;
mod dev;
mod jobs;
mod logging;
mod migrate;
mod sandbox;
mod signals;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ConfigError;

/// A Postgres-backed job queue for scheduled robot calls: a row rings a phone.
#[derive(Debug, Parser)]
#[command(name = "callq", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 could not (may work later), 2 cannot (command line \
    or configuration), 3 no such thing.\nDATABASE_URL and CALLQ_... are described in the README.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Try callq on this machine: a private PostgreSQL, a sandbox in Tencent's place, a worker
    Dev(dev::Dev),
    /// Watch five calls go from INSERT to result; rings nobody, takes seconds, needs no set-up
    Demo(demo::Demo),
    /// Bring the schema callq of the database at DATABASE_URL up to date
    Migrate(migrate::Migrate),
    /// Claim due jobs and place their calls, until SIGTERM or SIGINT
    Worker(worker::Worker),
    /// Stand in for Tencent's endpoint on this machine, to develop and test against
    Sandbox(sandbox::Sandbox),
    /// Look at jobs, the rows of callq.jobs
    Jobs(jobs::Jobs),
}

/// Why a command ended early.
enum Failure {
    /// May work later: exit code 1.
    CouldNot(anyhow::Error),
    /// Never will: exit code 2.
    Cannot(anyhow::Error),
    /// No such thing: exit code 3.
    NoSuchThing(String),
    /// Has told about itself; only the code is left to give.
    Exit(u8),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        if error.downcast_ref::<ConfigError>().is_some() {
            Self::Cannot(error)
        } else {
            Self::CouldNot(error)
        }
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("callq: could not start: {error}");
            return ExitCode::from(1);
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(tell(&failure)),
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(dev) => dev.run().await,
        Command::Demo(demo) => demo.run().await,
        Command::Migrate(migrate) => migrate.run().await,
        Command::Worker(worker) => worker.run().await,
        Command::Sandbox(sandbox) => sandbox.run().await,
        Command::Jobs(jobs) => jobs.run().await,
    }
}

/// Prints the failure and returns its exit code.
fn tell(failure: &Failure) -> u8 {
    let (error, code) = match failure {
        Failure::CouldNot(error) => (format!("{error:#}"), 1),
        Failure::Cannot(error) => (format!("{error:#}"), 2),
        Failure::NoSuchThing(what) => (what.clone(), 3),
        Failure::Exit(code) => return *code,
    };
    eprintln!("callq: {error}");
    code
}
