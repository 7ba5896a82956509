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

use super::StoreError;
use super::connect::{connect_plainly, options};
use super::inspect::{ANSWER_MAX, one};

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

/// Makes sure that no pooler gives the sessions of the database at `url` away between transactions:
/// a worker would lose `synchronous_commit`, on which its promises rest, and a migration its lock.
///
/// # Errors
/// [`StoreError::Pooler`] if one does; otherwise if the database cannot be reached.
pub async fn refuse_transaction_pooler(url: &str) -> Result<(), StoreError> {
    let options = options(url)?;
    let mut first = connect_plainly(&options).await?;
    let gives_away = gives_sessions_away(&options, &mut first).await?;
    close(first).await;
    if gives_away {
        return Err(StoreError::Pooler);
    }
    Ok(())
}

/// Whether two connections that are open at once meet on one backend, or change theirs.
async fn gives_sessions_away(
    options: &PgConnectOptions,
    first: &mut PgConnection,
) -> Result<bool, StoreError> {
    let mut second = connect_plainly(options).await?;
    let mut seen = (backend(first).await?, backend(&mut second).await?);
    let mut shared = seen.0 == seen.1;
    for _ in 0..ROUNDS {
        let again = (backend(first).await?, backend(&mut second).await?);
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

async fn backend(connection: &mut PgConnection) -> Result<i32, StoreError> {
    let row = one(connection, VERB, "SELECT pg_backend_pid() AS pid").await?;
    row.try_get("pid").map_err(StoreError::during(VERB))
}

async fn close(connection: PgConnection) {
    // It is given up in any case.
    let _ = timeout(ANSWER_MAX, connection.close()).await;
}
