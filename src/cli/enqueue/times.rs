//! Times and durations as people write them. What counts from now is left to the database's clock.

use chrono::{DateTime, FixedOffset, NaiveDateTime, Utc};

use super::columns::quoted;

/// A point in time, as text that PostgreSQL reads.
#[derive(Debug, PartialEq)]
pub(super) enum Moment {
    At(String),
    /// So long after the beginning of the transaction.
    In(String),
}

/// As PostgreSQL prints them, besides RFC 3339.
const WITH_ZONE: [&str; 2] = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z"];

const WITHOUT_ZONE: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
];

/// More than any duration may be, and little enough for PostgreSQL's type.
const SECONDS_MAX: f64 = 1e10;

pub(super) fn run_at(column: &str, value: &str) -> Result<Moment, String> {
    match value.trim() {
        "now" => Ok(Moment::In("0 seconds".to_owned())),
        value => moment(column, value, "now"),
    }
}

pub(super) fn expires_at(column: &str, value: &str) -> Result<Moment, String> {
    match value.trim() {
        "infinity" => Ok(Moment::At("infinity".to_owned())),
        value => moment(column, value, "infinity"),
    }
}

fn moment(column: &str, value: &str, word: &str) -> Result<Moment, String> {
    if let Some(seconds) = value.strip_prefix("in ").and_then(seconds) {
        return Ok(Moment::In(interval(seconds)));
    }
    if let Some(time) = time(value) {
        return Ok(Moment::At(time));
    }
    let value = value.to_owned();
    let naive = |form: &&str| NaiveDateTime::parse_from_str(&value, form).is_ok();
    let fault = if WITHOUT_ZONE.iter().any(naive) {
        " without a time zone"
    } else {
        ""
    };
    Err(format!(
        "{column} is {}{fault}: it must be a time as 2030-01-31T09:00:00+01:00, {word}, or as \
         \"in 10m\"",
        quoted(&value)
    ))
}

fn time(value: &str) -> Option<String> {
    let other = |form: &&str| DateTime::<FixedOffset>::parse_from_str(value, form).ok();
    let time = DateTime::parse_from_rfc3339(value).ok();
    let time = time.or_else(|| WITH_ZONE.iter().find_map(other))?;
    let time = time.with_timezone(&Utc);
    Some(time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
}

pub(super) fn duration(column: &str, value: &str) -> Result<String, String> {
    seconds(value).map(interval).ok_or_else(|| {
        format!(
            "{column} is {}: it must be a duration as 90s, 15m, 2h, 1d or 1h30m",
            quoted(value)
        )
    })
}

fn interval(seconds: f64) -> String {
    format!("{seconds} seconds")
}

/// `90s`, `1h30m`, `15 minutes`, and `01:30:00` as PostgreSQL prints it; a day is 24 hours.
fn seconds(value: &str) -> Option<f64> {
    let mut rest = value.trim();
    let mut total = (!rest.is_empty()).then_some(0.0)?;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
        let (number, after) = split(rest, is_number);
        let (unit, after) = split(after.trim_start(), |c| c.is_ascii_alphabetic());
        total += if number.contains(':') {
            clock(number).filter(|_| unit.is_empty())?
        } else {
            number.parse::<f64>().ok()? * unit_seconds(unit)?
        };
        rest = after.trim_start();
    }
    (total <= SECONDS_MAX).then_some(total)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// `HH:MM` or `HH:MM:SS`.
fn clock(value: &str) -> Option<f64> {
    let parts: Option<Vec<f64>> = value.split(':').map(|part| part.parse().ok()).collect();
    match parts?.as_slice() {
        [hours, minutes] => Some(hours * 3600.0 + minutes * 60.0),
        [hours, minutes, seconds] => Some(hours * 3600.0 + minutes * 60.0 + seconds),
        _ => None,
    }
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_all_their_forms() {
        let forms = [
            ("90s", 90.0),
            ("15m", 900.0),
            ("15 minutes", 900.0),
            ("1h30m", 5400.0),
            ("1 hour 30 min", 5400.0),
            ("01:30:00", 5400.0),
            ("1 day 00:30", 88_200.0),
            ("0.5h", 1800.0),
            ("0s", 0.0),
        ];
        for (form, expected) in forms {
            assert_eq!(seconds(form), Some(expected), "{form}");
        }
        for wrong in [
            "",
            "15",
            "m",
            "-5m",
            "1 month",
            "1:2:3:4",
            "99999999999d",
            "5mx",
            "NaNs",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_need_a_zone() {
        let at = |text: &str| Ok(Moment::At(text.to_owned()));
        for same in [
            "2030-01-31T09:00:00+01:00",
            "2030-01-31T08:00:00Z",
            "2030-01-31 09:00+01",
            "2030-01-31 08:00:00+00",
        ] {
            assert_eq!(
                run_at("run_at", same),
                at("2030-01-31T08:00:00.000000Z"),
                "{same}"
            );
        }
        let said = run_at("run_at", "2030-01-31 09:00").expect_err("no zone");
        assert!(said.contains("without a time zone: it must be"), "{said}");
        let said = run_at("run_at", "tomorrow").expect_err("no time");
        assert!(
            said.starts_with("run_at is \"tomorrow\": it must be a time as"),
            "{said}"
        );
    }

    #[test]
    fn words_and_distances_are_left_to_the_database() {
        let within = |text: &str| Ok(Moment::In(text.to_owned()));
        assert_eq!(run_at("run_at", "now"), within("0 seconds"));
        assert_eq!(run_at("run_at", "in 10m"), within("600 seconds"));
        assert_eq!(expires_at("expires_at", "in 1h"), within("3600 seconds"));
        let never = Ok(Moment::At("infinity".to_owned()));
        assert_eq!(expires_at("expires_at", "infinity"), never);
        assert!(run_at("run_at", "infinity").is_err());
    }
}
