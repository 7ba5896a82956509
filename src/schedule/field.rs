//! One field of a cron expression: a list of numbers, names, ranges and steps, as cronie reads it.

use super::fault::ExpressionFault;

/// A field's name and what it may hold.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    min: u32,
    max: u32,
    /// The names of `min`, `min + 1` and so on.
    names: &'static [&'static str],
    allowed: &'static str,
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 8] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

pub(super) static SECOND: Kind = Kind {
    name: "second",
    min: 0,
    max: 59,
    names: &[],
    allowed: "0-59, *, lists (0,30), ranges (10-20) or steps (*/15)",
};
pub(super) static MINUTE: Kind = Kind {
    name: "minute",
    min: 0,
    max: 59,
    names: &[],
    allowed: "0-59, *, lists (0,30), ranges (10-20) or steps (*/15)",
};
pub(super) static HOUR: Kind = Kind {
    name: "hour",
    min: 0,
    max: 23,
    names: &[],
    allowed: "0-23, *, lists (8,20), ranges (9-17) or steps (*/6)",
};
pub(super) static DAY: Kind = Kind {
    name: "day-of-month",
    min: 1,
    max: 31,
    names: &[],
    allowed: "1-31, *, lists (1,15), ranges (1-7) or steps (*/2)",
};
pub(super) static MONTH: Kind = Kind {
    name: "month",
    min: 1,
    max: 12,
    names: &MONTHS,
    allowed: "1-12 or JAN-DEC, *, lists (1,7), ranges (APR-SEP) or steps (*/3)",
};
pub(super) static WEEKDAY: Kind = Kind {
    name: "day-of-week",
    min: 0,
    max: 7,
    names: &WEEKDAYS,
    allowed: "0-7 (0 and 7 are Sunday, 1 is Monday) or SUN-SAT, *, lists (MON,THU), \
              ranges (MON-FRI) or steps (*/2)",
};

/// The numbers that a field matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set {
    /// Bit n for the number n. Of the days of the week 0 to 6, from Sunday.
    pub(super) bits: u64,
    /// Whether the text begins with `*`, on which the rules for days and for clock changes rest.
    pub(super) starts_with_star: bool,
}

impl Set {
    /// What a field that is not given matches: 0 alone.
    pub(super) const ZERO: Self = Self {
        bits: 1,
        starts_with_star: false,
    };

    pub(super) fn has(self, number: u32) -> bool {
        self.bits >> number & 1 == 1
    }

    pub(super) fn count(self) -> u32 {
        self.bits.count_ones()
    }

    /// The numbers in order.
    pub(super) fn numbers(self) -> impl DoubleEndedIterator<Item = u32> + Clone {
        (0..u64::BITS).filter(move |number| self.has(*number))
    }
}

/// What is wrong with an item of a field: where in characters from the field's first, what, and
/// what to write instead.
struct Wrong(usize, String, Option<String>);

impl Kind {
    /// The numbers of the field `text`, which begins at `column` of the expression.
    pub(super) fn parse(&'static self, text: &str, column: usize) -> Result<Set, ExpressionFault> {
        let mut bits = 0;
        let mut at = 0;
        for item in text.split(',') {
            let parsed = self.item(item).map_err(|wrong| {
                let Wrong(offset, problem, suggestion) = wrong;
                ExpressionFault {
                    field: self.name,
                    column: column + at + offset,
                    text: text.to_owned(),
                    problem,
                    allowed: self.allowed.to_owned(),
                    suggestion,
                }
            })?;
            bits |= parsed;
            at += item.chars().count() + 1;
        }
        if self.max == 7 && bits >> 7 & 1 == 1 {
            bits = (bits | 1) & 0x7f;
        }
        Ok(Set {
            bits,
            starts_with_star: text.starts_with('*'),
        })
    }

    /// The bits of one item of the list.
    fn item(&self, item: &str) -> Result<u64, Wrong> {
        if item.is_empty() {
            let problem = "an item of the list is empty".to_owned();
            return Err(Wrong(0, problem, None));
        }
        self.foreign(item)?;
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let (from, to) = if range == "*" {
            (self.min, self.max)
        } else if let Some((from, to)) = range.split_once('-') {
            let start = self.number(from, 0)?;
            let end = self.number(to, from.chars().count() + 1)?;
            if start > end {
                return Err(self.wrapped(start, end));
            }
            (start, end)
        } else {
            let only = self.number(range, 0)?;
            if let Some(step) = step {
                let problem = "a step needs a range or *".to_owned();
                let instead = format!("write {only}-{}/{step}", self.max);
                return Err(Wrong(range.chars().count(), problem, Some(instead)));
            }
            (only, only)
        };
        let step = match step {
            Some(step) => self.step(step, range.chars().count() + 1)?,
            None => 1,
        };
        let numbers = (from..=to).step_by(step);
        Ok(numbers.fold(0, |bits, number| bits | 1 << number))
    }

    fn step(&self, text: &str, at: usize) -> Result<usize, Wrong> {
        let step = digits(text)
            .ok_or_else(|| Wrong(at, "the step is not a whole number".to_owned(), None))?;
        if step == 0 {
            let problem = "a step of 0 never gets on".to_owned();
            return Err(Wrong(at, problem, Some("write 1 or more".to_owned())));
        }
        if step > self.max {
            let problem = format!("a step of more than {} leaves one match", self.max);
            let instead = format!("write {} for that one", self.min);
            return Err(Wrong(at, problem, Some(instead)));
        }
        Ok(step as usize)
    }

    /// A number or a name, which begins `at` characters into the item.
    fn number(&self, text: &str, at: usize) -> Result<u32, Wrong> {
        if let Some(number) = digits(text) {
            if (self.min..=self.max).contains(&number) {
                return Ok(number);
            }
            let problem = format!("{number} is out of range");
            return Err(Wrong(at, problem, None));
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Wrong(at, "the number is out of range".to_owned(), None));
        }
        let upper = text.to_ascii_uppercase();
        let names = (self.min..).zip(self.names);
        if let Some((number, _)) = names.clone().find(|(_, name)| **name == upper) {
            return Ok(number);
        }
        let long = names.clone().find(|(_, name)| {
            upper.len() > 3 && upper.starts_with(**name) && upper.bytes().all(|b| b.is_ascii())
        });
        if let Some((_, name)) = long {
            let problem = "names have three letters".to_owned();
            return Err(Wrong(at, problem, Some(format!("write {name}"))));
        }
        let problem = match text {
            "" => "a number is missing".to_owned(),
            "*" => "* stands alone or before a step".to_owned(),
            _ if self.names.is_empty() => format!("{text:?} is not a number"),
            _ => format!("{text:?} is neither a number nor a name"),
        };
        Err(Wrong(at, problem, None))
    }

    /// A range from Friday to Sunday, or from 22 to 2.
    fn wrapped(&self, from: u32, to: u32) -> Wrong {
        let instead = match (self.max, to) {
            (7, 0) if from == 7 => "write 7".to_owned(),
            (7, 0) => format!("write {from}-7"),
            _ => {
                let span = |from: u32, to: u32| {
                    let end = if from == to {
                        String::new()
                    } else {
                        format!("-{to}")
                    };
                    format!("{from}{end}")
                };
                let last = if self.max == 7 { from.max(6) } else { self.max };
                format!("write {},{}", span(from, last), span(self.min, to))
            }
        };
        Wrong(
            0,
            "a range must not run backwards".to_owned(),
            Some(instead),
        )
    }

    /// What other crons know and this one does not.
    fn foreign(&self, item: &str) -> Result<(), Wrong> {
        let upper = item.to_ascii_uppercase();
        let find = |c: char| item.chars().position(|other| other == c);
        let dates = || Some("list such dates with on = [...]".to_owned());
        if let Some(at) = find('?') {
            return Err(wrong(at, "? is not Unix cron", Some("write *".to_owned())));
        }
        if let Some(at) = find('#') {
            return Err(wrong(at, "# is not Unix cron", dates()));
        }
        if let Some(at) = find('~') {
            let instead = Some("spread calls with jitter".to_owned());
            return Err(wrong(at, "random times (~) are not supported", instead));
        }
        if upper == "H" || upper.starts_with("H/") || upper.starts_with("H(") {
            let instead = Some("spread calls with jitter".to_owned());
            return Err(wrong(0, "H is not Unix cron", instead));
        }
        let days = self.name == DAY.name || self.name == WEEKDAY.name;
        let numbered = |end: char| {
            let rest = upper.strip_suffix(end);
            rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
        };
        let last = numbered('L') || upper.starts_with("L-") || upper == "LW";
        if days && last {
            return Err(wrong(0, "L (the last) is not Unix cron", dates()));
        }
        if days && numbered('W') {
            return Err(wrong(
                0,
                "W (the nearest workday) is not Unix cron",
                dates(),
            ));
        }
        Ok(())
    }
}

fn wrong(at: usize, problem: &str, suggestion: Option<String>) -> Wrong {
    Wrong(at, problem.to_owned(), suggestion)
}

/// The number that `text` writes, if it is digits alone and fits.
fn digits(text: &str) -> Option<u32> {
    let all = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(kind: &'static Kind, text: &str) -> Vec<u32> {
        kind.parse(text, 1).expect(text).numbers().collect()
    }

    #[test]
    fn lists_ranges_steps_and_names_are_read() {
        assert_eq!(numbers(&MINUTE, "5"), [5]);
        assert_eq!(numbers(&MINUTE, "0,30,05"), [0, 5, 30]);
        assert_eq!(numbers(&MINUTE, "*/15"), [0, 15, 30, 45]);
        assert_eq!(numbers(&MINUTE, "10-20/5,50-59/7"), [10, 15, 20, 50, 57]);
        assert_eq!(numbers(&HOUR, "9-11"), [9, 10, 11]);
        assert_eq!(numbers(&DAY, "*/10"), [1, 11, 21, 31]);
        assert_eq!(numbers(&MONTH, "jan-MAR,Dec"), [1, 2, 3, 12]);
        assert_eq!(numbers(&WEEKDAY, "MON-FRI"), [1, 2, 3, 4, 5]);
        assert_eq!(numbers(&WEEKDAY, "0"), [0]);
        assert_eq!(numbers(&WEEKDAY, "7"), [0]);
        assert_eq!(numbers(&WEEKDAY, "5-7"), [0, 5, 6]);
        assert_eq!(numbers(&WEEKDAY, "*"), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(numbers(&WEEKDAY, "*/2"), [0, 2, 4, 6]);
        assert_eq!(numbers(&WEEKDAY, "*/7"), [0]);
        assert_eq!(numbers(&SECOND, "*").len(), 60);
    }

    #[test]
    fn only_a_text_that_begins_with_a_star_has_one() {
        for (text, star) in [
            ("*", true),
            ("*/2", true),
            ("*,5", true),
            ("0-59", false),
            ("5,*", false),
        ] {
            let set = MINUTE.parse(text, 1).expect(text);
            assert_eq!(set.starts_with_star, star, "{text}");
        }
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "it is a table")]
    fn a_fault_tells_where_and_what_instead() {
        for (kind, text, column, problem, suggestion) in [
            (&MINUTE, "60", 1, "60 is out of range", None),
            (&MINUTE, "0,61", 3, "61 is out of range", None),
            (&MINUTE, "10-x", 4, "\"x\" is not a number", None),
            (&MINUTE, "1,,2", 3, "an item of the list is empty", None),
            (
                &MINUTE,
                "5/15",
                2,
                "a step needs a range or *",
                Some("write 5-59/15"),
            ),
            (
                &MINUTE,
                "*/0",
                3,
                "a step of 0 never gets on",
                Some("write 1 or more"),
            ),
            (
                &MINUTE,
                "*/70",
                3,
                "a step of more than 59 leaves one match",
                Some("write 0 for that one"),
            ),
            (
                &MINUTE,
                "99999999999",
                1,
                "the number is out of range",
                None,
            ),
            (&MINUTE, "-5", 1, "a number is missing", None),
            (&MINUTE, "+5", 1, "\"+5\" is not a number", None),
            (&MINUTE, "**", 1, "\"**\" is not a number", None),
            (&MINUTE, "*-5", 1, "* stands alone or before a step", None),
            (
                &MINUTE,
                "0~59",
                2,
                "random times (~) are not supported",
                Some("spread calls with jitter"),
            ),
            (
                &HOUR,
                "22-2",
                1,
                "a range must not run backwards",
                Some("write 22-23,0-2"),
            ),
            (&DAY, "0", 1, "0 is out of range", None),
            (&DAY, "?", 1, "? is not Unix cron", Some("write *")),
            (
                &DAY,
                "L",
                1,
                "L (the last) is not Unix cron",
                Some("list such dates with on = [...]"),
            ),
            (
                &DAY,
                "15W",
                1,
                "W (the nearest workday) is not Unix cron",
                Some("list such dates with on = [...]"),
            ),
            (
                &MONTH,
                "Janvier",
                1,
                "names have three letters",
                Some("write JAN"),
            ),
            (
                &WEEKDAY,
                "Monday",
                1,
                "names have three letters",
                Some("write MON"),
            ),
            (
                &WEEKDAY,
                "FRI-SUN",
                1,
                "a range must not run backwards",
                Some("write 5-7"),
            ),
            (
                &WEEKDAY,
                "SAT-MON",
                1,
                "a range must not run backwards",
                Some("write 6,0-1"),
            ),
            (
                &WEEKDAY,
                "1#2",
                2,
                "# is not Unix cron",
                Some("list such dates with on = [...]"),
            ),
            (&WEEKDAY, "8", 1, "8 is out of range", None),
            (
                &WEEKDAY,
                "MOO",
                1,
                "\"MOO\" is neither a number nor a name",
                None,
            ),
        ] {
            let fault = kind.parse(text, 1).expect_err(text);
            assert_eq!(fault.column, column, "{text}");
            assert_eq!(fault.problem, problem, "{text}");
            assert_eq!(fault.suggestion.as_deref(), suggestion, "{text}");
        }
    }
}
