//! Deleting what is old, and folding counts, so that nothing grows for ever but the reports.

use std::time::Duration;

use super::connect::bounded;
use super::{Store, StoreError};

/// The most changes of counts that are folded by one statement.
const FOLD: i32 = 5000;

/// The jobs of one page of `callq prune`.
const PAGE: i32 = 500;

/// The jobs of one page that is only counted.
const PAGE_COUNTED: i32 = 10_000;

/// What was deleted by one step of the workers.
#[derive(Clone, Copy, Debug)]
pub struct PruneStep {
    /// Finished jobs.
    pub jobs: i64,
    /// Their attempts.
    pub attempts: i64,
    /// Their legs.
    pub legs: i64,
    /// Rows of `callq.events`.
    pub events: i64,
    /// Rows of `callq.callbacks`.
    pub callbacks: i64,
    /// When to ask again.
    pub wait: Duration,
}

/// Whether old rows are deleted or only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruning {
    /// Counted.
    Counted,
    /// Deleted.
    Done,
}

/// One page of `callq prune`.
#[derive(Clone, Copy, Debug)]
pub struct PrunedPage {
    /// Where the next page begins; `None`: nothing older is left.
    pub next: Option<i64>,
    /// Jobs that ended long enough ago.
    pub jobs: i64,
    /// Their attempts.
    pub attempts: i64,
    /// Their legs.
    pub legs: i64,
}

impl Store {
    /// Folds changes into the counts of the reports; true if there may be more.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn fold_counts(&self) -> Result<bool, StoreError> {
        let folded = bounded!(
            self,
            "fold the counts of the reports",
            fetch_one,
            sqlx::query_file_scalar!("src/store/fold_counts.sql", FOLD)
        )?;
        Ok(folded >= FOLD)
    }

    /// Deletes a page of what is old, if it is time.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn prune_step(&self) -> Result<PruneStep, StoreError> {
        let row = bounded!(
            self,
            "delete what is old",
            fetch_one,
            sqlx::query_file!("src/store/prune_step.sql")
        )?;
        Ok(PruneStep {
            jobs: row.jobs,
            attempts: row.attempts,
            legs: row.legs,
            events: row.events,
            callbacks: row.callbacks,
            wait: Duration::try_from_secs_f64(row.wait_s).unwrap_or(Duration::from_mins(1)),
        })
    }

    /// Deletes, or counts, the jobs of the page behind `after` that ended longer ago than this.
    ///
    /// # Errors
    /// If the database cannot answer, or the login is not that of the schema's owner.
    pub async fn prune(
        &self,
        older_than: Duration,
        after: i64,
        mode: Pruning,
    ) -> Result<PrunedPage, StoreError> {
        let page = match mode {
            Pruning::Done => PAGE,
            Pruning::Counted => PAGE_COUNTED,
        };
        let row = bounded!(
            self,
            "delete what is old",
            fetch_one,
            sqlx::query_file!(
                "src/store/prune.sql",
                older_than.as_secs_f64(),
                after,
                page,
                mode == Pruning::Counted
            )
        )?;
        Ok(PrunedPage {
            next: row.next_id,
            jobs: row.jobs,
            attempts: row.attempts,
            legs: row.legs,
        })
    }
}
