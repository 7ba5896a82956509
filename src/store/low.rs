//! From where in the queue is read: places in the order of due time and job.

use chrono::{DateTime, Utc};

/// How many levels of priority there are.
pub const LEVELS: usize = 4;

/// A place in the queue of one app and level, which is in order of due time and then of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Low {
    /// When a job there is due.
    pub due_at: DateTime<Utc>,
    /// That job.
    pub job_id: i64,
}

impl Default for Low {
    /// Before every job.
    fn default() -> Self {
        Self {
            // The first instant that PostgreSQL knows (4713 BC); its -infinity has no counterpart.
            due_at: DateTime::from_timestamp(-210_866_803_200, 0).unwrap_or_default(),
            job_id: i64::MIN,
        }
    }
}

/// For one app: from where each level of the queue is read; by default from its beginning.
///
/// Before it the index may hold many dead entries, which cost time while somebody holds a snapshot
/// open. A bound is only ever a hint: what lies before it is looked for ([`super::Store::behind`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lows(pub [Low; LEVELS]);

impl Lows {
    /// Reads on from there.
    pub fn raise(&mut self, (level, place): (usize, Low)) {
        self.0[level] = self.0[level].max(place);
    }

    /// Reads from there again, if it read on from later.
    pub fn lower(&mut self, (level, place): (usize, Low)) {
        self.0[level] = self.0[level].min(place);
    }
}

/// Due times and jobs, one for each level of each app, as the statements take them.
pub(super) fn places<'a>(lows: impl Iterator<Item = &'a Lows>) -> (Vec<DateTime<Utc>>, Vec<i64>) {
    lows.flat_map(|lows| lows.0)
        .map(|low| (low.due_at, low.job_id))
        .unzip()
}
