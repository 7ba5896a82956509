//! The local times of a recurrence, without the days on which nothing rings.

use super::calendar::Calendar;
use super::local::{DAY_SECONDS, day_of};
use super::recurrence::Recurrence;

/// Local times in order.
#[derive(Clone, Copy)]
pub(super) struct Times<'a> {
    pub(super) source: Source<'a>,
    /// First seconds of the days left out, in order.
    pub(super) closed: &'a [i64],
}

/// Where they come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// An expression.
    Calendar(&'a Calendar),
    /// In order, each once.
    List(&'a [i64]),
}

impl<'a> Times<'a> {
    pub(super) fn new(recurrence: &'a Recurrence, closed: &'a [i64]) -> Self {
        let source = match recurrence {
            Recurrence::Cron(expression) => Source::Calendar(expression.calendar()),
            Recurrence::On(times) => Source::List(times.seconds()),
            // An interval has instants, not local times.
            Recurrence::Every(_) => Source::List(&[]),
        };
        Self { source, closed }
    }

    /// The first at or after `local`.
    pub(super) fn next(self, local: i64) -> Option<i64> {
        let mut from = local;
        // Once for each day left out at most.
        loop {
            let found = self.source.next(from)?;
            if !self.is_closed(found) {
                return Some(found);
            }
            from = day_of(found) + DAY_SECONDS;
        }
    }

    /// The last at or before `local`.
    pub(super) fn previous(self, local: i64) -> Option<i64> {
        let mut from = local;
        loop {
            let found = self.source.previous(from)?;
            if !self.is_closed(found) {
                return Some(found);
            }
            from = day_of(found) - 1;
        }
    }

    pub(super) fn is_closed(self, local: i64) -> bool {
        !self.closed.is_empty() && self.closed.binary_search(&day_of(local)).is_ok()
    }
}

impl Source<'_> {
    fn next(self, local: i64) -> Option<i64> {
        match self {
            Self::Calendar(calendar) => calendar.next(local),
            Self::List(times) => {
                let at = times.partition_point(|time| *time < local);
                times.get(at).copied()
            }
        }
    }

    fn previous(self, local: i64) -> Option<i64> {
        match self {
            Self::Calendar(calendar) => calendar.previous(local),
            Self::List(times) => {
                let after = times.partition_point(|time| *time <= local);
                times[..after].last().copied()
            }
        }
    }
}
