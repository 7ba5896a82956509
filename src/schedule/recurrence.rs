//! When a schedule rings: by a cron expression, by an interval, or on a list of times.

use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::expression::Expression;
use super::fault::{TimetableFault, quoted};
use super::local;

/// The most local times of one list, and the most dates of one list or calendar.
pub const DATES_MAX: usize = 10_000;

/// When a schedule rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// By a cron expression, on the local clock.
    Cron(Expression),
    /// Every so often in real time, counted from `start_at`.
    Every(Interval),
    /// At a list of local times, each a fixed time of its day.
    On(LocalTimes),
}

/// A distance in real time: whole seconds, 1 s to 366 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(u32);

impl Interval {
    /// The shortest one.
    pub const MIN: Duration = Duration::from_secs(1);

    /// The longest one.
    pub const MAX: Duration = Duration::from_hours(366 * 24);

    /// # Errors
    /// If it has a fraction of a second, or is outside [`Self::MIN`] to [`Self::MAX`].
    pub fn new(interval: Duration) -> Result<Self, TimetableFault> {
        let whole = u32::try_from(interval.as_secs()).ok();
        let sound = interval.subsec_nanos() == 0 && (Self::MIN..=Self::MAX).contains(&interval);
        match whole.filter(|_| sound) {
            Some(seconds) => Ok(Self(seconds)),
            None => Err(TimetableFault(format!(
                "every is {} s: must be whole seconds, from 1 s to 366 days",
                interval.as_secs_f64()
            ))),
        }
    }

    /// How long it is.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }

    pub(super) fn seconds(self) -> i64 {
        self.0.into()
    }
}

/// Local times in order, each once; at least one, at most [`DATES_MAX`], of the years 1970 to 2100.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTimes(Vec<i64>);

impl LocalTimes {
    /// # Errors
    /// If there are none or too many, or one is outside the years 1970 to 2100.
    pub fn new(times: impl IntoIterator<Item = NaiveDateTime>) -> Result<Self, TimetableFault> {
        let mut kept = Vec::new();
        for time in times.into_iter().take(DATES_MAX + 1) {
            let seconds = local::seconds(time);
            if !(local::FIRST_LOCAL..=local::LAST_LOCAL).contains(&seconds) {
                return Err(TimetableFault(format!(
                    "on has {time}: must be of the years 1970 to 2100"
                )));
            }
            kept.push(seconds);
        }
        if kept.is_empty() || kept.len() > DATES_MAX {
            let count = match kept.len() {
                0 => "is empty".to_owned(),
                _ => format!("has more than {DATES_MAX} times"),
            };
            return Err(TimetableFault(format!(
                "on {count}: must be 1 to {DATES_MAX} times"
            )));
        }
        kept.sort_unstable();
        kept.dedup();
        Ok(Self(kept))
    }

    /// Reads times such as `2026-12-24 09:00`, with or without seconds, with a space or a `T`.
    ///
    /// # Errors
    /// As [`Self::new`], and if one is no local time; the text names it.
    pub fn parse<T: AsRef<str>>(
        times: impl IntoIterator<Item = T>,
    ) -> Result<Self, TimetableFault> {
        let times = times.into_iter().take(DATES_MAX + 1);
        let times: Result<Vec<_>, _> = times.map(|text| parse_time(text.as_ref())).collect();
        Self::new(times?)
    }

    /// The times in order.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = NaiveDateTime> {
        self.0.iter().map(|seconds| local::naive(*seconds))
    }

    pub(super) fn seconds(&self) -> &[i64] {
        &self.0
    }
}

fn parse_time(text: &str) -> Result<NaiveDateTime, TimetableFault> {
    local_time(text).ok_or_else(|| {
        let text = quoted(text);
        TimetableFault(format!(
            "on has {text}: must be a local time such as 2026-12-24 09:00"
        ))
    })
}

/// A local time, with or without seconds.
pub(super) fn local_time(text: &str) -> Option<NaiveDateTime> {
    let (day, time) = text.split_once([' ', 'T'])?;
    let shaped = |length: usize| {
        let bytes = time.bytes().enumerate();
        let mut kinds = bytes.map(|(at, b)| {
            if at % 3 == 2 {
                b == b':'
            } else {
                b.is_ascii_digit()
            }
        });
        time.len() == length && kinds.all(|sound| sound)
    };
    let time = match (shaped(5), shaped(8)) {
        (true, _) => NaiveTime::parse_from_str(time, "%H:%M").ok()?,
        // chrono would take the 60th second.
        (_, true) if !time.ends_with("60") => NaiveTime::parse_from_str(time, "%H:%M:%S").ok()?,
        _ => return None,
    };
    Some(date(day)?.and_time(time))
}

/// A date, as 2026-12-25.
pub(super) fn date(text: &str) -> Option<NaiveDate> {
    let mut bytes = text.bytes().enumerate();
    let shaped = text.len() == 10
        && bytes.all(|(at, b)| {
            if at == 4 || at == 7 {
                b == b'-'
            } else {
                b.is_ascii_digit()
            }
        });
    shaped
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
}
