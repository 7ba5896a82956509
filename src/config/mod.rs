//! The only reader of environment and files: every name, its unit and its default. The README's
//! table is made from this one.
//!
//! | name | meaning |
//! |---|---|
//! | `DATABASE_URL` | the database, as in `postgres://user@host/database`; required |
//! | `CALLQ_SDK_APP_ID` | Tencent's `SDKAppID`, a number; required |
//! | `CALLQ_ADMIN_ACCOUNT` | the App administrator's account that signs the requests; required |
//! | `CALLQ_SECRET_KEY` | the key that a `UserSig` is made with; this or one of the next three |
//! | `CALLQ_SECRET_KEY_FILE` | a file that holds the key, closed to other users |
//! | `CALLQ_USER_SIG` | instead of a key, a fixed `UserSig` |
//! | `CALLQ_USER_SIG_FILE` | a file that holds it, closed to other users |
//! | `CALLQ_HOST` | the app's region or an https URL, see below; required |
//! | `CALLQ_CALLS_PER_SECOND` | the pace of all workers together, at most 200; default 180 |
//! | `CALLQ_LOG` | what is logged, as in `info` or `callq=debug,warn`; default `info` |
//! | `CALLQ_PG_BIN` | for `dev` and `demo`: the folder of `initdb` and `postgres` |
//! | `NO_COLOR` | set to anything: no colours in logs |
//!
//! Regions: `china`, `singapore`, `seoul`, `frankfurt`, `silicon-valley`, `jakarta`, `tokyo`. Plain
//! http is for loopback only, because the URL of a request carries the `UserSig`.
//!
//! `callq dev` and `callq demo` read none of these but the last three (`CALLQ_PG_BIN` in
//! `dev::postgres`).

mod app;
mod libpq;
mod secret;

pub use app::{AppConfig, app};
pub use libpq::forget_libpq_variables;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use url::Url;

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
/// If `DATABASE_URL` is not set or not a URL of a PostgreSQL database. The value may hold a
/// password, so no part of it is repeated.
pub fn database_url(env: &impl Environment) -> Result<String, ConfigError> {
    const NAME: &str = "DATABASE_URL";
    const ALLOWED: &str = "must be the database's URL, as in postgres://user@host/database";
    let url = env
        .get(NAME)?
        .ok_or_else(|| ConfigError::new(NAME, format!("is not set: {ALLOWED}")))?;
    let fault = match Url::parse(&url) {
        Ok(parsed) if matches!(parsed.scheme(), "postgres" | "postgresql") => return Ok(url),
        Ok(_) => "is a URL, but not of PostgreSQL".to_owned(),
        Err(error) => format!("is not a URL ({error})"),
    };
    Err(ConfigError::new(NAME, format!("{fault}: {ALLOWED}")))
}

/// Where the database at `url` is, for a message: host and port, without user, password and name.
#[must_use]
pub fn database_place(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return "DATABASE_URL".to_owned();
    };
    let given = |name| {
        url.query_pairs()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.into_owned())
    };
    match (url.host_str(), given("host")) {
        (Some(host), _) if !host.is_empty() => format!("{host}:{}", url.port().unwrap_or(5432)),
        (_, Some(host)) => host,
        _ => "the place that DATABASE_URL names".to_owned(),
    }
}

/// The folder that `callq dev` keeps its data for.
///
/// # Errors
/// If it was removed meanwhile.
pub fn current_folder() -> std::io::Result<PathBuf> {
    std::env::current_dir()
}

/// The command line of this process, with the program's own name.
pub fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os()
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
