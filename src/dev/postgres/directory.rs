//! The folders of a private server: its data, its socket, the lock that makes them ours, and their
//! removal.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{Account, DevError, os, places::hash_of};

/// Short, because the path of a Unix socket may have 103 bytes on macOS; the temporary folder of
/// macOS is too long.
const SHORT_PARENT: &str = "/tmp";
const TEMPORARY_PREFIX: &str = "callq-tmp-";
const NEW_SUFFIX: &str = ".new";

/// The limit of macOS; that of Linux is 107.
const MAX_SOCKET_PATH_BYTES: usize = 103;
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// A fast shutdown takes milliseconds; with much unwritten data it may take this long.
const LEFT_BEHIND_WAIT: Duration = Duration::from_secs(10);

/// A folder made and not yet locked is either a moment old or was left by a crash. Only then is it
/// swept.
const UNLOCKED_MAX_AGE: Duration = Duration::from_hours(1);

/// The folders of one server. We hold its lock for as long as this value lives.
#[derive(Debug)]
pub(super) struct Directory {
    base: PathBuf,
    socket_dir: PathBuf,
    owner: Account,
    kind: Kind,
    /// Locked by `flock`, which ends with the process, however it ends.
    _lock: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Temporary,
    Kept,
}

impl Directory {
    /// A fresh folder under `/tmp` for data and socket; those of dead processes are removed first.
    pub(super) fn temporary(account: &Account) -> Result<Self, DevError> {
        sweep(Path::new(SHORT_PARENT), account);
        let random = (0..8)
            .map(|_| fastrand::alphanumeric().to_ascii_lowercase())
            .collect::<String>();
        let base = Path::new(SHORT_PARENT).join(format!("{TEMPORARY_PREFIX}{random}"));
        // It gets its real name only once it is locked, so that a sweep never sees a live folder
        // unlocked.
        let unlocked = base.with_extension(NEW_SUFFIX.trim_start_matches('.'));
        make_dir(&unlocked, account)?;
        let lock = take_lock(&unlocked)?;
        fs::rename(&unlocked, &base).map_err(DevError::files("rename", &unlocked))?;
        let socket_dir = base.clone();
        Ok(Self {
            base,
            socket_dir,
            owner: account.clone(),
            kind: Kind::Temporary,
            _lock: lock,
        })
    }

    /// The folder `base`, made if missing, with the socket in a short folder of its own.
    pub(super) fn kept(base: &Path, account: &Account) -> Result<Self, DevError> {
        let parent = base.parent().unwrap_or(base);
        fs::create_dir_all(parent).map_err(DevError::files("create", parent))?;
        make_dir(base, account)?;
        let base = base.canonicalize().map_err(DevError::files("find", base))?;
        let lock = take_lock(&base)?;
        // The same name at each start: a psql line copied from an earlier run still works.
        let socket_dir = Path::new(SHORT_PARENT).join(format!("callq-{}", hash_of(&base)));
        if socket_dir.join(SOCKET_NAME).as_os_str().len() > MAX_SOCKET_PATH_BYTES {
            return Err(DevError::SocketPathTooLong {
                path: socket_dir,
                limit: MAX_SOCKET_PATH_BYTES,
            });
        }
        make_dir(&socket_dir, account)?;
        Ok(Self {
            base,
            socket_dir,
            owner: account.clone(),
            kind: Kind::Kept,
            _lock: lock,
        })
    }

    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.base.join("data")
    }

    /// Whether a cluster was made here before.
    pub(super) fn holds_data(&self) -> bool {
        self.data_dir().join("PG_VERSION").exists()
    }

    /// An empty place for initdb. What an interrupted one left there is removed.
    pub(super) fn fresh_data_dir(&self) -> Result<PathBuf, DevError> {
        let fresh = self.base.join("data.new");
        remove(&fresh)?;
        make_dir(&fresh, &self.owner)?;
        Ok(fresh)
    }

    /// Makes what initdb filled the data directory.
    pub(super) fn adopt(&self, fresh: &Path) -> Result<(), DevError> {
        fs::rename(fresh, self.data_dir()).map_err(DevError::files("rename", fresh))
    }

    /// Refuses data that the programs found cannot read.
    pub(super) fn check_version(&self, programs: &str) -> Result<(), DevError> {
        let file = self.data_dir().join("PG_VERSION");
        let data = fs::read_to_string(&file).map_err(DevError::files("read", &file))?;
        if data.trim() == programs {
            return Ok(());
        }
        Err(DevError::OtherVersion {
            path: self.base.clone(),
            data: data.trim().to_owned(),
            programs: programs.to_owned(),
        })
    }

    /// Makes sure no server of a killed process still runs on the data, and removes its stale
    /// `postmaster.pid`.
    ///
    /// We hold the lock, so such a server has lost its parent: it is on its way out, or, where the
    /// kernel does not tell it, is told now.
    pub(super) fn reclaim(&self) -> Result<(), DevError> {
        let file = self.data_dir().join("postmaster.pid");
        let Ok(text) = fs::read_to_string(&file) else {
            return Ok(());
        };
        if let Some(pid) = text
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok())
        {
            // A reboot or a long time may have given the id to another program.
            if runs_on(pid, &self.data_dir()) {
                let _gone_already = os::send_signal(pid, libc::SIGINT);
                let deadline = Instant::now() + LEFT_BEHIND_WAIT;
                // Not "while the process exists": a zombie that nobody reaps exists for ever.
                while runs_on(pid, &self.data_dir()) {
                    if Instant::now() > deadline {
                        return Err(DevError::LeftBehind {
                            path: self.base.clone(),
                            pid,
                        });
                    }
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DevError::Files {
                action: "remove",
                path: file,
                source: error,
            }),
            _ => Ok(()),
        }
    }

    /// Removes what must not stay once the server has ended.
    pub(super) fn clean_up(&self) -> Result<(), DevError> {
        match self.kind {
            Kind::Temporary => remove(&self.base),
            Kind::Kept => remove(&self.socket_dir),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // After a start that failed; else there is nothing left to remove. The next start sweeps
        // what this cannot.
        let _swept_later = self.clean_up();
    }
}

/// Makes a private folder that belongs to the server's user, or takes an existing one if it does.
fn make_dir(path: &Path, account: &Account) -> Result<(), DevError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => account
            .own(path)
            .map_err(DevError::files("change the owner of", path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // /tmp is everybody's: a link or another user's folder of that name may wait for us
            // there.
            let meta = fs::symlink_metadata(path).map_err(DevError::files("look at", path))?;
            if meta.uid() != account.uid() || !meta.is_dir() {
                return Err(DevError::ForeignDirectory {
                    path: path.to_owned(),
                    owner: meta.uid(),
                });
            }
            Ok(())
        }
        Err(source) => Err(DevError::Files {
            action: "create",
            path: path.to_owned(),
            source,
        }),
    }
}

fn take_lock(base: &Path) -> Result<File, DevError> {
    let path = base.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .map_err(DevError::files("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DevError::InUse {
            path: base.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(DevError::Files {
            action: "lock",
            path,
            source,
        }),
    }
}

fn remove(path: &Path) -> Result<(), DevError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DevError::Files {
            action: "remove",
            path: path.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}

/// Removes the temporary folders of dead processes. What cannot be removed now is left to a later
/// sweep.
fn sweep(parent: &Path, account: &Account) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let is_ours = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(TEMPORARY_PREFIX.as_bytes())
            && entry
                .metadata()
                .is_ok_and(|meta| meta.is_dir() && meta.uid() == account.uid());
        if is_ours && is_abandoned(&entry.path()) {
            let _removed_later = remove(&entry.path());
        }
    }
}

fn is_abandoned(base: &Path) -> bool {
    if base.extension().is_some() {
        let age = fs::symlink_metadata(base)
            .and_then(|meta| meta.modified())
            .map(|time| time.elapsed());
        return matches!(age, Ok(Ok(age)) if age > UNLOCKED_MAX_AGE);
    }
    let data_dir = base.join("data");
    let server_runs = fs::read_to_string(data_dir.join("postmaster.pid"))
        .ok()
        .and_then(|text| {
            text.lines()
                .next()
                .and_then(|line| line.trim().parse().ok())
        })
        .is_some_and(|pid| runs_on(pid, &data_dir));
    // The lock is given back at once: a dead process's folder has no other claimant than another
    // sweep.
    !server_runs
        && OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(base.join("lock"))
            .is_ok_and(|file| file.try_lock().is_ok())
}

/// Whether process `pid` is a server on this data directory, which it has as its working directory.
#[cfg(target_os = "linux")]
fn runs_on(pid: i32, data_dir: &Path) -> bool {
    pid > 0 && fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data_dir)
}

/// Whether process `pid` is a server on this data directory, which its command line names.
#[cfg(not(target_os = "linux"))]
fn runs_on(pid: i32, data_dir: &Path) -> bool {
    let output = std::process::Command::new("ps")
        .args(["-o", "command=", "-p", &pid.to_string()])
        .output();
    pid > 0
        && output.is_ok_and(|out| {
            String::from_utf8_lossy(&out.stdout).contains(data_dir.to_string_lossy().as_ref())
        })
}
