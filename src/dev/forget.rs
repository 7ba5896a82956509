//! Data that earlier runs kept, removed.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::postgres::{DataDir, DevError};

/// Removes what a kept server has stored, so that the next start begins with an empty database. The
/// folder and its lock stay.
///
/// # Errors
/// [`DevError::InUse`] while a server runs on the data, which are then left alone; or if they
/// cannot be removed.
pub fn forget(data: &DataDir) -> Result<(), DevError> {
    let DataDir::Kept(path) = data else {
        return Ok(());
    };
    let lock = match File::options().write(true).open(path.join("lock")) {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(files("open", &path.join("lock"), error)),
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(DevError::InUse { path: path.clone() }),
        Err(TryLockError::Error(error)) => return Err(files("lock", &path.join("lock"), error)),
    }
    let cluster = path.join("data");
    match fs::remove_dir_all(&cluster) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(files("remove", &cluster, error)),
        _ => Ok(()),
    }
}

fn files(action: &'static str, path: &Path, source: io::Error) -> DevError {
    DevError::Files {
        action,
        path: path.to_owned(),
        source,
    }
}
