//! How many firings lie in a time, without walking through them.

use chrono::{DateTime, Utc};

use super::clock::Span;
use super::local::{DAY_SECONDS, FIRST_LOCAL, LAST_LOCAL, day_of};
use super::recurrence::{Interval, Recurrence};
use super::times::{Source, Times};
use super::timetable::Timetable;

impl Timetable {
    /// How many firings lie after `after`, up to `until` itself.
    ///
    /// It looks at days and changes of the clock, not at firings: a year of every second is counted
    /// in microseconds.
    #[must_use]
    pub fn count(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> u64 {
        let (after, until) = self.clipped(after, until);
        if after >= until {
            return 0;
        }
        let spans = &self.clock().spans()[self.clock().at(after + 1)..=self.clock().at(until)];
        match self.recurrence() {
            Recurrence::Every(interval) => spans
                .iter()
                .map(|span| self.of_interval(*interval, span, after, until))
                .sum(),
            Recurrence::Cron(expression) if expression.follows_real_time() => spans
                .iter()
                .map(|span| {
                    let first = span.start.max(after + 1) + span.offset;
                    let last = (span.end - 1).min(until) + span.offset;
                    self.times().count(first, last)
                })
                .sum(),
            Recurrence::Cron(_) | Recurrence::On(_) => self.of_fixed(spans, after, until),
        }
    }

    /// Of the local times that are reached in this time, those in a gap are reached at once.
    fn of_fixed(&self, spans: &[Span], after: i64, until: i64) -> u64 {
        let shown = self.clock().shown(after);
        let to_show = self.clock().shown(until);
        let in_span = |span: &Span| {
            let last = span.last_local().min(to_show);
            let mut first = span.shown.max(shown) + 1;
            let mut count = 0;
            if first < span.first_local() {
                let reached = self.times().next(first);
                count += u64::from(reached.is_some_and(|local| local <= span.first_local()));
                first = span.first_local() + 1;
            }
            count + self.times().count(first, last)
        };
        spans.iter().map(in_span).sum()
    }

    fn of_interval(&self, interval: Interval, span: &Span, after: i64, until: i64) -> u64 {
        let first = span.start.max(after + 1);
        let last = (span.end - 1).min(until);
        let step = interval.seconds();
        // Instants before `end`, itself excluded, counted from the start.
        let before = |end: i64| (end - self.start() + step - 1).div_euclid(step).max(0);
        let between = |from: i64, to: i64| {
            if from < to {
                before(to) - before(from)
            } else {
                0
            }
        };
        let mut count = between(first, last + 1);
        let days = self.closed();
        let from = days.partition_point(|day| day + DAY_SECONDS <= first + span.offset);
        for day in days[from..]
            .iter()
            .take_while(|day| **day <= last + span.offset)
        {
            let begin = (day - span.offset).max(first);
            let end = (day + DAY_SECONDS - span.offset).min(last + 1);
            count -= between(begin, end);
        }
        u64::try_from(count).expect("no more are left out than there are")
    }
}

impl Times<'_> {
    /// How many lie from `first` to `last`, both included.
    pub(super) fn count(self, first: i64, last: i64) -> u64 {
        let first = first.max(FIRST_LOCAL);
        let last = last.min(LAST_LOCAL);
        if first > last {
            return 0;
        }
        match self.source {
            Source::List(times) => {
                let from = times.partition_point(|time| *time < first);
                let to = times.partition_point(|time| *time <= last);
                let open = times[from..to]
                    .iter()
                    .filter(|time| !self.is_closed(**time));
                open.count() as u64
            }
            Source::Calendar(calendar) => {
                let (first_day, last_day) = (day_of(first), day_of(last));
                let from = self.closed.partition_point(|day| *day < first_day);
                let closed = self.closed[from..].iter();
                let closed = closed.take_while(|day| **day <= last_day);
                let closed = closed.filter(|day| calendar.has_day(**day)).count() as u64;
                let days = calendar.matching_days(first_day, last_day) - closed;
                // All times of these days, less those before the first and after the last.
                let open = |day: i64| calendar.has_day(day) && !self.is_closed(day);
                let mut count = days * calendar.times_per_day();
                if open(first_day) {
                    count -= calendar.times_before(first - first_day);
                }
                if open(last_day) {
                    count -= calendar.times_per_day() - calendar.times_before(last - last_day + 1);
                }
                count
            }
        }
    }
}
