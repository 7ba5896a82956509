//! What a zone's clock shows: its offset from UTC, span by span.
//!
//! Instants are seconds since 1970-01-01T00:00:00Z, local times seconds since 1970-01-01 00:00:00
//! of the local clock. One number governs how fixed times are mapped: the latest local time that
//! the clock has shown so far. It never falls, and a fixed time rings when it is reached: at its
//! first occurrence if it exists twice, at the first instant after the gap if it does not exist.

use super::local::{DAY_SECONDS, day_of};

/// A time between two changes of the clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Its first instant.
    pub(super) start: i64,
    /// The first instant of the next one.
    pub(super) end: i64,
    /// Local time less UTC, in seconds.
    pub(super) offset: i64,
    /// The latest local time that was shown before it.
    pub(super) shown: i64,
}

impl Span {
    /// The local time at its first instant.
    pub(super) fn first_local(&self) -> i64 {
        self.start + self.offset
    }

    /// The local time at its last instant.
    pub(super) fn last_local(&self) -> i64 {
        self.end - 1 + self.offset
    }

    /// The latest local time that was shown when it ended.
    fn shown_after(&self) -> i64 {
        self.shown.max(self.last_local())
    }

    /// The days no second of which is shown because the clock goes forward at its beginning: the
    /// first second of the first, and the first second after the last.
    pub(super) fn missing_days(&self) -> Option<(i64, i64)> {
        let from = day_of(self.shown) + DAY_SECONDS;
        let to = day_of(self.first_local());
        (self.start != TIME_BEGINS && from < to).then_some((from, to))
    }
}

/// Where the first span begins and the last one ends, in place of the ends of time: far enough from
/// every local time of the calendar, near enough for sums.
pub(super) const TIME_BEGINS: i64 = -1 << 40;
pub(super) const TIME_ENDS: i64 = 1 << 40;

/// No two instants further apart than this show the same time: offsets differ by less.
const LOOKED_AROUND_SECONDS: i64 = 3 * DAY_SECONDS;

/// The spans of a zone, from before 1970 to after 2100, without a hole; never empty.
#[derive(Debug)]
pub(super) struct Clock {
    spans: Vec<Span>,
}

impl Clock {
    /// From the offset at the beginning and the instants at which it changes, in order.
    pub(super) fn new(offset: i64, changes: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut spans = vec![Span {
            start: TIME_BEGINS,
            end: TIME_ENDS,
            offset,
            shown: TIME_BEGINS * 2,
        }];
        for (start, offset) in changes {
            let last = spans.last_mut().expect("it begins with one");
            if last.offset == offset {
                continue;
            }
            last.end = start;
            let shown = last.shown_after();
            spans.push(Span {
                start,
                end: TIME_ENDS,
                offset,
                shown,
            });
        }
        Self { spans }
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The position of the span that `instant` lies in.
    pub(super) fn at(&self, instant: i64) -> usize {
        let after = self.spans.partition_point(|span| span.start <= instant);
        after.saturating_sub(1)
    }

    /// What the clock shows at `instant`.
    pub(super) fn local(&self, instant: i64) -> i64 {
        instant + self.spans[self.at(instant)].offset
    }

    /// The latest local time shown up to `instant`, itself included.
    pub(super) fn shown(&self, instant: i64) -> i64 {
        let span = &self.spans[self.at(instant)];
        span.shown.max(instant + span.offset)
    }

    /// The span in which `local` is reached for the first time.
    pub(super) fn reaching(&self, local: i64) -> &Span {
        let at = self
            .spans
            .partition_point(|span| span.shown_after() < local);
        &self.spans[at.min(self.spans.len() - 1)]
    }

    /// The first instant at which the clock shows `local` or a later time.
    pub(super) fn reaches(&self, local: i64) -> i64 {
        let span = self.reaching(local);
        span.start.max(local - span.offset)
    }

    /// The last instant at which the clock shows a time before `local`.
    pub(super) fn last_before(&self, local: i64) -> i64 {
        let reached = self.at(self.reaches(local));
        let later = self.spans[reached..].iter();
        let later = later.take_while(|span| span.start < local + LOOKED_AROUND_SECONDS);
        let showing = later.filter(|span| span.first_local() < local);
        let last = showing
            .map(|span| span.end.min(local - span.offset) - 1)
            .max();
        last.unwrap_or_else(|| self.reaches(local) - 1)
    }

    /// How often `local` was shown in the spans before the one at position `at`.
    pub(super) fn shown_before(&self, local: i64, at: usize) -> usize {
        let begin = self.spans[at].start;
        let earlier = self.spans[..at].iter().rev();
        let earlier = earlier.take_while(|span| span.end > begin - LOOKED_AROUND_SECONDS);
        let shows = |span: &&Span| (span.first_local()..=span.last_local()).contains(&local);
        earlier.filter(shows).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    /// One hour forward at 10 h, back at 20 h, and a day's worth forward at 100 h.
    fn clock() -> Clock {
        let changes = [(10, 1), (20, 0), (100, 24)];
        Clock::new(0, changes.map(|(at, offset)| (at * HOUR, offset * HOUR)))
    }

    #[test]
    fn a_time_is_reached_at_its_first_occurrence_or_after_the_gap() {
        let clock = clock();
        for (local, instant) in [
            (9 * HOUR, 9 * HOUR),
            (10 * HOUR, 10 * HOUR),
            (10 * HOUR + 1800, 10 * HOUR),
            (11 * HOUR, 10 * HOUR),
            (11 * HOUR + 1, 10 * HOUR + 1),
            (20 * HOUR, 19 * HOUR),
            (20 * HOUR + 1800, 19 * HOUR + 1800),
            (21 * HOUR - 1, 20 * HOUR - 1),
            (21 * HOUR, 21 * HOUR),
        ] {
            assert_eq!(clock.reaches(local), instant, "{local}");
        }
        assert_eq!(clock.shown(20 * HOUR), 21 * HOUR - 1);
        assert_eq!(clock.local(20 * HOUR), 20 * HOUR);
        assert_eq!(clock.shown_before(20 * HOUR + 5, 2), 1);
        assert_eq!(clock.shown_before(21 * HOUR + 5, 2), 0);
    }

    #[test]
    fn a_clock_that_is_put_back_twice_rings_a_fixed_time_once_all_the_same() {
        let changes = [(10, -2), (11, -4)];
        let clock = Clock::new(0, changes.map(|(at, offset)| (at * HOUR, offset * HOUR)));
        assert_eq!(clock.reaches(8 * HOUR), 8 * HOUR);
        assert_eq!(clock.reaches(9 * HOUR), 9 * HOUR);
        assert_eq!(clock.reaches(10 * HOUR), 14 * HOUR);
        assert_eq!(clock.shown(12 * HOUR), 10 * HOUR - 1);
        assert_eq!(clock.shown_before(8 * HOUR, 2), 2);
        assert_eq!(clock.last_before(9 * HOUR), 13 * HOUR - 1);
    }

    #[test]
    fn a_day_is_missing_if_no_second_of_it_is_shown() {
        let missing = clock().spans[3].missing_days();
        assert_eq!(missing, None, "from the 5th at 04:00 to the 6th at 04:00");
        let midnight = Clock::new(0, [(5 * DAY_SECONDS, DAY_SECONDS)]);
        let days = (5 * DAY_SECONDS, 6 * DAY_SECONDS);
        assert_eq!(midnight.spans[1].missing_days(), Some(days));
        let short = Clock::new(0, [(5 * DAY_SECONDS + 1, DAY_SECONDS)]);
        assert_eq!(short.spans[1].missing_days(), None);
    }
}
