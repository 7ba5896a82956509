//! The facts about this machine that decide where binaries are sought and data are kept.

use std::{
    env,
    ffi::OsString,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// Where to look on this machine. Plain data, so that a test can describe a machine without
/// PostgreSQL.
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
    pub(super) fn kept_data(&self, project: &Path, uid: u32) -> PathBuf {
        let name = format!("dev-{}", hash_of(project));
        if uid == 0 {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn homeless() -> Places {
        Places {
            state_home: None,
            home: None,
            ..Places::from_env()
        }
    }

    #[test]
    fn two_projects_do_not_share_data_and_one_finds_its_own_again() {
        let of = |project| homeless().kept_data(Path::new(project), 0);
        assert_eq!(of("/srv/one"), of("/srv/one"));
        assert_ne!(of("/srv/one"), of("/srv/two"));
    }

    #[test]
    fn root_keeps_data_where_the_servers_user_can_go() {
        let data = homeless().kept_data(Path::new("/root/one"), 0);
        assert!(data.starts_with("/var/tmp"), "{}", data.display());
    }

    #[test]
    fn ordinary_user_keeps_data_in_the_state_folder_or_else_in_the_project() {
        let places = Places {
            state_home: Some("/state".into()),
            ..homeless()
        };
        let project = Path::new("/srv/one");
        assert!(places.kept_data(project, 1000).starts_with("/state/callq"));
        assert_eq!(
            homeless().kept_data(project, 1000),
            project.join(".callq/pg")
        );
    }
}
