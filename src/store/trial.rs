//! A database of its own for measurements: made beside another, filled, read off, and dropped.
//!
//! No verb of it touches a database that it has not made, but for making and dropping one there.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgPool};
use url::Url;

use super::connect::{SEARCH_PATH, connect_plainly, options};
use super::{StoreError, migrate};

/// Connections of its own: one that works, one that holds a snapshot, and two beside.
const CONNECTIONS: u32 = 4;

/// How its own sessions are known in `trial_counters.sql`.
const OURS: &str = "callq bench";

/// How many rows of a backlog one statement inserts, so that each ends within seconds.
const PAGE: i64 = 100_000;

/// A database of its own for measurements.
#[derive(Debug)]
pub struct Trial {
    pool: PgPool,
    home: PgConnectOptions,
    /// The URL of the database beside which it is made.
    home_url: Url,
    name: String,
}

/// What the server has counted; the difference of two tells what was done between them.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    /// Where the write-ahead log ends, in bytes.
    pub wal_bytes: i64,
    /// Transactions committed in this database.
    pub commits: i64,
    /// Deadlocks in this database.
    pub deadlocks: i64,
}

/// What became of the jobs of a trial.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    /// How many are placed or completed.
    pub placed: i64,
    /// Attempts beyond one for each job.
    pub extra_attempts: i64,
    /// Lateness (`sent_at - due_at`) in milliseconds that half of the requests were below.
    pub late_p50_ms: f64,
    /// The same for 99 of 100.
    pub late_p99_ms: f64,
    /// The latest.
    pub late_max_ms: f64,
}

/// Jobs to be inserted as a user would.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// How many.
    pub jobs: i64,
    /// In how many seconds the first is due; negative: it was.
    pub first_s: f64,
    /// How many seconds are between two.
    pub every_s: f64,
    /// For how many apps, in turns: [`app_name`].
    pub apps: usize,
}

/// The name of an app of measurements: the first is the one that is there without a file.
#[must_use]
pub fn app_name(number: usize) -> String {
    match number {
        0 => "default".to_owned(),
        _ => format!("app-{number}"),
    }
}

impl Trial {
    /// Makes the database `name` on the server of `url` and brings its schema up to date. The name
    /// must need no quoting.
    ///
    /// # Errors
    /// If the server cannot be reached, or the login may not make databases.
    pub async fn create(url: &str, name: &str) -> Result<Self, StoreError> {
        debug_assert!(
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
            "the name needs no quoting"
        );
        let home = options(url)?;
        at_home(&home, &format!("CREATE DATABASE {name} TEMPLATE template0")).await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(SEARCH_PATH).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(home.clone().database(name).application_name(OURS));
        let trial = Self {
            pool,
            home,
            home_url: Url::parse(url).map_err(|error| StoreError::Url(error.to_string()))?,
            name: name.to_owned(),
        };
        migrate(&trial.url()).await?;
        Ok(trial)
    }

    /// Drops the database `name` if it is there, whoever is connected to it.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn forget(url: &str, name: &str) -> Result<(), StoreError> {
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        at_home(&options(url)?, &drop).await
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.place().into()
    }

    /// The same for a [`Store`](super::Store) that plans its statements as a worker's does.
    #[must_use]
    pub fn url_as_workers(&self) -> String {
        let mut url = self.place();
        url.query_pairs_mut()
            .append_pair("options", "-c plan_cache_mode=force_generic_plan");
        url.into()
    }

    fn place(&self) -> Url {
        let mut url = self.home_url.clone();
        url.set_path(&self.name);
        url
    }

    /// Drops it, whoever is connected to it.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses.
    pub async fn end(self) -> Result<(), StoreError> {
        self.pool.close().await;
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        at_home(&self.home, &drop).await
    }

    /// Inserts jobs, each for a callee of its own; returns the lowest of their numbers.
    ///
    /// # Errors
    /// If the database refuses them.
    pub async fn fill(&self, fill: Fill) -> Result<i64, StoreError> {
        let apps: Vec<String> = (0..fill.apps.max(1)).map(app_name).collect();
        let filled = sqlx::query_file_scalar!(
            "src/store/trial_fill.sql",
            fill.jobs,
            fill.first_s,
            fill.every_s,
            &apps
        );
        filled
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::during("insert jobs"))
    }

    /// Inserts jobs that are due in the next 90 days, and others that ended in the last 90 with
    /// their attempts, without asking the rules: ten million take minutes.
    ///
    /// # Errors
    /// If the login may not switch triggers off, or the database is full.
    pub async fn burden(&self, future: i64, finished: i64) -> Result<(), StoreError> {
        let during = StoreError::during("insert a backlog");
        let mut connection = self.pool.acquire().await.map_err(&during)?;
        let set = "SET session_replication_role = replica; SET synchronous_commit = off";
        sqlx::raw_sql(set)
            .execute(&mut *connection)
            .await
            .map_err(&during)?;
        for (total, ended) in [(future, false), (finished, true)] {
            for first in (0..total).step_by(usize::try_from(PAGE).unwrap_or(1)) {
                let page = PAGE.min(total - first);
                let burden = sqlx::query_file!(
                    "src/store/trial_burden.sql",
                    first,
                    page,
                    f64::from(90 * 86_400) / number(total),
                    ended
                );
                burden.execute(&mut *connection).await.map_err(&during)?;
            }
        }
        // It must not go back to the pool as it is.
        drop(connection.detach());
        Ok(())
    }

    /// Vacuums and analyses what was filled, and has the next checkpoint far away.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn settle(&self) -> Result<(), StoreError> {
        self.run("VACUUM (ANALYZE) callq.jobs").await?;
        self.run("VACUUM (ANALYZE) callq.attempts").await?;
        // Only those who may; the figures of the log are then those of a fresh checkpoint.
        drop(self.run("CHECKPOINT").await);
        Ok(())
    }

    /// Runs one statement of a measurement.
    async fn run(&self, sql: &'static str) -> Result<(), StoreError> {
        let done = sqlx::raw_sql(sql).execute(&self.pool).await;
        done.map(drop)
            .map_err(StoreError::during("prepare the trial"))
    }

    /// Has outcomes of calls not looked for, as they are by default.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn leave_outcomes(&self) -> Result<(), StoreError> {
        self.run("UPDATE callq.settings SET outcomes = false").await
    }

    /// Whether a job is due or under way.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn is_busy(&self) -> Result<bool, StoreError> {
        let busy = sqlx::query_file_scalar!("src/store/trial_busy.sql");
        busy.fetch_one(&self.pool)
            .await
            .map_err(StoreError::during("look at the trial"))
    }

    /// What the server has counted, once every other session of the database is over.
    ///
    /// # Errors
    /// If the database cannot answer, or sessions do not end within ten seconds.
    pub async fn counters(&self) -> Result<Counters, StoreError> {
        let during = StoreError::during("read the server's counters");
        for _ in 0..1000 {
            let row = sqlx::query_file!("src/store/trial_counters.sql")
                .fetch_one(&self.pool)
                .await
                .map_err(&during)?;
            if row.others == 0 {
                return Ok(Counters {
                    wal_bytes: row.wal_bytes,
                    commits: row.commits,
                    deadlocks: row.deadlocks,
                });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(during(sqlx::Error::PoolTimedOut))
    }

    /// What became of the jobs from the number `first` on.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn tally(&self, first: i64) -> Result<Tally, StoreError> {
        let row = sqlx::query_file!("src/store/trial_tally.sql", first)
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::during("count the jobs of the trial"))?;
        Ok(Tally {
            placed: row.placed,
            extra_attempts: row.extra_attempts,
            late_p50_ms: row.late_p50_ms.unwrap_or(f64::NAN),
            late_p99_ms: row.late_p99_ms.unwrap_or(f64::NAN),
            late_max_ms: row.late_max_ms.unwrap_or(f64::NAN),
        })
    }

    /// Holds a snapshot for so long, as a report or a forgotten transaction does: nothing that
    /// ends meanwhile can be vacuumed. Dropping the future lets it go.
    ///
    /// # Errors
    /// If the database ends it.
    pub async fn hold_snapshot(&self, held: Duration) -> Result<(), StoreError> {
        let during = StoreError::during("hold a snapshot");
        let connection = self.pool.acquire().await.map_err(&during)?;
        // A pool would wait for the end of the statement before it lends the connection again.
        let mut connection = connection.detach();
        let sleep = sqlx::query_file!("src/store/trial_hold.sql", held.as_secs_f64());
        sleep
            .fetch_one(&mut connection)
            .await
            .map(drop)
            .map_err(during)
    }

    /// The server's own process for one of our sessions, and its version.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn server(&self) -> Result<(i32, String), StoreError> {
        let row = sqlx::query_file!("src/store/trial_server.sql")
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::during("ask for the server's version"))?;
        Ok((row.pid, row.version))
    }

    /// Whether the server is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let host = self.home.get_host();
        self.home.get_socket().is_some()
            || ["localhost", "127.0.0.1", "::1"].contains(&host)
            || host.starts_with('/')
    }
}

/// Runs one statement in the database beside which a trial is made.
async fn at_home(home: &PgConnectOptions, sql: &str) -> Result<(), StoreError> {
    let during = StoreError::during("make or drop a database for measurements");
    let mut connection = connect_plainly(home).await?;
    // One after the other: a database that is being made goes on being made when whoever asked for
    // it is gone, and could not be dropped before it is there.
    for sql in [
        "SELECT pg_advisory_lock(hashtextextended('callq bench', 0))",
        sql,
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .map_err(&during)?;
    }
    connection.close().await.map_err(during)
}

#[allow(clippy::cast_precision_loss, reason = "no trial has 2^52 rows")]
fn number(rows: i64) -> f64 {
    rows as f64
}
