//! The whole configuration of `callq web`.

use std::net::SocketAddr;

use super::callbacks::CallbackAppConfig;
use super::fault::{ConfigError, Faults};
use super::kind;
use super::settings;
use super::sources::Sources;
use super::url::DatabaseUrl;
use super::worker::{LogFormat, log_format};

/// Everything that `callq web` needs. `Debug` shows no secret.
#[derive(Debug)]
pub struct WebConfig {
    /// Its database.
    pub database_url: DatabaseUrl,
    /// Where it listens.
    pub listen: SocketAddr,
    /// What is logged, as a filter of `tracing`.
    pub log: String,
    /// How its log lines look: as those of a worker.
    pub log_format: LogFormat,
    /// The apps whose callbacks it takes, at least one.
    pub apps: Vec<CallbackAppConfig>,
}

impl Sources {
    /// The configuration of a receiver of callbacks of the apps of these names, or of all that have
    /// a secret for them.
    ///
    /// # Errors
    /// With everything that is wrong, at once. What only a worker needs may be missing.
    pub fn web(&self, only: &[String]) -> Result<WebConfig, ConfigError> {
        let mut faults = Faults::default();
        let understood = faults.take(self.shape());
        let log = faults.take(self.log());
        let log_format = faults.take(self.value(&settings::LOG_FORMAT, log_format));
        let listen = faults.take(self.value(&settings::WEB_LISTEN, kind::address));
        // What is not understood leaves holes, which are not to be told as missing.
        let database_url = understood.and_then(|()| faults.take(self.database_url()));
        let apps = understood.and_then(|()| faults.take(self.callback_apps(only)));
        let whole = || {
            Some(WebConfig {
                database_url: database_url?,
                listen: listen?,
                log: log?,
                log_format: log_format?,
                apps: apps?,
            })
        };
        faults.or(whole())
    }
}
