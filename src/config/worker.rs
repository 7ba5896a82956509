//! What `callq worker` is set to.

use std::net::SocketAddr;
use std::time::Duration;

use super::fault::{ConfigError, Fault, Faults};
use super::kind;
use super::settings::{self as list, Setting};
use super::sources::Sources;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The settings of a worker, besides its database and apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// How many requests it has under way at once.
    pub concurrency: usize,
    /// How long it sleeps at most when no notification comes.
    pub poll_interval: Duration,
    /// How long a claimed job may take until it is in doubt.
    pub lease: Duration,
    /// How long it waits for Tencent's reply.
    pub request_timeout: Duration,
    /// Where probes and metrics are served, if they are.
    pub listen: Option<SocketAddr>,
    /// How its log lines look.
    pub log_format: LogFormat,
}

impl Sources {
    /// The settings of a worker.
    ///
    /// # Errors
    /// With everything that is out of range, at once.
    pub fn worker(&self) -> Result<WorkerSettings, ConfigError> {
        let mut faults = Faults::default();
        let concurrency = faults.take(self.whole(&list::CONCURRENCY));
        let poll_interval = faults.take(self.whole(&list::POLL_INTERVAL_MS));
        let lease = faults.take(self.whole(&list::LEASE_MS));
        let request_timeout = faults.take(self.whole(&list::REQUEST_TIMEOUT_MS));
        let listen = faults.take(self.optional(&list::LISTEN, kind::address));
        let log_format = faults.take(self.value(&list::LOG_FORMAT, log_format));
        let whole = || {
            Some(WorkerSettings {
                concurrency: usize::try_from(concurrency?).ok()?,
                poll_interval: Duration::from_millis(poll_interval?),
                lease: Duration::from_millis(lease?),
                request_timeout: Duration::from_millis(request_timeout?),
                listen: listen?,
                log_format: log_format?,
            })
        };
        faults.or(whole())
    }

    fn whole(&self, setting: &'static Setting) -> Result<u64, Fault> {
        self.value(setting, |text| kind::whole(setting.kind, text))
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    let word = kind::word(list::LOG_FORMAT.kind, text)?;
    Ok([LogFormat::Text, LogFormat::Json][word])
}
