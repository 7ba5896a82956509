//! The facts about this machine that decide where binaries are sought and data are kept.

use std::{
    env,
    ffi::OsString,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::os;

/// Where to look on this machine. Plain data, so that a test can describe a machine without PostgreSQL.
#[derive(Clone, Debug)]
pub struct Places {
    /// `CALLQ_PG_BIN`: the only folder to look in, if set.
    pub pg_bin: Option<PathBuf>,
    /// `PATH`.
    pub path: OsString,
    /// `XDG_STATE_HOME`.
    pub state_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `PGPORT`, which every PostgreSQL client obeys.
    pub pg_port: Option<OsString>,
    /// The root of the file tree that holds `usr/lib/postgresql`, `etc/passwd` and so on: `/`.
    pub root: PathBuf,
}

impl Places {
    /// This process's machine. An empty variable counts as unset.
    #[must_use]
    pub fn from_env() -> Self {
        let var = |name| env::var_os(name).filter(|value| !value.is_empty());
        let absolute = |name| {
            var(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        Self {
            pg_bin: var("CALLQ_PG_BIN").map(PathBuf::from),
            path: var("PATH").unwrap_or_default(),
            state_home: absolute("XDG_STATE_HOME"),
            home: absolute("HOME"),
            pg_port: var("PGPORT"),
            root: PathBuf::from("/"),
        }
    }

    pub(super) fn pg_port_is_set(&self) -> bool {
        self.pg_port.is_some()
    }

    /// See [`super::DataDir::of_project`].
    pub(super) fn kept_data(&self, project: &Path) -> PathBuf {
        let name = format!("dev-{}", hash_of(project));
        if os::effective_uid() == 0 {
            // Not below /root: its 0700 keeps out the user the server runs as.
            return PathBuf::from("/var/tmp").join(format!("callq-{name}"));
        }
        let state = self.state_home.clone().or_else(|| {
            self.home
                .as_ref()
                .filter(|home| home.is_dir())
                .map(|home| home.join(".local/state"))
        });
        match state {
            Some(state) => state.join("callq").join(name),
            None => project.join(".callq/pg"),
        }
    }
}

/// Twelve hexadecimal digits that stand for a path.
pub(super) fn hash_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    digest.iter().take(6).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}
