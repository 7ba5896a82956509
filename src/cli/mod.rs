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
//! | 4 | `callq schedules apply --dry-run`: something would change |
//! | 130 | stopped by a second signal, with requests under way |
//!
//! `callq dev --exec` ends with the code of its command, `callq check` with that of its worst line,
//! which is 0 if nothing fails, warnings or not.
#![allow(clippy::print_stdout, reason = "the only printer")]
#![allow(clippy::doc_markdown, reason = "doc comments are also the help texts")]

mod apps;
mod ask;
mod bench;
mod callbacks;
mod check;
mod completions;
mod config;
mod demo;
mod dev;
mod enqueue;
mod failure;
mod hint;
mod jobs;
mod logging;
mod man;
mod migrate;
mod print;
mod prune;
mod recover;
mod report;
mod roles;
mod sandbox;
mod schedules;
mod settings;
mod signals;
mod status;
mod table;
mod web;
mod when;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use self::failure::{Failure, WaysOut};
use self::settings::ConfigFile;
use crate::config::forget_libpq_variables;

/// A Postgres-backed job queue for scheduled robot calls: a row rings a phone.
#[derive(Debug, Parser)]
#[command(name = "callq", version, max_term_width = 100, after_help = FIRST_STEPS)]
struct Cli {
    #[command(flatten)]
    config: ConfigFile,

    #[command(subcommand)]
    command: Command,
}

const FIRST_STEPS: &str = "First steps:
  callq demo                                # five calls from INSERT to result, on this machine
  callq dev                                 # the same to play with; rings nobody either
  callq migrate && callq check              # for real: DATABASE_URL and CALLQ_... are set
  callq worker --listen 127.0.0.1:9464

Exit codes: 0 done, 1 could not (may work later), 2 cannot (command \
    line, configuration, or a job's state), 3 no such thing, 4 `schedules apply --dry-run` would \
    change something, 130 stopped by a second signal.\n\
    Settings come from flags, the environment (DATABASE_URL, CALLQ_...) and callq.toml, in this \
    order; `callq config show` tells what holds, the README and callq.example.toml what there is.";

#[derive(Debug, Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one, for as long as the process"
)]
// No variant has words of its own: they would take the place of its struct's whole help.
enum Command {
    Dev(dev::Dev),
    Demo(demo::Demo),
    Migrate(migrate::Migrate),
    Roles(roles::Roles),
    Check(check::Check),
    Worker(worker::Worker),
    Web(web::Web),
    Sandbox(sandbox::Sandbox),
    Enqueue(Box<enqueue::Enqueue>),
    Jobs(jobs::Jobs),
    Schedules(schedules::Schedules),
    Apps(apps::Apps),
    Callbacks(callbacks::Callbacks),
    Status(status::Status),
    Report(report::Report),
    Prune(prune::Prune),
    Recover(recover::Recover),
    Bench(Box<bench::Bench>),
    Config(config::Config),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Whether it obeys a configuration. What is only for trying must not, lest it touch what is
    /// in production.
    fn is_configured(&self) -> bool {
        match self {
            Self::Dev(_) | Self::Demo(_) | Self::Sandbox(_) => false,
            Self::Bench(bench) => bench.is_configured(),
            _ => true,
        }
    }

    const fn ways_out(&self) -> WaysOut {
        let if_denied = match self {
            Self::Migrate(_) => "migrate as the owner of the schema, or of the database",
            Self::Enqueue(_)
            | Self::Jobs(_)
            | Self::Schedules(_)
            | Self::Apps(_)
            | Self::Status(_)
            | Self::Recover(_) => "grant it callq_enqueue; `callq roles sql` tells how",
            Self::Web(_) => "grant it callq_web; `callq roles sql` tells how",
            Self::Report(_) => "grant it callq_report; `callq roles sql` tells how",
            Self::Prune(_) => "prune as the owner of the schema",
            Self::Bench(_) => "use a login that may make databases, or leave --beside out",
            _ => "grant it callq_worker; `callq roles sql` tells how",
        };
        let if_misconfigured = match self {
            Self::Config(_) => None,
            _ => Some("`callq config show` prints every value and where it comes from"),
        };
        WaysOut {
            if_denied,
            if_misconfigured,
        }
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(failure::tell_usage(&error)),
    };
    if cli.config.is_named() && !cli.command.is_configured() {
        print::note(
            "dev, demo, sandbox, and bench without --beside, read no configuration: leave --config \
             out",
        );
        return ExitCode::from(2);
    }
    // Before the runtime makes threads.
    match &mut cli.command {
        Command::Dev(dev) => dev.forget_libpq_variables(),
        Command::Demo(_) => drop(forget_libpq_variables()),
        Command::Bench(bench) if !bench.is_configured() => drop(forget_libpq_variables()),
        _ => {}
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            print::note(&format!("could not start: {error}"));
            return ExitCode::from(1);
        }
    };
    let ways_out = cli.command.ways_out();
    let leaves_a_server = matches!(
        cli.command,
        Command::Dev(_) | Command::Demo(_) | Command::Bench(_)
    );
    let ended = runtime.block_on(run(cli.command, &cli.config));
    // A name that is still being looked up cannot be called off, and its resolver may be silent for
    // half a minute. Only a server that is just being started or stopped is waited for.
    if !leaves_a_server {
        runtime.shutdown_background();
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.tell(&ways_out, &cli.config)),
    }
}

async fn run(command: Command, config: &ConfigFile) -> Result<(), Failure> {
    match command {
        Command::Dev(dev) => dev.run().await,
        Command::Demo(demo) => demo.run().await,
        Command::Migrate(migrate) => migrate.run(config).await,
        Command::Roles(roles) => roles.run(),
        Command::Check(check) => check.run(config).await,
        Command::Worker(worker) => worker.run(config).await,
        Command::Web(web) => web.run(config).await,
        Command::Sandbox(sandbox) => sandbox.run().await,
        Command::Enqueue(enqueue) => enqueue.run(config).await,
        Command::Jobs(jobs) => jobs.run(config).await,
        Command::Schedules(schedules) => schedules.run(config).await,
        Command::Apps(apps) => apps.run(config).await,
        Command::Callbacks(callbacks) => callbacks.run(config).await,
        Command::Status(status) => status.run(config).await,
        Command::Report(report) => report.run(config).await,
        Command::Prune(prune) => prune.run(config).await,
        Command::Recover(recover) => recover.run(config).await,
        Command::Bench(bench) => bench.run(config).await,
        Command::Config(show) => show.run(config),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    }
}

/// The command line's definition, so that documents can be held to it.
#[must_use]
pub fn definition() -> clap::Command {
    Cli::command()
}
