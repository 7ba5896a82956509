//! Prints the lines as they come, and keeps the worst.

use std::io::{IsTerminal as _, stdout};

use super::Failure;
use super::finding::{Finding, Level, Style};
use crate::{cli::print, config};

/// What has been told so far.
pub(super) struct Report {
    style: Style,
    worst: Level,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        let coloured = stdout().is_terminal() && !config::no_color(&config::Process);
        let style = match (json, coloured) {
            (true, _) => Style::Json,
            (false, true) => Style::Coloured,
            (false, false) => Style::Plain,
        };
        Self {
            style,
            worst: Level::Ok,
        }
    }

    /// Prints a line.
    #[allow(clippy::needless_pass_by_value, reason = "a line is told once")]
    pub(super) fn tell(&mut self, finding: Finding) -> Result<(), Failure> {
        self.worst = self.worst.max(finding.level);
        print::data(&finding.line(self.style))
    }

    pub(super) const fn worst(&self) -> Level {
        self.worst
    }
}

/// Our errors are sentences whose way out stands behind a colon.
pub(super) fn said_and_fix(sentence: &str) -> (String, String) {
    match sentence.rsplit_once(": ") {
        Some((said, fix)) => (said.to_owned(), fix.to_owned()),
        None => (sentence.to_owned(), "see above".to_owned()),
    }
}
