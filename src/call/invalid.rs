//! How a value that cannot be sent is refused: the field, the fault, and what is allowed.

use std::fmt;

/// A field of a call that breaks a rule.
///
/// Its text is one sentence: `ring_timeout_ms is 5000: must be 10000 to 600000`. It never quotes
/// `user_data` or a text of `offline_push`; lengths, types, numbers and enum words may appear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidField {
    field: String,
    fault: String,
    allowed: String,
}

impl InvalidField {
    pub(super) fn new(
        field: impl Into<String>,
        fault: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            fault: fault.into(),
            allowed: allowed.into(),
        }
    }

    /// The same fault under another name, for a value that only its owner can name.
    pub(super) fn named(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }

    /// The field as its owner spells it: `callees[2]`, `offline_push.AndroidInfo.VIVOCategory`.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: must be {}", self.field, self.fault, self.allowed)
    }
}
