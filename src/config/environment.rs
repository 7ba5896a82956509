//! What the environment says.

use super::fault::{Fault, Faults};
use super::given::{Given, Origin};
use super::near::{is_of_kubernetes, mistyped};
use super::settings::{self, DEFAULT_APP, Section};

/// The environment, as a function from names to values; a test gives its own.
pub trait Environment {
    /// The value of `name`; `None` if it is not set or empty.
    ///
    /// # Errors
    /// If the value is not UTF-8.
    fn get(&self, name: &str) -> Result<Option<String>, Fault>;

    /// Every name that is set.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct Process;

impl Environment for Process {
    fn get(&self, name: &str) -> Result<Option<String>, Fault> {
        match std::env::var(name) {
            Ok(value) if value.is_empty() => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(Fault::new(name, "is not valid UTF-8")),
        }
    }

    fn names(&self) -> Vec<String> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        names.collect()
    }
}

/// Every setting that the environment gives. What belongs to an app describes `default`.
pub(super) fn read(env: &impl Environment, faults: &mut Faults) -> Vec<Given> {
    let mut given = Vec::new();
    for setting in settings::ALL {
        let Some(Some(value)) = faults.take(env.get(setting.environment)) else {
            continue;
        };
        let app = (setting.section == Section::App).then_some(DEFAULT_APP);
        let origin = Origin::Environment(setting.environment);
        given.push(Given::new(setting, app, origin, &value));
    }
    refuse_mistyped(env, faults);
    given
}

/// A name that is almost one of ours is one of ours that would silently not be obeyed.
fn refuse_mistyped(env: &impl Environment, faults: &mut Faults) {
    let known: Vec<&str> = settings::ALL
        .iter()
        .map(|setting| setting.environment)
        .chain(settings::OUTSIDE.iter().map(|(name, _)| *name))
        .collect();
    let mut names = env.names();
    names.sort();
    for name in names {
        if known.contains(&name.as_str()) || is_of_kubernetes(&name) {
            continue;
        }
        if let Some(meant) = mistyped(&name, known.iter().copied()) {
            let what = format!("is set, but nothing reads it: did you mean {meant}?");
            faults.add(Fault::new(name, what));
        }
    }
}
