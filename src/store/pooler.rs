//! Whether a connection pooler is in front of the database, and in which mode.
//!
//! Told from what it does, not from its name: a pooler that gives sessions away between
//! transactions lets two connections that are open at once have the same backend, and one that
//! gives them away between clients lets a connection have a backend that is older than itself.
//! Tried with `PgBouncer` 1.18 in all its modes. Other signs were rejected: port and address of the
//! server differ behind any forwarding, and the administration database of `PgBouncer` is open to
//! its administrators alone.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::time::{sleep, timeout};

use super::connect::connect_plainly;
use super::inspect::{ANSWER_MAX, one};
use super::{ConnectFault, Store, StoreError};

/// How a pooler hands out sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// No sign of a pooler.
    Direct,
    /// A session is one client's until it disconnects: all that callq needs.
    Session,
    /// A session may be another one for each transaction: settings, notifications and prepared
    /// statements are lost.
    Transaction,
}

/// Rounds of asking two connections in turn: with other clients about, one may miss it.
const ROUNDS: usize = 8;

/// Looks for an older backend so often: one that was given up is cleaned before it is given away.
const TRIES: usize = 4;

/// Between those tries.
const BETWEEN: Duration = Duration::from_millis(50);

const VERB: &str = "tell which backend serves a connection";

/// The same of another one while the first is open. A pooler with one for all keeps it waiting.
const VERB_AGAIN: &str =
    "tell which backend serves a second connection, of which a pooler may have too few";

/// A connection outside any pool whose session is its own until it is closed. Behind a pooler that
/// gives sessions away between transactions a worker would lose `synchronous_commit`, on which its
/// promises rest, a migration its lock, any command its prepared statements, and other clients
/// would meet what the sessions are set to.
///
/// # Errors
/// [`StoreError::Pooler`] if such a pooler is in front; else if the database cannot be reached.
pub(super) async fn connect_to_session(
    options: &PgConnectOptions,
) -> Result<PgConnection, StoreError> {
    let mut connection = connect_plainly(options).await?;
    if gives_sessions_away(options, &mut connection).await? {
        close(connection).await;
        return Err(StoreError::Pooler);
    }
    Ok(connection)
}

impl Store {
    /// Makes sure that sessions are still their own: a pooler can be told another mode while they
    /// are open.
    ///
    /// # Errors
    /// [`StoreError::Pooler`] if they are not; otherwise if the database cannot be reached.
    pub(crate) async fn refuse_transaction_pooler(&self) -> Result<(), StoreError> {
        refuse_transaction_pooler(&self.pool.connect_options()).await
    }
}

/// The same for a store that is to be.
pub(super) async fn refuse_transaction_pooler(
    options: &PgConnectOptions,
) -> Result<(), StoreError> {
    close(connect_to_session(options).await?).await;
    Ok(())
}

/// Whether two connections that are open at once meet on one backend, or change theirs.
async fn gives_sessions_away(
    options: &PgConnectOptions,
    first: &mut PgConnection,
) -> Result<bool, StoreError> {
    let mut second = match connect_plainly(options).await {
        // A login that may have one connection: the first is a session of its own.
        Err(error) if ConnectFault::of(&error) == ConnectFault::TooManyConnections => {
            return Ok(false);
        }
        connected => connected?,
    };
    let mut seen = (
        backend(first, VERB).await?,
        backend(&mut second, VERB_AGAIN).await?,
    );
    let mut shared = seen.0 == seen.1;
    for _ in 0..ROUNDS {
        let again = (
            backend(first, VERB).await?,
            backend(&mut second, VERB_AGAIN).await?,
        );
        shared |= again != seen || again.0 == again.1;
        seen = again;
    }
    close(second).await;
    Ok(shared)
}

pub(super) async fn detect(
    options: &PgConnectOptions,
    mut first: PgConnection,
) -> Result<Pooling, StoreError> {
    if gives_sessions_away(options, &mut first).await? {
        close(first).await;
        return Ok(Pooling::Transaction);
    }
    // By the database's clock, before the next connection is opened.
    let opened = one(
        &mut first,
        VERB,
        "SELECT extract(epoch FROM clock_timestamp())::float8 AS s",
    );
    let opened: f64 = opened
        .await?
        .try_get("s")
        .map_err(StoreError::during(VERB))?;
    close(first).await;
    for _ in 0..TRIES {
        let mut third = connect_plainly(options).await?;
        let began = one(
            &mut third,
            VERB,
            "SELECT extract(epoch FROM backend_start)::float8 AS s FROM pg_stat_activity \
             WHERE pid = pg_backend_pid()",
        );
        let began: f64 = began
            .await?
            .try_get("s")
            .map_err(StoreError::during(VERB))?;
        close(third).await;
        if began < opened {
            return Ok(Pooling::Session);
        }
        sleep(BETWEEN).await;
    }
    Ok(Pooling::Direct)
}

async fn backend(connection: &mut PgConnection, verb: &'static str) -> Result<i32, StoreError> {
    let row = one(connection, verb, "SELECT pg_backend_pid() AS pid").await?;
    row.try_get("pid").map_err(StoreError::during(verb))
}

async fn close(connection: PgConnection) {
    // It is given up in any case.
    let _ = timeout(ANSWER_MAX, connection.close()).await;
}
