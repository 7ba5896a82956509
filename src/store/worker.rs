//! What workers tell of themselves. People and the reasons of expired jobs use it; no promise does.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::connect::bounded;
use super::grant::count;
use super::{Store, StoreError};

/// How a worker stands.
#[derive(Clone, Debug)]
pub struct Beat {
    /// Its name, as in `callq.attempts.worker`.
    pub worker: String,
    /// The version of callq that it runs.
    pub version: &'static str,
    /// How long it has been up.
    pub up: Duration,
    /// The apps that it serves.
    pub apps: Vec<String>,
    /// How many requests it has under way at most.
    pub concurrency: usize,
    /// How many it has under way.
    pub in_flight: usize,
    /// How many results it holds that are not in the database.
    pub unrecorded: usize,
    /// Whether notifications do not reach it.
    pub deaf: bool,
    /// Whether it claims nothing more.
    pub stopping: bool,
    /// The circuits that are open.
    pub circuits: Vec<OpenCircuit>,
}

/// An app whose host a worker cannot reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCircuit {
    /// The app.
    pub app: String,
    /// For how long the circuit has been open.
    pub open_for: Duration,
    /// In how long one job finds out whether the host is back.
    pub next_try: Duration,
    /// What the last failure was, in words, without a URL.
    pub failure: String,
}

/// A worker as `callq status` tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerRow {
    /// Its name.
    pub worker: String,
    /// `working`, `stopping`, or `gone`: silent for 20 s.
    pub state: String,
    /// The version of callq that it runs.
    pub version: String,
    /// The apps that it serves.
    pub apps: Vec<String>,
    /// How many requests it had under way.
    pub in_flight: i32,
    /// How many it has at most.
    pub concurrency: i32,
    /// How many results it held that were not in the database.
    pub unrecorded: i32,
    /// Whether notifications did not reach it.
    pub listener_deaf: bool,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last told of itself.
    pub seen_at: DateTime<Utc>,
}

/// A circuit as `callq status` tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct CircuitRow {
    /// The app whose host cannot be reached.
    pub app: String,
    /// By which worker.
    pub worker: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When one job finds out whether it is back.
    pub next_try_at: DateTime<Utc>,
    /// What the last failure was.
    pub failure: String,
}

impl Store {
    /// Tells how a worker stands; to be repeated every 5 s, and at once when a circuit opens or
    /// closes. Sweeps away the rows of workers that have been silent for an hour.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn beat(&self, beat: &Beat) -> Result<(), StoreError> {
        let circuits = &beat.circuits;
        let apps: Vec<String> = circuits.iter().map(|c| c.app.clone()).collect();
        let open: Vec<f64> = circuits.iter().map(|c| c.open_for.as_secs_f64()).collect();
        let next: Vec<f64> = circuits.iter().map(|c| c.next_try.as_secs_f64()).collect();
        let failures: Vec<String> = circuits.iter().map(|c| c.failure.clone()).collect();
        bounded!(
            self,
            "note how the worker stands",
            fetch_all,
            sqlx::query_file!(
                "src/store/beat.sql",
                beat.worker,
                beat.version,
                beat.up.as_secs_f64(),
                &beat.apps,
                count(beat.concurrency),
                count(beat.in_flight),
                count(beat.unrecorded),
                beat.deaf,
                beat.stopping,
                &apps,
                &open,
                &next,
                &failures,
            )
        )?;
        Ok(())
    }

    /// Says that a worker ends in good order: its row goes, and apps that no other worker serves
    /// count as served by nobody from now on.
    ///
    /// # Errors
    /// If the database cannot answer; the worker then counts as gone after 20 s.
    pub async fn leave(&self, worker: &str, apps: &[String]) -> Result<(), StoreError> {
        bounded!(
            self,
            "note that the worker ends",
            fetch_all,
            sqlx::query_file!("src/store/leave.sql", worker, apps)
        )?;
        Ok(())
    }

    /// Every worker that told of itself within the last hour, by name.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>, StoreError> {
        sqlx::query_file_as!(WorkerRow, "src/store/workers.sql")
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::during("look at the workers"))
    }

    /// Every app whose host a living worker cannot reach.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn circuits(&self) -> Result<Vec<CircuitRow>, StoreError> {
        sqlx::query_file_as!(CircuitRow, "src/store/circuits.sql")
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::during("look at the circuits"))
    }
}
