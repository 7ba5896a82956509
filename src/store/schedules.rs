//! Recurring calls, as people see them: what they are, how they stand, and what was not fired.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::connect::bounded;
use super::{Backfill, Store, StoreError};

/// What a user gives of a schedule: `callq.apply_schedules` takes it, and the table gives it back.
/// Two schedules are the same to a plan if these are equal.
///
/// No `Debug`: it holds personal data.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "each field is the column of callq.schedules with its comment there"
)]
pub struct ScheduleDefinition {
    #[serde(default)]
    pub cron: Option<String>,
    #[serde(default, rename = "every_s", with = "seconds")]
    pub every: Option<Duration>,
    #[serde(default)]
    pub on_times: Option<Vec<String>>,
    pub tz: String,
    pub enabled: bool,
    /// `None`: the distance between two firings, at most an hour.
    #[serde(default, rename = "ttl_s", with = "seconds")]
    pub ttl: Option<Duration>,
    #[serde(default, rename = "jitter_s", with = "seconds")]
    pub jitter: Option<Duration>,
    /// `latest`, `all` or `none`.
    pub catch_up: String,
    #[serde(default, rename = "catch_up_window_s", with = "seconds")]
    pub catch_up_window: Option<Duration>,
    /// `skip`, `allow` or `cancel_previous`.
    pub overlap: String,
    #[serde(default)]
    pub start_at: Option<String>,
    #[serde(default)]
    pub end_at: Option<String>,
    pub except_dates: Vec<NaiveDate>,
    pub calendars: Vec<String>,
    pub calendar_dates: Vec<NaiveDate>,
    pub robot_account: String,
    pub callees: Vec<String>,
    pub media_type: String,
    pub room_id: Option<String>,
    pub room_id_type: i32,
    pub ring_timeout_ms: i64,
    pub user_data: Option<String>,
    pub offline_push: Option<Value>,
    pub priority: i32,
    pub max_attempts: i32,
    pub on_doubt: String,
    pub retry_callees: bool,
    pub metadata: Value,
    pub ring_policy: Option<Value>,
    pub max_call_seconds: Option<i32>,
    /// A plan of an earlier version has none.
    #[serde(default)]
    pub media_url: Option<String>,
    #[serde(default)]
    pub media_options: Option<Value>,
}

impl ScheduleDefinition {
    /// With every default of the table; `tz`, `robot_account` and `callees` are empty, and neither
    /// `cron`, `every` nor `on_times` is given: those have none.
    #[must_use]
    pub fn with_defaults() -> Self {
        Self {
            cron: None,
            every: None,
            on_times: None,
            tz: String::new(),
            enabled: true,
            ttl: None,
            jitter: Some(Duration::ZERO),
            catch_up: "latest".to_owned(),
            catch_up_window: Some(Duration::from_mins(10)),
            overlap: "skip".to_owned(),
            start_at: None,
            end_at: None,
            except_dates: Vec::new(),
            calendars: Vec::new(),
            calendar_dates: Vec::new(),
            robot_account: String::new(),
            callees: Vec::new(),
            media_type: "Audio".to_owned(),
            room_id: None,
            room_id_type: 2,
            ring_timeout_ms: 45_000,
            user_data: None,
            offline_push: None,
            priority: 1,
            max_attempts: 5,
            on_doubt: "reconcile".to_owned(),
            retry_callees: false,
            metadata: Value::Object(serde_json::Map::new()),
            ring_policy: None,
            max_call_seconds: None,
            media_url: None,
            media_options: None,
        }
    }
}

/// One schedule: what a user gave, and how it stands.
#[derive(Clone)]
#[allow(
    missing_docs,
    reason = "each field is the column of callq.schedules with its comment there"
)]
pub struct ScheduleRow {
    pub id: i64,
    pub app: String,
    pub name: String,
    pub revision: i64,
    pub definition: ScheduleDefinition,
    pub cursor_at: DateTime<Utc>,
    pub next_fire_at: Option<DateTime<Utc>>,
    /// When it rings next, as `callq.next_firings` has it: what is made ahead counts, what is
    /// skipped does not, and what is paused, disabled or at fault has none.
    pub next_at: Option<DateTime<Utc>>,
    pub upcoming: Vec<DateTime<Utc>>,
    /// No worker has looked at it since it was inserted or changed.
    pub unchecked: bool,
    pub default_ttl: Option<Duration>,
    pub zone_data: Option<String>,
    pub error: Option<String>,
    pub error_at: Option<DateTime<Utc>>,
    pub paused_at: Option<DateTime<Utc>>,
    pub pause_reason: Option<String>,
    pub paused_by: Option<String>,
    pub stopped_at: Option<DateTime<Utc>>,
    pub skip_next: i32,
    pub last_nominal_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
    pub updated_at: DateTime<Utc>,
}

/// Firings that were not made, of one cause.
#[derive(Clone, Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "each field is the column of callq.skipped_firings with its comment there"
)]
pub struct SkippedRow {
    pub id: i64,
    pub reason: String,
    /// The reason as a sentence, from `callq.reasons`.
    pub sentence: Option<String>,
    pub first_nominal_at: DateTime<Utc>,
    pub last_nominal_at: DateTime<Utc>,
    pub nominal_local: Option<NaiveDateTime>,
    pub firings: i64,
    pub detail: Option<String>,
    pub at: DateTime<Utc>,
}

impl Store {
    /// The most schedules of one page of [`Self::schedules`].
    pub const SCHEDULES_PAGE: usize = 1000;

    /// Schedules in order of app and name, a page at a time: those behind `after` (app and name),
    /// of `app` and with one of `names` if these are given.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn schedules(
        &self,
        app: Option<&str>,
        names: Option<&[String]>,
        after: Option<(&str, &str)>,
    ) -> Result<Vec<ScheduleRow>, StoreError> {
        let limit = i64::try_from(Self::SCHEDULES_PAGE).unwrap_or(i64::MAX);
        let (after_app, after_name) = after.unwrap_or(("", ""));
        let rows = bounded!(
            self,
            "read the schedules",
            fetch_all,
            sqlx::query_file!(
                "src/store/schedules.sql",
                app,
                names as Option<&[String]>,
                after_app,
                after_name,
                limit
            )
        )?;
        let unreadable = StoreError::during("read the schedules");
        let mut schedules = Vec::with_capacity(rows.len());
        for row in rows {
            let definition = serde_json::from_str(&row.definition);
            schedules.push(ScheduleRow {
                id: row.id,
                app: row.app,
                name: row.name,
                revision: row.revision,
                definition: definition.map_err(|e| unreadable(sqlx::Error::Decode(e.into())))?,
                cursor_at: row.cursor_at,
                next_fire_at: row.next_fire_at,
                next_at: row.next_at,
                upcoming: row.upcoming,
                unchecked: row.unchecked,
                default_ttl: row.default_ttl_s.and_then(duration),
                zone_data: row.zone_data,
                error: row.error,
                error_at: row.error_at,
                paused_at: row.paused_at,
                pause_reason: row.pause_reason,
                paused_by: row.paused_by,
                stopped_at: row.stopped_at,
                skip_next: row.skip_next,
                last_nominal_at: row.last_nominal_at,
                created_at: row.created_at,
                created_by: row.created_by,
                updated_at: row.updated_at,
            });
        }
        Ok(schedules)
    }

    /// The newest `limit` records of firings that a schedule did not make, newest first.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn skipped_firings(
        &self,
        schedule_id: i64,
        limit: i64,
    ) -> Result<Vec<SkippedRow>, StoreError> {
        bounded!(
            self,
            "read the skipped firings",
            fetch_all,
            sqlx::query_file_as!(
                SkippedRow,
                "src/store/skipped_firings.sql",
                schedule_id,
                limit
            )
        )
    }

    /// Of these firings of a schedule, the ones that have a job: its id and state, in their order.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn jobs_of_firings(
        &self,
        schedule_id: i64,
        firings: &[Backfill],
    ) -> Result<Vec<Option<(i64, String)>>, StoreError> {
        let local: Vec<_> = firings.iter().map(|f| f.nominal_local).collect();
        let fold: Vec<_> = firings.iter().map(|f| f.nominal_fold).collect();
        let at: Vec<_> = firings.iter().map(|f| f.nominal_at).collect();
        let rows = bounded!(
            self,
            "look for the jobs of firings",
            fetch_all,
            sqlx::query_file!(
                "src/store/schedule_jobs.sql",
                schedule_id,
                &local,
                &fold,
                &at
            )
        )?;
        let jobs = rows.into_iter().map(|row| row.id.zip(row.state));
        Ok(jobs.collect())
    }
}

/// The database's intervals are longer than zero, and finite.
pub(super) fn duration(seconds: f64) -> Option<Duration> {
    // A double of 100 years holds microseconds.
    let seconds = (seconds * 1e6).round() / 1e6;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Durations as numbers of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    #[allow(clippy::ref_option, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_f64(duration.as_secs_f64()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        Ok(seconds.and_then(super::duration))
    }
}
