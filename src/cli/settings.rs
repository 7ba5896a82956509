//! Where the configuration comes from: the flag `--config`, and the worker's settings as flags.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::config::settings::{self, Absent, Section, Setting};
use crate::config::{ConfigError, DatabaseUrl, Process, Sources};

/// Which file to read, as the command line says it.
#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// Read this configuration file instead of callq.toml in the current folder
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// Whether one was named.
    pub(super) fn is_named(&self) -> bool {
        self.config.is_some()
    }

    /// Everything that was given.
    pub(super) fn sources(&self, flags: &WorkerFlags) -> Sources {
        Sources::read(&Process, self.config.as_deref(), &flags.0)
    }

    /// The same with one flag that may be given.
    pub(super) fn sources_with(&self, setting: &'static Setting, flag: Option<&str>) -> Sources {
        let flag: Vec<_> = flag
            .map(|value| (setting, value.to_owned()))
            .into_iter()
            .collect();
        Sources::read(&Process, self.config.as_deref(), &flag)
    }

    /// The database, for a command that needs nothing else.
    pub(super) fn database_url(&self) -> Result<DatabaseUrl, ConfigError> {
        self.sources(&WorkerFlags::default()).database_url()
    }
}

/// The settings of a worker that were given as flags. What they may be is for `config` to say, in
/// the same words as for the file and the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct WorkerFlags(Vec<(&'static Setting, String)>);

impl FromArgMatches for WorkerFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = flags().filter_map(|(setting, flag)| {
            let value = matches.get_one::<String>(flag)?;
            Some((setting, value.clone()))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for WorkerFlags {
    fn augment_args(command: Command) -> Command {
        let flag = |(setting, flag): (&Setting, &'static str)| {
            Arg::new(flag)
                .long(flag)
                .value_name(setting.kind.value_name())
                .allow_hyphen_values(true)
                .help(help(setting))
        };
        command.args(flags().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flags() -> impl Iterator<Item = (&'static Setting, &'static str)> {
    settings::of(Section::Worker).filter_map(|setting| Some((setting, setting.flag?)))
}

/// Its meaning, what is allowed, its default and its name elsewhere.
pub(super) fn help(setting: &Setting) -> String {
    let mut meaning = setting.meaning.chars();
    let first = meaning.next().map(|c| c.to_ascii_uppercase());
    let meaning: String = first.into_iter().chain(meaning).collect();
    let absent = match setting.absent {
        Absent::Is(default) => format!("default: {default}"),
        Absent::Means(meaning) => format!("without it {meaning}"),
        Absent::Required => "required".to_owned(),
    };
    format!(
        "{meaning}: {} [{absent}; environment: {}]",
        setting.kind.allowed(),
        setting.environment
    )
}
