//! How a schedule that cannot be is refused: what is wrong where, what is allowed, and what was
//! probably meant.

use std::fmt;

/// The longest quotation of what was given, in characters.
const QUOTED_CHARS_MAX: usize = 40;

/// `text` in quotes, with anything that acts on a terminal escaped, and cut if it is long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A cron expression that is refused.
///
/// Its text is a sentence or two: `day-of-week (column 9) is "1#2": # is not Unix cron; must be
/// 0-7 (0 and 7 are Sunday) or SUN-SAT; write ...`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ExpressionFault {
    pub(super) field: &'static str,
    pub(super) column: usize,
    pub(super) text: String,
    pub(super) problem: String,
    pub(super) allowed: String,
    pub(super) suggestion: Option<String>,
}

impl ExpressionFault {
    /// The part at fault: `second`, `minute`, `hour`, `day-of-month`, `month`, `day-of-week`, or
    /// `expression` for the whole.
    #[must_use]
    pub fn field(&self) -> &str {
        self.field
    }

    /// Where the fault begins in what was given, in characters counted from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// The text at fault, as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the field may hold.
    #[must_use]
    pub fn allowed(&self) -> &str {
        &self.allowed
    }

    /// What to do instead, if that can be told.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

impl fmt::Display for ExpressionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            column,
            problem,
            allowed,
            ..
        } = self;
        let text = quoted(&self.text);
        write!(f, "{field} (column {column}) is {text}: {problem}")?;
        write!(f, "; must be {allowed}")?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; {suggestion}")?;
        }
        Ok(())
    }
}

/// Something else of a schedule that is refused: a zone, a time, a date, an interval, or what does
/// not go together. Its text is one sentence that names what was given and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TimetableFault(pub(super) String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_short_and_harmless() {
        assert_eq!(quoted("0 9"), "\"0 9\"");
        assert_eq!(quoted("\u{1b}[2J"), "\"\\u{1b}[2J\"");
        let long = quoted(&"ä".repeat(1000));
        assert_eq!(long.chars().count(), QUOTED_CHARS_MAX + 5);
    }
}
