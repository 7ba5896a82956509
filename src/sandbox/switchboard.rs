//! All calls that live, and the records of those that are over, as long as Tencent keeps them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use uuid::Uuid;

use super::life::{Life, Moment};
use super::record::Call;
use super::tally::Tally;

/// A record can be had so long after the end (68940).
const RECORD_AFTER_MS: i64 = 5_000;
/// And for so long (68930, 68931).
const RECORD_KEPT_MS: i64 = 7 * 86_400 * 1000;
/// So many calls are remembered; beyond, the oldest that are over are forgotten, counted for good.
const CALLS_MAX: usize = 500_000;
/// So many things can wait to be told of; what would come beyond is never told.
const MOMENTS_MAX: usize = 2_000_000;

/// One call with what becomes of it.
pub(super) struct Entry {
    pub(super) call: Arc<Call>,
    pub(super) life: Life,
    /// Whether the client was answered: only then it knows each callee's code.
    pub(super) is_replied: bool,
}

#[derive(Default)]
pub(super) struct Switchboard {
    entries: VecDeque<Entry>,
    /// How many entries were forgotten: what is added to an index in `entries`.
    forgotten: usize,
    indexes: HashMap<Uuid, usize>,
    /// Room to the calls there, the newest last.
    rooms: HashMap<String, VecDeque<usize>>,
    by_end: BTreeSet<(i64, usize)>,
    moments: BTreeMap<(i64, u64), (usize, Moment)>,
    moments_seen: u64,
    past: Tally,
}

/// What is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Somebody has answered this call there, and it is not over.
    Alive { call_id: Uuid, answered_ms: i64 },
    /// A call rings, and nobody has answered.
    Ringing,
    /// There was a call.
    Over,
    /// There was none.
    Unknown,
}

/// Which of the two words for the answer or for the end of a callee arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) call_id: Uuid,
    pub(super) callee: usize,
    pub(super) is_answer: bool,
}

impl Switchboard {
    /// A call begins.
    pub(super) fn begin(&mut self, call: Arc<Call>, life: Life, is_replied: bool) {
        self.forget(life.started_ms);
        let index = self.forgotten + self.entries.len();
        self.indexes.insert(call.call_id, index);
        if let Some(room) = &call.room_id {
            self.rooms.entry(room.clone()).or_default().push_back(index);
        }
        self.by_end.insert((life.ends_ms, index));
        self.await_moments(index, life.moments());
        self.entries.push_back(Entry {
            call,
            life,
            is_replied,
        });
    }

    /// The call of this app, if it is not over.
    pub(super) fn live(&self, call_id: Uuid, app: u64, now_ms: i64) -> Option<&Entry> {
        let entry = self.entry(call_id, app)?;
        (!entry.life.is_over(now_ms)).then_some(entry)
    }

    /// What is in the room of this name and type (1 digits, 2 text): the call API's numbers.
    pub(super) fn room(&self, app: u64, room_id: &str, room_id_type: i64, now_ms: i64) -> Room {
        let calls = self.rooms.get(room_id).into_iter().flatten();
        let entries = calls.map(|index| &self.entries[index - self.forgotten]);
        let mut found = Room::Unknown;
        for entry in entries {
            let call = &entry.call;
            if call.sdk_app_id != app || call.room_id_type.unwrap_or(2) != room_id_type {
                continue;
            }
            let answered = entry.life.accepted_ms().filter(|at| *at <= now_ms);
            found = match answered {
                _ if entry.life.is_over(now_ms) => Room::Over,
                Some(answered_ms) => Room::Alive {
                    call_id: call.call_id,
                    answered_ms,
                },
                None => Room::Ringing,
            };
        }
        found
    }

    /// When a call ends or ended; `None` if it was forgotten.
    pub(super) fn ends_ms(&self, call_id: Uuid) -> Option<i64> {
        let index = self.indexes.get(&call_id)?.checked_sub(self.forgotten)?;
        Some(self.entries.get(index)?.life.ends_ms)
    }

    /// Ends a call of this app; false if there is none, or it is over.
    pub(super) fn cut(&mut self, call_id: Uuid, app: u64, now_ms: i64) -> bool {
        if self.live(call_id, app, now_ms).is_none() {
            return false;
        }
        let index = self.indexes[&call_id];
        let life = &mut self.entries[index - self.forgotten].life;
        self.by_end.remove(&(life.ends_ms, index));
        let moments = life.cut(now_ms);
        self.by_end.insert((life.ends_ms, index));
        self.await_moments(index, moments);
        true
    }

    /// The record of this call, if there is one now.
    pub(super) fn record(&self, call_id: Uuid, app: u64, now_ms: i64) -> Option<&Entry> {
        let entry = self.entry(call_id, app)?;
        has_record(entry.life.ends_ms, now_ms).then_some(entry)
    }

    /// Every call of this app that has a record now and ended in this span, the latest end first.
    pub(super) fn records(
        &self,
        app: u64,
        ended_ms: RangeInclusive<i64>,
        now_ms: i64,
    ) -> impl Iterator<Item = &Entry> {
        // A span that ends before it begins is empty, which a tree of these would not take.
        let last_ms = *ended_ms.end().max(ended_ms.start());
        let ends = self
            .by_end
            .range((*ended_ms.start(), 0)..=(last_ms, usize::MAX));
        ends.rev()
            .filter(move |(ends_ms, _)| ended_ms.contains(ends_ms))
            .filter(move |(ends_ms, _)| has_record(*ends_ms, now_ms))
            .map(|(_, index)| &self.entries[index - self.forgotten])
            .filter(move |entry| entry.call.sdk_app_id == app)
    }

    /// Takes what has happened by now and is to be told, in its order.
    pub(super) fn take_moment(&mut self, now_ms: i64) -> Option<(i64, Moment, &Entry)> {
        loop {
            let first = self.moments.first_entry()?;
            let (at_ms, _) = *first.key();
            if at_ms > now_ms {
                return None;
            }
            let (index, moment) = first.remove();
            let Some(at) = index.checked_sub(self.forgotten) else {
                continue;
            };
            // What would have come after the call was cut does not come.
            let cut_ms = self.entries[at].life.cut_ms;
            if cut_ms.is_none_or(|cut_ms| at_ms <= cut_ms) {
                return Some((at_ms, moment, &self.entries[at]));
            }
        }
    }

    /// When the next thing is to be told.
    pub(super) fn next_moment_ms(&self) -> Option<i64> {
        self.moments.first_key_value().map(|((at_ms, _), _)| *at_ms)
    }

    /// A callback that tells of a callee arrived.
    pub(super) fn told(&mut self, told: Told) {
        let index = self.indexes.get(&told.call_id);
        let at = index.and_then(|index| index.checked_sub(self.forgotten));
        let leg = at.and_then(|at| self.entries.get_mut(at)?.life.legs.get_mut(told.callee));
        let Some(leg) = leg else { return };
        if told.is_answer {
            leg.told_in = true;
        } else {
            leg.told_out = true;
        }
    }

    /// The calls that are remembered, the oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// What became of all callees.
    pub(super) fn tally(&self, now_ms: i64) -> Tally {
        let mut tally = self.past.clone();
        for entry in &self.entries {
            tally.count(entry, now_ms);
        }
        tally
    }

    fn entry(&self, call_id: Uuid, app: u64) -> Option<&Entry> {
        let index = self.indexes.get(&call_id)?.checked_sub(self.forgotten)?;
        let entry = self.entries.get(index)?;
        (entry.call.sdk_app_id == app).then_some(entry)
    }

    fn await_moments(&mut self, index: usize, moments: Vec<(i64, Moment)>) {
        for (at_ms, moment) in moments {
            if self.moments.len() < MOMENTS_MAX {
                self.moments_seen += 1;
                self.moments
                    .insert((at_ms, self.moments_seen), (index, moment));
            }
        }
    }

    /// Forgets, from the oldest on, calls that no record is kept of any more, or that are too many.
    fn forget(&mut self, now_ms: i64) {
        while let Some(oldest) = self.entries.front() {
            let ends_ms = oldest.life.ends_ms;
            let is_full = self.entries.len() >= CALLS_MAX && ends_ms <= now_ms;
            if !is_full && ends_ms.saturating_add(RECORD_KEPT_MS) > now_ms {
                break;
            }
            self.past.count(oldest, now_ms);
            self.by_end.remove(&(ends_ms, self.forgotten));
            self.indexes.remove(&oldest.call.call_id);
            if let Some(Some(calls)) = room_of(oldest).map(|room| self.rooms.get_mut(room)) {
                calls.pop_front();
                if calls.is_empty() {
                    self.rooms.remove(room_of(oldest).unwrap_or_default());
                }
            }
            self.entries.pop_front();
            self.forgotten += 1;
        }
    }
}

fn room_of(entry: &Entry) -> Option<&str> {
    entry.call.room_id.as_deref()
}

fn has_record(ends_ms: i64, now_ms: i64) -> bool {
    let age_ms = now_ms.saturating_sub(ends_ms);
    (RECORD_AFTER_MS..RECORD_KEPT_MS).contains(&age_ms)
}
