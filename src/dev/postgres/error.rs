//! Why a private server could not be had, each with the way out.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why a private PostgreSQL server could not be had, as a sentence that names the way out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DevError {
    /// No folder on this machine holds `initdb` and `postgres`.
    #[error(
        "could not find the PostgreSQL server programs (initdb, postgres): run `apt-get \
         install -y --no-install-recommends postgresql` or `brew install postgresql@17`, or \
         set CALLQ_PG_BIN to the folder that holds them"
    )]
    NoBinaries,
    /// `CALLQ_PG_BIN` names a folder without the server's programs.
    #[error(
        "CALLQ_PG_BIN is {}, but there is no program {program} in it: set it to the folder \
         that holds initdb and postgres, or unset it",
        dir.display()
    )]
    WrongBinDir {
        /// The folder that was given.
        dir: PathBuf,
        /// The program that is missing in it.
        program: &'static str,
    },
    /// The programs are there, but do not run.
    #[error(
        "could not run {} as user {user} (every folder above it must be open to that user): \
         {detail}",
        program.display()
    )]
    UnusableBinaries {
        /// The program.
        program: PathBuf,
        /// The user it was to run as.
        user: String,
        /// What the system or the program said.
        detail: String,
    },
    /// Run as root, and there is no other user to run the server as.
    #[error(
        "PostgreSQL does not run as root, and /etc/passwd has neither a user postgres nor a \
         user nobody to run it as: add one, or run callq as an ordinary user"
    )]
    NoAccount,
    /// The folder belongs to somebody else.
    #[error(
        "the folder {} belongs to another user (uid {owner}): remove it, or choose another \
         place",
        path.display()
    )]
    ForeignDirectory {
        /// The folder.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
    },
    /// Another process runs a server on the same data.
    #[error(
        "another `callq dev` is running on the data in {}: stop it first, or use its database",
        path.display()
    )]
    InUse {
        /// The folder of the data.
        path: PathBuf,
    },
    /// A server left behind by a killed process does not stop.
    #[error(
        "PostgreSQL process {pid} still runs on the data in {}: stop it with \
         `kill -QUIT {pid}`",
        path.display()
    )]
    LeftBehind {
        /// The folder of the data.
        path: PathBuf,
        /// The server's process id.
        pid: i32,
    },
    /// The data were made by another major version than the programs'.
    #[error(
        "the data in {} were made by PostgreSQL {data}, but the programs found are \
         PostgreSQL {programs}: set CALLQ_PG_BIN to the programs of PostgreSQL {data}, or delete \
         that folder to start afresh",
        path.display()
    )]
    OtherVersion {
        /// The folder of the data.
        path: PathBuf,
        /// The major version that made the data.
        data: String,
        /// The major version of the programs found.
        programs: String,
    },
    /// The path of the Unix socket would be longer than the system allows.
    #[error("the socket path in {} would be longer than {limit} bytes", path.display())]
    SocketPathTooLong {
        /// The folder of the socket.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// `initdb` failed.
    #[error("could not create a database in {}:\n{log}", dir.display())]
    Initdb {
        /// The folder it was to fill.
        dir: PathBuf,
        /// What it said.
        log: String,
    },
    /// The server could not be run at all.
    #[error("could not run the PostgreSQL server: {0}")]
    Spawn(#[source] io::Error),
    /// The server ended before it accepted connections.
    #[error("the PostgreSQL server ended before it was ready; its last lines:\n{log}")]
    Ended {
        /// The last lines it logged.
        log: String,
    },
    /// The server did not accept connections in time.
    #[error("the PostgreSQL server was not ready after {waited_s} s; its last lines:\n{log}")]
    NotReady {
        /// How long it was given, in seconds.
        waited_s: u64,
        /// The last lines it logged.
        log: String,
    },
    /// A folder or file could not be made, read or removed.
    #[error("could not {action} {}: {source}", path.display())]
    Files {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DevError {
    /// For `map_err`: `action` and `path` make the sentence, the system's error ends it.
    pub(super) fn files(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Files {
            action,
            path,
            source,
        }
    }
}
