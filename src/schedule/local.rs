//! Local times as seconds since 1970-01-01 00:00:00 of the local clock, and their range.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// A day of a clock that never changes.
pub(super) const DAY_SECONDS: i64 = 86_400;

/// The first second of 1970: the `cron` crate knows no year before it.
pub(super) const FIRST_LOCAL: i64 = 0;

/// The last second of 2100, the last year that the `cron` crate knows.
pub(super) const LAST_LOCAL: i64 = 4_133_980_799;

/// The first second of the day of `local`.
pub(super) fn day_of(local: i64) -> i64 {
    local - local.rem_euclid(DAY_SECONDS)
}

/// The date of `local`.
pub(super) fn date_of(local: i64) -> NaiveDate {
    naive(local).date()
}

/// As chrono has it; the nearest that it has for what lies beyond.
pub(super) fn naive(local: i64) -> NaiveDateTime {
    match DateTime::from_timestamp(local, 0) {
        Some(at) => at.naive_utc(),
        None if local < 0 => NaiveDateTime::MIN,
        None => NaiveDateTime::MAX,
    }
}

/// The seconds of `naive`, without its fraction.
pub(super) fn seconds(naive: NaiveDateTime) -> i64 {
    naive.and_utc().timestamp()
}

/// The first second of `date`.
pub(super) fn midnight(date: NaiveDate) -> i64 {
    seconds(date.into())
}
