//! The only reader of environment and files: every name, its unit and its default.
//!
//! | name | meaning |
//! |---|---|
//! | `DATABASE_URL` | the database, as a PostgreSQL URL; required where one is used |
//! | `CALLQ_SDK_APP_ID` | Tencent's `SDKAppID`, a number |
//! | `CALLQ_ADMIN_ACCOUNT` | the App administrator's account that sends the requests |
//! | `CALLQ_SECRET_KEY`, `CALLQ_SECRET_KEY_FILE` | the key that `UserSig`s are made with, or a file that holds it |
//! | `CALLQ_USER_SIG`, `CALLQ_USER_SIG_FILE` | instead of the key: a fixed `UserSig`, or a file that holds it |
//! | `CALLQ_HOST` | `china`, `singapore`, `seoul`, `frankfurt`, `silicon-valley`, `jakarta`, `tokyo`, or an https URL (plain http for loopback only) |
//! | `CALLQ_CALLS_PER_SECOND` | the app's pace, shared by all workers; default 180. Tencent allows 200 |
//! | `CALLQ_LOG` | what is logged, as `tracing` filters; default `info` for a worker |
//! | `NO_COLOR` | set to anything: no colours |
//!
//! `callq dev` and `callq demo` read none of these but `CALLQ_LOG`.

mod app;
mod secret;

pub use app::{AppConfig, app};

use std::fmt;

/// A mistake in the configuration: which name, what is wrong, what is allowed. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    name: String,
    fault: String,
}

impl ConfigError {
    fn new(name: &str, fault: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            fault: fault.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.fault)
    }
}

impl std::error::Error for ConfigError {}

/// The environment, as a function from names to values; a test gives its own.
pub trait Environment {
    /// The value of `name`; `None` if it is not set or empty.
    ///
    /// # Errors
    /// If the value is not UTF-8.
    fn get(&self, name: &str) -> Result<Option<String>, ConfigError>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct Process;

impl Environment for Process {
    fn get(&self, name: &str) -> Result<Option<String>, ConfigError> {
        match std::env::var(name) {
            Ok(value) if value.is_empty() => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(ConfigError::new(name, "is not valid UTF-8"))
            }
        }
    }
}

/// The URL of the database.
///
/// # Errors
/// If `DATABASE_URL` is not set.
pub fn database_url(env: &impl Environment) -> Result<String, ConfigError> {
    env.get("DATABASE_URL")?.ok_or_else(|| {
        ConfigError::new(
            "DATABASE_URL",
            "is not set: must be the database's URL, as in postgres://user@host/database",
        )
    })
}

/// What is logged, as a filter of `tracing`, if it is set.
///
/// # Errors
/// If `CALLQ_LOG` is not valid UTF-8.
pub fn log_filter(env: &impl Environment) -> Result<Option<String>, ConfigError> {
    env.get("CALLQ_LOG")
}

/// Whether `NO_COLOR` is set to anything.
pub fn no_color(env: &impl Environment) -> bool {
    !matches!(env.get("NO_COLOR"), Ok(None))
}
