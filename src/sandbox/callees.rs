//! How a callee behaves, read from its name. [`CALLEE_NAMES`] is the table.

use serde::Serialize;

/// The names that make the sandbox behave, for `--help` and for documentation.
pub const CALLEE_NAMES: &str = "\
A callee's name decides what happens; every other name rings and answers.

  busy-*         rings; the call's planned outcome is busy
  noanswer-*     rings; the planned outcome is no answer
  decline-*      rings; the planned outcome is declined
  badcode-N-*    this callee alone gets ResultCode N and is not rung
  missing-*      the whole request is refused with 70107 (account not imported),
                 and account_check calls it NotImported
  code-N-*       the whole request is refused with ErrorCode N, always
  throttle-N-*   the first N requests with this callee get 60007, later ones ring
  stall-*        rings, but no answer comes until the client hangs up
  close-*        rings, but the connection is closed instead of an answer
  garbage-*      rings, but the answer is not JSON

`*` is any text. If several callees of one request ask for different things, the first refusal
or lost answer in the order of the list wins.
";

/// What becomes of a callee who is rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedOutcome {
    /// Picks up.
    Answered,
    /// Is on another call.
    Busy,
    /// Lets it ring out.
    NoAnswer,
    /// Turns the call down.
    Declined,
}

/// What a name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Rings(PlannedOutcome),
    BadCode(i64),
    Missing,
    Code(i64),
    ThrottledFirst(u32),
    Stalls,
    Closes,
    Garbage,
}

impl Manner {
    /// Reads a name; one that only resembles the table (`code-x-1`) is an ordinary callee.
    pub(super) fn of(callee: &str) -> Self {
        Self::special(callee).unwrap_or(Self::Rings(PlannedOutcome::Answered))
    }

    fn special(callee: &str) -> Option<Self> {
        let (word, rest) = callee.split_once('-')?;
        Some(match word {
            "busy" => Self::Rings(PlannedOutcome::Busy),
            "noanswer" => Self::Rings(PlannedOutcome::NoAnswer),
            "decline" => Self::Rings(PlannedOutcome::Declined),
            "missing" => Self::Missing,
            "stall" => Self::Stalls,
            "close" => Self::Closes,
            "garbage" => Self::Garbage,
            "badcode" => Self::BadCode(number(rest).filter(|code| *code != 0)?),
            "code" => Self::Code(number(rest).filter(|code| *code != 0)?),
            "throttle" => Self::ThrottledFirst(u32::try_from(number(rest)?).ok()?),
            _ => return None,
        })
    }
}

/// The number before the next hyphen; it may be negative, as some of Tencent's codes are.
fn number(rest: &str) -> Option<i64> {
    let digits_at = usize::from(rest.starts_with('-'));
    let hyphen = rest.get(digits_at..)?.find('-')? + digits_at;
    rest[..hyphen].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_table_is_read() {
        let read = [
            ("jack", Manner::Rings(PlannedOutcome::Answered)),
            ("busy-1", Manner::Rings(PlannedOutcome::Busy)),
            ("noanswer-1", Manner::Rings(PlannedOutcome::NoAnswer)),
            ("decline-", Manner::Rings(PlannedOutcome::Declined)),
            ("badcode-5-x", Manner::BadCode(5)),
            ("missing-x", Manner::Missing),
            ("code-60008-x", Manner::Code(60_008)),
            ("code--10113-x", Manner::Code(-10_113)),
            ("throttle-2-x", Manner::ThrottledFirst(2)),
            ("stall-x", Manner::Stalls),
            ("close-x", Manner::Closes),
            ("garbage-x", Manner::Garbage),
        ];
        for (name, manner) in read {
            assert_eq!(Manner::of(name), manner, "{name}");
        }
    }

    #[test]
    fn a_name_that_only_resembles_the_table_is_an_ordinary_callee() {
        for name in [
            "busy",
            "code-x-1",
            "code-5",
            "code-0-x",
            "badcode--x",
            "throttle--1-x",
        ] {
            assert_eq!(
                Manner::of(name),
                Manner::Rings(PlannedOutcome::Answered),
                "{name}"
            );
        }
    }
}
