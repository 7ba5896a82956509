//! Files that hold a secret and nothing else.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use secrecy::SecretString;

use super::kind::looks_like_a_secret;
use crate::call::readable;

/// A file longer than this holds no secret of ours.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Whether there is a file that can be read more than once, which a pipe cannot.
pub(super) fn is_plain_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file())
}

/// What the file at `path` holds, without the white space around it.
///
/// # Errors
/// What is wrong with it, as a phrase that follows the name of its setting.
pub(super) fn read(path: &Path) -> Result<SecretString, String> {
    let shown = readable(&path.to_string_lossy());
    let names = |what: &str| format!("names {shown}, which {what}");
    let could_not = |error: std::io::Error| {
        // A file of any name may be opened; what is none may be the secret in the wrong place.
        let last = path.file_name().unwrap_or_default();
        if looks_like_a_secret(&last.to_string_lossy()) {
            return "seems to hold a secret itself, which is not repeated: must be the name of a \
                    file that holds it"
                .to_owned();
        }
        let way_out = match error.kind() {
            ErrorKind::NotFound => "must be the name of a file that exists".to_owned(),
            ErrorKind::PermissionDenied => "must be a file that this user can read".to_owned(),
            ErrorKind::InvalidData => "must be text, in UTF-8".to_owned(),
            _ => error.to_string(),
        };
        names(&format!("cannot be read: {way_out}"))
    };
    // Before it is opened: to open a pipe waits for somebody who writes into it.
    let metadata = fs::metadata(path).map_err(could_not)?;
    if metadata.is_dir() {
        return Err(names("is a folder: must be a file"));
    }
    if !metadata.is_file() {
        return Err(names("is a pipe or a device: must be a file"));
    }
    let file = File::open(path).map_err(could_not)?;
    let metadata = file.metadata().map_err(could_not)?;
    if open_to_others(&metadata) {
        return Err(names(&format!(
            "others can read: must be yours alone (chmod 600 {shown})"
        )));
    }
    let mut text = String::new();
    let mut bounded = file.take(FILE_BYTES_MAX + 1);
    bounded.read_to_string(&mut text).map_err(could_not)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(names("is longer than 64 KiB: must hold the secret alone"));
    }
    match text.trim() {
        "" => Err(names("is empty: must hold the secret")),
        words if words.contains(char::is_whitespace) => Err(names(
            "has white space inside its text: must hold the secret alone",
        )),
        secret => Ok(SecretString::from(secret)),
    }
}

#[cfg(unix)]
fn open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o007 != 0
}

#[cfg(not(unix))]
fn open_to_others(_: &fs::Metadata) -> bool {
    false
}
