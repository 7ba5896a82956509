//! The user the server runs as. PostgreSQL refuses to run as root.

use std::{
    fs, io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
};

use super::{DevError, Places, os};

/// Names in `/etc/passwd`, best first: initdb wants an entry there for the user it runs as.
const SERVER_USERS: [&str; 2] = ["postgres", "nobody"];

/// The user the server runs as and its files belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    changes_user: ChangesUser,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChangesUser {
    Yes,
    No,
}

impl Account {
    /// Ourselves; as root the user `postgres`, else `nobody`.
    pub(super) fn choose(places: &Places) -> Result<Self, DevError> {
        Self::choose_among(places, |_| true)
    }

    /// The same for existing data; as root the one of the two that owns them, since the server
    /// refuses data of another user, and a user `postgres` appears when the package is installed
    /// later.
    pub(super) fn for_data(path: &Path, places: &Places) -> Result<Self, DevError> {
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.uid() != 0 => Self::choose_among(places, |uid| uid == meta.uid())
                .map_err(|_| DevError::ForeignDirectory {
                    path: path.to_owned(),
                    owner: meta.uid(),
                }),
            _ => Self::choose(places),
        }
    }

    fn choose_among(places: &Places, fits: impl Fn(u32) -> bool) -> Result<Self, DevError> {
        let (uid, gid) = (os::effective_uid(), os::effective_gid());
        if uid != 0 {
            return Ok(Self {
                name: format!("uid {uid}"),
                uid,
                gid,
                changes_user: ChangesUser::No,
            });
        }
        let passwd = fs::read_to_string(places.root.join("etc/passwd")).unwrap_or_default();
        SERVER_USERS
            .iter()
            .filter_map(|name| from_passwd(&passwd, name))
            .find(|account| account.uid != 0 && fits(account.uid))
            .ok_or(DevError::NoAccount)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn uid(&self) -> u32 {
        self.uid
    }

    /// Has a command run as this user. The standard library then drops root's supplementary groups
    /// too.
    pub(super) fn apply(&self, command: &mut Command) {
        if self.changes_user == ChangesUser::Yes {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives a folder that we made to this user.
    pub(super) fn own(&self, path: &Path) -> io::Result<()> {
        match self.changes_user {
            ChangesUser::Yes => std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid)),
            ChangesUser::No => Ok(()),
        }
    }
}

fn from_passwd(passwd: &str, name: &str) -> Option<Account> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account {
        name: name.to_owned(),
        uid,
        gid,
        changes_user: ChangesUser::Yes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passwd_line_gives_user_and_group() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgresql:x:7:8::/:\npostgres:x:101:104:PG:/:\n";
        let account = from_passwd(passwd, "postgres").expect("the line is there");
        assert_eq!((account.uid, account.gid), (101, 104));
    }

    #[test]
    fn a_missing_or_broken_line_gives_nobody() {
        assert_eq!(from_passwd("nobody:x:many:1::/:\n", "nobody"), None);
        assert_eq!(from_passwd("", "nobody"), None);
    }
}
