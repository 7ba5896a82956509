//! Days that do not exist in a zone, such as 30 December 2011 in Apia: what would have rung then.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::local::{self, DAY_SECONDS};
use super::recurrence::Recurrence;
use super::times::Times;
use super::timetable::Timetable;

/// A day that the zone's calendar left out, on which fixed times would have rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingDay {
    /// The day.
    pub date: NaiveDate,
    /// When it was left out: the first instant of the next day that exists.
    pub at: DateTime<Utc>,
    /// The first time of that day at which it would have rung.
    pub first: NaiveDateTime,
    /// The last.
    pub last: NaiveDateTime,
    /// How many times.
    pub count: u64,
}

impl Timetable {
    /// The days that were left out after `after`, up to `until` itself, and on which fixed times
    /// would have rung; in order, and few: a zone leaves out a day at most once in a lifetime.
    ///
    /// Nothing of them is in [`Timetable::firings`]. What follows real time misses nothing.
    #[must_use]
    pub fn missing_days(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<MissingDay> {
        match self.recurrence() {
            Recurrence::Every(_) => return Vec::new(),
            Recurrence::Cron(expression) if expression.follows_real_time() => return Vec::new(),
            Recurrence::Cron(_) | Recurrence::On(_) => {}
        }
        let (after, until) = self.clipped(after, until);
        // On these days the schedule would have rung, did they exist.
        let times = Times::new(self.recurrence(), self.except());
        let mut missing = Vec::new();
        for span in self.clock().spans() {
            let Some((from, to)) = span.missing_days() else {
                continue;
            };
            if span.start <= after || span.start > until {
                continue;
            }
            for day in (from..to).step_by(86_400) {
                let last_second = day + DAY_SECONDS - 1;
                let first = times.next(day).filter(|time| *time <= last_second);
                let last = times.previous(last_second).filter(|time| *time >= day);
                if let (Some(first), Some(last)) = (first, last) {
                    missing.push(MissingDay {
                        date: local::date_of(day),
                        at: local::naive(span.start).and_utc(),
                        first: local::naive(first),
                        last: local::naive(last),
                        count: times.count(day, last_second),
                    });
                }
            }
        }
        missing
    }
}
