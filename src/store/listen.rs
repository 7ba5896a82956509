//! Hearing NOTIFY: hints of new work and of pauses. Losing one costs at most a poll interval.

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::connect::bounded;
use super::{Store, StoreError};

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// There may be work that is due soon.
    Jobs,
    /// A pause began or ended.
    Pauses,
    /// A schedule was inserted, changed or resumed.
    Schedules,
    /// Callbacks came in.
    Callbacks,
    /// A call is to be ended.
    Calls,
    /// A ping, with what it carries.
    Ping(String),
    /// The connection was lost and is there again: anything may have been missed.
    Reconnected,
}

/// A connection of its own that listens.
#[derive(Debug)]
pub struct Listener {
    inner: PgListener,
}

impl Listener {
    /// Connects to the store's database, as its next connection would, and listens.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn connect(store: &Store) -> Result<Self, StoreError> {
        let alone = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None);
        let options = store.pool.connect_options();
        let alone = alone
            .connect_with((*options).clone())
            .await
            .map_err(StoreError::Connect)?;
        let mut inner = PgListener::connect_with(&alone)
            .await
            .map_err(StoreError::Connect)?;
        inner.ignore_pool_close_event(true);
        inner
            .listen_all([
                "callq_jobs",
                "callq_pauses",
                "callq_schedules",
                "callq_callbacks",
                "callq_calls",
                "callq_pings",
            ])
            .await
            .map_err(StoreError::during("listen for new jobs"))?;
        Ok(Self { inner })
    }

    /// Waits for the next thing to hear.
    ///
    /// # Errors
    /// If the connection was lost and could not be made again: connect anew.
    pub async fn hear(&mut self) -> Result<Heard, StoreError> {
        let notice = self
            .inner
            .try_recv()
            .await
            .map_err(StoreError::during("listen for new jobs"))?;
        Ok(match notice {
            None => Heard::Reconnected,
            Some(n) if n.channel() == "callq_jobs" => Heard::Jobs,
            Some(n) if n.channel() == "callq_pauses" => Heard::Pauses,
            Some(n) if n.channel() == "callq_schedules" => Heard::Schedules,
            Some(n) if n.channel() == "callq_callbacks" => Heard::Callbacks,
            Some(n) if n.channel() == "callq_calls" => Heard::Calls,
            Some(n) => Heard::Ping(n.payload().to_owned()),
        })
    }
}

impl Store {
    /// Sends a ping that every [`Listener`] of this database hears.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn ping(&self, payload: &str) -> Result<(), StoreError> {
        bounded!(
            self,
            "ping its listeners",
            fetch_one,
            sqlx::query_scalar!("SELECT pg_notify('callq_pings', $1)::text", payload)
        )?;
        Ok(())
    }
}
