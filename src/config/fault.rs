//! What is wrong with the configuration: everything at once, a line each.

use std::fmt;

/// The most mistakes that are told at once; who has more has another problem.
const TOLD_MAX: usize = 20;

/// One mistake: which name, in which place, what is wrong, what is allowed. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(String);

impl Fault {
    /// `subject` is a name, with its place if it stands in a file.
    pub(super) fn new(subject: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self(format!("{subject} {what}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The mistakes in the configuration, at least one. `Display` has a line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<Fault>);

impl ConfigError {
    /// Each mistake.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }
}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().take(TOLD_MAX).enumerate() {
            let between = if n == 0 { "" } else { "\n" };
            write!(f, "{between}{fault}")?;
        }
        if self.0.len() > TOLD_MAX {
            write!(f, "\nand more mistakes in the configuration")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Mistakes found so far, each kept once, and not many more than are told.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        if self.0.len() <= TOLD_MAX && !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// The value, or `None` and its mistakes are kept.
    pub(super) fn take<T>(&mut self, result: Result<T, impl Into<ConfigError>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let error: ConfigError = error.into();
                error.0.into_iter().for_each(|fault| self.add(fault));
                None
            }
        }
    }

    /// Fails if any was kept.
    pub(super) fn none(self) -> Result<(), ConfigError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ConfigError(self.0))
        }
    }

    /// The whole, of which nothing is missing unless a mistake was kept.
    pub(super) fn or<T>(self, whole: Option<T>) -> Result<T, ConfigError> {
        self.none()?;
        Ok(whole.expect("what is missing was told as a mistake"))
    }
}
