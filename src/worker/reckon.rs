//! What is to become of a schedule: pure, from its row and the database's clock.
//!
//! A firing whose time has passed undecided was missed, and `catch_up` says what becomes of it. One
//! that is less than [`AHEAD`] away is made now, so that it rings to the millisecond through the
//! ordinary claim; unless a person skips it, a day is missing before it, or an earlier job may
//! overlap it: then it is decided when its time has come.
//!
//! A change of the schedule withdraws what waits. What has its time still to come is behind the
//! cursor and decided like any other; the rest is owed: it is made if the schedule still has it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::timetables::Timetables;
use crate::call::Reason;
use crate::schedule::{CatchUp, Firing, SkippedSpan, Timetable, Zone, jitter_of};
use crate::store::{Decision, DueSchedule, Make, Tell, Timeliness};

/// How long before its time a firing's job is made.
pub(super) const AHEAD: TimeDelta = TimeDelta::seconds(60);

/// A firing that is younger than this is on time, whatever `catch_up` says: between a change of
/// the schedule and the next look at it, or while it waited for an earlier job, it was not missed.
const ON_TIME: TimeDelta = TimeDelta::seconds(5);

/// The ttl of a schedule that has none, unless its firings are nearer to each other.
const DEFAULT_TTL: Duration = Duration::from_hours(1);

/// The most firings of one schedule that are made ahead in one turn.
const AHEAD_MAX: usize = 100;

/// How many coming firings are kept for people to see.
const UPCOMING: usize = 10;

/// What is to be done about a schedule.
#[derive(Debug)]
pub(super) enum Outcome {
    /// To be fired, or only moved on.
    Decided(Decision),
    /// It cannot be reckoned, and why.
    AtFault(String),
    /// Its zone is unknown here, and somebody else has reckoned it.
    LeftToOthers,
    /// What is made ahead of it is for other instants than this zone data says.
    MadeForOtherInstants,
}

impl Timetables {
    /// What is to become of `row`.
    pub(super) fn reckon(&mut self, row: &DueSchedule) -> Outcome {
        let reckoned = match self.of(row) {
            Ok(reckoned) => reckoned,
            Err(_) if row.others_can && Zone::find(&row.tz).is_err() => {
                return Outcome::LeftToOthers;
            }
            Err(fault) => return Outcome::AtFault(fault),
        };
        let default_ttl = reckoned.period.unwrap_or(DEFAULT_TTL).min(DEFAULT_TTL);
        let ttl = row.ttl.unwrap_or(default_ttl);
        if let Some(fault) = reckoned.jitter_fault(row.jitter, ttl) {
            return Outcome::AtFault(fault);
        }
        if !reckoned.made_these(row) {
            return Outcome::MadeForOtherInstants;
        }
        let timetable = &reckoned.timetable;
        let decider = Decider {
            row,
            timetable,
            ttl,
        };
        Outcome::Decided(decider.decide(default_ttl))
    }
}

struct Decider<'a> {
    row: &'a DueSchedule,
    timetable: &'a Timetable,
    ttl: Duration,
}

impl Decider<'_> {
    fn decide(&self, default_ttl: Duration) -> Decision {
        let row = self.row;
        let mut decision = Decision {
            id: row.id,
            turn: row.turn,
            held_at: row.cursor_at,
            cursor_at: row.cursor_at,
            next_fire_at: None,
            check_at: None,
            upcoming: Vec::new(),
            default_ttl,
            skips: 0,
            error: None,
            makes: Vec::new(),
            tells: Vec::new(),
        };
        let owed = self.owed(&mut decision);
        let mut cursor = row.cursor_at;
        if let Some(until) = row.barred_until.map(|until| until.min(row.now)) {
            let reason = row
                .barred_reason
                .as_deref()
                .unwrap_or(Reason::SchedulePaused.as_str());
            tell(&mut decision, reason, self.timetable.span(cursor, until));
            cursor = cursor.max(until);
        }
        if let Some(stopped) = row.stopped_at {
            tell(
                &mut decision,
                Reason::Missed.as_str(),
                self.timetable.span(cursor, stopped),
            );
            decision.cursor_at = cursor.max(stopped);
            decision.held_at = decision.cursor_at;
            // To be told of, should the schedule be changed or removed.
            decision.upcoming = self.upcoming(decision.cursor_at);
            return decision;
        }
        cursor = self.skip(&mut decision, cursor);
        self.catch_up(&mut decision, cursor, owed);
        cursor = cursor.max(row.now);
        decision.held_at = cursor;
        self.look_ahead(&mut decision, cursor);
        decision
    }

    /// What is owed and still to be made, in order; the rest is told.
    fn owed(&self, decision: &mut Decision) -> Vec<Firing> {
        let row = self.row;
        let mut made = Vec::new();
        // What is behind the cursor is decided like any other firing, if it is one.
        let come = |at: &&DateTime<Utc>| **at <= row.cursor_at && **at <= row.now;
        for at in row.owed.iter().filter(come) {
            let firing = self.firing_at(*at);
            let barred = row.barred_until.filter(|until| at <= until);
            let reason = match (barred, row.stopped_at, firing) {
                (Some(_), _, _) => row.barred_reason.as_deref(),
                (None, Some(_), _) => Some(Reason::SchedulePaused.as_str()),
                (None, None, Some(firing)) if self.expires(&firing) > row.now => {
                    made.push(firing);
                    continue;
                }
                (None, None, _) => Some(Reason::Superseded.as_str()),
            };
            decision.tells.push(Tell {
                reason: reason.unwrap_or(Reason::SchedulePaused.as_str()).to_owned(),
                first_at: *at,
                last_at: *at,
                first_local: self.timetable.zone().local(*at),
                firings: 1,
                detail: None,
            });
        }
        made
    }

    /// The firing at exactly this instant, if there is one.
    fn firing_at(&self, at: DateTime<Utc>) -> Option<Firing> {
        let mut near = self.timetable.firings(at - TimeDelta::seconds(1), at);
        near.find(|firing| firing.at == at)
    }

    /// Leaves out, for a person, the next firings whose time has come.
    fn skip(&self, decision: &mut Decision, mut cursor: DateTime<Utc>) -> DateTime<Utc> {
        while decision.skips < self.row.skip_next {
            let next = self.timetable.next_fire(cursor);
            let Some(next) = next.filter(|next| next.at <= self.row.now) else {
                break;
            };
            let one = SkippedSpan {
                first: next,
                last: next,
                count: 1,
            };
            tell(decision, Reason::FiringSkipped.as_str(), Some(one));
            decision.skips += 1;
            cursor = next.at;
        }
        cursor
    }

    /// Decides what has come since `cursor`, and makes what is `owed`.
    fn catch_up(&self, decision: &mut Decision, cursor: DateTime<Utc>, owed: Vec<Firing>) {
        let now = self.row.now;
        for day in self.timetable.missing_days(cursor, now) {
            decision.tells.push(Tell {
                reason: Reason::NonexistentDay.as_str().to_owned(),
                first_at: day.at,
                last_at: day.at,
                first_local: day.first,
                firings: day.count,
                detail: Some(format!("{} does not exist in {}", day.date, self.row.tz)),
            });
        }
        let window = TimeDelta::from_std(self.row.catch_up_window).unwrap_or(TimeDelta::MAX);
        let (window, catch_up) = match self.row.catch_up.as_str() {
            "all" => (window.max(ON_TIME), CatchUp::All),
            "none" => (ON_TIME, CatchUp::Latest),
            _ => (window.max(ON_TIME), CatchUp::Latest),
        };
        let missed = self.timetable.missed(cursor, now, window, catch_up);
        tell(decision, Reason::Missed.as_str(), missed.skipped);
        let (made, overlapping) = self.apart(owed.into_iter().chain(missed.fire).collect());
        if let (Some(first), Some(last)) = (overlapping.first(), overlapping.last()) {
            let span = SkippedSpan {
                first: *first,
                last: *last,
                count: overlapping.len() as u64,
            };
            tell(decision, Reason::Overlap.as_str(), Some(span));
        }
        for firing in made {
            let mut job = self.make(&firing, Timeliness::Come);
            if firing.at <= self.row.cursor_at {
                job.run_at = job.run_at.max(now);
            }
            decision.makes.push(job);
        }
    }

    /// Of firings that are made up for at once, those that do not overlap each other, and the rest.
    fn apart(&self, firings: Vec<Firing>) -> (Vec<Firing>, Vec<Firing>) {
        let overlap = |one: &Firing, next: &Firing| self.expires(one) > next.at;
        let (mut kept, mut rest): (Vec<Firing>, Vec<Firing>) = (Vec::new(), Vec::new());
        match self.row.overlap.as_str() {
            "allow" => kept = firings,
            // The newest cancels those before it.
            "cancel_previous" => {
                for firing in firings.into_iter().rev() {
                    let cancelled = kept.last().is_some_and(|next| overlap(&firing, next));
                    (if cancelled { &mut rest } else { &mut kept }).push(firing);
                }
                kept.reverse();
                rest.reverse();
            }
            _ => {
                for firing in firings {
                    let skipped = kept.last().is_some_and(|one| overlap(one, &firing));
                    (if skipped { &mut rest } else { &mut kept }).push(firing);
                }
            }
        }
        (kept, rest)
    }

    /// Makes what is to come within [`AHEAD`], as far as it can be decided yet, and says when to
    /// look again.
    fn look_ahead(&self, decision: &mut Decision, held_at: DateTime<Utc>) {
        let now = self.row.now;
        let horizon = now + AHEAD;
        let may_overlap = self.row.overlap != "allow";
        let skips_left = self.row.skip_next > decision.skips;
        let mut wait_for = None;
        let mut cursor = held_at;
        for _ in 0..AHEAD_MAX {
            let next = self.timetable.next_fire(cursor);
            let Some(next) = next.filter(|next| next.at <= horizon) else {
                break;
            };
            let last = decision.makes.last();
            let overlaps = may_overlap && last.is_some_and(|last| last.expires_at > next.at);
            if skips_left || overlaps || self.day_missing_before(cursor, next.at) {
                wait_for = Some(next.at);
                break;
            }
            decision.makes.push(self.make(&next, Timeliness::Ahead));
            cursor = next.at;
            if may_overlap {
                break;
            }
        }
        decision.cursor_at = cursor;
        decision.upcoming = self.upcoming(cursor);
        decision.next_fire_at = decision.upcoming.first().copied();
        decision.check_at = decision.next_fire_at.map(|next| {
            if wait_for.is_some() || skips_left {
                next
            } else {
                self.missing_day_before(cursor, next)
                    .unwrap_or(next - AHEAD)
            }
        });
    }

    /// The next firings after `cursor`, for people to see and to be told of.
    fn upcoming(&self, cursor: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let firings = self.timetable.firings(cursor, DateTime::<Utc>::MAX_UTC);
        firings.take(UPCOMING).map(|firing| firing.at).collect()
    }

    fn missing_day_before(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let days = self.timetable.missing_days(after, until);
        days.first().map(|day| day.at)
    }

    fn day_missing_before(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> bool {
        self.missing_day_before(after, until).is_some()
    }

    fn expires(&self, firing: &Firing) -> DateTime<Utc> {
        firing.at + TimeDelta::from_std(self.ttl).unwrap_or(TimeDelta::days(36_525))
    }

    fn make(&self, firing: &Firing, when: Timeliness) -> Make {
        let id = self.row.id.to_be_bytes();
        let jitter = jitter_of(&id, firing, self.row.jitter);
        Make {
            nominal_at: firing.at,
            nominal_local: firing.local,
            nominal_fold: firing.fold.into(),
            run_at: firing.at + TimeDelta::from_std(jitter).unwrap_or_default(),
            expires_at: self.expires(firing),
            when,
        }
    }
}

fn tell(decision: &mut Decision, reason: &str, span: Option<SkippedSpan>) {
    decision.tells.extend(span.map(|span| Tell {
        reason: reason.to_owned(),
        first_at: span.first.at,
        last_at: span.last.at,
        first_local: span.first.local,
        firings: span.count,
        detail: None,
    }));
}

#[cfg(test)]
mod tests;
