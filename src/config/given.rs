//! A value as it was given, and by whom.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::fault::Fault;
use super::kind::{Kind, looks_like_a_secret};
use super::settings::{Section, Setting};
use crate::call::readable;

/// A place in a file, lines and columns counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<Path>,
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = readable(&self.file.to_string_lossy());
        write!(f, "{file}:{}:{}", self.line, self.column)
    }
}

/// Where a value comes from; `Display` is short, as in `callq.toml:3:9` or `--lease-ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The flag of this name.
    Flag(&'static str),
    /// The variable of this name.
    Environment(&'static str),
    /// A place in the file.
    File(Place),
    /// Nobody gave it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Environment(name) => f.write_str(name),
            Self::File(place) => place.fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting's value as it was given. `Debug` does not show it.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    /// The app it describes.
    pub(super) app: Option<String>,
    pub(super) origin: Origin,
    /// It may be a secret, or hold one.
    value: SecretString,
}

impl Given {
    pub(super) fn new(
        setting: &'static Setting,
        app: Option<&str>,
        origin: Origin,
        value: &str,
    ) -> Self {
        Self {
            setting,
            app: app.map(str::to_owned),
            origin,
            value: SecretString::from(value.trim()),
        }
    }

    /// What was given, which may be a secret.
    pub(super) fn text(&self) -> &str {
        self.value.expose_secret()
    }

    /// The path it names: one in the configuration file is relative to that file's folder.
    pub(super) fn path(&self) -> PathBuf {
        match &self.origin {
            Origin::File(place) => {
                let folder = place.file.parent().unwrap_or(Path::new(""));
                folder.join(self.text())
            }
            _ => PathBuf::from(self.text()),
        }
    }

    /// How a message names it: `CALLQ_HOST`, `--listen`, `callq.toml:9:8: apps.clinic.host`.
    pub(super) fn subject(&self) -> String {
        match &self.origin {
            Origin::File(place) => format!("{place}: {}", self.name()),
            origin => origin.to_string(),
        }
    }

    /// Its name in the file, with its section.
    pub(super) fn name(&self) -> String {
        name(self.setting, self.app.as_deref())
    }

    pub(super) fn fault(&self, what: impl fmt::Display) -> Fault {
        Fault::new(self.subject(), what)
    }

    /// What is wrong with the secret, be it here or in the file that is named here.
    pub(super) fn secret_fault(&self, what: impl fmt::Display) -> Fault {
        if self.setting.kind == Kind::SecretFile {
            let path = self.path();
            let path = readable(&path.to_string_lossy());
            self.fault(format_args!("names {path}, whose content {what}"))
        } else {
            self.fault(what)
        }
    }
}

/// A setting's name in the file, with its section, as in `apps.clinic.host`.
pub(super) fn name(setting: &Setting, app: Option<&str>) -> String {
    let key = setting.key;
    match (setting.section, app) {
        (Section::Worker, _) => format!("worker.{key}"),
        (Section::Web, _) => format!("web.{key}"),
        (Section::App, Some(app)) => format!("apps.{}.{key}", app_name(app)),
        _ => key.to_owned(),
    }
}

/// Shorter names that look like a secret may be names, such as a uuid.
const SECRET_BYTES_MIN: usize = 64;

/// An app's name as TOML would have it: in quotes if it is more than a word. A secret that stands
/// where a name should is not repeated.
pub(super) fn app_name(app: &str) -> String {
    if app.len() >= SECRET_BYTES_MIN && looks_like_a_secret(app) {
        return "(a secret?)".to_owned();
    }
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !app.is_empty() && app.chars().all(bare) {
        app.to_owned()
    } else {
        format!("\"{}\"", readable(app))
    }
}
