//! What a callee does whose phone rings: by its name, or as somebody scripts it.

use serde::{Deserialize, Serialize};

/// So many scripts can wait.
const SCRIPTS_MAX: usize = 1000;
/// The longest time to an answer, and the longest talk, in seconds: one day.
const SECONDS_MAX: u32 = 86_400;

/// What becomes of a callee who is rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedOutcome {
    /// Picks up.
    Answered,
    /// Turns the call down.
    Declined,
    /// Is on another call.
    Busy,
    /// Lets it ring out.
    NoAnswer,
    /// Is not rung to the end: `end_call`, or the caller gave up.
    Cancelled,
    /// The network breaks it off.
    Interrupted,
    /// Is not there.
    Unreachable,
}

impl PlannedOutcome {
    /// The word of JSON and tallies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Declined => "declined",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What a callee does, in seconds of the sandbox's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behaviour {
    pub(super) outcome: PlannedOutcome,
    /// After so long it happens; `None` is with the `Timeout` of the call, and so is what would
    /// happen later, which is then no answer.
    pub(super) after_s: Option<u32>,
    /// So long is talked; if it is more than 0, an interruption comes after the answer.
    pub(super) talk_s: u32,
}

impl Behaviour {
    /// With the times that are usual for it.
    pub(super) const fn of(outcome: PlannedOutcome) -> Self {
        Self {
            outcome,
            after_s: match outcome {
                PlannedOutcome::NoAnswer => None,
                PlannedOutcome::Busy | PlannedOutcome::Unreachable => Some(1),
                PlannedOutcome::Answered
                | PlannedOutcome::Declined
                | PlannedOutcome::Cancelled
                | PlannedOutcome::Interrupted => Some(3),
            },
            talk_s: match outcome {
                PlannedOutcome::Answered => 20,
                _ => 0,
            },
        }
    }
}

/// What callees do from now on, whatever their names say of their ringing. Built here in process,
/// or read from the JSON of `POST /sandbox/callees`:
///
/// ```json
/// {"callee": "jack*", "outcome": "interrupted", "after_s": 5, "talk_s": 10}
/// ```
///
/// `callee` is a name, or the beginning of one and `*`. `after_s` and `talk_s` are what is usual
/// for the outcome unless they are given. The first script that fits counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalleeScript {
    callee: String,
    outcome: PlannedOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_s: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    talk_s: Option<u32>,
}

/// Why callees cannot be scripted so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the callees cannot be scripted: {0}")]
pub struct CalleeScriptError(&'static str);

impl CalleeScript {
    /// These callees (`*` at the end stands for any ending) end so, after the usual times.
    #[must_use]
    pub fn new(callee: &str, outcome: PlannedOutcome) -> Self {
        Self {
            callee: callee.to_owned(),
            outcome,
            after_s: None,
            talk_s: None,
        }
    }

    /// After so many seconds of ringing.
    #[must_use]
    pub fn after_s(mut self, after_s: u32) -> Self {
        self.after_s = Some(after_s);
        self
    }

    /// With so many seconds of talk.
    #[must_use]
    pub fn talk_s(mut self, talk_s: u32) -> Self {
        self.talk_s = Some(talk_s);
        self
    }

    fn check(&self) -> Result<(), CalleeScriptError> {
        let too_long = |seconds: Option<u32>| seconds.is_some_and(|s| s > SECONDS_MAX);
        if too_long(self.after_s) || too_long(self.talk_s) {
            return Err(CalleeScriptError("after_s and talk_s are at most 86400"));
        }
        let talks = matches!(
            self.outcome,
            PlannedOutcome::Answered | PlannedOutcome::Interrupted
        );
        if !talks && self.talk_s.is_some_and(|s| s > 0) {
            return Err(CalleeScriptError(
                "talk_s belongs to answered and interrupted alone",
            ));
        }
        if self.outcome == PlannedOutcome::NoAnswer && self.after_s.is_some() {
            return Err(CalleeScriptError(
                "no_answer takes no after_s: it comes with the Timeout of the call",
            ));
        }
        Ok(())
    }

    fn behaviour(&self) -> Behaviour {
        let usual = Behaviour::of(self.outcome);
        Behaviour {
            outcome: self.outcome,
            after_s: self.after_s.or(usual.after_s),
            talk_s: self.talk_s.unwrap_or(usual.talk_s),
        }
    }
}

/// Everything that is scripted of callees.
#[derive(Clone, Debug, Default)]
pub(super) struct CalleeScripts(Vec<CalleeScript>);

impl CalleeScripts {
    pub(super) fn add(&mut self, script: CalleeScript) -> Result<(), CalleeScriptError> {
        script.check()?;
        if self.0.len() == SCRIPTS_MAX {
            return Err(CalleeScriptError("1000 wait already: clear them first"));
        }
        self.0.push(script);
        Ok(())
    }

    pub(super) fn list(&self) -> &[CalleeScript] {
        &self.0
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is scripted for this callee.
    pub(super) fn of(&self, callee: &str) -> Option<Behaviour> {
        let mut fitting = self
            .0
            .iter()
            .filter(|script| super::fault::fits(&script.callee, callee));
        fitting.next().map(CalleeScript::behaviour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_script_that_fits_counts_and_nonsense_is_refused() {
        let mut scripts = CalleeScripts::default();
        let busy = CalleeScript::new("ja*", PlannedOutcome::Busy).after_s(9);
        assert_eq!(scripts.add(busy), Ok(()));
        let later = CalleeScript::new("jack", PlannedOutcome::Declined);
        assert_eq!(scripts.add(later), Ok(()));
        let found = scripts.of("jack").map(|b| (b.outcome, b.after_s));
        assert_eq!(found, Some((PlannedOutcome::Busy, Some(9))));
        assert_eq!(scripts.of("rose"), None);
        for nonsense in [
            CalleeScript::new("x", PlannedOutcome::Busy).talk_s(1),
            CalleeScript::new("x", PlannedOutcome::NoAnswer).after_s(1),
            CalleeScript::new("x", PlannedOutcome::Answered).after_s(86_401),
        ] {
            assert!(scripts.add(nonsense.clone()).is_err(), "{nonsense:?}");
        }
    }
}
