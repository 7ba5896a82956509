//! What `callq status`, `callq check` and `callq schedules show` look at in recurring calls.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Serialize;

use super::connect::bounded;
use super::{Store, StoreError};

/// How the schedules stand.
#[derive(Clone, Debug, Serialize)]
pub struct ScheduleHealth {
    /// How many there are.
    pub schedules: i64,
    /// How many are at fault.
    pub at_fault: i64,
    /// How many are paused or not enabled.
    pub stopped: i64,
    /// How many should have been looked at by a worker, and were not.
    pub unattended: i64,
    /// Since when the first of these waits.
    pub unattended_since: Option<DateTime<Utc>>,
    /// The newest zone data that any was reckoned with, as `2026e`.
    pub zone_data: Option<String>,
}

/// A schedule at fault.
#[derive(Clone, Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "each field is the column of callq.schedules with its comment there"
)]
pub struct ScheduleFault {
    pub app: String,
    pub name: String,
    pub error: String,
    pub error_at: Option<DateTime<Utc>>,
}

/// A firing that has a job.
#[derive(Clone, Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "each field is the column of callq.jobs with its comment there"
)]
pub struct FiringRow {
    pub job_id: i64,
    pub nominal_at: Option<DateTime<Utc>>,
    pub nominal_local: Option<NaiveDateTime>,
    pub state: String,
    pub reason: Option<String>,
    pub run_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
}

impl Store {
    /// A schedule that no worker looks at for so long is unattended: twice what a worker may sleep.
    pub const UNATTENDED_AFTER: Duration = Duration::from_secs(30);

    /// How the schedules stand.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn schedule_health(&self) -> Result<ScheduleHealth, StoreError> {
        bounded!(
            self,
            "look at the schedules",
            fetch_one,
            sqlx::query_file_as!(
                ScheduleHealth,
                "src/store/schedule_health.sql",
                Self::UNATTENDED_AFTER.as_secs_f64()
            )
        )
    }

    /// The schedules at fault, the newest fault first, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn schedule_faults(&self, limit: i64) -> Result<Vec<ScheduleFault>, StoreError> {
        bounded!(
            self,
            "look for schedules at fault",
            fetch_all,
            sqlx::query_file_as!(ScheduleFault, "src/store/schedule_faults.sql", limit)
        )
    }

    /// The last `limit` firings of a schedule that have a job, newest first.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn last_firings(
        &self,
        schedule_id: i64,
        limit: i64,
    ) -> Result<Vec<FiringRow>, StoreError> {
        bounded!(
            self,
            "read the last firings of a schedule",
            fetch_all,
            sqlx::query_file_as!(
                FiringRow,
                "src/store/schedule_firings.sql",
                schedule_id,
                limit
            )
        )
    }
}
