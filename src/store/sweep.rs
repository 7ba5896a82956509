//! Reading call records: who does it for an app, how far, and which calls are looked for alone.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::connect::bounded;
use super::{Gauge, Store, StoreError};

/// The right to read the records of an app, for a while.
#[derive(Clone, Copy, Debug)]
pub struct SweepLease {
    /// Up to which second of Tencent's clock they were read completely; `None`: never.
    pub read_until_unix: Option<i64>,
    /// Whether there is a call whose record has not come.
    pub waits: bool,
    /// How long ago the oldest call was opened that is followed, if nothing was read yet.
    pub oldest_open: Option<Duration>,
    /// The database's time, in seconds since the Unix epoch, by which a `UserSig` is signed.
    pub now_unix: i64,
}

/// What a round of reading came to.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// Up to which second they are read now; `None`: no further than before.
    pub read_until_unix: Option<i64>,
    /// Why that could not be done, in words.
    pub failure: Option<String>,
    /// The date of Tencent's last answer, in seconds since the Unix epoch.
    pub tencent_unix: Option<i64>,
    /// How long ago that answer was asked for.
    pub asked_ago: Duration,
}

/// How an app's records are read, as `callq status` tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct RecordsRow {
    /// The app.
    pub app: String,
    /// The worker that reads; `None`: none does.
    pub worker: Option<String>,
    /// When it last read all that there was.
    pub read_at: Option<DateTime<Utc>>,
    /// Why it could not since then, in words.
    pub failure: Option<String>,
    /// How many calls wait for their record, counted up to [`Gauge::COUNTED_UP_TO`].
    pub followed: i64,
}

/// A call whose record did not come with those of everybody.
#[derive(Clone, Debug)]
pub struct DueCall {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// Number of the attempt.
    pub attempt: i32,
    /// Its `CallId`; `None`: it is in doubt whether there is a call.
    pub call_id: Option<String>,
}

impl Store {
    /// Every app whose records are read.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn records(&self) -> Result<Vec<RecordsRow>, StoreError> {
        sqlx::query_file_as!(RecordsRow, "src/store/records.sql", Gauge::COUNTED_UP_TO)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::during("see whose call records are read"))
    }

    /// Takes or keeps the right to read the records of an app; `None`: another worker has it.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn lease_sweep(
        &self,
        app: &str,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<SweepLease>, StoreError> {
        let row = bounded!(
            self,
            "see who reads call records",
            fetch_optional,
            sqlx::query_file!(
                "src/store/sweep_lease.sql",
                app,
                worker,
                lease.as_secs_f64()
            )
        )?;
        Ok(row.map(|row| SweepLease {
            read_until_unix: row.read_until_unix,
            waits: row.waits,
            oldest_open: row
                .oldest_s
                .and_then(|s| Duration::try_from_secs_f64(s).ok()),
            now_unix: row.now_unix,
        }))
    }

    /// Gives up the right of this worker to read the records of an app.
    ///
    /// # Errors
    /// If the database cannot answer: the right ends by itself.
    pub async fn leave_sweep(&self, worker: &str, app: &str) -> Result<(), StoreError> {
        bounded!(
            self,
            "leave the call records to others",
            execute,
            sqlx::query_file!("src/store/sweep_leave.sql", worker, app)
        )?;
        Ok(())
    }

    /// Notes what a round of reading came to.
    ///
    /// # Errors
    /// If the database cannot answer: what was read is read again.
    pub async fn swept(&self, app: &str, worker: &str, sweep: &Sweep) -> Result<(), StoreError> {
        bounded!(
            self,
            "note how far call records are read",
            execute,
            sqlx::query_file!(
                "src/store/sweep_done.sql",
                app,
                worker,
                sweep.read_until_unix,
                sweep.failure.as_deref(),
                sweep.tencent_unix,
                sweep.asked_ago.as_secs_f64(),
            )
        )?;
        Ok(())
    }

    /// The calls of an app that are to be looked for alone, at most so many.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn calls_due(&self, app: &str, at_most: usize) -> Result<Vec<DueCall>, StoreError> {
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let rows = bounded!(
            self,
            "look for calls without a record",
            fetch_all,
            sqlx::query_file!("src/store/sweep_due.sql", app, at_most)
        )?;
        let calls = rows.into_iter().map(|row| DueCall {
            job_id: row.job_id,
            attempt: row.attempt,
            call_id: row.call_id,
        });
        Ok(calls.collect())
    }

    /// Has these calls looked for again later.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn look_later(&self, later: &[(i64, i32, Duration)]) -> Result<(), StoreError> {
        let job_ids: Vec<i64> = later.iter().map(|l| l.0).collect();
        let attempts: Vec<i32> = later.iter().map(|l| l.1).collect();
        let again: Vec<f64> = later.iter().map(|l| l.2.as_secs_f64()).collect();
        bounded!(
            self,
            "put off looking for calls",
            execute,
            sqlx::query_file!("src/store/sweep_later.sql", &job_ids, &attempts, &again)
        )?;
        Ok(())
    }
}
