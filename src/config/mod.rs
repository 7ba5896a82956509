//! The only reader of environment and files. [`settings`] is the list of every name, its meaning,
//! unit, range and default; the README's table is made from it.
//!
//! - `settings`, `kind`: what there is, and what a value may be.
//! - `environment`, `file`, `text`, `parse`: what was given, each value with its origin (`given`);
//!   `near` finds the name that was meant, `fault` says what is wrong, all at once.
//! - `sources`: flag before environment before file before default.
//! - `url`, `worker`, `app`, `secret`: what it means; `whole` is all that a worker needs, and
//!   `secret_file` what it reads again while it runs.
//! - `ingest`: how an app plays media.
//! - `callbacks`: the secret path of an app's callbacks; `web` is all that `callq web` needs.
//! - `schedules`: the files of `jobs/`, a recurring call each.
//! - `show`: every value that holds, and where it comes from.
//!
//! `callq dev` and `callq demo` read no file, and of the environment `CALLQ_LOG`, `CALLQ_PG_BIN`
//! (in `dev::postgres`) and `NO_COLOR` alone.

mod app;
mod callbacks;
mod duration;
mod environment;
mod fault;
mod file;
mod given;
mod ingest;
mod kind;
mod libpq;
mod near;
mod parse;
pub mod schedules;
mod secret;
mod secret_file;
pub mod settings;
mod show;
mod sources;
mod text;
mod url;
mod web;
mod whole;
mod worker;

pub use app::AppConfig;
pub use callbacks::{CallbackAddress, CallbackAppConfig};
pub use duration::{LONGEST, duration, duration_shown};
pub use environment::{Environment, Process};
pub use fault::{ConfigError, Fault};
pub use given::{Origin, Place};
pub use ingest::{CamKeyFile, IngestConfig};
pub use kind::Kind;
pub use libpq::forget_libpq_variables;
pub use secret_file::{CredentialFile, DatabaseUrlFile};
pub use show::{Effective, Shown};
pub use sources::Sources;
pub use url::DatabaseUrl;
pub use web::WebConfig;
pub use whole::Config;
pub use worker::{LogFormat, WorkerSettings};

use std::ffi::OsString;
use std::path::PathBuf;

/// The name servers of this machine, as `/etc/resolv.conf` lists them; none where there is no such
/// file.
#[must_use]
pub fn name_servers() -> Vec<String> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let server = |line: &str| Some(line.strip_prefix("nameserver")?.trim().to_owned());
    text.lines().filter_map(server).collect()
}

/// The folder that `callq dev` keeps its data for.
///
/// # Errors
/// If it was removed meanwhile.
pub fn current_folder() -> std::io::Result<PathBuf> {
    std::env::current_dir()
}

/// The file of this program, to be run again; `None` if the system does not tell.
#[must_use]
pub fn this_program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// The command line of this process, with the program's own name.
pub fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os()
}

/// What is logged by `callq dev` and `callq demo`, as a filter of `tracing`, if it is set.
///
/// # Errors
/// If `CALLQ_LOG` is no filter.
pub fn log_filter(env: &impl Environment) -> Result<Option<String>, ConfigError> {
    let name = settings::LOG.environment;
    let filter = env.get(name)?;
    let filter = filter.map(|text| kind::log_filter(text.trim()));
    Ok(filter.transpose().map_err(|what| Fault::new(name, what))?)
}

/// Whether `NO_COLOR` is set to anything.
pub fn no_color(env: &impl Environment) -> bool {
    !matches!(env.get("NO_COLOR"), Ok(None))
}
