//! What nobody reports on: lapsed leases, doubts whose time has come, deadlines that passed.

use chrono::{DateTime, Utc};

use super::connect::watched;
use super::{Store, StoreError};
use crate::call::DOUBT_ENDS_AFTER;

/// How many rows one call of a rescue duty touches at most.
const BATCH: i64 = 500;

/// A job whose worker did not report back in time.
#[derive(Clone, Debug)]
pub struct Lapsed {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// The attempt in doubt.
    pub attempt: i32,
    /// The app.
    pub app: String,
}

/// A job in doubt to which its policy was applied.
#[derive(Clone, Debug)]
pub struct Settled {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// The app.
    pub app: String,
    /// Its state now.
    pub state: String,
}

/// A place in the walk over due jobs that looks for passed deadlines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    app: String,
    priority: i16,
    due_at: DateTime<Utc>,
    job_id: i64,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            app: String::new(),
            priority: 0,
            due_at: super::Low::default().due_at,
            job_id: i64::MIN,
        }
    }
}

impl Store {
    /// Puts jobs whose lease has ended in doubt. Returns them; as many as a batch means: call
    /// again.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn lapse(&self) -> Result<Vec<Lapsed>, StoreError> {
        let rows = watched!(
            self,
            "look for lapsed leases",
            fetch_all,
            sqlx::query_file!("src/store/lapse.sql", BATCH, DOUBT_ENDS_AFTER.as_secs_f64())
        )?;
        Ok(rows
            .into_iter()
            .map(|row| Lapsed {
                job_id: row.id,
                attempt: row.attempt,
                app: row.app,
            })
            .collect())
    }

    /// Applies `on_doubt` to jobs whose time has come without evidence.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn settle(&self) -> Result<Vec<Settled>, StoreError> {
        let rows = watched!(
            self,
            "settle doubts",
            fetch_all,
            sqlx::query_file!(
                "src/store/settle.sql",
                BATCH,
                DOUBT_ENDS_AFTER.as_secs_f64()
            )
        )?;
        Ok(rows
            .into_iter()
            .map(|row| Settled {
                job_id: row.id,
                app: row.app,
                state: row.state,
            })
            .collect())
    }

    /// Fails scheduled jobs that no claim ever asks for. Returns how many; as many as a batch
    /// means: call again.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn refuse(&self) -> Result<u64, StoreError> {
        let done = watched!(
            self,
            "fail jobs that nobody can claim",
            execute,
            sqlx::query_file!("src/store/refuse.sql", BATCH)
        )?;
        Ok(done.rows_affected())
    }

    /// Ends scheduled jobs whose deadline has passed, in a bounded step of the walk over due jobs.
    /// Returns how many it ended and where to go on; `None` when the walk has come to its end.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn expire(&self, from: &Walk) -> Result<(u64, Option<Walk>), StoreError> {
        let row = watched!(
            self,
            "end jobs whose deadline has passed",
            fetch_one,
            sqlx::query_file!(
                "src/store/expire.sql",
                from.app,
                from.priority,
                from.due_at,
                from.job_id,
                BATCH,
            )
        )?;
        let next = match (row.app, row.priority, row.due_at, row.id) {
            (Some(app), Some(priority), Some(due_at), Some(job_id)) => Some(Walk {
                app,
                priority,
                due_at,
                job_id,
            }),
            _ => None,
        };
        Ok((u64::try_from(row.ended).unwrap_or(0), next))
    }
}
