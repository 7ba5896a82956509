//! Expressions, zones and instants drawn from a seed, with weight on what is hard.

use super::tzfile::{Offsets, days_from_civil};

/// A zone of the tz database, as the tests read it.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) offsets: Offsets,
}

pub(crate) struct Draw(fastrand::Rng);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// From `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: i64, high: i64) -> i64 {
        self.0.i64(low..=high)
    }

    /// Whether something that happens `percent` times in a hundred happens.
    pub(crate) fn once_in(&mut self, percent: i64) -> bool {
        self.within(1, 100) <= percent
    }

    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.0.usize(..all.len())]
    }

    /// An instant of 1970 to 2100, mostly close to a change of the clock.
    pub(crate) fn instant(&mut self, zone: &Offsets) -> i64 {
        let (begin, end) = (3 * 86_400, days_from_civil(2100, 12, 20) * 86_400);
        let any = self.within(begin, end);
        if self.once_in(20) {
            return any;
        }
        let change = zone.next_change(any).or_else(|| zone.next_change(begin));
        let near = change.unwrap_or(any) - self.within(-3, 36) * 3600;
        let near = if self.once_in(50) {
            near
        } else {
            near + self.within(0, 3599)
        };
        near.clamp(begin, end)
    }

    /// A sound expression.
    pub(crate) fn expression(&mut self) -> String {
        let minute = self.field(0, 59, &[], 25);
        let hour = if self.once_in(40) {
            self.night()
        } else {
            self.field(0, 23, &[], 30)
        };
        let mut day = self.field(1, 31, &[], 65);
        let mut month = self.field(1, 12, &MONTHS, 85);
        let weekday = self.field(0, 7, &WEEKDAYS, 65);
        if self.once_in(2) {
            (day, month) = ("29".to_owned(), "2".to_owned());
        }
        let five = format!("{minute} {hour} {day} {month} {weekday}");
        if self.once_in(10) {
            let second = if self.once_in(50) {
                "0".to_owned()
            } else {
                self.field(0, 59, &[], 5)
            };
            return format!("{second} {five}");
        }
        five
    }

    /// Hours in which clocks are changed.
    fn night(&mut self) -> String {
        let from = self.within(0, 3);
        match self.within(0, 4) {
            0 => format!("{from},{}", from + 1),
            1 => format!("{from}-{}", from + 2),
            2 => "23,0".to_owned(),
            _ => from.to_string(),
        }
    }

    /// A field, `*` so many times in a hundred.
    fn field(&mut self, low: i64, high: i64, names: &[&str], stars: i64) -> String {
        if self.once_in(stars) {
            return "*".to_owned();
        }
        let items = if self.once_in(25) {
            self.within(2, 4)
        } else {
            1
        };
        let items: Vec<String> = (0..items).map(|_| self.item(low, high, names)).collect();
        items.join(",")
    }

    fn item(&mut self, low: i64, high: i64, names: &[&str]) -> String {
        let (one, other) = (self.within(low, high), self.within(low, high));
        let (from, to) = (one.min(other), one.max(other));
        let step = if self.once_in(70) {
            self.within(1, (high / 4).max(2))
        } else {
            self.within(1, high)
        };
        let mut number = |n: i64| {
            let name = usize::try_from(n - low).ok().and_then(|n| names.get(n));
            match name {
                Some(name) if self.once_in(30) => {
                    if self.once_in(50) {
                        name.to_lowercase()
                    } else {
                        (*name).to_owned()
                    }
                }
                _ => n.to_string(),
            }
        };
        let (first, last) = (number(from), number(to));
        match self.within(0, 9) {
            0..=5 => first,
            6..=7 => format!("{first}-{last}"),
            8 => format!("{first}-{last}/{step}"),
            _ => format!("*/{step}"),
        }
    }
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
