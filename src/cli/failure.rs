//! Why a command ended early, its exit code, and how it is told.

use std::error::Error;
use std::io::ErrorKind;

use clap::Parser as _;

use super::settings::ConfigFile;
use super::{Cli, hint, print};
use crate::call::{harmless, readable};
use crate::config::{self, ConfigError};
use crate::dev::{DemoError, StackError};
use crate::store::StoreError;
use crate::web::ReceiverError;
use crate::worker::WorkerError;

/// What to do about faults whose way out depends on the command that meets them.
pub(super) struct WaysOut {
    /// The login lacks a right.
    pub(super) if_denied: &'static str,
    /// The configuration is wrong.
    pub(super) if_misconfigured: Option<&'static str>,
}

/// Why a command ended early.
pub(super) enum Failure {
    /// May work later: exit code 1.
    CouldNot(anyhow::Error),
    /// Never will: exit code 2.
    Cannot(anyhow::Error),
    /// The same with a text of several lines, which points at what is wrong.
    Pointed(String),
    /// No such thing: exit code 3.
    NoSuchThing(String),
    /// One of the others, and what to do about it.
    Hinted(Box<Failure>, String),
    /// Has told about itself; only the code is left to give.
    Exit(u8),
}

impl Failure {
    /// The same, with what to do about it.
    pub(super) fn hint(self, way_out: impl Into<String>) -> Self {
        Self::Hinted(Box::new(self), way_out.into())
    }

    /// Prints it, what to do about it, and returns its exit code.
    pub(super) fn tell(&self, ways_out: &WaysOut, config: &ConfigFile) -> u8 {
        let (error, code) = match self {
            Self::CouldNot(error) => match store_error(error) {
                Some(StoreError::Connect(source)) => (could_not_connect(source, config), 1),
                _ => (sentence(error), 1),
            },
            Self::Cannot(error) if error.is::<ConfigError>() => {
                // Each mistake is a line, and a sentence of its own.
                for fault in error.to_string().lines() {
                    print::note(fault);
                }
                ways_out.if_misconfigured.into_iter().for_each(print::hint);
                return 2;
            }
            Self::Cannot(error) => (sentence(error), 2),
            Self::Pointed(text) => (text.clone(), 2),
            Self::NoSuchThing(what) => (what.clone(), 3),
            Self::Hinted(failure, hint) => {
                let code = failure.tell(ways_out, config);
                print::hint(hint);
                return code;
            }
            Self::Exit(code) => return *code,
        };
        print::note(&error);
        if let Self::CouldNot(error) = self
            && let Some(StoreError::Denied { .. }) = store_error(error)
        {
            print::hint(ways_out.if_denied);
        }
        code
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        if error.downcast_ref::<ConfigError>().is_some() {
            return Self::Cannot(error);
        }
        let Some(store) = store_error(&error) else {
            return Self::CouldNot(error);
        };
        let way_out = hint::for_store(store);
        let failure = match store {
            StoreError::Url(_) | StoreError::Pooler => Self::Cannot(error),
            refused if refused.is_about_the_data() => Self::Cannot(error),
            _ => Self::CouldNot(error),
        };
        match way_out {
            Some(way_out) => failure.hint(way_out),
            None => failure,
        }
    }
}

/// The fault of the configured database, if that is what `error` is. One of a private server
/// comes as another type.
fn store_error(error: &anyhow::Error) -> Option<&StoreError> {
    if let Some(WorkerError::Store(error)) = error.downcast_ref() {
        return Some(error);
    }
    if let Some(ReceiverError::Store(error)) = error.downcast_ref() {
        return Some(error);
    }
    error.downcast_ref()
}

/// Says which database it was and what it said, without the layers between.
fn could_not_connect(source: &(dyn Error + 'static), config: &ConfigFile) -> String {
    // It was read before, or there would have been no attempt.
    let (place, origin) = config.database_url().map_or_else(
        |_| Default::default(),
        |url| (url.place(), url.origin().to_string()),
    );
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
    harmless(&format!(
        "could not connect to the database at {place}, see {origin}: {cause}"
    ))
}

/// The most characters of a cause that are shown; only a path is ever longer.
const CAUSE_CHARS_MAX: usize = 2000;

/// The error and its causes, each said once: many texts already end with their cause's. On one
/// line, but for the last lines that a private server logged.
fn sentence(error: &anyhow::Error) -> String {
    let of_dev = error.is::<StackError>() || error.is::<DemoError>();
    let shown = |cause: &dyn Error| -> String {
        let cause: String = cause.to_string().chars().take(CAUSE_CHARS_MAX).collect();
        if of_dev {
            print::lines(&cause)
        } else {
            harmless(&cause)
        }
    };
    error.chain().fold(String::new(), |said, cause| {
        let cause = shown(cause);
        match said.as_str() {
            "" => cause,
            _ if said.contains(&cause) => said,
            _ => format!("{said}: {cause}"),
        }
    })
}

/// Prints what clap found wrong with the command line, or the help that was asked for, in the form
/// of all other errors; returns the exit code.
pub(super) fn tell_usage(error: &clap::Error) -> u8 {
    let is_asked_for = !error.use_stderr();
    let needs_command =
        error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_asked_for || needs_command {
        return match error.print() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => print::NOBODY_READS,
            _ if is_asked_for => 0,
            _ => 2,
        };
    }
    // clap repeats arguments as they are: one that acts on a terminal is made readable first.
    let arguments = config::arguments();
    let arguments = arguments.map(|argument| readable(&argument.to_string_lossy()));
    let text = match Cli::try_parse_from(arguments) {
        Err(readable) if readable.kind() == error.kind() => readable.render().to_string(),
        _ => format!("error: the command line cannot be read: {}", error.kind()),
    };
    let text = text.replace("  tip: ", "hint: ");
    print::note(text.trim_start_matches("error: ").trim_end());
    2
}
