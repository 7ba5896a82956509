//! The local times that a cron expression matches, on a clock that never changes.
//!
//! The only place where the `cron` crate is used: it walks the calendar. It never sees a user's
//! text (it counts 1 = Sunday, joins the two day fields by "and" and wants seconds) nor a zone (its
//! firings in repeated hours lie in the past): it is given explicit numbers, and a local time
//! dressed as UTC, which has neither gaps nor repetitions.

use std::str::FromStr;

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};

use super::field::Set;
use super::local::{DAY_SECONDS, FIRST_LOCAL, LAST_LOCAL, date_of, midnight};

/// What an expression matches.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    second: Set,
    minute: Set,
    hour: Set,
    day: Set,
    month: Set,
    weekday: Set,
    /// One, or two of which either matches.
    walks: Vec<cron::Schedule>,
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        let sets = |c: &Self| {
            let clock = [c.second, c.minute, c.hour, c.month].map(|set| set.bits);
            (clock, c.day.bits, c.weekday.bits, c.either_day())
        };
        sets(self) == sets(other)
    }
}

impl Calendar {
    pub(super) fn new(
        second: Set,
        minute: Set,
        hour: Set,
        day: Set,
        month: Set,
        weekday: Set,
    ) -> Self {
        let mut calendar = Self {
            second,
            minute,
            hour,
            day,
            month,
            weekday,
            walks: Vec::new(),
        };
        let days = list(day, 0, 31);
        let weekdays = list(weekday, 1, 7);
        calendar.walks = if calendar.either_day() {
            vec![calendar.walk(&days, "*"), calendar.walk("*", &weekdays)]
        } else {
            vec![calendar.walk(&days, &weekdays)]
        };
        calendar
    }

    /// Whether one of the two day fields suffices: neither begins with `*`.
    fn either_day(&self) -> bool {
        !self.day.starts_with_star && !self.weekday.starts_with_star
    }

    fn walk(&self, days: &str, weekdays: &str) -> cron::Schedule {
        let second = list(self.second, 0, 60);
        let minute = list(self.minute, 0, 60);
        let hour = list(self.hour, 0, 24);
        let month = list(self.month, 0, 12);
        let numbers = format!("{second} {minute} {hour} {days} {month} {weekdays}");
        cron::Schedule::from_str(&numbers).expect("lists of numbers in range are understood")
    }

    /// The first match at or after `local`.
    pub(super) fn next(&self, local: i64) -> Option<i64> {
        let before = naive(local.clamp(FIRST_LOCAL, LAST_LOCAL + 1) - 1);
        let nexts = self.walks.iter().filter_map(|w| w.after(&before).next());
        nexts.map(|next| next.timestamp()).min()
    }

    /// The last match at or before `local`.
    pub(super) fn previous(&self, local: i64) -> Option<i64> {
        let after = naive(local.clamp(FIRST_LOCAL - 1, LAST_LOCAL) + 1);
        let previous = self
            .walks
            .iter()
            .filter_map(|w| w.after(&after).next_back());
        previous.map(|previous| previous.timestamp()).max()
    }

    /// The smallest distance between two matches, in seconds; `None` if there are not two.
    pub(super) fn period(&self) -> Option<i64> {
        let first = |set: Set| i64::from(set.bits.trailing_zeros());
        let last = |set: Set| i64::from(set.bits.ilog2());
        let apart = |set: Set| {
            let numbers = set.numbers().map(i64::from);
            numbers
                .clone()
                .zip(numbers.skip(1))
                .map(|(n, next)| next - n)
                .min()
        };
        let (s, m, h) = (self.second, self.minute, self.hour);
        let within_minute = last(s) - first(s);
        let within_hour = within_minute + 60 * (last(m) - first(m));
        let within_day = within_hour + 3600 * (last(h) - first(h));
        let same_minute = apart(s);
        let same_hour = apart(m).map(|apart| apart * 60 - within_minute);
        let same_day = apart(h).map(|apart| apart * 3600 - within_hour);
        let days = self.days_apart();
        let next_day = days.map(|apart| apart * DAY_SECONDS - within_day);
        let all = [same_minute, same_hour, same_day, next_day];
        all.into_iter().flatten().min()
    }

    /// The smallest distance between two matching days.
    fn days_apart(&self) -> Option<i64> {
        let mut smallest = None;
        let mut last = None;
        let (first_year, last_year) = (date_of(FIRST_LOCAL).year(), date_of(LAST_LOCAL).year());
        for (year, month) in (first_year..=last_year).flat_map(|y| (1..=12).map(move |m| (y, m))) {
            let (first, days) = self.days_of(year, month);
            for day in (1..=31).filter(|day| days >> day & 1 == 1) {
                let day = first + day - 1;
                let apart = last.replace(day).map(|last| day - last);
                smallest = smallest.into_iter().chain(apart).min();
                if smallest == Some(1) {
                    return smallest;
                }
            }
        }
        smallest
    }

    /// How many days match from the one that begins at `first` to the one that begins at `last`.
    pub(super) fn matching_days(&self, first: i64, last: i64) -> u64 {
        let (from, to) = (date_of(first), date_of(last));
        let mut count = 0;
        let (mut year, mut month) = (from.year(), from.month());
        while (year, month) <= (to.year(), to.month()) {
            let (_, mut days) = self.days_of(year, month);
            if (year, month) == (from.year(), from.month()) {
                days &= u32::MAX << from.day();
            }
            if (year, month) == (to.year(), to.month()) {
                days &= u32::MAX >> (31 - to.day());
            }
            count += u64::from(days.count_ones());
            (year, month) = match month {
                12 => (year + 1, 1),
                month => (year, month + 1),
            };
        }
        count
    }

    /// The matching days of a month, bit n for the nth, and the number of its first day since 1970.
    fn days_of(&self, year: i32, month: u32) -> (i64, u32) {
        let first = NaiveDate::from_ymd_opt(year, month, 1).expect("every month has a first");
        let number = midnight(first) / DAY_SECONDS;
        if !self.month.has(month) {
            return (number, 0);
        }
        let bits = |set: Set| u32::try_from(set.bits).expect("days have no more than 31 bits");
        // The week's pattern, begun at the first's weekday, five times: bit 1 is the first.
        let (week, begin) = (bits(self.weekday), first.weekday().num_days_from_sunday());
        let week = (week >> begin | week << (7 - begin)) & 0x7f;
        let weekdays = (0..5).fold(0, |all, n| all | u64::from(week) << (7 * n + 1));
        let weekdays = u32::try_from(weekdays & u64::from(u32::MAX)).expect("it was cut");
        let days = if self.either_day() {
            bits(self.day) | weekdays
        } else {
            bits(self.day) & weekdays
        };
        let length = u32::from(first.num_days_in_month());
        (number, days & (u32::MAX >> (31 - length)) & !1)
    }

    /// Whether the day of `local` matches.
    pub(super) fn has_day(&self, local: i64) -> bool {
        let date = date_of(local);
        self.days_of(date.year(), date.month()).1 >> date.day() & 1 == 1
    }

    /// The matches of a matching day: how many.
    pub(super) fn times_per_day(&self) -> u64 {
        let counts = [self.hour, self.minute, self.second].map(|set| u64::from(set.count()));
        counts.iter().product()
    }

    /// The matches of a matching day before second `end` of it: how many.
    pub(super) fn times_before(&self, end: i64) -> u64 {
        let end = u32::try_from(end.clamp(0, DAY_SECONDS)).expect("it is within a day");
        let below = |set: Set, number: u32| {
            let below = set.bits & !(u64::MAX.checked_shl(number).unwrap_or(0));
            u64::from(below.count_ones())
        };
        let (hour, minute, second) = (end / 3600, end / 60 % 60, end % 60);
        let (per_minute, per_hour) = (
            u64::from(self.second.count()),
            u64::from(self.second.count()) * u64::from(self.minute.count()),
        );
        let mut count = below(self.hour, hour) * per_hour;
        if hour < 24 && self.hour.has(hour) {
            count += below(self.minute, minute) * per_minute;
            if self.minute.has(minute) {
                count += below(self.second, second);
            }
        }
        count
    }
}

/// The local time as the crate takes it.
fn naive(local: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(local, 0).expect("the years about 1970 to 2100 exist")
}

/// The numbers, each raised by `raised`, or `*` if they are all that there are.
fn list(set: Set, raised: u32, all: u32) -> String {
    if set.count() == all {
        return "*".to_owned();
    }
    let numbers: Vec<String> = set.numbers().map(|n| (n + raised).to_string()).collect();
    numbers.join(",")
}
