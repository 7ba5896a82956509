//! What people do to a job: cancel, retry, resolve, reschedule.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::when::seconds;
use super::{Move, Store, StoreError, When};

/// What a job answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A word, as the verb's SQL function documents it.
    Word(String),
    /// It rings at this time now.
    RunsAt(DateTime<Utc>),
    /// There is no such job.
    NoSuchJob,
    /// It cannot be done, and why.
    Refused(String),
    /// Somebody held the job's row all the time; it may work later.
    Busy,
}

/// What a person knows of a job in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `placed`, `retry` or `failed`.
    pub word: String,
    /// Where it is known from.
    pub note: Option<String>,
    /// Tencent's `CallId`, if it is known that the phone rang.
    pub call_id: Option<String>,
}

impl Store {
    /// Cancels a job.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn cancel_job(&self, id: i64) -> Result<Answer, StoreError> {
        let said = sqlx::query_file_scalar!("src/store/cancel.sql", id)
            .fetch_one(&self.pool)
            .await;
        answer(said.map(Answer::Word), "cancel a job")
    }

    /// Makes a job that rang nobody due again; `ttl`: for so long from then on.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn retry_job(&self, id: i64, ttl: Option<Duration>) -> Result<Answer, StoreError> {
        let ttl_s = ttl.map(|ttl| ttl.as_secs_f64());
        let said = sqlx::query_file_scalar!("src/store/retry.sql", id, ttl_s)
            .fetch_one(&self.pool)
            .await;
        answer(said.map(Answer::Word), "retry a job")
    }

    /// Settles the doubt about a job.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn resolve_job(&self, id: i64, verdict: &Verdict) -> Result<Answer, StoreError> {
        let said = sqlx::query_file_scalar!(
            "src/store/resolve.sql",
            id,
            verdict.word,
            verdict.note,
            verdict.call_id
        )
        .fetch_one(&self.pool)
        .await;
        answer(said.map(Answer::Word), "resolve a job")
    }

    /// Moves a scheduled job's `run_at`; its deadline follows.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn reschedule_job(&self, id: i64, to: Move) -> Result<Answer, StoreError> {
        let (at, from_now_s, by_s) = match to {
            Move::To(When::At(at)) => (Some(at), None, None),
            Move::To(When::FromNow(delta)) => (None, Some(seconds(delta)), None),
            Move::By(delta) => (None, None, Some(seconds(delta))),
        };
        let moved = sqlx::query_file_scalar!("src/store/reschedule.sql", id, at, from_now_s, by_s)
            .fetch_optional(&self.pool)
            .await;
        let moved = moved.map(|at| at.map_or(Answer::NoSuchJob, Answer::RunsAt));
        answer(moved, "reschedule a job")
    }
}

/// Tells a job that refuses from a database that cannot answer.
fn answer(said: sqlx::Result<Answer>, verb: &'static str) -> Result<Answer, StoreError> {
    said.or_else(|error| {
        Ok(match refusal(error, verb)? {
            Refusal::Missing(_) => Answer::NoSuchJob,
            Refusal::Said(said) => Answer::Refused(said),
            Refusal::Busy => Answer::Busy,
        })
    })
}

/// What a verb's SQL function says when it does nothing.
pub(super) enum Refusal {
    /// There is no such thing.
    Missing(String),
    /// It cannot be done, and why.
    Said(String),
    /// Somebody held the row all the time.
    Busy,
}

/// Tells a verb that refuses from a database that cannot answer.
pub(super) fn refusal(error: sqlx::Error, verb: &'static str) -> Result<Refusal, StoreError> {
    let Some(db) = error.as_database_error() else {
        return Err(StoreError::during(verb)(error));
    };
    match db.code().as_deref() {
        // no_data_found, from callq.lock_job and callq.lock_schedule.
        Some("P0002") => Ok(Refusal::Missing(db.message().to_owned())),
        // object_not_in_prerequisite_state, and values that the row cannot take.
        Some(code) if code == "55000" || code.starts_with("22") || code.starts_with("23") => {
            let hint = db
                .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                .and_then(sqlx::postgres::PgDatabaseError::hint)
                .map_or_else(String::new, |hint| format!(" ({hint})"));
            Ok(Refusal::Said(format!("{}{hint}", db.message())))
        }
        // lock_not_available, deadlock_detected.
        Some("55P03" | "40P01") => Ok(Refusal::Busy),
        _ => Err(StoreError::during(verb)(error)),
    }
}
