//! The whole configuration of a worker.

use std::time::Duration;

use secrecy::SecretString;

use super::app::AppConfig;
use super::fault::{ConfigError, Fault, Faults};
use super::given::app_name;
use super::secret_file::DatabaseUrlFile;
use super::sources::Sources;
use super::url::DatabaseUrl;
use super::worker::WorkerSettings;
use super::{kind, settings};
use crate::tencent::request_timeouts;

/// Everything that a worker needs. `Debug` shows no secret.
#[derive(Debug)]
pub struct Config {
    /// Its database.
    pub database_url: DatabaseUrl,
    /// The file that its URL stands in, if it is one that can be read again.
    pub database_url_file: Option<DatabaseUrlFile>,
    /// The proxy that requests to Tencent go through.
    pub https_proxy: Option<SecretString>,
    /// What is logged, as a filter of `tracing`.
    pub log: String,
    /// Its bounds and its looks.
    pub worker: WorkerSettings,
    /// The apps it serves, at least one.
    pub apps: Vec<AppConfig>,
}

impl Sources {
    /// The configuration of a worker that serves the apps of these names, or all.
    ///
    /// # Errors
    /// With everything that is wrong, at once.
    pub fn config(&self, only: &[String]) -> Result<Config, ConfigError> {
        let mut faults = Faults::default();
        let understood = faults.take(self.shape());
        let https_proxy = faults.take(self.https_proxy());
        let log = faults.take(self.log());
        let worker = faults.take(self.worker());
        // What is not understood leaves holes, which are not to be told as missing.
        let database_url = understood.and_then(|()| faults.take(self.database_url()));
        let apps = understood.and_then(|()| faults.take(self.app_configs(only)));
        if let (Some(worker), Some(apps)) = (&worker, &apps) {
            faults.take(self.fits(worker.request_timeout, apps));
        }
        if let Some(worker) = &worker {
            faults.take(self.outlives(worker.lease, worker.request_timeout));
        }
        let whole = || {
            Some(Config {
                database_url: database_url?,
                database_url_file: self.database_url_file(),
                https_proxy: https_proxy?,
                log: log?,
                worker: worker?,
                apps: apps?,
            })
        };
        faults.or(whole())
    }

    /// The proxy that requests to Tencent go through.
    ///
    /// # Errors
    /// If it is not a proxy's URL; no part of it is repeated.
    pub fn https_proxy(&self) -> Result<Option<SecretString>, ConfigError> {
        let url = |text: &str| kind::proxy_url(text).map(|()| SecretString::from(text));
        Ok(self.optional(&settings::HTTPS_PROXY, url)?)
    }

    /// A lease must be longer than a request, by the same time as the shortest lease is longer than
    /// the shortest request. The worker holds to it too.
    fn outlives(&self, lease: Duration, request: Duration) -> Result<(), Fault> {
        let lease_given = self.given(&settings::LEASE_MS, None);
        let request_given = self.given(&settings::REQUEST_TIMEOUT_MS, None);
        let (lease, request) = (lease.as_millis(), request.as_millis());
        let margin = u128::from(settings::LEASE_MARGIN_MS);
        match (lease_given, request_given) {
            _ if lease >= request + margin => Ok(()),
            (Some(given), _) => Err(given.fault(format_args!(
                "is {lease}: must be at least {} for a request_timeout_ms of {request}",
                request + margin
            ))),
            (None, Some(given)) => Err(given.fault(format_args!(
                "is {request}: must be at most {} for a lease_ms of {lease}",
                lease - margin
            ))),
            (None, None) => Ok(()),
        }
    }

    /// Tencent itself takes longer than a sandbox may be given.
    fn fits(&self, timeout: Duration, apps: &[AppConfig]) -> Result<(), Fault> {
        let given = self.given(&settings::REQUEST_TIMEOUT_MS, None);
        let short = apps
            .iter()
            .find(|app| !request_timeouts(app.host.kind()).contains(&timeout));
        match (given, short) {
            (Some(given), Some(app)) => {
                let least = request_timeouts(app.host.kind()).start().as_millis();
                let found = timeout.as_millis();
                let app = app_name(&app.name);
                Err(given.fault(format_args!(
                    "is {found}: must be at least {least} for the host of the app {app}"
                )))
            }
            _ => Ok(()),
        }
    }
}
