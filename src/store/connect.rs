//! The pool of connections and what goes wrong with it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, Postgres};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};
use tokio::time::timeout;

use super::pooler::{connect_to_session, refuse_transaction_pooler};
use super::schema::check_schema;
use super::watch::Watch;
use super::{Program, Schema, SchemaFault};
use crate::call::readable;

/// What every connection of a worker is set to before its first statement.
///
/// - `jit`: compiling the claim cost 632 ms against 25 ms without, measured on the prototype.
/// - `synchronous_commit`: a claim is a write-ahead record, whatever the database's default.
/// - `enable_seqscan`: every statement here has an index; statistics that are old or missing must
///   not talk the planner into reading a table of millions of rows.
/// - `max_parallel_workers_per_gather`: a small table without an index looks dear then, and each
///   start of a process for it cost 15 ms.
/// - the time limits bound what a lost worker can hold; `lock_timeout` is for the few statements
///   that do not skip locked rows.
/// - the isolation level: the statements lock rows and read them anew, whatever the database's
///   default.
/// - `TimeZone`: texts that the database makes for us are in UTC.
/// - `search_path`: as [`SEARCH_PATH`].
pub(super) const SESSION: &str = "SET search_path = pg_catalog, pg_temp; \
    SET jit = off; SET synchronous_commit = on; \
    SET enable_seqscan = off; SET max_parallel_workers_per_gather = 0; \
    SET statement_timeout = '10s'; SET lock_timeout = '3s'; \
    SET default_transaction_isolation = 'read committed'; \
    SET default_transaction_read_only = off; \
    SET idle_in_transaction_session_timeout = '10s'; SET TimeZone = 'UTC'";

/// What a worker's connections are set to besides. Its statements are written so that one plan is
/// good for all values, which `tests/it/plans.rs` holds them to; PostgreSQL would plan the claim
/// anew for each one's values, which takes about as long as running it.
pub(super) const WORKERS: &str = "SET plan_cache_mode = force_generic_plan";

/// Every statement names the schema callq. What another user puts into a schema that all may write
/// to takes the place of none of PostgreSQL's own functions and operators.
pub(super) const SEARCH_PATH: &str = "SET search_path = pg_catalog, pg_temp";

/// How long a statement waits for a free connection before it reports that there is none.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a statement that waits for a new connection looks whether an old one has come back.
const LOOK_BACK: Duration = Duration::from_millis(10);

/// How long an answer is waited for. The server ends a statement after 10 s; one that is not
/// answered long after that has lost its connection without a word, as in a failover.
pub(super) const STATEMENT_MAX: Duration = Duration::from_secs(15);

/// Runs one statement on a connection of the pool, and gives the connection up if the answer does
/// not come: whatever was waiting for it must not wait for ever.
macro_rules! bounded {
    ($store:expr, $verb:literal, $fetch:ident, $query:expr) => {
        crate::store::connect::answered!($store.connection(), $verb, $fetch, $query)
    };
    // For whom somebody waits who does not wait that long.
    ($store:expr, $verb:literal, $fetch:ident, $query:expr, $within:expr) => {{
        let within: Duration = $within;
        let connection = async {
            let connected = tokio::time::timeout(within, $store.connection()).await;
            connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))
        };
        crate::store::connect::answered!(connection, $verb, $fetch, $query, within)
    }};
}
pub(super) use bounded;

/// The same for what may lead to a ring, or end a job: only while it is known that the database has
/// lost nothing. Asked once there is a connection, since a new one may have found out otherwise.
macro_rules! watched {
    ($store:expr, $verb:literal, $fetch:ident, $query:expr) => {
        match $store.connection().await {
            Ok(_) if !$store.history_is_open() => Err(StoreError::HistoryUnsure),
            connected => {
                let connected = std::future::ready(connected);
                crate::store::connect::answered!(connected, $verb, $fetch, $query)
            }
        }
    };
}
pub(super) use watched;

macro_rules! answered {
    ($connection:expr, $verb:literal, $fetch:ident, $query:expr) => {
        crate::store::connect::answered!(
            $connection,
            $verb,
            $fetch,
            $query,
            crate::store::connect::STATEMENT_MAX
        )
    };
    ($connection:expr, $verb:literal, $fetch:ident, $query:expr, $limit:expr) => {
        match $connection.await {
            Err(error) => Err(StoreError::during($verb)(error)),
            Ok(mut connection) => {
                let answer = $query.$fetch(&mut *connection);
                match tokio::time::timeout($limit, answer).await {
                    Ok(answer) => {
                        crate::store::connect::hand_back(connection);
                        answer.map_err(StoreError::during($verb))
                    }
                    Err(_) => {
                        drop(connection.detach());
                        Err(StoreError::Silent { verb: $verb })
                    }
                }
            }
        }
    };
}
pub(super) use answered;

/// A connection that goes back to its pool is asked whether it still works, for so long: one that
/// falls silent between an answer and that question would keep its place for ever otherwise, and
/// claims and results have one place each.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// Gives a connection back to its pool, or up if it does not answer any more.
pub(super) fn hand_back(mut connection: PoolConnection<Postgres>) {
    let back = connection.return_to_pool();
    tokio::spawn(async move { timeout(BACK_WITHIN, back).await.unwrap_or_default() });
}

/// A pool of connections to one database with the schema `callq`.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) pool: PgPool,
    /// What a worker claims through, and what it writes results through: a connection each. In
    /// turns on all of them each session would keep the plans of both, and find them cold: that
    /// cost the database half as much again for each call.
    claims: PgPool,
    results: PgPool,
    /// What a worker's connections know of the database's history; others watch nothing.
    pub(super) watch: Option<Arc<Watch>>,
}

/// Why a statement did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is not a URL of a PostgreSQL database.
    #[error("the database's URL cannot be read as one of PostgreSQL: {0}")]
    Url(String),
    /// Its jobs and its results would be those of two databases.
    #[error("it names another database, which needs a restart")]
    OtherDatabase,
    /// The database did not take the connection.
    #[error("could not connect to the database: {0}")]
    Connect(#[source] sqlx::Error),
    /// The schema is missing, too old or too new.
    #[error(transparent)]
    Schema(#[from] SchemaFault),
    /// A pooler in transaction or statement mode is in front.
    #[error("a pooler in front of the database gives sessions away between transactions")]
    Pooler,
    /// It may have lost a part of its history: nothing that could ring a phone is done.
    #[error("it is not known whether this database has lost a part of its history")]
    HistoryUnsure,
    /// The connection went silent in the middle of a statement, which may have been carried out.
    #[error("the database did not answer in time when asked to {verb}; the connection is given up")]
    Silent {
        /// What was being done, as a verb phrase.
        verb: &'static str,
    },
    /// The login lacks a right (SQLSTATE 42501).
    #[error("this login may not {verb}: {said}")]
    Denied {
        /// What was being done, as a verb phrase.
        verb: &'static str,
        /// What the database says, fit to be read.
        said: String,
    },
    /// The statement failed.
    #[error("the database could not {verb}: {}", readable(&source.to_string()))]
    Statement {
        /// What was being done, as a verb phrase.
        verb: &'static str,
        /// What sqlx says.
        source: sqlx::Error,
    },
}

impl StoreError {
    /// Whether the database refused the values it was given, so that the same statement can never
    /// succeed: SQLSTATE class 22, data exception, or 23, integrity constraint.
    #[must_use]
    pub fn is_about_the_data(&self) -> bool {
        matches!(self, Self::Statement { .. })
            && self
                .sqlstate()
                .is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
    }

    /// Whether the session is not the one that the statement was prepared in: it has a statement of
    /// that name already (SQLSTATE 42P05), has none (26000), or has another one (08P01).
    #[must_use]
    pub fn is_about_the_session(&self) -> bool {
        self.sqlstate()
            .is_some_and(|code| matches!(&*code, "42P05" | "26000" | "08P01"))
    }

    /// The database's own word for what went wrong, as in `28P01`, if it said one.
    #[must_use]
    pub fn sqlstate(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Connect(source) | Self::Statement { source, .. } => {
                source.as_database_error()?.code()
            }
            _ => None,
        }
    }

    /// For `map_err`: says what was being done.
    pub(super) fn during(verb: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| match source.as_database_error() {
            Some(error) if error.code().as_deref() == Some("42501") => Self::Denied {
                verb,
                said: readable(error.message()),
            },
            _ => Self::Statement { verb, source },
        }
    }
}

/// What the driver says, without the layers around it, which say nothing.
fn innermost(error: &sqlx::Error) -> String {
    let said = error.to_string();
    let layer = "error with configuration: ";
    said.trim_start_matches(layer).to_owned()
}

/// How every connection is made.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|error: sqlx::Error| StoreError::Url(innermost(&error)))?;
    Ok(options
        .application_name("callq")
        // A pooler of the PgBouncer kind refuses to start a session with it; since PostgreSQL 12
        // floats are exact without.
        .extra_float_digits(None)
        .log_statements(tracing::log::LevelFilter::Trace))
}

/// One connection outside any pool, or why there is none.
pub(super) async fn connect_plainly(
    options: &PgConnectOptions,
) -> Result<PgConnection, StoreError> {
    match timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(connected) => connected.map_err(StoreError::Connect),
        Err(_) => Err(StoreError::Connect(sqlx::Error::PoolTimedOut)),
    }
}

impl Store {
    /// Connects to `url` with at most `connections` connections, opened when needed.
    ///
    /// # Errors
    /// If the URL cannot be read or the database cannot be reached, or if a pooler gives its
    /// sessions away between transactions: what they are set to would reach other clients.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, StoreError> {
        let options = options(url)?;
        // The pool would try for ten seconds and then say that it ran out of time, whatever the
        // reason; a plain connection says at once what is wrong.
        refuse_transaction_pooler(&options).await?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(SESSION).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Ok(Self {
            claims: pool.clone(),
            results: pool.clone(),
            pool,
            watch: None,
        })
    }

    /// The same for the worker of a program: checks the schema, and looks with every new connection
    /// whether the database is still the one that it wrote to. Nothing can be claimed before
    /// [`Store::attest`].
    ///
    /// # Errors
    /// As [`Store::connect`], or if the schema is not one for that program.
    pub async fn connect_watching(
        url: &str,
        connections: u32,
        program: &Program,
    ) -> Result<(Self, Schema), StoreError> {
        let options = options(url)?;
        let mut first = connect_to_session(&options).await?;
        let schema = check_schema(&mut first, program).await?;
        let watch = Arc::new(Watch::default());
        // A standby is told at once, and not after ten seconds.
        watch
            .meet(&mut first)
            .await
            .map_err(StoreError::during("tell its history"))?;
        let pool = |connections| watched_pool(connections, &options, &watch);
        let store = Self {
            pool: pool(connections),
            claims: pool(1),
            results: pool(1),
            watch: Some(Arc::clone(&watch)),
        };
        drop(first);
        Ok((store, schema))
    }

    /// Logs in as `url` says from the next connection on, once the database has let it in; open
    /// connections go on.
    ///
    /// # Errors
    /// If the URL cannot be read, names another database, or the database does not let it in: then
    /// nothing is changed.
    pub async fn log_in_with(&self, url: &str) -> Result<(), StoreError> {
        let next = options(url)?;
        let place = |of: &PgConnectOptions| {
            let database = of.get_database().unwrap_or(of.get_username());
            let socket = of.get_socket().cloned();
            (
                of.get_host().to_owned(),
                of.get_port(),
                socket,
                database.to_owned(),
            )
        };
        if place(&next) != place(&self.pool.connect_options()) {
            return Err(StoreError::OtherDatabase);
        }
        // Given up without waiting, as the first one.
        drop(connect_plainly(&next).await?);
        for pool in self.pools() {
            pool.set_connect_options(next.clone());
        }
        Ok(())
    }

    fn pools(&self) -> [&PgPool; 3] {
        [&self.pool, &self.claims, &self.results]
    }

    /// The same by the connection for claims.
    pub(super) fn for_claims(&self) -> Self {
        let pool = self.claims.clone();
        Self {
            pool,
            ..self.clone()
        }
    }

    /// The same by the connection for results.
    pub(super) fn for_results(&self) -> Self {
        let pool = self.results.clone();
        Self {
            pool,
            ..self.clone()
        }
    }

    /// A connection of the pool. Where none is free the pool opens another, and while the server
    /// takes no more of them it tries for as long as it may; whatever comes back meanwhile is as
    /// good, or a server at its limit would hold up a worker that has connections of its own.
    pub(super) async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        if self.watch.as_ref().is_some_and(|watch| watch.take_purge()) {
            for pool in self.pools() {
                // try_acquire asks nothing.
                while let Some(idle) = pool.try_acquire() {
                    drop(idle.detach());
                }
            }
        }
        let opened = self.pool.acquire();
        tokio::pin!(opened);
        loop {
            tokio::select! {
                biased;
                opened = &mut opened => return opened,
                () = tokio::time::sleep(LOOK_BACK) => {}
            }
            if let Some(free) = self.pool.try_acquire() {
                return Ok(free);
            }
        }
    }

    /// Closes all connections; statements under way are finished first, but for those of
    /// connections that have fallen silent: they are not waited for.
    pub async fn close(&self) {
        for pool in self.pools() {
            // The others close by themselves when the process ends.
            let _closed_or_silent = timeout(BACK_WITHIN, pool.close()).await;
        }
    }
}

/// A pool that looks with every new connection where it leads.
fn watched_pool(connections: u32, options: &PgConnectOptions, watch: &Arc<Watch>) -> PgPool {
    let (meeting, lending, taking_back) = (Arc::clone(watch), Arc::clone(watch), Arc::clone(watch));
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| {
            let watch = Arc::clone(&meeting);
            Box::pin(async move { watch.meet(connection).await })
        })
        // One that leads to the server of before must not serve a claim of now.
        .before_acquire(move |_, of| {
            let current = lending.is_current(of.age);
            Box::pin(async move { Ok(current) })
        })
        .after_release(move |_, of| {
            let current = taking_back.is_current(of.age);
            Box::pin(async move { Ok(current) })
        })
        .connect_lazy_with(options.clone())
}
