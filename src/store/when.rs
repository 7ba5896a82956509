//! A point in time as people give it: by the clock, or from now.

use chrono::{DateTime, TimeDelta, Utc};

/// A point in time. Now is the database's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// By the clock.
    At(DateTime<Utc>),
    /// So long after now; before it if negative.
    FromNow(TimeDelta),
}

impl When {
    /// The point in time, if it is `now`; `None` where the calendar ends before.
    #[must_use]
    pub fn at(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::At(at) => Some(at),
            Self::FromNow(delta) => now.checked_add_signed(delta),
        }
    }
}

/// Where a job's `run_at` is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// To a point in time.
    To(When),
    /// From where it is; to an earlier time if negative.
    By(TimeDelta),
}

/// For PostgreSQL's intervals.
#[allow(clippy::cast_precision_loss, reason = "53 bits of milliseconds do")]
pub(super) fn seconds(delta: TimeDelta) -> f64 {
    delta.num_milliseconds() as f64 / 1000.0
}
