//! How a callee behaves, read from its name. [`CALLEE_NAMES`] is the table.

use super::behaviour::{Behaviour, PlannedOutcome};

/// The names that make the sandbox behave, for `--help` and for documentation.
pub const CALLEE_NAMES: &str = "\
A callee's name decides what happens; every other name rings and answers after 3 s, and talks
for 20 s. All seconds are of the sandbox's time (--speed).

  answer-N-*     answers after N seconds
  talk-N-*       answers after 3 s and talks for N seconds
  busy-*         is busy, known after 1 s
  noanswer-*     lets it ring out
  decline-*      declines after 3 s
  interrupt-*    the network breaks after 3 s, before the answer
  offline-*      is not there, known after 1 s
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

/// What a name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Rings(Behaviour),
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
        Self::special(callee).unwrap_or(Self::Rings(Behaviour::of(PlannedOutcome::Answered)))
    }

    fn special(callee: &str) -> Option<Self> {
        let (word, rest) = callee.split_once('-')?;
        let rings = |outcome| Self::Rings(Behaviour::of(outcome));
        let answers = Behaviour::of(PlannedOutcome::Answered);
        Some(match word {
            "answer" => Self::Rings(Behaviour {
                after_s: Some(u32::try_from(number(rest)?).ok()?),
                ..answers
            }),
            "talk" => Self::Rings(Behaviour {
                talk_s: u32::try_from(number(rest)?).ok()?,
                ..answers
            }),
            "busy" => rings(PlannedOutcome::Busy),
            "noanswer" => rings(PlannedOutcome::NoAnswer),
            "decline" => rings(PlannedOutcome::Declined),
            "interrupt" => rings(PlannedOutcome::Interrupted),
            "offline" => rings(PlannedOutcome::Unreachable),
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

    /// What the callee does if its phone rings: a name that is about the request rings as usual.
    pub(super) fn behaviour(self) -> Behaviour {
        match self {
            Self::Rings(behaviour) => behaviour,
            _ => Behaviour::of(PlannedOutcome::Answered),
        }
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

    fn rings(outcome: PlannedOutcome) -> Manner {
        Manner::Rings(Behaviour::of(outcome))
    }

    #[test]
    fn every_name_of_the_table_is_read() {
        let answers = Behaviour::of(PlannedOutcome::Answered);
        let after_s = Some(7);
        let read = [
            ("jack", rings(PlannedOutcome::Answered)),
            (
                "answer-7-x",
                Manner::Rings(Behaviour { after_s, ..answers }),
            ),
            (
                "talk-9-x",
                Manner::Rings(Behaviour {
                    talk_s: 9,
                    ..answers
                }),
            ),
            ("busy-1", rings(PlannedOutcome::Busy)),
            ("noanswer-1", rings(PlannedOutcome::NoAnswer)),
            ("decline-", rings(PlannedOutcome::Declined)),
            ("interrupt-x", rings(PlannedOutcome::Interrupted)),
            ("offline-x", rings(PlannedOutcome::Unreachable)),
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
            "answer-x",
            "answer--1-x",
            "talk-5",
            "code-x-1",
            "code-5",
            "code-0-x",
            "badcode--x",
            "throttle--1-x",
        ] {
            assert_eq!(Manner::of(name), rings(PlannedOutcome::Answered), "{name}");
        }
    }
}
