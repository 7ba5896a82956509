//! A private PostgreSQL server, made from the server binaries found on this machine.
//!
//! What it promises:
//!
//! * It is reachable through a Unix socket in a 0700 directory only; it opens no port, so two of
//!   them never clash and trust authentication is safe.
//! * It does not outlive this process: stopped by [`PostgresServer::stop`], by `Drop`, at the
//!   process's normal exit, and (Linux) by the kernel when the process is killed. Elsewhere a
//!   killed process leaves the server to the next start on the same data, which stops it first.
//! * Temporary data leave no trace; those of a killed process are removed by the next start.
//! * Nothing is downloaded or installed, and it works as root too, where PostgreSQL itself refuses.
//!
//! The functions block. From async code call them through `spawn_blocking`.
//!
//! Rejected: the `postgresql_embedded` crate and its kin. As root they fail or need sudo, and they
//! download at run time.

mod account;
mod binaries;
mod directory;
mod error;
mod os;
mod places;
mod process;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{
    account::Account,
    binaries::Binaries,
    directory::Directory,
    process::{Process, run_to_end},
};
pub use self::{error::DevError, places::Places};

/// The superuser of every private server.
const USER: &str = "callq";

/// The name of the socket file depends on it; nothing listens on the network.
const PORT: &str = "5432";

/// Connections a private server accepts: a full parallel test run, with a pool for each test, stays
/// below it.
const MAX_CONNECTIONS: &str = "max_connections=300";

/// Where a server's data live, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataDir {
    /// A fresh directory under `/tmp`, removed when the server stops.
    Temporary,
    /// This directory. It is created if missing and kept when the server stops. Run as root, every
    /// parent must be open to ordinary users, because the server does not run as root.
    Kept(PathBuf),
}

impl DataDir {
    /// The place where the data of `callq dev`, started in the folder `project`, are kept.
    ///
    /// As root `/var/tmp/callq-dev-HASH`, else `callq/dev-HASH` below `$XDG_STATE_HOME` or
    /// `~/.local/state`, else `.callq/pg` in the project. `HASH` stands for the project's path, so
    /// that two checkouts never share data.
    #[must_use]
    pub fn of_project(project: &Path, places: &Places) -> Self {
        Self::Kept(places.kept_data(project, os::effective_uid()))
    }
}

/// What a crash of the machine may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Everything: nothing is synced to disk. For tests.
    Throwaway,
    /// Nothing: PostgreSQL's own defaults. For data that are kept between runs.
    Durable,
}

impl Durability {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Throwaway => &[
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
            ],
            Self::Durable => &[],
        }
    }
}

/// How to start a private server.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// Where the data live.
    pub data: DataDir,
    /// What a crash of the machine may cost.
    pub durability: Durability,
    /// Where to look for binaries and homes; [`Places::from_env`] but for tests.
    pub places: Places,
}

impl StartOptions {
    /// A server for one test run: temporary data, nothing synced.
    #[must_use]
    pub fn throwaway() -> Self {
        Self {
            data: DataDir::Temporary,
            durability: Durability::Throwaway,
            places: Places::from_env(),
        }
    }

    /// The server of `callq dev` for the folder `project`: its data are kept between runs.
    #[must_use]
    pub fn kept_for(project: &Path) -> Self {
        let places = Places::from_env();
        Self {
            data: DataDir::of_project(project, &places),
            durability: Durability::Durable,
            places,
        }
    }
}

/// A running private server. Dropping it stops it.
#[derive(Debug)]
pub struct PostgresServer {
    process: Arc<Process>,
    bin_dir: PathBuf,
    socket_dir: PathBuf,
    data_dir: PathBuf,
    port_in_url: bool,
}

impl PostgresServer {
    /// Starts a server and returns once it accepts connections: 0.1 s on existing data, about 1 s
    /// on fresh data.
    ///
    /// It holds one superuser, `callq`, and one database, `postgres`.
    ///
    /// # Errors
    ///
    /// A [`DevError`], whose text is a sentence with the way out, if there are no server binaries,
    /// the data are in use or of another PostgreSQL version, or the server does not start.
    pub fn start(options: StartOptions) -> Result<Self, DevError> {
        let StartOptions {
            data,
            durability,
            places,
        } = options;
        let account = match &data {
            DataDir::Temporary => Account::choose(&places)?,
            DataDir::Kept(path) => Account::for_data(path, &places)?,
        };
        let binaries = Binaries::find(&places, &account)?;
        let directory = match &data {
            DataDir::Temporary => Directory::temporary(&account)?,
            DataDir::Kept(path) => Directory::kept(path, &account)?,
        };
        // Once the directory is handed to the process, the process's end removes it if it is
        // temporary.
        if directory.holds_data() {
            directory.check_version(binaries.major())?;
            directory.reclaim()?;
        } else {
            init(&binaries, &account, &directory)?;
        }
        let bin_dir = binaries.dir().to_owned();
        let socket_dir = directory.socket_dir().to_owned();
        let data_dir = directory.data_dir();
        let command = server_command(&binaries, &account, &directory, durability);
        let process = Process::start(command, durability, directory)?;
        Ok(Self {
            process,
            bin_dir,
            socket_dir,
            data_dir,
            port_in_url: places.pg_port_is_set(),
        })
    }

    /// The URL of a database of this server, in the form that both sqlx and psql accept:
    /// `postgres:///NAME?host=/tmp/...&user=callq`.
    ///
    /// The name must need no escaping in a URL: letters, digits, `_` and `-`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        debug_assert!(
            database
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'),
            "the database's name needs no escaping"
        );
        // A PGPORT in the user's shell would send every client to a socket that does not exist.
        let port = if self.port_in_url {
            format!("&port={PORT}")
        } else {
            String::new()
        };
        format!(
            "postgres:///{database}?host={}&user={USER}{port}",
            self.socket_dir.display()
        )
    }

    /// A line for a shell that opens `psql` on a database of this server.
    #[must_use]
    pub fn psql_line(&self, database: &str) -> String {
        format!("psql '{}'", self.url(database))
    }

    /// The folder the server's binaries were taken from.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// The folder of the Unix socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// PostgreSQL's data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The process id of the server.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The last lines the server logged, oldest first.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Stops the server: open transactions are rolled back and clients disconnected. Temporary data
    /// are removed.
    ///
    /// Returns once it is gone, which takes some 20 ms; after 10 s it is stopped without a
    /// checkpoint, after 5 s more it is killed.
    ///
    /// # Errors
    ///
    /// If its temporary directory could not be removed.
    pub fn stop(self) -> Result<(), DevError> {
        self.process.stop()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Err(error) = self.process.stop() {
            tracing::warn!(%error, "could not clean up after the private PostgreSQL server");
        }
    }
}

/// Creates the cluster aside and moves it into place, so that an interrupted initdb leaves nothing
/// half made.
fn init(binaries: &Binaries, account: &Account, directory: &Directory) -> Result<(), DevError> {
    let fresh = directory.fresh_data_dir()?;
    let mut command = binaries.command("initdb", account);
    command
        .args([
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
            "-D",
        ])
        .arg(&fresh);
    run_to_end(command).map_err(|log| DevError::Initdb {
        dir: fresh.clone(),
        log,
    })?;
    directory.adopt(&fresh)
}

fn server_command(
    binaries: &Binaries,
    account: &Account,
    directory: &Directory,
    durability: Durability,
) -> std::process::Command {
    let mut command = binaries.command("postgres", account);
    command.arg("-D").arg(directory.data_dir());
    command.arg("-k").arg(directory.socket_dir());
    command.args(["-p", PORT, "-c", "listen_addresses=", "-c", MAX_CONNECTIONS]);
    for setting in durability.settings() {
        command.args(["-c", setting]);
    }
    command
}

/// The last lines of a log, bounded.
#[derive(Debug, Default)]
struct LogTail(VecDeque<String>);

impl LogTail {
    /// As many as a failed start needs to be understood.
    const LINES: usize = 20;

    fn push(&mut self, line: String) {
        if self.0.len() == Self::LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    fn text(&self) -> String {
        self.0
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }
}
