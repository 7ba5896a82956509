//! What is to become of a schedule: pure, from its row and the database's clock.
//!
//! A firing whose time has passed undecided was missed, and `catch_up` says what becomes of it. One
//! that is less than [`AHEAD`] away is made now, so that it rings to the millisecond through the
//! ordinary claim; unless a person skips it, a day is missing before it, or an earlier job may
//! overlap it: then it is decided when its time has come.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::timetables::Timetables;
use crate::call::Reason;
use crate::schedule::{CatchUp, Firing, SkippedSpan, Timetable, jitter_of};
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
    /// What is made ahead of it is for other instants than this zone data says.
    MadeForOtherInstants,
}

impl Timetables {
    /// What is to become of `row`.
    pub(super) fn reckon(&mut self, row: &DueSchedule) -> Outcome {
        let reckoned = match self.of(row) {
            Ok(reckoned) => reckoned,
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
            return decision;
        }
        cursor = self.skip(&mut decision, cursor);
        self.catch_up(&mut decision, cursor);
        cursor = cursor.max(row.now);
        decision.held_at = cursor;
        self.look_ahead(&mut decision, cursor);
        decision
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

    /// Decides what has come since `cursor`.
    fn catch_up(&self, decision: &mut Decision, cursor: DateTime<Utc>) {
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
        let (made, overlapping) = self.apart(missed.fire);
        if let (Some(first), Some(last)) = (overlapping.first(), overlapping.last()) {
            let span = SkippedSpan {
                first: *first,
                last: *last,
                count: overlapping.len() as u64,
            };
            tell(decision, Reason::Overlap.as_str(), Some(span));
        }
        for firing in made {
            decision.makes.push(self.make(&firing, Timeliness::Come));
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
        let mut after = cursor;
        while let Some(next) = self.timetable.next_fire(after)
            && decision.upcoming.len() < UPCOMING
        {
            decision.upcoming.push(next.at);
            after = next.at;
        }
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
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        let at = DateTime::parse_from_rfc3339(&format!("2026-03-10T{text}Z"));
        at.expect(text).with_timezone(&Utc)
    }

    /// A schedule that was decided up to `cursor`, looked at at `now`.
    fn row(cron: &str, cursor: &str, now: &str) -> DueSchedule {
        DueSchedule {
            id: 7,
            turn: 1,
            app: "default".to_owned(),
            name: "a".to_owned(),
            cron: Some(cron.to_owned()),
            every_s: None,
            on_times: None,
            tz: "UTC".to_owned(),
            ttl: None,
            jitter: Duration::ZERO,
            catch_up: "latest".to_owned(),
            catch_up_window: Duration::from_mins(10),
            overlap: "skip".to_owned(),
            start_at: None,
            end_at: None,
            except_dates: Vec::new(),
            created_at: at("00:00:00"),
            cursor_at: at(cursor),
            stopped_at: None,
            barred_until: None,
            barred_reason: None,
            skip_next: 0,
            pending: None,
            now: at(now),
        }
    }

    #[track_caller]
    fn decided(row: &DueSchedule) -> Decision {
        match Timetables::default().reckon(row) {
            Outcome::Decided(decision) => decision,
            other => panic!("{other:?}"),
        }
    }

    /// What is made, and what is told, as clock times.
    fn shown(decision: &Decision) -> (Vec<String>, Vec<String>) {
        let clock = |at: &DateTime<Utc>| at.format("%H:%M:%S").to_string();
        let makes = decision.makes.iter().map(|make| {
            let when = if make.when == Timeliness::Ahead {
                "ahead"
            } else {
                "come"
            };
            format!("{} {when}", clock(&make.nominal_at))
        });
        let tells = decision.tells.iter().map(|tell| {
            let (first, last) = (clock(&tell.first_at), clock(&tell.last_at));
            format!("{} {first}-{last} {}", tell.reason, tell.firings)
        });
        (makes.collect(), tells.collect())
    }

    #[test]
    fn a_firing_is_made_a_minute_ahead_and_the_next_look_is_a_minute_before_the_next_one() {
        let before = decided(&row("0 9 * * *", "08:00:00", "08:58:59"));
        assert_eq!(shown(&before).0, [""; 0]);
        assert_eq!(before.check_at, Some(at("08:59:00")));
        assert_eq!(before.cursor_at, at("08:58:59"));
        let ahead = decided(&row("0,30 9 * * *", "08:00:00", "08:59:00"));
        assert_eq!(shown(&ahead).0, ["09:00:00 ahead"]);
        assert_eq!(
            (ahead.cursor_at, ahead.held_at),
            (at("09:00:00"), at("08:59:00"))
        );
        assert_eq!(ahead.check_at, Some(at("09:29:00")));
        assert_eq!(ahead.upcoming.len(), 10);
        let again = decided(&row("0 9 * * *", "09:00:00", "08:59:30"));
        assert_eq!(shown(&again).0, [""; 0], "what is made ahead is decided");
    }

    #[test]
    fn no_more_than_one_is_ahead_if_it_may_overlap_and_else_a_whole_minute() {
        let mut row = row("*/10 * * * * *", "08:59:55", "08:59:55");
        assert_eq!(shown(&decided(&row)).0, ["09:00:00 ahead"]);
        row.overlap = "allow".to_owned();
        assert_eq!(decided(&row).makes.len(), 6);
    }

    #[test]
    fn less_than_five_seconds_late_is_on_time_whatever_the_policy_says() {
        let mut row = row("0 9 * * *", "08:59:50", "09:00:04");
        row.catch_up = "none".to_owned();
        assert_eq!(shown(&decided(&row)).0, ["09:00:00 come"]);
        row.now = at("09:00:05");
        let late = shown(&decided(&row));
        assert_eq!(
            late,
            (vec![], vec!["missed 09:00:00-09:00:00 1".to_owned()])
        );
    }

    #[test]
    fn of_missed_firings_that_overlap_each_other_the_first_or_the_last_is_made() {
        let mut row = row("*/10 * * * *", "08:55:00", "09:35:00");
        row.catch_up = "all".to_owned();
        row.catch_up_window = Duration::from_hours(1);
        row.ttl = Some(Duration::from_mins(20));
        let skip = shown(&decided(&row));
        assert_eq!(skip.0, ["09:00:00 come", "09:20:00 come"]);
        assert_eq!(skip.1, ["overlap 09:10:00-09:30:00 2"]);
        row.overlap = "cancel_previous".to_owned();
        assert_eq!(shown(&decided(&row)).0, ["09:10:00 come", "09:30:00 come"]);
        row.overlap = "allow".to_owned();
        assert_eq!(decided(&row).makes.len(), 4);
    }

    #[test]
    fn what_a_person_skips_is_decided_when_its_time_has_come() {
        let mut row = row("* * * * *", "08:59:10", "08:59:10");
        row.skip_next = 1;
        let before = decided(&row);
        assert_eq!(
            (shown(&before).0.len(), before.check_at),
            (0, Some(at("09:00:00")))
        );
        row.now = at("09:00:00");
        let come = decided(&row);
        assert_eq!(come.skips, 1);
        let told = vec!["firing_skipped 09:00:00-09:00:00 1".to_owned()];
        assert_eq!(shown(&come), (vec!["09:01:00 ahead".to_owned()], told));
    }

    #[test]
    fn a_pause_is_told_apart_from_what_was_missed_before_it() {
        let mut row = row("*/10 * * * *", "08:55:00", "09:35:00");
        row.stopped_at = Some(at("09:05:00"));
        let stopped = decided(&row);
        assert_eq!(shown(&stopped).1, ["missed 09:00:00-09:00:00 1"]);
        assert_eq!(
            (stopped.cursor_at, stopped.check_at),
            (at("09:05:00"), None)
        );
        row.cursor_at = at("09:05:00");
        row.stopped_at = None;
        row.barred_until = Some(at("09:35:00"));
        assert_eq!(
            shown(&decided(&row)).1,
            ["schedule_paused 09:10:00-09:30:00 3"]
        );
    }

    #[test]
    fn a_clock_that_was_set_back_fires_nothing_again() {
        let row = row("* * * * *", "09:00:00", "08:30:00");
        let decision = decided(&row);
        assert_eq!(shown(&decision), (vec![], vec![]));
        assert_eq!(decision.cursor_at, at("09:00:00"));
    }

    #[test]
    fn a_day_that_does_not_exist_is_told() {
        let mut row = row("0 9 * * *", "00:00:00", "00:00:00");
        row.tz = "Pacific/Apia".to_owned();
        let local = |text: &str| {
            DateTime::parse_from_rfc3339(text)
                .expect(text)
                .with_timezone(&Utc)
        };
        row.created_at = local("2011-01-01T00:00:00Z");
        row.cursor_at = local("2011-12-30T00:00:00Z");
        row.now = local("2011-12-30T10:00:30Z");
        let decision = decided(&row);
        let told: Vec<_> = decision
            .tells
            .iter()
            .map(|t| (t.reason.as_str(), t.firings))
            .collect();
        assert_eq!(told, [("nonexistent_day", 1)]);
    }

    #[test]
    fn a_row_that_cannot_be_reckoned_says_which_column_is_at_fault() {
        let fault = |row: &DueSchedule| match Timetables::default().reckon(row) {
            Outcome::AtFault(fault) => fault,
            other => panic!("{other:?}"),
        };
        let mut broken = row("0 9 31 2 *", "08:00:00", "09:00:00");
        assert!(
            fault(&broken).starts_with("cron: day-of-month"),
            "{}",
            fault(&broken)
        );
        broken.cron = Some("*/5 * * * *".to_owned());
        broken.jitter = Duration::from_mins(5);
        assert!(
            fault(&broken).starts_with("jitter is 300s"),
            "{}",
            fault(&broken)
        );
        broken.jitter = Duration::ZERO;
        broken.tz = "Nowhere".to_owned();
        assert!(fault(&broken).starts_with("tz is"), "{}", fault(&broken));
        broken.tz = "UTC".to_owned();
        broken.cron = None;
        assert!(
            fault(&broken).contains("must be given"),
            "{}",
            fault(&broken)
        );
    }
}
