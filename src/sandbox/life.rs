//! The life of one call: who answers when, who leaves when, and when it is over. All of it is known
//! when it begins, and only `end_call` changes it; so what a call is like at any time is a function
//! of that time.
//!
//! Assumed, because no page says it: that a call is over when the last callee has left (the robot
//! counts for nothing); that a call whose phone never rings is over at once and has a record that
//! says `Offline`; that `end_call` makes `Cancel` of a call that rings and `NormalEnd` of one that
//! was answered; and the one result that a call to several gets: `NormalEnd` if anybody answered,
//! otherwise what all of them did, or of several things the last that is not `NotAnswer`.

use super::behaviour::{Behaviour, PlannedOutcome};

/// One callee's part in a call, in milliseconds of the sandbox's time.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) callee: String,
    /// 0 rings.
    pub(super) result_code: i64,
    pub(super) outcome: PlannedOutcome,
    pub(super) accepts_ms: Option<i64>,
    pub(super) leaves_ms: i64,
    /// Whether a callback that tells of the answer arrived.
    pub(super) told_in: bool,
    /// Whether one that tells of the end without an answer arrived.
    pub(super) told_out: bool,
}

/// What a member does, where a page has a word for it (69215).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Answer,
    HangUp,
    Reject,
    NotAnswer,
    Offline,
    CancelInvite,
}

/// Something that Tencent tells of a call when it happens; the number is that of the callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Started,
    Changed(usize, Act),
    Ended,
}

#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) started_ms: i64,
    pub(super) ends_ms: i64,
    pub(super) legs: Vec<Leg>,
    /// When `end_call` ended it.
    pub(super) cut_ms: Option<i64>,
}

impl Leg {
    /// `behaviour` is that of a phone that rings, for at most `timeout_ms`.
    pub(super) fn new(
        callee: String,
        result_code: i64,
        behaviour: Behaviour,
        started_ms: i64,
        timeout_ms: i64,
    ) -> Self {
        let leg = |outcome, accepts_ms, leaves_ms| Self {
            callee,
            result_code,
            outcome,
            accepts_ms,
            leaves_ms,
            told_in: false,
            told_out: false,
        };
        if result_code != 0 {
            return leg(PlannedOutcome::Unreachable, None, started_ms);
        }
        let after_ms = behaviour.after_s.map_or(i64::MAX, |s| i64::from(s) * 1000);
        if after_ms >= timeout_ms {
            return leg(PlannedOutcome::NoAnswer, None, started_ms + timeout_ms);
        }
        let happens_ms = started_ms + after_ms;
        let talks = match behaviour.outcome {
            PlannedOutcome::Answered => true,
            PlannedOutcome::Interrupted => behaviour.talk_s > 0,
            _ => false,
        };
        if talks {
            let leaves_ms = happens_ms + i64::from(behaviour.talk_s) * 1000;
            leg(behaviour.outcome, Some(happens_ms), leaves_ms)
        } else {
            leg(behaviour.outcome, None, happens_ms)
        }
    }

    /// Whether the phone is ringing at `now_ms`.
    pub(super) fn rings(&self, now_ms: i64) -> bool {
        now_ms < self.accepts_ms.unwrap_or(self.leaves_ms)
    }

    /// Whether the callee is talking at `now_ms`.
    pub(super) fn talks(&self, now_ms: i64) -> bool {
        self.accepts_ms.is_some_and(|at| at <= now_ms) && now_ms < self.leaves_ms
    }

    /// How the callee leaves, if there is a word for it: for being busy and for a network that
    /// breaks, no page has one.
    fn leaving(&self) -> Option<Act> {
        match self.outcome {
            _ if self.result_code != 0 => None,
            PlannedOutcome::Answered => Some(Act::HangUp),
            PlannedOutcome::Declined => Some(Act::Reject),
            PlannedOutcome::NoAnswer => Some(Act::NotAnswer),
            PlannedOutcome::Unreachable => Some(Act::Offline),
            PlannedOutcome::Cancelled => Some(Act::CancelInvite),
            PlannedOutcome::Busy | PlannedOutcome::Interrupted => None,
        }
    }
}

impl Life {
    pub(super) fn new(started_ms: i64, legs: Vec<Leg>) -> Self {
        Self {
            started_ms,
            ends_ms: last(&legs, started_ms),
            legs,
            cut_ms: None,
        }
    }

    pub(super) fn is_over(&self, now_ms: i64) -> bool {
        self.ends_ms <= now_ms
    }

    /// When the first callee answered.
    pub(super) fn accepted_ms(&self) -> Option<i64> {
        self.legs.iter().filter_map(|leg| leg.accepts_ms).min()
    }

    /// Everything that is told of it, each with its time.
    pub(super) fn moments(&self) -> Vec<(i64, Moment)> {
        let mut moments = vec![(self.started_ms, Moment::Started)];
        for (n, leg) in self.legs.iter().enumerate() {
            let answer = leg
                .accepts_ms
                .map(|at| (at, Moment::Changed(n, Act::Answer)));
            let leaving = leg.leaving();
            let leaving = leaving.map(|act| (leg.leaves_ms, Moment::Changed(n, act)));
            moments.extend(answer.into_iter().chain(leaving));
        }
        moments.push((self.ends_ms, Moment::Ended));
        moments
    }

    /// Ends it now; what is told of that.
    pub(super) fn cut(&mut self, now_ms: i64) -> Vec<(i64, Moment)> {
        let mut moments = Vec::new();
        for (n, leg) in self.legs.iter_mut().enumerate() {
            if leg.leaves_ms <= now_ms {
                continue;
            }
            if leg.rings(now_ms) {
                leg.outcome = PlannedOutcome::Cancelled;
                leg.accepts_ms = None;
            } else {
                leg.outcome = PlannedOutcome::Answered;
            }
            leg.leaves_ms = now_ms;
            let act = leg.leaving();
            moments.extend(act.map(|act| (now_ms, Moment::Changed(n, act))));
        }
        self.cut_ms = Some(now_ms);
        self.ends_ms = now_ms;
        moments.push((now_ms, Moment::Ended));
        moments
    }

    /// The one outcome of the whole call.
    pub(super) fn result(&self) -> PlannedOutcome {
        if let [leg] = self.legs.as_slice() {
            return leg.outcome;
        }
        if self.accepted_ms().is_some() {
            return PlannedOutcome::Answered;
        }
        let others = self
            .legs
            .iter()
            .filter(|leg| leg.outcome != PlannedOutcome::NoAnswer);
        let last = others.max_by_key(|leg| leg.leaves_ms);
        last.map_or(PlannedOutcome::NoAnswer, |leg| leg.outcome)
    }
}

fn last(legs: &[Leg], started_ms: i64) -> i64 {
    let ends = legs.iter().map(|leg| leg.leaves_ms);
    ends.max().unwrap_or(started_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT_MS: i64 = 30_000;

    fn life(outcomes: &[PlannedOutcome]) -> Life {
        let leg = |outcome: &PlannedOutcome| {
            Leg::new("x".to_owned(), 0, Behaviour::of(*outcome), 0, TIMEOUT_MS)
        };
        Life::new(0, outcomes.iter().map(leg).collect())
    }

    #[test]
    fn a_call_rings_talks_and_is_over() {
        let life = life(&[PlannedOutcome::Answered]);
        let leg = &life.legs[0];
        for (now_ms, rings, talks, over) in [
            (0, true, false, false),
            (2_999, true, false, false),
            (3_000, false, true, false),
            (22_999, false, true, false),
            (23_000, false, false, true),
        ] {
            let is = (leg.rings(now_ms), leg.talks(now_ms), life.is_over(now_ms));
            assert_eq!(is, (rings, talks, over), "{now_ms}");
        }
    }

    #[test]
    fn what_comes_after_the_timeout_is_no_answer() {
        let behaviour = Behaviour {
            after_s: Some(30),
            ..Behaviour::of(PlannedOutcome::Answered)
        };
        let leg = Leg::new("x".to_owned(), 0, behaviour, 0, TIMEOUT_MS);
        assert_eq!(
            (leg.outcome, leg.leaves_ms),
            (PlannedOutcome::NoAnswer, TIMEOUT_MS)
        );
    }

    #[test]
    fn a_call_that_is_cut_is_cancelled_where_it_rang_and_answered_where_it_was() {
        let mut life = life(&[
            PlannedOutcome::Answered,
            PlannedOutcome::NoAnswer,
            PlannedOutcome::Declined,
        ]);
        let told = life.cut(5_000);
        let outcomes: Vec<_> = life.legs.iter().map(|leg| leg.outcome).collect();
        let expected = [
            PlannedOutcome::Answered,
            PlannedOutcome::Cancelled,
            PlannedOutcome::Declined,
        ];
        assert_eq!(outcomes, expected);
        assert_eq!((life.ends_ms, life.legs[2].leaves_ms), (5_000, 3_000));
        let acts: Vec<_> = told.iter().map(|(_, moment)| *moment).collect();
        let expected = [
            Moment::Changed(0, Act::HangUp),
            Moment::Changed(1, Act::CancelInvite),
            Moment::Ended,
        ];
        assert_eq!(acts, expected);
    }

    #[test]
    fn a_call_to_several_has_one_result() {
        use PlannedOutcome::{Answered, Busy, Declined, NoAnswer};
        for (outcomes, result) in [
            (&[Declined, Answered][..], Answered),
            (&[NoAnswer, NoAnswer], NoAnswer),
            (&[Declined, NoAnswer, Busy], Declined),
            (&[Busy], Busy),
        ] {
            assert_eq!(life(outcomes).result(), result, "{outcomes:?}");
        }
    }
}
