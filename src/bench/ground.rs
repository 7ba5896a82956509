//! Where is measured: a PostgreSQL and the databases made on it, the answering server, the worker.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::answerer::Answerer;
use super::hand::{Hand, Orders, WorkerCommand};
use super::usage;
use super::{BenchError, Figure, Tell};
use crate::dev::DATABASE;
use crate::dev::postgres::{DataDir, Durability, Places, PostgresServer, StartOptions};
use crate::store::{Counters, StoreError, Trial};

/// A pace that holds nothing back.
pub(super) const UNPACED: f64 = 10_000_000.0;

/// Which PostgreSQL is measured on.
#[derive(Clone, Debug)]
pub enum Where {
    /// A private one with PostgreSQL's own defaults, which syncs every commit; thrown away.
    Private,
    /// The one of this URL, in databases that are made beside and dropped.
    Beside(String),
}

/// Everything that a part needs.
pub struct Ground {
    url: String,
    prefix: String,
    made: AtomicUsize,
    server: Option<PostgresServer>,
    pub(super) answerer: Answerer,
    command: WorkerCommand,
    tell: Tell,
    /// Where a worker finds its configuration, if it needs any.
    folder: TempDir,
}

impl Ground {
    /// Starts what is needed.
    ///
    /// # Errors
    /// If the private server does not start, or there is no port to listen on.
    pub async fn prepare(
        at: Where,
        command: WorkerCommand,
        tell: Tell,
    ) -> Result<Self, BenchError> {
        let (server, url) = match at {
            Where::Beside(url) => (None, url),
            Where::Private => {
                let options = StartOptions {
                    data: DataDir::Temporary,
                    durability: Durability::Durable,
                    places: Places::from_env(),
                };
                let start = tokio::task::spawn_blocking(|| PostgresServer::start(options));
                let server = start.await.map_err(|_| BenchError::Broken)??;
                let url = server.url(DATABASE);
                (Some(server), url)
            }
        };
        Ok(Self {
            url,
            prefix: format!("callq_bench_{:08x}", fastrand::u32(..)),
            made: AtomicUsize::new(0),
            server,
            answerer: Answerer::start().await.map_err(BenchError::Listen)?,
            command,
            tell,
            folder: tempfile::tempdir().map_err(BenchError::Folder)?,
        })
    }

    /// Tells a figure as soon as it is known.
    pub(super) fn tell(&self, figures: &[Figure]) {
        for figure in figures {
            (self.tell)(figure);
        }
    }

    /// A fresh database.
    pub(super) async fn trial(&self) -> Result<Trial, BenchError> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}_{number}", self.prefix);
        Ok(Trial::create(&self.url, &name).await?)
    }

    /// What a worker is told for this trial.
    pub(super) fn orders(&self, trial: &Trial, concurrency: usize, pace: f64) -> Orders {
        Orders {
            database_url: trial.url(),
            host: self.answerer.url(),
            concurrency,
            calls_per_second: pace,
            apps: 1,
            folder: self.folder.path().to_owned(),
        }
    }

    /// Starts a worker.
    pub(super) fn hire(&self, orders: &Orders) -> Result<Hand, BenchError> {
        Hand::start((self.command)(orders).map_err(BenchError::Worker)?)
    }

    /// Removes every database that was made, and the server if it is ours.
    ///
    /// # Errors
    /// If something is left, with its name.
    pub async fn clear(self) -> Result<(), BenchError> {
        let Some(server) = self.server else {
            for number in 0..self.made.load(Ordering::Relaxed) {
                Trial::forget(&self.url, &format!("{}_{number}", self.prefix)).await?;
            }
            return Ok(());
        };
        let stop = tokio::task::spawn_blocking(|| server.stop());
        Ok(stop.await.map_err(|_| BenchError::Broken)??)
    }
}

/// What the database has used, to be held against a later reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    counters: Counters,
    server_cpu_s: Option<f64>,
}

/// What was used between two readings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) wal_bytes: i64,
    pub(super) commits: i64,
    pub(super) deadlocks: i64,
    /// `None` where the server is on another machine.
    pub(super) server_cpu_s: Option<f64>,
}

impl Reading {
    pub(super) async fn of(trial: &Trial) -> Result<Self, StoreError> {
        let counters = trial.counters().await?;
        let (session, _) = trial.server().await?;
        let server_cpu_s = trial
            .is_local()
            .then(|| usage::of_server(session))
            .flatten();
        Ok(Self {
            counters,
            server_cpu_s,
        })
    }

    pub(super) async fn used_since(self, trial: &Trial) -> Result<Used, StoreError> {
        let now = Self::of(trial).await?;
        Ok(Used {
            wal_bytes: now.counters.wal_bytes - self.counters.wal_bytes,
            commits: now.counters.commits - self.counters.commits,
            deadlocks: now.counters.deadlocks - self.counters.deadlocks,
            server_cpu_s: now
                .server_cpu_s
                .zip(self.server_cpu_s)
                .map(|(now, before)| now - before),
        })
    }
}

/// Waits until something holds, looking at the workers meanwhile.
pub(super) async fn until(
    hands: &mut [Hand],
    patience: Duration,
    mut holds: impl AsyncFnMut() -> Result<bool, BenchError>,
) -> Result<(), BenchError> {
    let began = Instant::now();
    while !holds().await? {
        for hand in &mut *hands {
            hand.is_well()?;
        }
        if began.elapsed() > patience {
            return Err(BenchError::TooSlow(patience));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
