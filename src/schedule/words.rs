//! What a change of the clock does to a firing, in words.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Timelike as _, Utc};

use super::clock::Span;
use super::local;
use super::recurrence::Recurrence;
use super::timetable::{Firing, Timetable};

/// A change of the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// The local date after it.
    pub day: NaiveDate,
    /// `the clocks go forward from 02:00 to 03:00`, as [`Timetable::words`] says it too.
    pub what: String,
    /// Which times at which nothing rings because they do not exist, if there are any, as
    /// `02:30 does not exist and is left out`.
    pub left_out: Option<String>,
}

impl Timetable {
    /// What a change of the clock does to `firing`, which is one of this timetable's, in a sentence
    /// without a full stop; `None` if it does nothing.
    ///
    /// ```
    /// # use callq::schedule::{Expression, Recurrence, Timetable, TimetableFields, Zone};
    /// let timetable = Timetable::new(TimetableFields {
    ///     recurrence: Recurrence::Cron(Expression::parse("30 2 * * *")?),
    ///     zone: Zone::find("America/New_York")?,
    ///     start_at: None,
    ///     end_at: None,
    ///     except_dates: Vec::new(),
    /// })?;
    /// let firing = timetable.next_fire("2026-03-08T06:00:00Z".parse()?).expect("one a day");
    /// assert_eq!(
    ///     timetable.words(&firing).as_deref(),
    ///     Some(
    ///         "the clocks go forward from 02:00 to 03:00: 02:30 does not exist; rings once, \
    ///          at 03:00"
    ///     )
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn words(&self, firing: &Firing) -> Option<String> {
        let at = firing.at.timestamp();
        let position = self.clock().at(at);
        match self.recurrence() {
            // Real time knows no changes of the clock.
            Recurrence::Every(_) => None,
            Recurrence::Cron(expression) if expression.follows_real_time() => {
                self.words_in_real_time(firing, position)
            }
            Recurrence::Cron(_) | Recurrence::On(_) => self.words_of_fixed(firing, position),
        }
    }

    fn words_of_fixed(&self, firing: &Firing, position: usize) -> Option<String> {
        let span = &self.clock().spans()[position];
        let at = firing.at.timestamp();
        let (shown, time) = (local::naive(at + span.offset), firing.local);
        if shown != time {
            let change = self.change(position);
            let missing = self.missing_in_gap(span, time, shown);
            let rings = clock(shown, time, shown);
            return Some(format!("{change}: {missing}; rings once, at {rings}"));
        }
        if let Some(missing) = self.words_after_missing_days(firing, span) {
            return Some(missing);
        }
        let seconds = local::seconds(time);
        let later = self.clock().spans().iter().enumerate().skip(position + 1);
        let mut later = later.take_while(|(_, later)| later.first_local() <= seconds);
        let (again, _) = later.find(|(_, later)| seconds <= later.last_local())?;
        let change = self.change(again);
        let twice = clock(time, time, time);
        Some(format!(
            "{change}: {twice} exists twice; rings once, at the first"
        ))
    }

    /// The times from `first` on that the clock jumps over at the beginning of `span`.
    fn missing_in_gap(&self, span: &Span, first: NaiveDateTime, shown: NaiveDateTime) -> String {
        let last = self.times().previous(span.first_local() - 1);
        let last = last.map_or(first, local::naive);
        let (from, to) = (clock(first, first, shown), clock(last, first, shown));
        if from == to {
            format!("{from} does not exist")
        } else {
            format!("{from} to {to} do not exist")
        }
    }

    /// Of the first firing after days that the calendar left out: that they are missing.
    fn words_after_missing_days(&self, firing: &Firing, span: &Span) -> Option<String> {
        span.missing_days()?;
        let one_second = TimeDelta::seconds(1);
        let begin = DateTime::from_timestamp(span.start, 0)?;
        let missing = self.missing_days(begin - one_second, begin);
        let date = missing.last()?.date;
        let before = self.previous_fire(firing.at - one_second);
        let is_first = before.is_none_or(|before| before.at < begin);
        let zone = self.zone().name();
        is_first.then(|| format!("{date} does not exist in {zone}: nothing rang on that day"))
    }

    fn words_in_real_time(&self, firing: &Firing, position: usize) -> Option<String> {
        let spans = self.clock().spans();
        let span = &spans[position];
        let seconds = local::seconds(firing.local);
        let time = clock(firing.local, firing.local, firing.local);
        if firing.fold > 0 {
            let change = self.change(position);
            return Some(format!("{change}: {time} exists twice; this is the second"));
        }
        let again = spans
            .get(position + 1)
            .filter(|next| (next.first_local()..=next.last_local()).contains(&seconds));
        if again.is_some() {
            let change = self.change(position + 1);
            return Some(format!(
                "{change}: {time} exists twice; this is the first, and it rings at both"
            ));
        }
        self.words_after_gap(firing, position, span)
    }

    /// Of the first firing after a gap: what is left out in it.
    fn words_after_gap(&self, firing: &Firing, position: usize, span: &Span) -> Option<String> {
        let left_out = self.left_out(position)?;
        let before = self.previous_fire(firing.at - TimeDelta::seconds(1));
        if before.is_some_and(|before| before.at.timestamp() >= span.start) {
            return None;
        }
        Some(format!("{}: {left_out}", self.change(position)))
    }

    /// The times in the gap at the beginning of a span, if there are any: what follows real time
    /// does not ring at them.
    fn left_out(&self, position: usize) -> Option<String> {
        let span = &self.clock().spans()[position];
        let gap = position > 0 && span.first_local() > span.shown + 1;
        let missing = self.times().next(span.shown + 1);
        let missing = missing.filter(|local| gap && *local < span.first_local())?;
        let last = self.times().previous(span.first_local() - 1)?;
        let (from, to) = (local::naive(missing), local::naive(last));
        let (first, last) = (clock(from, from, to), clock(to, from, to));
        Some(if first == last {
            format!("{first} does not exist and is left out")
        } else {
            format!("{first} to {last} do not exist and are left out")
        })
    }

    /// The change of the clock whose first instant is `at`; `None` if there is none, or if it
    /// leaves out whole days ([`Self::missing_days`] tells of these).
    #[must_use]
    pub fn clock_change(&self, at: DateTime<Utc>) -> Option<ClockChange> {
        let position = self.clock().at(at.timestamp());
        let span = &self.clock().spans()[position];
        if position == 0 || span.start != at.timestamp() || span.missing_days().is_some() {
            return None;
        }
        let left_out = match self.recurrence() {
            Recurrence::Cron(expression) if expression.follows_real_time() => {
                self.left_out(position)
            }
            // A fixed time is not left out, and an interval has no times.
            Recurrence::Cron(_) | Recurrence::On(_) | Recurrence::Every(_) => None,
        };
        Some(ClockChange {
            day: local::naive(span.first_local()).date(),
            what: self.change(position),
            left_out,
        })
    }

    /// The change of the clock at the beginning of the span at `position`.
    fn change(&self, position: usize) -> String {
        let spans = self.clock().spans();
        let span = &spans[position];
        let before = position
            .checked_sub(1)
            .map_or(span.offset, |b| spans[b].offset);
        let from = local::naive(span.start + before);
        let to = local::naive(span.first_local());
        let direction = if span.offset > before {
            "forward"
        } else {
            "back"
        };
        let (from, to) = (clock(from, from, to), clock(to, from, to));
        format!("the clocks go {direction} from {from} to {to}")
    }
}

/// A time of the day; with its date if `one` and `other` are not of one day.
fn clock(time: NaiveDateTime, one: NaiveDateTime, other: NaiveDateTime) -> String {
    let date = if one.date() == other.date() {
        ""
    } else {
        "%Y-%m-%d "
    };
    let shape = if time.second() == 0 {
        "%H:%M"
    } else {
        "%H:%M:%S"
    };
    time.format(&format!("{date}{shape}")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Expression, TimetableFields, Zone};

    /// The first firing after an instant that words are said of.
    fn said(cron: &str, zone: &str, after: &str) -> Option<String> {
        let timetable = Timetable::new(TimetableFields {
            recurrence: Recurrence::Cron(Expression::parse(cron).expect(cron)),
            zone: Zone::find(zone).expect(zone),
            start_at: None,
            end_at: None,
            except_dates: Vec::new(),
        });
        let timetable = timetable.expect("it is sound");
        let after: DateTime<Utc> = after.parse().expect(after);
        let mut firings = timetable.firings(after, after + TimeDelta::hours(72));
        firings.find_map(|firing| timetable.words(&firing))
    }

    #[test]
    fn a_change_of_the_clock_is_told_of_the_firings_that_it_changes() {
        for (cron, zone, after, expected) in [
            (
                "30 2 * * *",
                "America/New_York",
                "2026-03-07T05:00:00Z",
                "the clocks go forward from 02:00 to 03:00: 02:30 does not exist; \
                 rings once, at 03:00",
            ),
            (
                "0,30 2 * * *",
                "America/New_York",
                "2026-03-07T05:00:00Z",
                "the clocks go forward from 02:00 to 03:00: 02:00 to 02:30 do not exist; \
                 rings once, at 03:00",
            ),
            (
                "0 9 * * *",
                "Pacific/Apia",
                "2011-12-29T12:00:00Z",
                "2011-12-30 does not exist in Pacific/Apia: nothing rang on that day",
            ),
            (
                "30 1 * * *",
                "America/New_York",
                "2026-10-31T05:00:00Z",
                "the clocks go back from 02:00 to 01:00: \
                 01:30 exists twice; rings once, at the first",
            ),
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-10-24T05:00:00Z",
                "the clocks go back from 03:00 to 02:00: \
                 02:30 exists twice; rings once, at the first",
            ),
            (
                "*/20 * * * *",
                "Europe/Berlin",
                "2026-10-25T00:00:00Z",
                "the clocks go back from 03:00 to 02:00: \
                 02:20 exists twice; this is the first, and it rings at both",
            ),
            (
                "*/20 * * * *",
                "Europe/Berlin",
                "2026-10-25T00:45:00Z",
                "the clocks go back from 03:00 to 02:00: 02:00 exists twice; this is the second",
            ),
            (
                "*/20 * * * *",
                "Europe/Berlin",
                "2026-03-29T00:00:00Z",
                "the clocks go forward from 02:00 to 03:00: \
                 02:00 to 02:40 do not exist and are left out",
            ),
            (
                "30 * * * *",
                "Europe/Berlin",
                "2026-03-29T00:00:00Z",
                "the clocks go forward from 02:00 to 03:00: 02:30 does not exist and is left out",
            ),
            (
                "15 2 * * *",
                "Australia/Lord_Howe",
                "2026-10-03T00:00:00Z",
                "the clocks go forward from 02:00 to 02:30: \
                 02:15 does not exist; rings once, at 02:30",
            ),
            (
                "30 23 * * *",
                "America/Scoresbysund",
                "2026-03-27T12:00:00Z",
                "the clocks go forward from 2026-03-28 23:00 to 2026-03-29 00:00: \
                 2026-03-28 23:30 does not exist; rings once, at 2026-03-29 00:00",
            ),
        ] {
            let said = said(cron, zone, after);
            assert_eq!(said.as_deref(), Some(expected), "{cron} in {zone}");
        }
    }

    #[test]
    fn nothing_is_said_where_no_clock_is_changed() {
        for (cron, zone, after) in [
            ("30 2 * * *", "Asia/Shanghai", "2026-03-28T00:00:00Z"),
            ("30 4 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z"),
            ("0 3 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z"),
            ("* * * * *", "UTC", "2026-03-28T00:00:00Z"),
        ] {
            assert_eq!(said(cron, zone, after), None, "{cron} in {zone}");
        }
    }
}
