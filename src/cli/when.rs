//! Times and durations as people type and read them.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::config;
use crate::store::When;

/// What a mistyped time is told.
const TIMES: &str = "must be like 2030-01-01T09:00:00+01:00, now, 'in 10m' or '2h ago'";

/// What a mistyped duration is told.
const DURATIONS: &str = "must be like 90s, 10m, 1h30m or 2d, and at most 100 years";

/// RFC 3339, `now`, `in 10m` or `10m ago`.
pub(super) fn when(text: &str) -> Result<When, String> {
    let text = text.trim();
    if text == "now" {
        return Ok(When::FromNow(TimeDelta::zero()));
    }
    let wrong = |_| TIMES.to_owned();
    if let Some(ahead) = text.strip_prefix("in ") {
        return difference(ahead.trim()).map(When::FromNow).map_err(wrong);
    }
    if let Some(back) = text.strip_suffix(" ago") {
        let back = difference(back.trim()).map_err(wrong)?;
        return Ok(When::FromNow(-back));
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => Ok(When::At(at.with_timezone(&Utc))),
        Err(_) => Err(TIMES.to_owned()),
    }
}

/// `10m`, or `-10m` for back.
pub(super) fn signed(text: &str) -> Result<TimeDelta, String> {
    match text.trim().strip_prefix('-') {
        Some(back) => difference(back).map(|delta| -delta),
        None => difference(text.trim().trim_start_matches('+')),
    }
}

/// `90s`, `10m`, `1h30m`, `2d`; longer than zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = config::duration(text).filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| DURATIONS.to_owned())
}

fn difference(text: &str) -> Result<TimeDelta, String> {
    TimeDelta::from_std(duration(text)?).map_err(|_| DURATIONS.to_owned())
}

/// A time for people, in UTC.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// How long ago it was, in the unit that fits.
pub(super) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let s = (now - at).num_seconds().max(0);
    match s {
        0..=119 => format!("{s} s ago"),
        120..=7199 => format!("{} min ago", s / 60),
        7200..=172_799 => format!("{} h ago", s / 3600),
        _ => format!("{} days ago", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, s) in [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(s)), "{text}");
        }
        for text in [
            "",
            "10",
            "m",
            "0s",
            "1y",
            "-5m",
            "10 m",
            "99999999999d",
            "1é",
            "1h-3m",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_by_the_clock_or_from_now() {
        let ten = TimeDelta::minutes(10);
        assert_eq!(when("in 10m"), Ok(When::FromNow(ten)));
        assert_eq!(when("10m ago"), Ok(When::FromNow(-ten)));
        assert_eq!(when("now"), Ok(When::FromNow(TimeDelta::zero())));
        let at = when("2030-01-01T09:00:00+01:00");
        let same = "2030-01-01T08:00:00Z".parse().expect("it is a time");
        assert_eq!(at, Ok(When::At(same)));
        for text in [
            "",
            "tomorrow",
            "10m",
            "2030-01-01",
            "2030-01-01 09:00",
            "in -10m",
        ] {
            assert!(when(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_move_may_go_back() {
        assert_eq!(signed("-10m"), Ok(TimeDelta::minutes(-10)));
        assert_eq!(signed("+1h"), Ok(TimeDelta::hours(1)));
        assert!(signed("--1h").is_err());
    }
}
