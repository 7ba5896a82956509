//! Which firings are made up for after a time in which nobody fired them, and which are not.

use chrono::{DateTime, TimeDelta, Utc};

use super::timetable::{Firing, Timetable};

/// The most firings that are made up for at once, with [`CatchUp::All`].
pub const CAUGHT_UP_MAX: usize = 100;

/// What becomes of firings whose time passed while nobody fired them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// The newest within the window is made up for.
    #[default]
    Latest,
    /// Those within the window are made up for, the oldest first, at most [`CAUGHT_UP_MAX`].
    All,
    /// None is made up for.
    None,
}

/// Firings that are not made: the first, the last, and how many there are from the one to the
/// other.
///
/// With [`CatchUp::All`] some between them may be made all the same; `count` leaves these out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkippedSpan {
    /// The oldest.
    pub first: Firing,
    /// The newest.
    pub last: Firing,
    /// How many, at least 1.
    pub count: u64,
}

/// What to do about firings that were missed. Each is in `fire`, or counted in `skipped`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// To be made now, oldest first, at most [`CAUGHT_UP_MAX`].
    pub fire: Vec<Firing>,
    /// Not to be made.
    pub skipped: Option<SkippedSpan>,
}

impl Timetable {
    /// What to do about the firings after `cursor`, up to `now` itself. Those older than `window`
    /// before `now` are skipped whatever `catch_up` says.
    ///
    /// Its effort does not grow with the number of firings: a schedule of every second that was
    /// away for a year takes microseconds.
    #[must_use]
    pub fn missed(
        &self,
        cursor: DateTime<Utc>,
        now: DateTime<Utc>,
        window: TimeDelta,
        catch_up: CatchUp,
    ) -> Missed {
        // A window beyond the ends of time holds everything.
        let opened = now.checked_sub_signed(window).unwrap_or(cursor).max(cursor);
        let fire: Vec<Firing> = match catch_up {
            CatchUp::None => Vec::new(),
            CatchUp::Latest => {
                let newest = self.previous_fire(now);
                newest
                    .filter(|newest| newest.at > opened)
                    .into_iter()
                    .collect()
            }
            CatchUp::All => self.firings(opened, now).take(CAUGHT_UP_MAX).collect(),
        };
        let skipped = match (fire.first(), fire.last()) {
            (Some(first), Some(last)) => {
                let older = self.span(cursor, first.at - TimeDelta::seconds(1));
                join(older, self.span(last.at, now))
            }
            _ => self.span(cursor, now),
        };
        Missed { fire, skipped }
    }

    /// The firings after `after`, up to `until` itself, as a span; for those that are not made for
    /// another reason, such as a pause.
    #[must_use]
    pub fn span(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<SkippedSpan> {
        let within = |firing: &Firing| firing.at > after && firing.at <= until;
        let first = self.next_fire(after).filter(within)?;
        let last = self.previous_fire(until).filter(within)?;
        let count = self.count(after, until);
        Some(SkippedSpan { first, last, count })
    }
}

fn join(older: Option<SkippedSpan>, newer: Option<SkippedSpan>) -> Option<SkippedSpan> {
    match (older, newer) {
        (Some(older), Some(newer)) => Some(SkippedSpan {
            first: older.first,
            last: newer.last,
            count: older.count + newer.count,
        }),
        (one, other) => one.or(other),
    }
}
