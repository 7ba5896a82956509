//! One job with all its attempts, for people.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::types::Json;

use super::connect::bounded;
use super::{Store, StoreError};

/// A job as `callq jobs show` tells of it. `user_data`, `offline_push` and `media_url` are
/// left in their columns; only whether they are there is told.
#[derive(Clone, Debug, Serialize)]
#[allow(
    missing_docs,
    clippy::struct_excessive_bools,
    reason = "each field is the column of callq.jobs with its comment there"
)]
pub struct JobRow {
    pub id: i64,
    pub app: String,
    pub state: String,
    pub reason: Option<String>,
    /// The reason as a sentence, from `callq.reasons`.
    pub sentence: Option<String>,
    /// What happens next, or what to do.
    pub next_step: Option<String>,
    pub reason_detail: Option<String>,
    /// When something happens next.
    pub next_at: Option<DateTime<Utc>>,
    pub robot_account: String,
    pub callees: Vec<String>,
    pub media_type: String,
    pub room_id: Option<String>,
    pub ring_timeout_ms: i64,
    pub has_user_data: bool,
    pub has_offline_push: bool,
    pub has_media_url: bool,
    pub run_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    /// `None`: no deadline.
    pub expires_at: Option<DateTime<Utc>>,
    pub priority: i32,
    pub attempt: i32,
    pub attempts_used: i32,
    pub max_attempts: i32,
    pub on_doubt: String,
    pub retry_callees: bool,
    pub idempotency_key: Option<String>,
    /// As the database has it: it holds numbers that no other program can.
    pub metadata: Json<Box<RawValue>>,
    pub created_at: DateTime<Utc>,
    pub inserted_by: String,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub call_id: Option<String>,
    pub callee_results: Option<Value>,
    pub error_code: Option<i64>,
    pub error_info: Option<String>,
    pub request_id: Option<String>,
    pub sent_at: Option<DateTime<Utc>>,
    pub placed_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub root_id: Option<i64>,
    pub ring_no: i32,
    /// The schedule that made it.
    pub schedule_id: Option<i64>,
    /// That schedule's name; `None`: none made it, or it is removed.
    pub schedule: Option<String>,
    pub nominal_at: Option<DateTime<Utc>>,
    pub ring_policy: Option<Value>,
    pub media_options: Option<Value>,
    pub max_call_seconds: Option<i32>,
    pub outcome: Option<String>,
    /// The pause that holds the job's app, if there is one.
    pub app_pause: Option<String>,
    /// When a worker last said that it serves the job's app.
    pub app_served_at: Option<DateTime<Utc>>,
    /// Since when none does; `None`: one does, or none ever did.
    pub app_unserved_since: Option<DateTime<Utc>>,
}

/// One attempt of a job.
#[derive(Clone, Debug, Serialize)]
#[allow(
    missing_docs,
    reason = "each field is the column of callq.attempts with its comment there"
)]
pub struct AttemptRow {
    pub attempt: i32,
    pub state: String,
    pub worker: String,
    pub room_id: String,
    pub random: i64,
    pub due_at: DateTime<Utc>,
    pub claimed_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
    pub replied_at: Option<DateTime<Utc>>,
    /// `sent_at - due_at` in milliseconds.
    pub late_ms: Option<f64>,
    pub class: Option<String>,
    pub http_status: Option<i32>,
    pub error_code: Option<i64>,
    pub error_info: Option<String>,
    /// What the code means.
    pub meaning: Option<String>,
    pub request_id: Option<String>,
    pub call_id: Option<String>,
    pub callee_results: Option<Value>,
    pub detail: Option<String>,
    pub second_ring: bool,
}

impl Store {
    /// The job with this id; `None` if there is none.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn job(&self, id: i64) -> Result<Option<JobRow>, StoreError> {
        bounded!(
            self,
            "read a job",
            fetch_optional,
            sqlx::query_file_as!(JobRow, "src/store/show_job.sql", id)
        )
    }

    /// All attempts of a job, oldest first.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn attempts(&self, job_id: i64) -> Result<Vec<AttemptRow>, StoreError> {
        bounded!(
            self,
            "read a job's attempts",
            fetch_all,
            sqlx::query_file_as!(AttemptRow, "src/store/show_attempts.sql", job_id)
        )
    }
}
