//! Inserting jobs, with the same rules as any INSERT.

use std::time::Duration;

use super::connect::bounded;
use super::{Store, StoreError};

/// A job to insert. What is not here has the column's default.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// `robot_account`.
    pub robot_account: String,
    /// `callees`.
    pub callees: Vec<String>,
    /// How long from now `run_at` is.
    pub due_in: Duration,
}

impl Store {
    /// Inserts one job and returns its id.
    ///
    /// # Errors
    /// If a rule is broken (the database's message names column, fault and what is allowed), or the
    /// database cannot answer.
    pub async fn enqueue(&self, job: &NewJob) -> Result<i64, StoreError> {
        bounded!(
            self,
            "insert a job",
            fetch_one,
            sqlx::query_scalar!(
                r#"INSERT INTO callq.jobs (robot_account, callees, run_at)
               VALUES ($1, $2, now() + $3::float8 * interval '1 second') RETURNING id"#,
                job.robot_account,
                &job.callees,
                job.due_in.as_secs_f64(),
            )
        )
    }
}
