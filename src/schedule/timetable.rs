//! When a schedule rings, as instants: its recurrence on its zone's clock.

use std::iter;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::clock::{Clock, Span};
use super::fault::TimetableFault;
use super::local::{self, DAY_SECONDS, FIRST_LOCAL, LAST_LOCAL, day_of};
use super::recurrence::{DATES_MAX, Interval, Recurrence};
use super::times::Times;
use super::zone::Zone;

/// No firing lies outside: the range of the local times, with room for any offset.
const FIRST_INSTANT: i64 = FIRST_LOCAL - 2 * DAY_SECONDS;
const LAST_INSTANT: i64 = LAST_LOCAL + 2 * DAY_SECONDS;

/// One time at which a schedule rings.
///
/// `local` and `fold` name it for ever: two workers with different zone data may differ over the
/// instant, not over these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Firing {
    /// The instant, to the second.
    pub at: DateTime<Utc>,
    /// The local time that it is for. If the clock jumped over it, it is the one that does not
    /// exist, and the first if there are several. For [`Recurrence::Every`], which keeps real time,
    /// it is the time in UTC.
    pub local: NaiveDateTime,
    /// How often `local` was shown before `at`: 1 at the second of two, for an expression that
    /// follows real time; else 0.
    pub fold: u8,
}

/// What a [`Timetable`] is made of.
#[derive(Clone, Debug)]
pub struct TimetableFields {
    /// When it rings.
    pub recurrence: Recurrence,
    /// Whose local times and dates are meant.
    pub zone: Zone,
    /// Nothing rings before; [`Recurrence::Every`] counts from it. A fraction of a second is
    /// rounded up.
    pub start_at: Option<DateTime<Utc>>,
    /// Nothing rings after; at this instant itself it does.
    pub end_at: Option<DateTime<Utc>>,
    /// Local dates on which nothing rings, in any order, at most [`DATES_MAX`].
    pub except_dates: Vec<NaiveDate>,
}

/// A recurrence on the clock of a zone, between two instants, with some dates left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    recurrence: Recurrence,
    zone: Zone,
    /// In instants, both included.
    start: i64,
    end: i64,
    /// First seconds of the days left out, in order.
    except: Vec<i64>,
    /// The same with the days that do not exist in the zone.
    closed: Vec<i64>,
}

/// A firing in numbers: instant, local time, fold.
#[derive(Clone, Copy)]
pub(super) struct Hit {
    pub(super) at: i64,
    pub(super) local: i64,
    pub(super) fold: usize,
}

impl From<Hit> for Firing {
    fn from(hit: Hit) -> Self {
        Self {
            at: DateTime::from_timestamp(hit.at, 0).expect("a firing is of the years to 2101"),
            local: local::naive(hit.local),
            fold: u8::try_from(hit.fold).unwrap_or(u8::MAX),
        }
    }
}

impl Timetable {
    /// # Errors
    /// If an interval has no `start_at` to be counted from, `end_at` lies before `start_at`, or
    /// there are too many dates.
    pub fn new(fields: TimetableFields) -> Result<Self, TimetableFault> {
        let TimetableFields {
            recurrence,
            zone,
            start_at,
            end_at,
            except_dates,
        } = fields;
        let refused = |text: String| Err(TimetableFault(text));
        if matches!(recurrence, Recurrence::Every(_)) && start_at.is_none() {
            return refused("every needs start_at, from which it is counted".to_owned());
        }
        if let (Some(start), Some(end)) = (start_at, end_at)
            && end < start
        {
            return refused(format!(
                "end_at is {end}: must not be before start_at, {start}"
            ));
        }
        if except_dates.len() > DATES_MAX {
            return refused(format!("there are more than {DATES_MAX} dates left out"));
        }
        let start = start_at.map(|at| at.timestamp() + i64::from(at.timestamp_subsec_nanos() > 0));
        let end = end_at.map(|at| at.timestamp());
        let mut except: Vec<i64> = except_dates.into_iter().map(local::midnight).collect();
        except.sort_unstable();
        except.dedup();
        let missing = zone.clock().spans().iter().filter_map(Span::missing_days);
        let mut closed = except.clone();
        closed.extend(missing.flat_map(|(from, to)| (from..to).step_by(86_400)));
        closed.sort_unstable();
        closed.dedup();
        Ok(Self {
            start: start.unwrap_or(FIRST_INSTANT).max(FIRST_INSTANT),
            end: end.unwrap_or(LAST_INSTANT).min(LAST_INSTANT),
            recurrence,
            zone,
            except,
            closed,
        })
    }

    /// When it rings.
    #[must_use]
    pub fn recurrence(&self) -> &Recurrence {
        &self.recurrence
    }

    /// Whose local times and dates are meant.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The first firing strictly after `after`, if there is one before the year 2101.
    #[must_use]
    pub fn next_fire(&self, after: DateTime<Utc>) -> Option<Firing> {
        let after = after.timestamp().clamp(self.start - 1, LAST_INSTANT);
        let hit = self.next_hit(after)?;
        (hit.at <= self.end).then(|| hit.into())
    }

    /// The last firing at or before `at`, if there is one since 1970.
    #[must_use]
    pub fn previous_fire(&self, at: DateTime<Utc>) -> Option<Firing> {
        let at = at.timestamp().clamp(FIRST_INSTANT - 1, self.end);
        let hit = self.previous_hit(at)?;
        (hit.at >= self.start).then(|| hit.into())
    }

    /// The firings after `after`, up to `until` itself, one by one as they are asked for.
    pub fn firings(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = Firing> {
        let from = move |after| self.next_fire(after).filter(|next| next.at <= until);
        iter::successors(from(after), move |last| from(last.at))
    }

    fn next_hit(&self, after: i64) -> Option<Hit> {
        match &self.recurrence {
            Recurrence::Every(interval) => self.next_of_interval(*interval, after),
            Recurrence::Cron(expression) if expression.follows_real_time() => {
                self.next_in_real_time(after)
            }
            Recurrence::Cron(_) | Recurrence::On(_) => self.next_fixed(after),
        }
    }

    fn previous_hit(&self, at: i64) -> Option<Hit> {
        match &self.recurrence {
            Recurrence::Every(interval) => self.previous_of_interval(*interval, at),
            Recurrence::Cron(expression) if expression.follows_real_time() => {
                self.previous_in_real_time(at)
            }
            Recurrence::Cron(_) | Recurrence::On(_) => self.previous_fixed(at),
        }
    }

    /// A fixed time rings when it is reached. What is reached after `after` is what is later than
    /// anything shown so far; and the earliest of these is reached first.
    fn next_fixed(&self, after: i64) -> Option<Hit> {
        let local = self.times().next(self.clock().shown(after) + 1)?;
        let at = self.clock().reaches(local);
        Some(Hit { at, local, fold: 0 })
    }

    fn previous_fixed(&self, at: i64) -> Option<Hit> {
        let last = self.times().previous(self.clock().shown(at))?;
        // Of several that are reached at once, the first one names the firing.
        self.next_fixed(self.clock().reaches(last) - 1)
    }

    /// What follows real time rings whenever the clock shows it: span by span.
    fn next_in_real_time(&self, after: i64) -> Option<Hit> {
        let spans = self.clock().spans();
        let mut position = self.clock().at(after + 1);
        let mut from = after + 1 + spans[position].offset;
        let mut found = self.times().next(from);
        loop {
            let span = spans.get(position)?;
            if let Some(local) = found.filter(|local| *local <= span.last_local()) {
                let fold = self.clock().shown_before(local, position);
                let at = local - span.offset;
                return Some(Hit { at, local, fold });
            }
            position += 1;
            let first = spans.get(position)?.first_local();
            // Between `from` and `found` there is nothing: no need to look there again.
            if first < from || found.is_some_and(|local| local < first) {
                from = first;
                found = self.times().next(first);
            }
        }
    }

    fn previous_in_real_time(&self, at: i64) -> Option<Hit> {
        let spans = self.clock().spans();
        let mut position = self.clock().at(at);
        let mut from = at + spans[position].offset;
        let mut found = self.times().previous(from);
        loop {
            let span = spans[position];
            if let Some(local) = found.filter(|local| *local >= span.first_local()) {
                let fold = self.clock().shown_before(local, position);
                let at = local - span.offset;
                return Some(Hit { at, local, fold });
            }
            position = position.checked_sub(1)?;
            let last = spans[position].last_local();
            if last > from || found.is_some_and(|local| local > last) {
                from = last;
                found = self.times().previous(last);
            }
        }
    }

    fn next_of_interval(&self, interval: Interval, after: i64) -> Option<Hit> {
        let step = interval.seconds();
        let mut after = after;
        loop {
            let passed = (after - self.start).div_euclid(step);
            let at = self.start + (passed + 1).max(0) * step;
            if at > self.end {
                return None;
            }
            let span = self.clock().spans()[self.clock().at(at)];
            let day = day_of(at + span.offset);
            if self.closed.binary_search(&day).is_err() {
                return Some(Hit {
                    at,
                    local: at,
                    fold: 0,
                });
            }
            after = span.end.min(day + DAY_SECONDS - span.offset) - 1;
        }
    }

    fn previous_of_interval(&self, interval: Interval, at: i64) -> Option<Hit> {
        let step = interval.seconds();
        let mut latest = at;
        loop {
            if latest < self.start {
                return None;
            }
            let at = self.start + (latest - self.start).div_euclid(step) * step;
            let span = self.clock().spans()[self.clock().at(at)];
            let day = day_of(at + span.offset);
            if self.closed.binary_search(&day).is_err() {
                return Some(Hit {
                    at,
                    local: at,
                    fold: 0,
                });
            }
            latest = span.start.max(day - span.offset) - 1;
        }
    }

    /// `after` and `until` in instants, within the bounds.
    pub(super) fn clipped(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> (i64, i64) {
        let after = after.timestamp().clamp(self.start - 1, LAST_INSTANT);
        (after, until.timestamp().clamp(FIRST_INSTANT - 1, self.end))
    }

    pub(super) fn start(&self) -> i64 {
        self.start
    }

    /// First seconds of the days left out, in order.
    pub(super) fn except(&self) -> &[i64] {
        &self.except
    }

    /// The same with the days that do not exist in the zone.
    pub(super) fn closed(&self) -> &[i64] {
        &self.closed
    }

    pub(super) fn clock(&self) -> &Clock {
        self.zone.clock()
    }

    /// The local times of the recurrence, without the days left out or missing.
    pub(super) fn times(&self) -> Times<'_> {
        Times::new(&self.recurrence, &self.closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Expression;

    fn timetable(cron: &str, zone: &str) -> Timetable {
        let expression = Expression::parse(cron).expect(cron);
        Timetable::new(TimetableFields {
            recurrence: Recurrence::Cron(expression),
            zone: Zone::find(zone).expect(zone),
            start_at: None,
            end_at: None,
            except_dates: Vec::new(),
        })
        .expect("it is sound")
    }

    fn at(text: &str) -> DateTime<Utc> {
        let at = DateTime::parse_from_rfc3339(text);
        at.expect(text).with_timezone(&Utc)
    }

    /// Each firing as what the zone's clock shows, from `after` for `hours`.
    #[track_caller]
    fn rings(cron: &str, zone: &str, after: &str, hours: i64, expected: &[&str]) {
        let timetable = timetable(cron, zone);
        let after = at(after);
        let until = after + chrono::TimeDelta::hours(hours);
        let rung: Vec<_> = timetable.firings(after, until).collect();
        let shown: Vec<String> = rung
            .iter()
            .map(|f| timetable.zone().local(f.at).format("%d %H:%M").to_string())
            .collect();
        assert_eq!(shown, expected, "{cron} in {zone}");
        assert_eq!(
            timetable.count(after, until),
            rung.len() as u64,
            "{cron} in {zone}"
        );
        let mut back = Vec::new();
        let mut before = until;
        while let Some(previous) = timetable.previous_fire(before).filter(|f| f.at > after) {
            before = previous.at - chrono::TimeDelta::seconds(1);
            back.insert(0, previous);
        }
        assert_eq!(back, rung, "{cron} in {zone}");
    }

    #[test]
    fn a_fixed_time_that_does_not_exist_rings_once_after_the_gap() {
        let (zone, after) = ("America/New_York", "2026-03-08T05:00:00Z");
        rings("30 2 * * *", zone, after, 24, &["08 03:00"]);
        rings("0,30 2 * * *", zone, after, 24, &["08 03:00"]);
        rings("*/15 2 * * *", zone, after, 24, &[]);
        rings(
            "30 1-3 * * *",
            zone,
            after,
            24,
            &["08 01:30", "08 03:00", "08 03:30"],
        );
        rings("0 2,3 * * *", zone, after, 24, &["08 03:00"]);
        let night = ["09 00:00"];
        rings(
            "@daily",
            "America/Havana",
            "2026-03-08T04:30:00Z",
            24,
            &["08 01:00", night[0]],
        );
    }

    #[test]
    fn a_time_that_exists_twice_rings_once_if_it_is_fixed_and_twice_if_not() {
        let (zone, after) = ("America/New_York", "2026-11-01T04:59:00Z");
        rings("30 1 * * *", zone, after, 6, &["01 01:30"]);
        rings("0 1,2 * * *", zone, after, 6, &["01 01:00", "01 02:00"]);
        rings(
            "30 * * * *",
            zone,
            after,
            4,
            &["01 01:30", "01 01:30", "01 02:30", "01 03:30"],
        );
        rings("0 */2 * * *", zone, after, 5, &["01 02:00", "01 04:00"]);
    }

    #[test]
    fn shifts_of_half_an_hour_and_days_that_do_not_exist_are_known() {
        let zone = "Australia/Lord_Howe";
        rings(
            "15 2 * * *",
            zone,
            "2026-10-03T14:00:00Z",
            12,
            &["04 02:30"],
        );
        rings(
            "45 1 * * *",
            zone,
            "2026-04-04T14:00:00Z",
            12,
            &["05 01:45"],
        );
        let apia = ["29 09:00", "31 09:00"];
        rings(
            "0 9 * * *",
            "Pacific/Apia",
            "2011-12-29T12:00:00Z",
            48,
            &apia,
        );
        let missing = timetable("0 9,17 * * *", "Pacific/Apia")
            .missing_days(at("2011-01-01T00:00:00Z"), at("2012-01-01T00:00:00Z"));
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].date.to_string(), "2011-12-30");
        assert_eq!(missing[0].at, at("2011-12-30T10:00:00Z"));
        assert_eq!(missing[0].count, 2);
    }
}
