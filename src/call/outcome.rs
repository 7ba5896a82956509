//! What became of each callee: record, callbacks and reply put together, in whatever order and
//! number they came.
//!
//! The record is the truth. With one callee it says all, and nothing else is looked at: callbacks
//! may be lost, doubled, forged. With several it has one result for all of them; what became of
//! each is told by `AfterMemberChanged` alone, and a callee of whom nothing came is
//! [`Outcome::Unknown`], never guessed, unless the record says that nobody answered.

use super::callback::{CallbackEvent, Happened, MemberAction, MemberChange, Presence};
use super::{CalleeResult, Ended, Record};

/// What became of a callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Picked up.
    Answered,
    /// Turned it down.
    Declined,
    /// Was on another call.
    Busy,
    /// Let it ring out.
    NoAnswer,
    /// The ring was ended from our side.
    Cancelled,
    /// Broken off by the network or the like, answered first or not.
    Interrupted,
    /// The phone did not ring.
    Unreachable,
    /// There is no evidence.
    Unknown,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Declined,
        Self::Busy,
        Self::NoAnswer,
        Self::Cancelled,
        Self::Interrupted,
        Self::Unreachable,
        Self::Unknown,
    ];

    /// The word that is stored and reported.
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
            Self::Unknown => "unknown",
        }
    }
}

/// Where an outcome is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutcomeSource {
    /// The call's record.
    Record,
    /// A callback.
    Callback,
    /// The callee's `ResultCode` in the reply.
    Reply,
    /// Nothing: the outcome is [`Outcome::Unknown`].
    Nothing,
}

impl OutcomeSource {
    /// The word that is stored and reported.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Callback => "callback",
            Self::Reply => "reply",
            Self::Nothing => "nothing",
        }
    }
}

/// One thing that is known of a call. All of it must be of the same call.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// What the reply said of each callee.
    Reply(Vec<CalleeResult>),
    /// A callback.
    Callback(CallbackEvent),
    /// The record that Tencent answered when it was asked.
    Record(Record),
}

/// What became of one callee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalleeOutcome {
    /// The callee, as it was called.
    pub callee: String,
    /// What became of the ring.
    pub outcome: Outcome,
    /// Where that is known from.
    pub source: OutcomeSource,
    /// When the callee picked up, in milliseconds since the Unix epoch, of Tencent's clock.
    pub accepted_at_ms: Option<i64>,
    /// When it was over for the callee, likewise.
    pub ended_at_ms: Option<i64>,
    /// How long it rang, in whole seconds.
    pub ring_seconds: Option<u32>,
    /// How long was talked, in whole seconds; 0 if the callee did not answer.
    pub talk_seconds: Option<u32>,
}

impl CalleeOutcome {
    /// Whether there is no evidence.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.outcome == Outcome::Unknown
    }
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOutcome {
    /// One for each callee, in the order in which they were called.
    pub callees: Vec<CalleeOutcome>,
    /// Whether the record came: with one callee nothing can change any more, with several a late
    /// callback can still tell of somebody who is unknown.
    pub has_record: bool,
}

impl CallOutcome {
    /// What became of the whole, as it stands in `callq.jobs.outcome`: answered if anybody
    /// answered; what became of everybody, if that is the same; otherwise mixed.
    #[must_use]
    pub fn word(&self) -> &'static str {
        let mut all = self.callees.iter().map(|callee| callee.outcome);
        let first = all.next().unwrap_or(Outcome::Unknown);
        if self.callees.iter().any(|c| c.outcome == Outcome::Answered) {
            Outcome::Answered.as_str()
        } else if all.all(|outcome| outcome == first) {
            first.as_str()
        } else {
            "mixed"
        }
    }
}

/// What became of the call to `callees`, as far as `evidence` tells.
///
/// The order of `evidence` does not matter, nor how often a piece of it is given. Without a record
/// the result is what is known so far.
#[must_use]
pub fn outcomes(callees: &[String], evidence: &[Evidence]) -> CallOutcome {
    let records = evidence.iter().filter_map(|piece| match piece {
        Evidence::Record(record) => Some(record),
        _ => None,
    });
    let truth = records.max_by(|one, other| in_order(one).cmp(&in_order(other)));
    let told = evidence.iter().filter_map(|piece| match piece {
        Evidence::Callback(CallbackEvent {
            happened: Happened::Ended(record),
            ..
        }) => Some(record),
        _ => None,
    });
    let told = told.max_by(|one, other| in_order(one).cmp(&in_order(other)));
    let known = Known {
        truth,
        told,
        evidence,
    };
    let of = |callee: &String| match callees {
        [_] => known.only(callee),
        _ => known.one_of_several(callee),
    };
    CallOutcome {
        callees: callees.iter().map(of).collect(),
        has_record: truth.is_some(),
    }
}

/// Of two records of a call that differ, one is taken whatever came first: the one that ended
/// later, and so on.
fn in_order(record: &Record) -> impl Ord + '_ {
    let times = (record.ended_at_s, record.accepted_at_s, record.started_at_s);
    (times, &record.ended)
}

/// All that is known of a call.
#[derive(Clone, Copy)]
struct Known<'a> {
    /// The record.
    truth: Option<&'a Record>,
    /// What `AfterEndCall` says the record will be.
    told: Option<&'a Record>,
    evidence: &'a [Evidence],
}

impl Known<'_> {
    fn only(self, callee: &str) -> CalleeOutcome {
        match (self.truth, self.told) {
            (Some(record), _) => of_record(callee, record, OutcomeSource::Record),
            (None, Some(record)) => of_record(callee, record, OutcomeSource::Callback),
            (None, None) => self.one_of_several(callee),
        }
    }

    fn one_of_several(self, callee: &str) -> CalleeOutcome {
        if let Some(own) = self.own(callee) {
            return self.of_changes(callee, own);
        }
        let unknown = CalleeOutcome {
            callee: callee.to_owned(),
            outcome: Outcome::Unknown,
            source: OutcomeSource::Nothing,
            accepted_at_ms: None,
            ended_at_ms: None,
            ring_seconds: None,
            talk_seconds: None,
        };
        if self.was_refused(callee) {
            return CalleeOutcome {
                outcome: Outcome::Unreachable,
                source: OutcomeSource::Reply,
                ring_seconds: Some(0),
                talk_seconds: Some(0),
                ..unknown
            };
        }
        let whole = match (self.truth, self.told) {
            (Some(record), _) => Some((record, OutcomeSource::Record)),
            (None, told) => told.map(|record| (record, OutcomeSource::Callback)),
        };
        match whole {
            Some((record, source)) if nobody_answered(record) => of_record(callee, record, source),
            _ => unknown,
        }
    }

    /// What the callee did, if that says what became of the ring.
    fn own(self, callee: &str) -> Option<Own> {
        let mut own = Own::default();
        let mut was_there = false;
        for piece in self.evidence {
            if let Evidence::Callback(event) = piece
                && let Happened::MemberChanged { users, changes } = &event.happened
            {
                let his = changes.iter().filter(|change| change.account == callee);
                his.for_each(|change| own.add(&change.action, event.event_at_ms));
                // What told that he picked up may be lost; whoever changes next shows who is there.
                was_there |= users
                    .iter()
                    .any(|user| user.account == callee && user.presence == Presence::Calling);
            }
        }
        // Whoever sent the callback, nobody answered.
        let is_denied = self
            .truth
            .is_some_and(|record| record.accepted_at_s.is_none());
        if is_denied {
            own.answered = None;
        }
        // Somebody goes offline whose phone is not there, and somebody whose network breaks amid
        // the call. The first is known before anybody picks up.
        let may_have_answered = |at: At| {
            let first = self.first_accept_ms();
            was_there || first.is_some_and(|first| at.0.is_none_or(|at_ms| at_ms > first))
        };
        if own
            .refused
            .is_some_and(|(at, outcome)| outcome == Outcome::Unreachable && may_have_answered(at))
        {
            own.refused = None;
        }
        (own.answered.is_some() || own.refused.is_some()).then_some(own)
    }

    fn of_changes(self, callee: &str, own: Own) -> CalleeOutcome {
        let whole = self.truth.or(self.told);
        let started_at_ms = whole
            .and_then(|record| ms(record.started_at_s))
            .or_else(|| self.started_at_ms());
        let (outcome, accepted_at_ms, ended_at_ms) = match (own.answered, own.refused) {
            (Some(at_ms), _) => {
                let end_of_call = whole.and_then(|record| ms(record.ended_at_s));
                (Outcome::Answered, at_ms.0, own.left_at_ms.or(end_of_call))
            }
            (None, Some((at_ms, outcome))) => (outcome, None, at_ms.0),
            (None, None) => (Outcome::Unknown, None, None),
        };
        let rang_until_ms = match outcome {
            Outcome::Answered => accepted_at_ms,
            _ => ended_at_ms,
        };
        CalleeOutcome {
            callee: callee.to_owned(),
            outcome,
            source: OutcomeSource::Callback,
            accepted_at_ms,
            ended_at_ms,
            ring_seconds: between(started_at_ms, rang_until_ms),
            talk_seconds: match outcome {
                Outcome::Answered => between(accepted_at_ms, ended_at_ms),
                _ => Some(0),
            },
        }
    }

    /// When anybody first picked up, to the end of that second if a record alone tells it.
    fn first_accept_ms(self) -> Option<i64> {
        let record = self.truth.or(self.told);
        let told = record.and_then(|record| ms(record.accepted_at_s));
        let seen = self.evidence.iter().filter_map(|piece| match piece {
            Evidence::Callback(CallbackEvent {
                happened: Happened::MemberChanged { changes, .. },
                event_at_ms,
                ..
            }) => {
                let accepts = |change: &MemberChange| change.action == MemberAction::Answer;
                event_at_ms.filter(|_| changes.iter().any(accepts))
            }
            _ => None,
        });
        told.map(|at_ms| at_ms.saturating_add(999))
            .into_iter()
            .chain(seen)
            .min()
    }

    /// The earliest time of an `AfterStartCall`.
    fn started_at_ms(self) -> Option<i64> {
        let starts = self.evidence.iter().filter_map(|piece| match piece {
            Evidence::Callback(CallbackEvent {
                happened: Happened::Started { .. },
                event_at_ms,
                ..
            }) => *event_at_ms,
            _ => None,
        });
        starts.min()
    }

    /// Whether the reply has another code than 0 for the callee.
    fn was_refused(self, callee: &str) -> bool {
        self.evidence.iter().any(|piece| match piece {
            Evidence::Reply(results) => results.iter().any(|result| {
                result.callee == callee && result.result_code.is_some_and(|code| code != 0)
            }),
            _ => false,
        })
    }
}

/// A time that may not be known, which is later than every one that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At(Option<i64>);

impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let known_first = |at: &Self| (at.0.is_none(), at.0);
        known_first(self).cmp(&known_first(other))
    }
}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// What one callee did.
#[derive(Clone, Copy, Default)]
struct Own {
    /// When he first was in the call, if he ever was.
    answered: Option<At>,
    /// The first thing that ended the ring otherwise, and what it means.
    refused: Option<(At, Outcome)>,
    /// When he left for the last time.
    left_at_ms: Option<i64>,
}

impl Own {
    fn add(&mut self, action: &MemberAction, at_ms: Option<i64>) {
        let outcome = match action {
            MemberAction::Answer | MemberAction::Join => {
                return self.was_in_call(At(at_ms));
            }
            // Only who was in the call can leave it.
            MemberAction::HangUp => {
                self.left_at_ms = self.left_at_ms.max(at_ms);
                return self.was_in_call(At(None));
            }
            MemberAction::Reject => Outcome::Declined,
            MemberAction::NotAnswer => Outcome::NoAnswer,
            MemberAction::Busy => Outcome::Busy,
            MemberAction::CancelInvite => Outcome::Cancelled,
            MemberAction::Offline => {
                self.left_at_ms = self.left_at_ms.max(at_ms);
                Outcome::Unreachable
            }
            MemberAction::Invite | MemberAction::Other(_) => return,
        };
        let new = (At(at_ms), outcome);
        self.refused = Some(self.refused.map_or(new, |known| known.min(new)));
    }

    fn was_in_call(&mut self, at: At) {
        self.answered = Some(self.answered.map_or(at, |known| known.min(at)));
    }
}

/// What a record says of the only callee, or of each if nobody answered.
fn of_record(callee: &str, record: &Record, source: OutcomeSource) -> CalleeOutcome {
    let outcome = match &record.ended {
        // A normal end of what nobody answered is a contradiction.
        Ended::NormalEnd if record.accepted_at_s.is_none() => Outcome::Unknown,
        Ended::NormalEnd => Outcome::Answered,
        Ended::Reject => Outcome::Declined,
        Ended::NotAnswer => Outcome::NoAnswer,
        Ended::Cancel => Outcome::Cancelled,
        Ended::CallBusy => Outcome::Busy,
        Ended::Interrupt => Outcome::Interrupted,
        Ended::Offline => Outcome::Unreachable,
        Ended::Other(_) => Outcome::Unknown,
    };
    CalleeOutcome {
        callee: callee.to_owned(),
        outcome,
        source,
        accepted_at_ms: ms(record.accepted_at_s),
        ended_at_ms: ms(record.ended_at_s),
        ring_seconds: record.ring_seconds(),
        talk_seconds: record.talk_seconds(),
    }
}

/// Whether the record proves, for every callee, that the ring was not answered.
fn nobody_answered(record: &Record) -> bool {
    record.ended == Ended::NotAnswer && record.accepted_at_s.is_none()
}

fn ms(seconds: Option<i64>) -> Option<i64> {
    seconds.map(|s| s.saturating_mul(1000))
}

/// Whole seconds from one time to another, if both are known.
fn between(from_ms: Option<i64>, to_ms: Option<i64>) -> Option<u32> {
    u32::try_from(to_ms?.saturating_sub(from_ms?).max(0) / 1000).ok()
}

#[cfg(test)]
mod tests;
