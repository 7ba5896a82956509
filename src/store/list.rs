//! Jobs by a filter, page by page.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::types::Json;

use super::{Store, StoreError, When};

/// Which jobs. What is not given lets all pass; what is given must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// One of these states.
    pub states: Option<Vec<String>>,
    /// One of these reasons.
    pub reasons: Option<Vec<String>>,
    /// This app.
    pub app: Option<String>,
    /// This account among the callees.
    pub callee: Option<String>,
    /// `run_at` is not before this.
    pub since: Option<When>,
    /// `run_at` is before this.
    pub until: Option<When>,
    /// These keys of `metadata`, each with its value as text.
    pub metadata: Vec<(String, String)>,
}

/// A job in a list. `user_data` and `offline_push` stay in their columns.
#[derive(Clone, Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "each field is the column of callq.jobs with its comment there"
)]
pub struct ListedJob {
    pub id: i64,
    pub app: String,
    pub state: String,
    pub reason: Option<String>,
    pub reason_detail: Option<String>,
    pub robot_account: String,
    pub callees: Vec<String>,
    pub media_type: String,
    pub room_id: Option<String>,
    pub run_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    /// `None`: no deadline.
    pub expires_at: Option<DateTime<Utc>>,
    pub priority: i32,
    pub attempt: i32,
    pub attempts_used: i32,
    pub max_attempts: i32,
    pub on_doubt: String,
    pub idempotency_key: Option<String>,
    /// As the database has it: it holds numbers that no other program can.
    pub metadata: Json<Box<RawValue>>,
    pub created_at: DateTime<Utc>,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub call_id: Option<String>,
    pub callee_results: Option<Value>,
    pub error_code: Option<i64>,
    pub error_info: Option<String>,
    pub request_id: Option<String>,
    pub sent_at: Option<DateTime<Utc>>,
    pub placed_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// The schedule that made it.
    pub schedule_id: Option<i64>,
    /// That schedule's name; `None`: none made it, or it is removed.
    pub schedule: Option<String>,
    pub nominal_at: Option<DateTime<Utc>>,
}

/// A walk over the jobs of a filter, newest first. Jobs inserted after its beginning are not met;
/// each job is met once, as it is when its page is read.
#[derive(Debug)]
pub struct JobWalk {
    filter: JobFilter,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    /// Ids from here on are done with.
    below: i64,
    lowest: i64,
    /// How many ids the next statement looks at.
    ids: i64,
}

/// How many ids a statement looks at, at least and at most. Each looks at twice as many as the one
/// before was done with: a walk on which most jobs match then reads little more than it returns,
/// even where the planner sorts what it could read in order, and a filter that almost nothing
/// matches is many short statements instead of one that reads the whole table.
const IDS_AT_LEAST: i64 = 1_000;
const IDS_AT_MOST: i64 = 50_000;

impl Store {
    /// Begins a walk: at the newest job, or at those older than the id `after`.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn walk_jobs(
        &self,
        filter: JobFilter,
        after: Option<i64>,
    ) -> Result<JobWalk, StoreError> {
        let bounds = sqlx::query_file!("src/store/list_bounds.sql")
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::during("look for the newest job"))?;
        let above = bounds.highest.saturating_add(1);
        Ok(JobWalk {
            since: filter.since.and_then(|when| when.at(bounds.now)),
            until: filter.until.and_then(|when| when.at(bounds.now)),
            below: after.unwrap_or(above).min(above),
            lowest: bounds.lowest,
            ids: IDS_AT_LEAST,
            filter,
        })
    }

    /// The next jobs of a walk: at least one and at most `at_most`, or none at its end.
    ///
    /// # Errors
    /// If the database cannot answer; the walk may then be continued.
    pub async fn next_jobs(
        &self,
        walk: &mut JobWalk,
        at_most: u32,
    ) -> Result<Vec<ListedJob>, StoreError> {
        let (keys, values): (Vec<String>, Vec<String>) =
            walk.filter.metadata.iter().cloned().unzip();
        while walk.below > walk.lowest {
            let from = walk.below.saturating_sub(walk.ids);
            let jobs = sqlx::query_file_as!(
                ListedJob,
                "src/store/list.sql",
                walk.below,
                from,
                i64::from(at_most),
                walk.filter.states.as_deref(),
                walk.filter.reasons.as_deref(),
                walk.filter.app.as_deref(),
                walk.filter.callee.as_deref(),
                walk.since,
                walk.until,
                &keys,
                &values,
            )
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::during("list jobs"))?;
            let done_from = match jobs.last() {
                Some(last) if jobs.len() >= at_most as usize => last.id,
                _ => from,
            };
            let done = walk.below - done_from;
            walk.ids = done.saturating_mul(2).clamp(IDS_AT_LEAST, IDS_AT_MOST);
            walk.below = done_from;
            if !jobs.is_empty() {
                return Ok(jobs);
            }
        }
        Ok(Vec::new())
    }
}
