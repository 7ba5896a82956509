//! Calls that are to be ended: because somebody cancelled them, or because they last too long.

use std::time::Duration;

use super::connect::bounded;
use super::{Store, StoreError};

/// A call that is to be ended now.
#[derive(Clone, Debug)]
pub struct EndDue {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// Number of the attempt.
    pub attempt: i32,
    /// Its `CallId`.
    pub call_id: String,
    /// How often Tencent was asked before.
    pub asked: i32,
    /// The database's time, in seconds since the Unix epoch, by which a `UserSig` is signed.
    pub now_unix: i64,
}

/// What came of asking Tencent to end a call.
#[derive(Clone, Copy, Debug)]
pub struct EndAsked {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// Number of the attempt.
    pub attempt: i32,
    /// After how long it is asked again; `None`: the call is proven to be over.
    pub again: Option<Duration>,
    /// Whether Tencent did as it was asked.
    pub done: Ended,
}

/// Whether it was callq that ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Tencent did as it was asked.
    ByUs,
    /// It was over already, or nothing is known.
    NotByUs,
}

impl Store {
    /// The calls of an app that are to be ended now, at most so many.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn calls_to_end(&self, app: &str, at_most: usize) -> Result<Vec<EndDue>, StoreError> {
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let rows = bounded!(
            self,
            "look for calls to end",
            fetch_all,
            sqlx::query_file!("src/store/end_due.sql", app, at_most)
        )?;
        let calls = rows.into_iter().map(|row| EndDue {
            job_id: row.job_id,
            attempt: row.attempt,
            call_id: row.call_id,
            asked: row.ends,
            now_unix: row.now_unix,
        });
        Ok(calls.collect())
    }

    /// Notes what came of asking for the end of calls.
    ///
    /// # Errors
    /// If the database cannot answer: they are asked to end again, which changes nothing.
    pub async fn end_asked(&self, asked: &[EndAsked]) -> Result<(), StoreError> {
        let job_ids: Vec<i64> = asked.iter().map(|a| a.job_id).collect();
        let attempts: Vec<i32> = asked.iter().map(|a| a.attempt).collect();
        let again: Vec<Option<f64>> = asked
            .iter()
            .map(|a| a.again.map(|again| again.as_secs_f64()))
            .collect();
        let done: Vec<bool> = asked.iter().map(|a| a.done == Ended::ByUs).collect();
        bounded!(
            self,
            "note what calls were asked to end",
            execute,
            sqlx::query_file!(
                "src/store/end_done.sql",
                &job_ids,
                &attempts,
                &again as &[Option<f64>],
                &done,
            )
        )?;
        Ok(())
    }
}
