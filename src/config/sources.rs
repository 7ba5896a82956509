//! What flags, environment and file say, in this order of precedence.

use std::path::Path;

use secrecy::SecretString;

use super::environment::{self, Environment};
use super::fault::{ConfigError, Fault, Faults};
use super::file::{self, ConfigFile};
use super::given::{Given, Origin, Place};
use super::kind::{self, Kind};
use super::parse::parse;
use super::secret;
use super::secret_file::{self, DatabaseUrlFile};
use super::settings::{self, Absent, DEFAULT_APP, Section, Setting};
use super::url::DatabaseUrl;

/// Everything that was given, each value with its origin. `Debug` shows no secret.
///
/// What no command could use is known from the beginning: [`Sources::shape`]. Values are judged
/// when they are asked for, so that a command does not fail for what it does not need.
#[derive(Debug)]
pub struct Sources {
    pub(super) flags: Vec<Given>,
    pub(super) environment: Vec<Given>,
    pub(super) file: Option<ConfigFile>,
    shape: Result<(), ConfigError>,
}

impl Sources {
    /// Reads the environment, and the file that `--config` names, else `CALLQ_CONFIG`, else
    /// `callq.toml` in the current folder if there is one. `flags` are those of the command.
    pub fn read(
        env: &impl Environment,
        config: Option<&Path>,
        flags: &[(&'static Setting, String)],
    ) -> Self {
        let mut faults = Faults::default();
        let file = file::read(config, env, &mut faults);
        let environment = environment::read(env, &mut faults);
        let flag = |(setting, value): &(&'static Setting, String)| {
            let origin = setting.flag.map_or(Origin::Default, Origin::Flag);
            Given::new(setting, None, origin, value)
        };
        Self {
            flags: flags.iter().map(flag).collect(),
            environment,
            file,
            shape: faults.none(),
        }
    }

    /// What a file at `path` says if it holds `content`. Neither it nor the environment is read.
    #[must_use]
    pub fn of_file(path: &Path, content: &[u8]) -> Self {
        let mut faults = Faults::default();
        let file = parse(path, content, &mut faults);
        Self {
            flags: Vec::new(),
            environment: Vec::new(),
            file: Some(file),
            shape: faults.none(),
        }
    }

    /// Whether the file can be read, has known keys of the right types alone and no secret, and
    /// the environment has no name that is almost one of ours.
    ///
    /// # Errors
    /// With everything that is wrong, at once.
    pub fn shape(&self) -> Result<(), ConfigError> {
        self.shape.clone()
    }

    /// The file that was read.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| &*file.path)
    }

    /// The URL of the database.
    ///
    /// # Errors
    /// If the shape is wrong, or the URL is missing or not one of PostgreSQL; no part of it is
    /// repeated.
    pub fn database_url(&self) -> Result<DatabaseUrl, ConfigError> {
        self.shape()?;
        let Some(given) = self.one_of(&settings::DATABASE, None)? else {
            let allowed = settings::DATABASE_URL.kind.allowed();
            let what = format!(
                "is not set: must be the database's URL, {allowed} (or database_url in callq.toml)"
            );
            return Err(Fault::new(settings::DATABASE_URL.environment, what).into());
        };
        Ok(secret_file::database_url(given)?)
    }

    /// The file that the database's URL stands in, if it is one that can be read again.
    pub(super) fn database_url_file(&self) -> Option<DatabaseUrlFile> {
        let given = self.one_of(&settings::DATABASE, None).ok()??;
        DatabaseUrlFile::of(given)
    }

    /// What is logged, as a filter of `tracing`.
    ///
    /// # Errors
    /// If it is no filter.
    pub fn log(&self) -> Result<String, ConfigError> {
        Ok(self.value(&settings::LOG, kind::log_filter)?)
    }

    /// The names of the apps that are described: that of the environment first, then in the order
    /// of the file.
    #[must_use]
    pub fn apps(&self) -> Vec<&str> {
        let in_file = self.file.iter().flat_map(|file| &file.apps);
        let mut apps: Vec<&str> = in_file.map(|(name, _)| name.as_str()).collect();
        if self.app_of_environment().is_some() && !apps.contains(&DEFAULT_APP) {
            apps.insert(0, DEFAULT_APP);
        }
        apps
    }

    /// The first variable that describes the app `default`.
    pub(super) fn app_of_environment(&self) -> Option<&Given> {
        let mut given = self.environment.iter();
        given.find(|given| given.setting.section == Section::App)
    }

    /// Where the file names the app.
    pub(super) fn app_of_file(&self, app: &str) -> Option<&Place> {
        let mut apps = self.file.iter().flat_map(|file| &file.apps);
        apps.find(|(name, _)| name == app).map(|(_, place)| place)
    }

    /// Flags, environment, file.
    fn layers(&self) -> [&[Given]; 3] {
        let file = self.file.as_ref().map_or(&[][..], |file| &file.values);
        [&self.flags, &self.environment, file]
    }

    /// What was given for a setting by whoever comes first.
    pub(super) fn given(&self, setting: &Setting, app: Option<&str>) -> Option<&Given> {
        let mut all = self.layers().into_iter().flatten();
        all.find(|given| std::ptr::eq(given.setting, setting) && given.app.as_deref() == app)
    }

    /// What was given for one of several settings that exclude each other, by whoever comes first.
    pub(super) fn one_of(
        &self,
        settings: &[&'static Setting],
        app: Option<&str>,
    ) -> Result<Option<&Given>, Fault> {
        for layer in self.layers() {
            let of_these = |given: &&Given| {
                let known = settings.iter().any(|s| std::ptr::eq(*s, given.setting));
                known && given.app.as_deref() == app
            };
            let mut found = layer.iter().filter(of_these);
            let Some(first) = found.next() else { continue };
            if let Some(second) = found.next() {
                let second = match second.origin {
                    Origin::File(_) => second.setting.key,
                    _ => second.setting.environment,
                };
                let what = format!("and {second} are both set: must be one of them");
                return Err(first.fault(what));
            }
            return Ok(Some(first));
        }
        Ok(None)
    }

    /// The value that was given, as `read` understands it.
    pub(super) fn optional<T>(
        &self,
        setting: &'static Setting,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Fault> {
        let Some(given) = self.given(setting, None) else {
            return Ok(None);
        };
        read(given.text())
            .map(Some)
            .map_err(|what| given.fault(what))
    }

    /// The value that was given, or else the default of the list.
    pub(super) fn value<T>(
        &self,
        setting: &'static Setting,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let given = self.optional(setting, &read)?;
        Ok(given.unwrap_or_else(|| {
            let Absent::Is(default) = setting.absent else {
                unreachable!("only asked of what has a default")
            };
            read(default).expect("a default is in range")
        }))
    }
}

/// The secret that was given, or that of the file that was named.
pub(super) fn secret_of(given: &Given) -> Result<SecretString, Fault> {
    if given.setting.kind == Kind::SecretFile {
        secret::read(&given.path()).map_err(|what| given.fault(what))
    } else {
        Ok(SecretString::from(given.text()))
    }
}
