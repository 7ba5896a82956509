//! Files of dates, such as the holidays of a country.

use std::path::Path;

use chrono::NaiveDate;

use super::files::{bytes_of, name};
use super::looks_like_a_secret;
use crate::schedule::parse_calendar;

/// Room for ten thousand dates with a comment each.
const CALENDAR_BYTES_MAX: u64 = 512 * 1024;

/// The dates of the file, or everything that is wrong with it, as what follows `calendars`.
pub(super) fn dates(path: &Path) -> Result<Vec<NaiveDate>, Vec<String>> {
    let shown = name(path);
    let which = |what: &str| vec![format!("names {shown}, which {what}")];
    let bytes = bytes_of(path, CALENDAR_BYTES_MAX).map_err(|what| which(&what))?;
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(which("is not UTF-8: must be a file of dates"));
    };
    // A fault quotes its line.
    let told = text.lines().filter_map(|line| line.split('#').next());
    if told
        .flat_map(str::split_whitespace)
        .any(looks_like_a_secret)
    {
        let what = "holds what looks like a secret: must be a file of dates";
        return Err(which(what));
    }
    parse_calendar(&text).map_err(|faults| {
        let faults = faults.iter();
        faults
            .map(|fault| format!("names {shown}, whose {fault}"))
            .collect()
    })
}

/// Whether a file is a calendar and no schedule: a line of it is a date alone, and none gives a
/// key its value.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines().filter_map(|line| line.split('#').next());
    !lines.clone().any(|line| line.contains('='))
        && lines.any(|line| matches!(parse_calendar(line).as_deref(), Ok([_])))
}
