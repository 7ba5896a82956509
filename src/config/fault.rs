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

/// The mistakes in the configuration or in schedules' files, at least one. `Display` has a line for
/// each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    faults: Vec<Fault>,
    /// There were more than are kept.
    more: bool,
}

impl ConfigError {
    /// Each mistake that is told.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> Self {
        Self {
            faults: vec![fault],
            more: false,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.faults.iter().enumerate() {
            let between = if n == 0 { "" } else { "\n" };
            write!(f, "{between}{fault}")?;
        }
        if self.more {
            write!(f, "\nand more mistakes in the configuration")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Mistakes found so far, each kept once, and no more than are told.
#[derive(Debug)]
pub(super) struct Faults {
    found: ConfigError,
    most: usize,
}

impl Default for Faults {
    fn default() -> Self {
        Self::at_most(TOLD_MAX)
    }
}

impl Faults {
    /// None so far; at most so many are kept.
    pub(super) fn at_most(most: usize) -> Self {
        let found = ConfigError {
            faults: Vec::new(),
            more: false,
        };
        Self { found, most }
    }

    pub(super) fn add(&mut self, fault: Fault) {
        if self.found.faults.contains(&fault) {
            return;
        }
        if self.found.faults.len() < self.most {
            self.found.faults.push(fault);
        } else {
            self.found.more = true;
        }
    }

    /// The value, or `None` and its mistakes are kept.
    pub(super) fn take<T>(&mut self, result: Result<T, impl Into<ConfigError>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let error: ConfigError = error.into();
                self.found.more |= error.more;
                error.faults.into_iter().for_each(|fault| self.add(fault));
                None
            }
        }
    }

    /// Fails if any was kept.
    pub(super) fn none(self) -> Result<(), ConfigError> {
        if self.found.faults.is_empty() {
            Ok(())
        } else {
            Err(self.found)
        }
    }

    /// The whole, of which nothing is missing unless a mistake was kept.
    pub(super) fn or<T>(self, whole: Option<T>) -> Result<T, ConfigError> {
        self.none()?;
        Ok(whole.expect("what is missing was told as a mistake"))
    }
}
