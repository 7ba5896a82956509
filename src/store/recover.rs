//! Going on after a failover that lost commits, or with a restored backup.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::postgres::PgDatabaseError;

use super::connect::{SEARCH_PATH, options};
use super::pooler::connect_to_session;
use super::schema::{Program, check_schema};
use super::when::seconds;
use super::{StoreError, When};

/// What was lost, as far as a person knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: the database has everything that workers wrote.
    Nothing,
    /// Whatever was written after `since`; no call was placed after `until` (`None`: up to now).
    Since {
        /// When the gap began.
        since: When,
        /// When the last worker stopped using the database that is lost.
        until: Option<When>,
    },
}

/// Whether it is done or only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Counted.
    Counted,
    /// Done.
    Done,
}

/// What a recovery holds, or would hold.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Recovered {
    /// How the history stood before, as `callq.history.state`.
    pub was: String,
    /// The newest thing that workers wrote and that was there.
    pub remembers_until: DateTime<Utc>,
    /// Jobs that were due, and are held.
    pub due: i64,
    /// Jobs that were under way.
    pub dialing: i64,
    /// Doubts that would have rung again by themselves.
    pub in_doubt: i64,
}

impl Recovered {
    /// All jobs that are held.
    #[must_use]
    pub const fn held(&self) -> i64 {
        self.due + self.dialing + self.in_doubt
    }
}

/// Why it cannot be done so, in the database's words.
#[derive(Clone, Debug)]
pub struct RecoveryRefused {
    /// What is wrong.
    pub said: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A connection of its own, with more time than workers have: it may have to hold very many jobs.
#[derive(Debug)]
pub struct Recoverer {
    connection: PgConnection,
}

/// How long it may take, and wait for rows that somebody else holds.
const LIMITS: &str = "SET statement_timeout = '10min'; SET lock_timeout = '30s'; \
    SET synchronous_commit = on; SET TimeZone = 'UTC'; SET jit = off";

/// Longer than the server's own limit.
const ANSWER_MAX: Duration = Duration::from_mins(11);

impl Recoverer {
    /// Connects.
    ///
    /// # Errors
    /// If the database cannot be reached or has another schema.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let mut connection = connect_to_session(&options(url)?).await?;
        for settings in [SEARCH_PATH, LIMITS] {
            sqlx::raw_sql(settings)
                .execute(&mut connection)
                .await
                .map_err(StoreError::during("prepare the recovery"))?;
        }
        check_schema(&mut connection, &Program::this()).await?;
        Ok(Self { connection })
    }

    /// Accepts the database as it is and holds what may have been rung, or counts that.
    ///
    /// # Errors
    /// If the database cannot answer. The error inside `Ok` is that the times cannot be right, or
    /// that it is a standby.
    pub async fn recover(
        &mut self,
        loss: Loss,
        mode: Recovery,
    ) -> Result<Result<Recovered, RecoveryRefused>, StoreError> {
        const VERB: &str = "recover";
        let (since, until) = match loss {
            Loss::Nothing => (None, None),
            Loss::Since { since, until } => (Some(since), until),
        };
        let at = |when: Option<When>| match when {
            Some(When::At(at)) => (Some(at), None),
            Some(When::FromNow(delta)) => (None, Some(seconds(delta))),
            None => (None, None),
        };
        let ((since, since_s), (until, until_s)) = (at(since), at(until));
        let done = sqlx::query_file_as!(
            Recovered,
            "src/store/recover.sql",
            since,
            since_s,
            until,
            until_s,
            mode == Recovery::Counted,
        )
        .fetch_one(&mut self.connection);
        match tokio::time::timeout(ANSWER_MAX, done).await {
            Ok(Ok(done)) => Ok(Ok(done)),
            Ok(Err(error)) => refusal(&error)
                .map(Err)
                .ok_or_else(|| StoreError::during(VERB)(error)),
            Err(_) => Err(StoreError::Silent { verb: VERB }),
        }
    }
}

/// What the function itself refuses, and not the database.
fn refusal(error: &sqlx::Error) -> Option<RecoveryRefused> {
    let error = error.as_database_error()?;
    let code = error.code()?;
    // invalid_parameter_value, object_not_in_prerequisite_state.
    matches!(code.as_ref(), "22023" | "55000").then(|| RecoveryRefused {
        said: error.message().to_owned(),
        hint: error
            .try_downcast_ref::<PgDatabaseError>()
            .and_then(PgDatabaseError::hint)
            .map(str::to_owned),
    })
}
