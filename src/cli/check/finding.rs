//! One thing that was looked at, how it stands, and what to do.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::print;

/// How a thing stands, in ascending order of what it means for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Not looked at.
    Skip,
    /// Works, with a risk that a person should know of.
    Warn,
    /// Does not work now and may later: the network, the database, Tencent.
    CouldNot,
    /// Does not work until a person changes a setting.
    Cannot,
}

impl Level {
    /// The word for people and programs.
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::CouldNot | Self::Cannot => "fail",
        }
    }

    /// The colour of the word on a terminal.
    const fn colour(self) -> &'static str {
        match self {
            Self::Ok => "\x1b[32m",
            Self::Skip => "\x1b[2m",
            Self::Warn => "\x1b[33m",
            Self::CouldNot | Self::Cannot => "\x1b[31m",
        }
    }

    /// The exit code of a check whose worst line this is.
    pub(super) const fn exit_code(self) -> u8 {
        match self {
            Self::Ok | Self::Skip | Self::Warn => 0,
            Self::CouldNot => 1,
            Self::Cannot => 2,
        }
    }
}

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Coloured,
    Json,
}

/// One line of the check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The app it is about, if it is about one.
    pub(super) app: Option<String>,
    /// What was looked at, as in `schema`.
    pub(super) check: &'static str,
    #[serde(skip)]
    pub(super) level: Level,
    /// What was found.
    pub(super) says: String,
    /// What to do, where something is to be done.
    pub(super) fix: Option<String>,
    /// The accounts it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) accounts: Vec<String>,
}

impl Finding {
    fn new(check: &'static str, level: Level, says: impl Into<String>, fix: Option<&str>) -> Self {
        Self {
            app: None,
            check,
            level,
            says: says.into(),
            fix: fix.map(str::to_owned),
            accounts: Vec::new(),
        }
    }

    pub(super) fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self::new(check, Level::Ok, says, None)
    }

    pub(super) fn skip(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, Level::Skip, why, None)
    }

    pub(super) fn warn(check: &'static str, says: impl Into<String>, fix: &str) -> Self {
        Self::new(check, Level::Warn, says, Some(fix))
    }

    pub(super) fn could_not(check: &'static str, says: impl Into<String>, fix: &str) -> Self {
        Self::new(check, Level::CouldNot, says, Some(fix))
    }

    pub(super) fn cannot(check: &'static str, says: impl Into<String>, fix: &str) -> Self {
        Self::new(check, Level::Cannot, says, Some(fix))
    }

    /// The same about an app.
    pub(super) fn of_app(self, app: &str) -> Self {
        Self {
            app: Some(app.to_owned()),
            ..self
        }
    }

    /// The same about these accounts.
    pub(super) fn of_accounts(self, accounts: Vec<String>) -> Self {
        Self { accounts, ..self }
    }

    /// Whether what depends on it is not worth looking at.
    pub(super) fn is_failure(&self) -> bool {
        self.level.exit_code() != 0
    }

    /// The line, without a line break; accounts that it is about stand on lines of their own below.
    pub(super) fn line(&self, style: Style) -> String {
        if style == Style::Json {
            let mut value = serde_json::to_value(self).unwrap_or(Value::Null);
            value["level"] = json!(self.level.word());
            return print::harmless_json(value.to_string());
        }
        let word = format!("{:<4}", self.level.word());
        let word = match style {
            Style::Coloured => format!("{}{word}\x1b[0m", self.level.colour()),
            Style::Plain | Style::Json => word,
        };
        let what = match &self.app {
            Some(app) => format!("{app}: {}", self.check),
            None => self.check.to_owned(),
        };
        let mut line = format!("{what:<24}  {}", self.says);
        if let Some(fix) = &self.fix {
            line = line + "; " + fix;
        }
        for account in &self.accounts {
            // Writing to a String cannot fail.
            let _ = write!(line, "\n      {account}");
        }
        // The colour is ours; whatever else acts on a terminal is not.
        format!("{word}  {}", print::lines(&line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_what_and_the_way_out() {
        let mut finding = Finding::cannot("schema", "there is none", "run `callq migrate`");
        let plain = "fail  schema                    there is none; run `callq migrate`";
        assert_eq!(finding.line(Style::Plain), plain);
        let coloured = finding.line(Style::Coloured);
        assert!(
            coloured.starts_with("\x1b[31mfail\x1b[0m  schema"),
            "{coloured}"
        );
        finding.app = Some("clinic".to_owned());
        let json: Value = serde_json::from_str(&finding.line(Style::Json)).unwrap_or_default();
        let expected = json!({"app": "clinic", "check": "schema", "level": "fail",
            "says": "there is none", "fix": "run `callq migrate`"});
        assert_eq!(json, expected);
    }

    #[test]
    fn the_worst_line_decides_the_exit_code() {
        let levels = [
            Level::Ok,
            Level::Skip,
            Level::Warn,
            Level::CouldNot,
            Level::Cannot,
        ];
        assert!(levels.is_sorted());
        assert_eq!(levels.map(Level::exit_code), [0, 0, 0, 1, 2]);
    }
}
