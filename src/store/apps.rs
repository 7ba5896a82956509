//! Every app with its queue, its pace and its pause; and a person's pauses.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Gauge, Store, StoreError};

/// An app as `callq apps` and `callq status` tell of it. Jobs are counted up to
/// [`Gauge::COUNTED_UP_TO`].
#[derive(Clone, Debug, Serialize)]
pub struct AppRow {
    /// Its name.
    pub app: String,
    /// Tencent's `SDKAppID`, if a worker has served it.
    pub sdk_app_id: Option<i64>,
    /// `live` or `sandbox`, if a worker has served it.
    pub kind: Option<String>,
    /// The host its calls go to, likewise.
    pub host: Option<String>,
    /// The pace of all workers together.
    pub calls_per_second: f64,
    /// The pace in force: less for a while after a throttle or an outage.
    pub calls_per_second_now: f64,
    /// Requests sent in the last minute.
    pub calls_last_minute: i64,
    /// When a worker last said that it serves the app.
    pub served_at: Option<DateTime<Utc>>,
    /// Whether one still does: none has stopped since without another, and none fell silent for
    /// 20 s.
    pub served: bool,
    /// Which workers told of themselves within the last 20 s. One of an earlier version does not.
    pub workers: Vec<String>,
    /// Since when none of them can reach the host.
    pub unreachable_since: Option<DateTime<Utc>>,
    /// When a call was last accepted.
    pub last_success_at: Option<DateTime<Utc>>,
    /// When Tencent last asked to go slower.
    pub throttled_at: Option<DateTime<Utc>>,
    /// Since when it is paused by itself.
    pub paused_at: Option<DateTime<Utc>>,
    /// Why.
    pub pause_reason: Option<String>,
    /// The code and text that led to it.
    pub pause_detail: Option<String>,
    /// Who paused it.
    pub paused_by: Option<String>,
    /// When Tencent is next asked about it; `None`: only a person resumes it.
    pub probe_at: Option<DateTime<Utc>>,
    /// When media of the app is tried again; `None`: it is not paused.
    pub media_retry_at: Option<DateTime<Utc>>,
    /// The refusal that paused it.
    pub media_failure: Option<String>,
    /// Whether jobs wait for a worker with the app's CAM key, as far as was looked.
    pub media_waits: bool,
    /// Whether jobs wait, now or in the future.
    pub waiting: bool,
    /// Jobs that are due and not claimed.
    pub due: i64,
    /// Those that have been due for longer than [`AppRow::OVERDUE_AFTER`].
    pub overdue: i64,
    /// Since when the oldest of them is due.
    pub oldest_due_at: Option<DateTime<Utc>>,
    /// Jobs whose request may be under way.
    pub dialing: i64,
    /// Jobs whose phone may have rung.
    pub in_doubt: i64,
}

impl AppRow {
    /// A due job that has not been claimed after this is overdue. Workers find one within a second.
    pub const OVERDUE_AFTER: Duration = Duration::from_secs(5);
}

/// How many pages of `callq.attempts` are looked at for the calls of the last minute: 32 MiB, some
/// 50,000 requests, or four minutes of an app at Tencent's limit.
const NEWEST_PAGES: i64 = 4096;

/// What is so for all apps.
#[derive(Clone, Debug, Serialize)]
pub struct Overall {
    /// The database's time.
    pub now: DateTime<Utc>,
    /// Since when everything is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Why.
    pub pause_reason: Option<String>,
    /// Who paused it.
    pub paused_by: Option<String>,
}

impl Store {
    /// Every app that has open jobs or a row in `callq.apps`, by name.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn apps(&self) -> Result<Vec<AppRow>, StoreError> {
        sqlx::query_file_as!(
            AppRow,
            "src/store/apps.sql",
            Gauge::COUNTED_UP_TO,
            AppRow::OVERDUE_AFTER.as_secs_f64(),
            NEWEST_PAGES,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::during("look at the apps"))
    }

    /// What is so for all apps.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn overall(&self) -> Result<Overall, StoreError> {
        sqlx::query_file_as!(Overall, "src/store/status.sql")
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::during("read the settings"))
    }

    /// Pauses an app in a person's name.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn pause_app(&self, app: &str, reason: &str) -> Result<(), StoreError> {
        sqlx::query_file!("src/store/pause_app.sql", app, reason)
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::during("pause an app"))?;
        Ok(())
    }

    /// Ends the pause of an app; returns whether there was one.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn resume_app(&self, app: &str) -> Result<bool, StoreError> {
        sqlx::query_file_scalar!("src/store/resume_app.sql", app)
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::during("resume an app"))
    }

    /// Pauses every app.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn pause_all(&self, reason: &str) -> Result<(), StoreError> {
        sqlx::query_file!("src/store/pause_all.sql", reason)
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::during("pause everything"))?;
        Ok(())
    }

    /// Ends a pause of everything; returns whether there was one.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn resume_all(&self) -> Result<bool, StoreError> {
        sqlx::query_file_scalar!("src/store/resume_all.sql")
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::during("resume everything"))
    }
}
