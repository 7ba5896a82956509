//! The command line: one file per subcommand, and the only printer.
//!
//! What a program may read goes to stdout; progress, logs and errors go to stderr. Exit codes:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | could not: the database, the network or the machine was in the way; later it may work |
//! | 2 | cannot: command line, configuration or input is wrong, or a job's state forbids it |
//! | 3 | there is no such thing, as in `callq jobs show 0` |
//! | 130 | stopped by a second signal, with requests under way |
//!
//! `callq dev --exec` ends with the code of its command.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the only printer"
)]
#![allow(clippy::doc_markdown, reason = "doc comments are also the help texts")]

mod apps;
mod demo;
mod dev;
mod enqueue;
mod jobs;
mod logging;
mod migrate;
mod print;
mod sandbox;
mod signals;
mod status;
mod when;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{self, ConfigError};
use crate::store::StoreError;
use crate::worker::WorkerError;

/// A Postgres-backed job queue for scheduled robot calls: a row rings a phone.
#[derive(Debug, Parser)]
#[command(name = "callq", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 could not (may work later), 2 cannot (command \
    line, configuration, or a job's state), 3 no such thing, 130 stopped by a second signal.\n\
    DATABASE_URL and CALLQ_... are described in the README.";

#[derive(Debug, Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one, for as long as the process"
)]
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
    /// Insert jobs: one by flags, or one per line of a CSV or JSON lines file
    Enqueue(Box<enqueue::Enqueue>),
    /// Look at jobs, the rows of callq.jobs, and change them
    Jobs(jobs::Jobs),
    /// Look at apps: who serves them, their pace and pauses; pause and resume them
    Apps(apps::Apps),
    /// How the queue stands: due, overdue, under way, in doubt, paused, or served by nobody
    Status(status::Status),
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
            return Self::Cannot(error);
        }
        match store_error(&error) {
            Some(StoreError::Url(_)) => Self::Cannot(error),
            Some(StoreError::Connect(source)) => Self::CouldNot(could_not_connect(source)),
            _ => Self::CouldNot(error),
        }
    }
}

/// The fault of the database at `DATABASE_URL`, if that is what `error` is. One of a private server
/// comes as another type.
fn store_error(error: &anyhow::Error) -> Option<&StoreError> {
    match error.downcast_ref::<WorkerError>() {
        Some(WorkerError::Store(error)) => Some(error),
        _ => error.downcast_ref::<StoreError>(),
    }
}

/// Says which database it was and what it said, without the layers between.
fn could_not_connect(source: &(dyn std::error::Error + 'static)) -> anyhow::Error {
    let url = config::database_url(&config::Process).unwrap_or_default();
    let place = config::database_place(&url);
    let mut cause = source;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let cause = match cause.to_string().rsplit_once(" at line ") {
        // The line is one of PostgreSQL's own source files.
        Some((text, line)) if line.bytes().all(|b| b.is_ascii_digit()) => text.to_owned(),
        _ if cause.to_string().starts_with("pool timed out") => "it does not answer".to_owned(),
        _ => cause.to_string(),
    };
    anyhow::anyhow!("could not connect to the database at {place}, see DATABASE_URL: {cause}")
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let mut cli = Cli::parse();
    // Before the runtime makes threads.
    match &mut cli.command {
        Command::Dev(dev) => dev.forget_libpq_variables(),
        Command::Demo(_) => drop(config::forget_libpq_variables()),
        _ => {}
    }
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
        Command::Enqueue(enqueue) => enqueue.run().await,
        Command::Jobs(jobs) => jobs.run().await,
        Command::Apps(apps) => apps.run().await,
        Command::Status(status) => status.run().await,
    }
}

/// The command line's definition, so that documents can be held to it.
#[must_use]
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Prints the failure and returns its exit code.
fn tell(failure: &Failure) -> u8 {
    let (error, code) = match failure {
        Failure::CouldNot(error) => (sentence(error), 1),
        Failure::Cannot(error) => (sentence(error), 2),
        Failure::NoSuchThing(what) => (what.clone(), 3),
        Failure::Exit(code) => return *code,
    };
    eprintln!("callq: {error}");
    code
}

/// The error and its causes, each said once: many texts already end with their cause's.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string();
        match said.as_str() {
            "" => cause,
            _ if said.contains(&cause) => said,
            _ => format!("{said}: {cause}"),
        }
    })
}
