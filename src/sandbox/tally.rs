//! What became of everybody who was called, in numbers: what a report of a client can be held
//! against.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::behaviour::PlannedOutcome;
use super::life::Leg;
use super::switchboard::Entry;

/// What can be known of a callee where nothing proves what happened.
const UNKNOWN: &str = "unknown";

/// What became of the callees of all calls, by the sandbox's own time.
///
/// A callee with a `ResultCode` other than 0 is `unreachable`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Callees of calls that were started.
    pub legs: u64,
    /// Those of them whose call is not over.
    pub pending: u64,
    /// What happened, by outcome, for calls that are over; with `pending` they sum to `legs`.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// The same as far as record, reply and the callbacks that were acknowledged prove it: of a
    /// call to several, `unknown` where none of them does.
    pub provable: BTreeMap<&'static str, u64>,
    /// Seconds of ringing of all those callees, from `StartTime` on.
    pub ring_seconds: u64,
    /// Seconds of talk.
    pub talk_seconds: u64,
}

impl Tally {
    /// How many callees ended so.
    #[must_use]
    pub fn of(&self, outcome: PlannedOutcome) -> u64 {
        self.outcomes.get(outcome.as_str()).copied().unwrap_or(0)
    }

    pub(super) fn count(&mut self, entry: &Entry, now_ms: i64) {
        for leg in &entry.life.legs {
            self.legs += 1;
            if !entry.life.is_over(now_ms) {
                self.pending += 1;
                continue;
            }
            *self.outcomes.entry(leg.outcome.as_str()).or_default() += 1;
            *self.provable.entry(provable(entry, leg)).or_default() += 1;
            let (ring, talk) = seconds(entry, leg);
            self.ring_seconds += ring;
            self.talk_seconds += talk;
        }
    }
}

/// What became of one callee, for `GET /sandbox/legs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegReport {
    /// The call.
    pub call_id: Uuid,
    /// `CallInfo.RoomId` as text.
    pub room_id: Option<String>,
    /// `Callee_Account`.
    pub callee: String,
    /// What happened; null while the call is not over.
    pub outcome: Option<&'static str>,
    /// What of it can be known, see [`Tally::provable`].
    pub provable: Option<&'static str>,
    /// Seconds of ringing.
    pub ring_seconds: u64,
    /// Seconds of talk.
    pub talk_seconds: u64,
}

impl LegReport {
    pub(super) fn of(entry: &Entry, now_ms: i64) -> impl Iterator<Item = Self> {
        let is_over = entry.life.is_over(now_ms);
        entry.life.legs.iter().map(move |leg| {
            let (ring_seconds, talk_seconds) = seconds(entry, leg);
            Self {
                call_id: entry.call.call_id,
                room_id: entry.call.room_id.clone(),
                callee: leg.callee.clone(),
                outcome: is_over.then(|| leg.outcome.as_str()),
                provable: is_over.then(|| provable(entry, leg)),
                ring_seconds: if is_over { ring_seconds } else { 0 },
                talk_seconds: if is_over { talk_seconds } else { 0 },
            }
        })
    }
}

/// What the record of the call, the reply and the callbacks about the callee prove together.
fn provable(entry: &Entry, leg: &Leg) -> &'static str {
    if entry.life.legs.len() == 1 {
        return leg.outcome.as_str();
    }
    if leg.told_in {
        return PlannedOutcome::Answered.as_str();
    }
    let is_refused = leg.result_code != 0 && entry.is_replied;
    let nobody_answered = entry.life.result() == PlannedOutcome::NoAnswer;
    if leg.told_out || is_refused {
        leg.outcome.as_str()
    } else if nobody_answered {
        PlannedOutcome::NoAnswer.as_str()
    } else {
        UNKNOWN
    }
}

/// Whole seconds of ringing and of talk, as a record in seconds has them.
fn seconds(entry: &Entry, leg: &Leg) -> (u64, u64) {
    let s = |ms: i64| ms.div_euclid(1000);
    let between = |from_ms, to_ms| u64::try_from(s(to_ms) - s(from_ms)).unwrap_or(0);
    let started_ms = entry.life.started_ms;
    match leg.accepts_ms {
        Some(accepts_ms) => (
            between(started_ms, accepts_ms),
            between(accepts_ms, leg.leaves_ms),
        ),
        None => (between(started_ms, leg.leaves_ms), 0),
    }
}
