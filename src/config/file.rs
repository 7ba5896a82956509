//! The file `callq.toml`: found, and read within bounds.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::environment::Environment;
use super::fault::{Fault, Faults};
use super::given::{Given, Place};
use super::parse::parse;
use super::settings::{CONFIG_VARIABLE, DEFAULT_FILE};
use crate::call::readable;

/// Room for thousands of apps.
const BYTES_MAX: u64 = 256 * 1024;

/// What the file says.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) path: Arc<Path>,
    pub(super) values: Vec<Given>,
    /// Each `[apps.NAME]` in the order of the file.
    pub(super) apps: Vec<(String, Place)>,
}

/// Which file to read, and who named it.
struct Named {
    path: PathBuf,
    /// `None`: nobody; it may be missing.
    by: Option<&'static str>,
}

impl Named {
    fn fault(&self, what: &str) -> Fault {
        let path = readable(&self.path.to_string_lossy());
        match self.by {
            Some(name) => Fault::new(name, format_args!("names {path}, which {what}")),
            None => Fault::new(path, what),
        }
    }
}

/// Reads the file that the flag names, else the environment, else that of the current folder if
/// there is one. Mistakes are added to `faults`; what is understood is returned all the same.
pub(super) fn read(
    flag: Option<&Path>,
    env: &impl Environment,
    faults: &mut Faults,
) -> Option<ConfigFile> {
    let named = match (flag, faults.take(env.get(CONFIG_VARIABLE))?) {
        (Some(path), _) => Named {
            path: path.to_owned(),
            by: Some("--config"),
        },
        (None, Some(path)) => Named {
            path: PathBuf::from(path),
            by: Some(CONFIG_VARIABLE),
        },
        (None, None) => Named {
            path: PathBuf::from(DEFAULT_FILE),
            by: None,
        },
    };
    let bytes = faults.take(bytes_of(&named))??;
    Some(parse(&named.path, &bytes, faults))
}

fn bytes_of(named: &Named) -> Result<Option<Vec<u8>>, Fault> {
    let could_not = |error: std::io::Error| {
        named.fault(&match error.kind() {
            ErrorKind::NotFound => "does not exist: must be a file such as callq.toml".to_owned(),
            ErrorKind::PermissionDenied => "this user cannot read".to_owned(),
            _ => format!("cannot be read: {error}"),
        })
    };
    let file = match std::fs::File::open(&named.path) {
        Err(error) if error.kind() == ErrorKind::NotFound && named.by.is_none() => {
            return Ok(None);
        }
        file => file.map_err(could_not)?,
    };
    if file.metadata().map_err(could_not)?.is_dir() {
        return Err(named.fault("is a folder: must be a file such as callq.toml"));
    }
    let mut bytes = Vec::new();
    let mut bounded = file.take(BYTES_MAX + 1);
    bounded.read_to_end(&mut bytes).map_err(could_not)?;
    if bytes.len() as u64 > BYTES_MAX {
        let what = format!(
            "is longer than {} KiB: is it the right file?",
            BYTES_MAX / 1024
        );
        return Err(named.fault(&what));
    }
    Ok(Some(bytes))
}
