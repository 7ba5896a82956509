//! Looks at a database before anything is asked of it: the server, the connection, its clock.
//!
//! Everything here is said by the simple protocol, so that it has an answer behind any pooler.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnectOptions, PgRow, PgSslMode};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

use super::connect::{connect_plainly, options};
use super::{Pooling, StoreError, pooler};

/// How long an answer is waited for; everything that is asked here is answered at once.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What `sslmode` makes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// A Unix socket, or this machine's own address: nobody is on the way.
    Local,
    /// Not encrypted.
    Off,
    /// Encrypted, and nobody looked whose certificate it is.
    Unverified,
    /// The certificate is of a trusted authority; the name was not compared.
    Authority,
    /// Certificate and name were verified.
    Verified,
}

/// The server as it describes itself.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a setting of the server that is on or off"
)]
pub struct Server {
    /// As in `15.6 (Debian 15.6-1)`.
    pub version: String,
    /// As in 150006.
    pub version_number: i32,
    /// A standby, or a server that recovers.
    pub in_recovery: bool,
    /// New transactions cannot write.
    pub read_only: bool,
    /// Whether commits reach the disk.
    pub fsync: bool,
    /// Whether a page that was half written can be restored.
    pub full_page_writes: bool,
    /// The database's default; callq sets its own.
    pub synchronous_commit: String,
    /// Whether commits wait for a standby.
    pub synchronous_standbys: bool,
    /// How many standbys are connected.
    pub standbys: i64,
    /// Whether the server's connection is encrypted: behind a pooler that is the pooler's.
    pub encrypted: bool,
    /// As in UTF8.
    pub encoding: String,
}

/// A connection to look through.
#[derive(Debug)]
pub struct Inspector {
    options: PgConnectOptions,
    connection: PgConnection,
}

impl Inspector {
    /// Connects; the schema need not be there.
    ///
    /// # Errors
    /// [`StoreError::Url`] or [`StoreError::Connect`]; see [`ConnectFault`](super::ConnectFault).
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = options(url)?;
        let connection = connect_plainly(&options).await?;
        Ok(Self {
            options,
            connection,
        })
    }

    /// Asks the server about itself.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn server(&mut self) -> Result<Server, StoreError> {
        const VERB: &str = "describe itself";
        let row = one(&mut self.connection, VERB, include_str!("inspect.sql")).await?;
        read(&row).map_err(StoreError::during(VERB))
    }

    /// How the connection is protected, by `sslmode` and by what the server says of it.
    #[must_use]
    pub fn encryption(&self, server: &Server) -> Encryption {
        let host = self.options.get_host();
        let is_here = host
            .parse()
            .map_or(host == "localhost", |ip: std::net::IpAddr| ip.is_loopback());
        if self.options.get_socket().is_some() || host.starts_with('/') {
            return Encryption::Local;
        }
        match (server.encrypted, self.options.get_ssl_mode()) {
            (true, PgSslMode::VerifyFull) => Encryption::Verified,
            (true, PgSslMode::VerifyCa) => Encryption::Authority,
            (_, _) if is_here => Encryption::Local,
            (true, _) => Encryption::Unverified,
            (false, _) => Encryption::Off,
        }
    }

    /// How far the database's clock is ahead of this machine's, in seconds, and how exactly that is
    /// known: the answer's way is part of it.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn clock_ahead(&mut self) -> Result<(f64, f64), StoreError> {
        const VERB: &str = "tell the time";
        let before = Utc::now();
        let row = one(
            &mut self.connection,
            VERB,
            "SELECT clock_timestamp() AS now",
        )
        .await?;
        let after = Utc::now();
        let now: DateTime<Utc> = row.try_get("now").map_err(StoreError::during(VERB))?;
        let seconds = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).as_seconds_f64();
        let way = seconds(before, after) / 2.0;
        Ok((seconds(before, now) - way, way.abs()))
    }

    /// Whether a pooler is in front, and what it does to sessions. Opens up to five more
    /// connections, at most two of them at once, and closes all of them.
    ///
    /// # Errors
    /// If a connection is refused or does not answer.
    pub async fn pooling(self) -> Result<Pooling, StoreError> {
        pooler::detect(&self.options, self.connection).await
    }

    /// Closes the connection.
    pub async fn close(self) {
        // It is given up in any case.
        let _ = timeout(ANSWER_MAX, self.connection.close()).await;
    }
}

/// One row of one statement that takes no parameters.
pub(super) async fn one(
    connection: &mut PgConnection,
    verb: &'static str,
    sql: &'static str,
) -> Result<PgRow, StoreError> {
    match timeout(ANSWER_MAX, connection.fetch_one(sqlx::raw_sql(sql))).await {
        Ok(row) => row.map_err(StoreError::during(verb)),
        Err(_) => Err(StoreError::Silent { verb }),
    }
}

fn read(row: &PgRow) -> Result<Server, sqlx::Error> {
    Ok(Server {
        version: row.try_get("version")?,
        version_number: row.try_get("version_number")?,
        in_recovery: row.try_get("in_recovery")?,
        read_only: row.try_get("read_only")?,
        fsync: row.try_get("fsync")?,
        full_page_writes: row.try_get("full_page_writes")?,
        synchronous_commit: row.try_get("synchronous_commit")?,
        synchronous_standbys: row.try_get("synchronous_standbys")?,
        standbys: row.try_get("standbys")?,
        encrypted: row.try_get("encrypted")?,
        encoding: row.try_get("encoding")?,
    })
}
