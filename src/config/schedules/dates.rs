//! Between which dates a schedule rings, and on which it does not.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};

use super::calendar;
use super::keys::{self, Key};
use super::reader::{Reader, Values};
use crate::schedule::{DATES_MAX, parse_dates};

const CALENDARS_MAX: usize = 20;

/// The instant that `start_at` or `end_at` means, and how it is written.
pub(super) fn edge<'a, E: fmt::Display>(
    reader: &mut Reader<'a>,
    top: &Values<'_, 'a>,
    key: &Key,
    read: impl Fn(&str) -> Result<DateTime<Utc>, E>,
) -> Option<(DateTime<Utc>, String)> {
    let given = reader.time(top, key)?;
    if !reader.may_quote(key, &given) {
        return None;
    }
    match read(&given.value) {
        Ok(at) => Some((at, given.value)),
        Err(fault) => {
            reader.fault(given.at, fault);
            None
        }
    }
}

/// The dates of the file itself, in order.
pub(super) fn except_dates<'a>(reader: &mut Reader<'a>, top: &Values<'_, 'a>) -> Vec<NaiveDate> {
    let Some(given) = reader.texts(top, keys::EXCEPT_DATES) else {
        return Vec::new();
    };
    if given.value.len() > DATES_MAX {
        let dates = given.value.len();
        reader.refuse(keys::EXCEPT_DATES, given.at, format_args!("{dates} dates"));
        return Vec::new();
    }
    let mut dates = Vec::with_capacity(given.value.len());
    let mut seen = HashSet::new();
    for date in &given.value {
        if !reader.may_quote(keys::EXCEPT_DATES, date) {
            continue;
        }
        match parse_dates([&date.value]) {
            Ok(read) if read.iter().all(|day| seen.insert(*day)) => dates.extend(read),
            // Another was meant, and would ring.
            Ok(_) => {
                let again = &date.value;
                let what = format!("except_dates has {again} twice: must be different dates");
                reader.fault(date.at, what);
            }
            Err(fault) => reader.fault(date.at, fault),
        }
    }
    dates.sort_unstable();
    dates
}

/// The calendars, and the dates of them all, in order.
pub(super) fn calendars<'a>(
    reader: &mut Reader<'a>,
    top: &Values<'_, 'a>,
) -> (Vec<String>, Vec<NaiveDate>) {
    let Some(given) = reader.texts(top, keys::CALENDARS) else {
        return Default::default();
    };
    if given.value.len() > CALENDARS_MAX {
        let files = given.value.len();
        reader.refuse(keys::CALENDARS, given.at, format_args!("{files} files"));
        return Default::default();
    }
    let folder = reader.lines.file().parent().map(Path::to_owned);
    let folder = folder.unwrap_or_default();
    let (mut names, mut dates) = (Vec::new(), Vec::new());
    for name in given.value {
        if !reader.may_quote(keys::CALENDARS, &name) {
            continue;
        }
        match calendar::dates(&folder.join(&name.value)) {
            Ok(read) => dates.extend(read),
            Err(faults) => {
                for what in faults {
                    reader.fault(name.at, format_args!("calendars {what}"));
                }
            }
        }
        names.push(name.value);
    }
    dates.sort_unstable();
    dates.dedup();
    (names, dates)
}
