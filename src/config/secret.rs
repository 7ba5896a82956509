//! Secrets, from a variable or from a file.

use std::io::ErrorKind;
use std::path::Path;

use super::{ConfigError, Environment};

/// A file longer than this holds no secret of ours.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The value of `name`, or the content of the file that `name`_FILE names.
///
/// # Errors
/// If both are set, or the file cannot be read, is too long, or others can read it.
pub(super) fn secret(env: &impl Environment, name: &str) -> Result<Option<String>, ConfigError> {
    let file_name = format!("{name}_FILE");
    match (env.get(name)?, env.get(&file_name)?) {
        (Some(_), Some(_)) => Err(ConfigError::new(
            name,
            format!("and {file_name} are both set: must be one of them"),
        )),
        (Some(value), None) => Ok(Some(value)),
        (None, Some(path)) => read(&file_name, Path::new(&path)).map(Some),
        (None, None) => Ok(None),
    }
}

fn read(name: &str, path: &Path) -> Result<String, ConfigError> {
    let could_not = |error: std::io::Error| {
        let way_out = match error.kind() {
            ErrorKind::NotFound => "must be the name of a file that exists".to_owned(),
            ErrorKind::PermissionDenied => "must be a file that this user can read".to_owned(),
            _ => error.to_string(),
        };
        let path = path.display();
        ConfigError::new(
            name,
            format!("names {path}, which cannot be read: {way_out}"),
        )
    };
    let metadata = std::fs::metadata(path).map_err(could_not)?;
    if readable_by_others(&metadata) {
        return Err(ConfigError::new(
            name,
            format!(
                "names {}, which others can read: must be yours alone (chmod 600 {})",
                path.display(),
                path.display()
            ),
        ));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(ConfigError::new(
            name,
            format!(
                "names {}, which is longer than 64 KiB: must hold the secret alone",
                path.display()
            ),
        ));
    }
    let text = std::fs::read_to_string(path).map_err(could_not)?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(ConfigError::new(
            name,
            format!("names {}, which is empty", path.display()),
        ));
    }
    Ok(secret.to_owned())
}

#[cfg(unix)]
fn readable_by_others(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o007 != 0
}

#[cfg(not(unix))]
fn readable_by_others(_: &std::fs::Metadata) -> bool {
    false
}
