//! How far apart firings are.

use std::time::Duration;

use super::recurrence::Recurrence;
use super::timetable::Timetable;

impl Timetable {
    /// The smallest distance between two firings on a clock that never changes; `None` if there
    /// are not two. Changes of the clock and dates left out are not looked at.
    ///
    /// It is what a jitter must be shorter than, and what bounds the default ttl. Up to a
    /// millisecond of work for rare expressions: ask once, not per firing.
    #[must_use]
    pub fn period(&self) -> Option<Duration> {
        let seconds = match self.recurrence() {
            Recurrence::Cron(expression) => expression.calendar().period()?,
            Recurrence::Every(interval) => interval.seconds(),
            Recurrence::On(times) => {
                let pairs = times.seconds().windows(2);
                pairs.map(|pair| pair[1] - pair[0]).min()?
            }
        };
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }
}
