//! What a worker is made of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::call::JobDefaults;
use crate::store::StoreError;
use crate::tencent::{CamCredential, IngestClient, TencentClient, UserSigs};

/// Reads a secret again from where it stands. An error is a sentence without any part of it.
pub type ReadAgain<T> = Arc<dyn Fn() -> Result<T, String> + Send + Sync>;

/// The settings of one worker. `Debug` does not show the database, whose URL may hold a password.
pub struct WorkerConfig {
    /// The database, as a URL. Never logged.
    pub database_url: String,
    /// Reads that URL again, if it may change.
    pub database_url_again: Option<ReadAgain<String>>,
    /// The apps it serves.
    pub apps: Vec<WorkerApp>,
    /// How many requests it has under way at once.
    pub concurrency: usize,
    /// How long it sleeps at most when nothing wakes it: the price of a lost notification.
    pub poll_interval: Duration,
    /// How long a claim is its own; longer than the longest request and its recording.
    pub lease: Duration,
}

impl fmt::Debug for WorkerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerConfig")
            .field("apps", &self.apps)
            .field("concurrency", &self.concurrency)
            .field("poll_interval", &self.poll_interval)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl WorkerConfig {
    /// 50 requests at once.
    pub const CONCURRENCY: usize = 50;
    /// 1 s.
    pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
    /// 30 s.
    pub const LEASE: Duration = Duration::from_secs(30);
}

/// One app that a worker serves.
pub struct WorkerApp {
    /// Its name, as in `callq.jobs.app`.
    pub name: String,
    /// Sends its requests.
    pub client: TencentClient,
    /// Plays media into its calls; `None` without a CAM key: jobs with media wait.
    pub ingest: Option<IngestClient>,
    /// Reads again what media is signed with, if that may change.
    pub cam_again: Option<ReadAgain<CamCredential>>,
    /// Reads again what it signs with, if that may change.
    pub user_sigs_again: Option<ReadAgain<UserSigs>>,
    /// Its pace; `None` leaves what the database has, 180 at first.
    pub calls_per_second: Option<f64>,
    /// What its jobs have that give none of their own.
    pub defaults: JobDefaults,
}

impl fmt::Debug for WorkerApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerApp")
            .field("name", &self.name)
            .field("client", &self.client)
            .field("ingest", &self.ingest)
            .field("calls_per_second", &self.calls_per_second)
            .field("defaults", &self.defaults)
            .finish_non_exhaustive()
    }
}

/// Why a worker could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The database refused something that the worker cannot do without.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lease is too short for the request timeout.
    #[error(
        "the lease of {lease_ms} ms is too short for a request timeout of {request_ms} ms: it must \
         be at least {least_ms} ms"
    )]
    Lease {
        /// The lease, in milliseconds.
        lease_ms: u128,
        /// The longest request timeout of its apps, in milliseconds.
        request_ms: u128,
        /// The shortest lease for it, in milliseconds.
        least_ms: u128,
    },
    /// Nothing can be served.
    #[error("{0}")]
    NothingToServe(String),
    /// One of the worker's own duties ended by itself.
    #[error("a fault in callq: a duty of the worker ended by itself, see its log; start it again")]
    Broken,
    /// Results were not written before the time to stop was up.
    #[error(
        "{0} results could not be written before the worker stopped; their jobs become in doubt \
         when \
         their lease ends"
    )]
    Unrecorded(usize),
}
