//! A cron expression, read as Unix cron reads it.

use std::fmt;
use std::str::FromStr;

use super::calendar::Calendar;
use super::fault::{ExpressionFault, quoted};
use super::field::{DAY, HOUR, Kind, MINUTE, MONTH, SECOND, Set, WEEKDAY};

/// The longest expression, in bytes: every minute and hour listed by number fits.
pub const EXPRESSION_BYTES_MAX: usize = 512;

/// What the nicknames stand for, as in cronie.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// What an expression may be.
const FORMS: &str = "five fields (minute hour day-of-month month day-of-week), six with seconds \
                     first, or @hourly, @daily, @weekly, @monthly or @yearly";

const FIVE: [&Kind; 5] = [&MINUTE, &HOUR, &DAY, &MONTH, &WEEKDAY];

/// A cron expression that fires at least once before the year 2101.
///
/// Five fields, or six with seconds first; names of months and days of the week in any case; 0 and
/// 7 are Sunday. If both day fields are restricted either matches; if one of them begins with `*`,
/// both must match. Two expressions are equal if they match the same times by the same rules.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    calendar: Calendar,
    follows_real_time: bool,
}

impl Expression {
    /// Reads `text`.
    ///
    /// # Errors
    /// [`ExpressionFault`], with the field and the column, for anything that is not Unix cron, and
    /// for what can never fire, such as 30 February.
    pub fn parse(text: &str) -> Result<Self, ExpressionFault> {
        if text.len() > EXPRESSION_BYTES_MAX {
            let problem = format!("it has {} bytes", text.len());
            let mut fault = whole(text, problem, None);
            fault.allowed = format!("at most {EXPRESSION_BYTES_MAX} bytes");
            return Err(fault);
        }
        let fields = words(text);
        if let Some((column, word)) = fields.first().filter(|(_, word)| word.starts_with('@')) {
            let plain = nickname(*column, word, &fields)?;
            return Self::of_fields(text, &words(plain));
        }
        Self::of_fields(text, &fields)
    }

    fn of_fields(text: &str, fields: &[(usize, &str)]) -> Result<Self, ExpressionFault> {
        let zone = fields.iter().find(|(_, word)| is_zone(word));
        if let Some((column, word)) = zone {
            let mut fault = whole(
                word,
                "a zone is not part of the expression".to_owned(),
                None,
            );
            fault.column = *column;
            fault.suggestion = Some("give the zone as tz".to_owned());
            return Err(fault);
        }
        let (second, five) = match fields {
            [second, five @ ..] if five.len() == 5 => (Some(second), five),
            five if five.len() == 5 => (None, five),
            [] => return Err(whole(text, "it is empty".to_owned(), None)),
            other => return Err(miscounted(text, other.len())),
        };
        let second = match second {
            Some((column, word)) => SECOND.parse(word, *column)?,
            None => Set::ZERO,
        };
        let mut sets = [Set::ZERO; 5];
        for ((set, kind), (column, word)) in sets.iter_mut().zip(FIVE).zip(five) {
            *set = kind.parse(word, *column)?;
        }
        let [minute, hour, day, month, weekday] = sets;
        let calendar = Calendar::new(second, minute, hour, day, month, weekday);
        if calendar.next(i64::MIN).is_none() {
            let (column, word) = five[2];
            return Err(ExpressionFault {
                field: DAY.name,
                column,
                text: word.to_owned(),
                problem: format!(
                    "no month of {} has such a day: it never fires",
                    quoted(five[3].1)
                ),
                allowed: "a day that exists".to_owned(),
                suggestion: None,
            });
        }
        Ok(Self {
            text: text.trim().to_owned(),
            calendar,
            follows_real_time: minute.starts_with_star || hour.starts_with_star,
        })
    }

    /// The text, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether its minute or hour field begins with `*`: such an expression follows real time
    /// through a clock change, every other one is a fixed time of the day.
    #[must_use]
    pub fn follows_real_time(&self) -> bool {
        self.follows_real_time
    }

    pub(super) fn calendar(&self) -> &Calendar {
        &self.calendar
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.calendar == other.calendar && self.follows_real_time == other.follows_real_time
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Expression {
    type Err = ExpressionFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The words of `text`, each with its column.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut column = 1;
    for word in text.split([' ', '\t']) {
        if !word.is_empty() {
            words.push((column, word));
        }
        column += word.chars().count() + 1;
    }
    words
}

/// The five fields that a nickname stands for.
fn nickname(
    column: usize,
    word: &str,
    fields: &[(usize, &str)],
) -> Result<&'static str, ExpressionFault> {
    let fault = |problem: &str, suggestion: Option<String>| {
        let mut fault = whole(word, problem.to_owned(), suggestion);
        fault.column = column;
        Err(fault)
    };
    let Some((_, plain)) = NICKNAMES.iter().find(|(name, _)| *name == word) else {
        if word == "@reboot" {
            return fault("a schedule knows no start of a machine", None);
        }
        if word.starts_with("@every") {
            let instead = "write every = \"30m\" in place of cron";
            return fault("intervals are not cron", Some(instead.to_owned()));
        }
        let lower = word.to_lowercase();
        let alike = NICKNAMES.map(|(name, _)| (strsim::jaro_winkler(name, &lower), name));
        let best = alike.iter().max_by(|one, other| one.0.total_cmp(&other.0));
        let best = best.filter(|(alike, _)| *alike >= 0.8);
        let instead = best.map(|(_, name)| format!("did you mean {name}?"));
        return fault("no such nickname", instead);
    };
    match fields.get(1) {
        None => Ok(plain),
        Some((column, more)) => {
            let problem = "a nickname stands alone".to_owned();
            let mut fault = whole(more, problem, None);
            fault.column = *column;
            Err(fault)
        }
    }
}

/// Whether a word names a zone, as some crons allow.
fn is_zone(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    if upper.starts_with("TZ=") || upper.starts_with("CRON_TZ=") || upper == "UTC" {
        return true;
    }
    // As Europe/Berlin; not as MON-FRI/2.
    let parts = word.split_once('/');
    parts.is_some_and(|(area, place)| {
        let named = |text: &str| text.len() > 1 && text.bytes().all(|b| b.is_ascii_alphabetic());
        named(area) && place.get(..2).is_some_and(named)
    })
}

fn miscounted(text: &str, count: usize) -> ExpressionFault {
    let (problem, suggestion) = match count {
        7 => (
            "it has 7 fields".to_owned(),
            Some("leave the year out and bound it with start_at and end_at".to_owned()),
        ),
        1 => ("it has 1 field".to_owned(), None),
        count => (format!("it has {count} fields"), None),
    };
    whole(text, problem, suggestion)
}

fn whole(text: &str, problem: String, suggestion: Option<String>) -> ExpressionFault {
    ExpressionFault {
        field: "expression",
        column: 1,
        text: text.to_owned(),
        problem,
        allowed: FORMS.to_owned(),
        suggestion,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_one_expression_are_equal() {
        for (one, other) in [
            ("0 9 * * 1-5", "0 9 * * MON-FRI"),
            ("0 9 * * 7", "  0\t9 * *  sun "),
            ("@hourly", "0 * * * *"),
            ("@daily", "@midnight"),
            ("@weekly", "0 0 * * 0"),
            ("@yearly", "@annually"),
            ("0 0 9 * * *", "0 9 * * *"),
            ("*/15 * * * *", "*/15 0-23 * * *"),
        ] {
            let parse = |text| Expression::parse(text).expect(text);
            assert_eq!(parse(one), parse(other), "{one} and {other}");
        }
        for (one, other) in [
            ("0 9 */1 * 1", "0 9 1-31 * 1"),
            ("*/30 2 * * *", "0,30 2 * * *"),
            ("0 9 * * *", "30 0 9 * * *"),
        ] {
            let parse = |text| Expression::parse(text).expect(text);
            assert_ne!(parse(one), parse(other), "{one} and {other}");
        }
    }

    #[test]
    fn what_is_refused_is_named_by_field_and_column() {
        for (text, said) in [
            (
                "",
                "expression (column 1) is \"\": it is empty; must be five fields",
            ),
            ("0 9 * *", "it has 4 fields; must be five fields"),
            ("0 0 9 * * ? 2026", "it has 7 fields; must be five fields"),
            (
                "0 9 * * 1#2",
                "day-of-week (column 10) is \"1#2\": # is not Unix cron; must be 0-7",
            ),
            (
                "0 0 9 ? * MON",
                "day-of-month (column 7) is \"?\": ? is not Unix cron; must be 1-31",
            ),
            (
                "0 25 * * *",
                "hour (column 3) is \"25\": 25 is out of range; must be 0-23",
            ),
            (
                "0 9 30 2 *",
                "day-of-month (column 5) is \"30\": no month of \"2\" has such a day",
            ),
            (
                "@reboot",
                "expression (column 1) is \"@reboot\": a schedule knows no start",
            ),
            ("@Daily", "no such nickname; must be"),
            (
                "@daily 5",
                "expression (column 8) is \"5\": a nickname stands alone",
            ),
            ("@every 5m", "intervals are not cron"),
            (
                "0 9 * * * Europe/Berlin",
                "a zone is not part of the expression",
            ),
            (
                "CRON_TZ=UTC 0 9 * * *",
                "expression (column 1) is \"CRON_TZ=UTC\": a zone is not",
            ),
            ("0 9 * * *\n", "day-of-week (column 9) is \"*\\n\""),
        ] {
            let fault = Expression::parse(text).expect_err(text).to_string();
            assert!(fault.contains(said), "{fault}");
        }
        let long = "0,".repeat(EXPRESSION_BYTES_MAX);
        let fault = Expression::parse(&long)
            .expect_err("it is long")
            .to_string();
        assert!(fault.contains("must be at most 512 bytes"), "{fault}");
    }
}
