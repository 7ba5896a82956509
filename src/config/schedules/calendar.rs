//! Files of dates, such as the holidays of a country.

use std::path::Path;

use chrono::NaiveDate;

use super::files::{bytes_of, name};
use super::looks_like_a_secret;
use crate::schedule::parse_calendar;

/// Room for ten thousand dates with a comment each.
const CALENDAR_BYTES_MAX: u64 = 512 * 1024;

/// The dates of the file, or why there are none, as what follows `calendars`.
pub(super) fn dates(path: &Path) -> Result<Vec<NaiveDate>, String> {
    let shown = name(path);
    let bytes = bytes_of(path, CALENDAR_BYTES_MAX);
    let bytes = bytes.map_err(|what| format!("names {shown}, which {what}"))?;
    let Ok(text) = String::from_utf8(bytes) else {
        let what = "is not UTF-8: must be a file of dates";
        return Err(format!("names {shown}, which {what}"));
    };
    // A fault quotes its line.
    let told = text.lines().filter_map(|line| line.split('#').next());
    if told
        .flat_map(str::split_whitespace)
        .any(looks_like_a_secret)
    {
        let what = "holds what looks like a secret: must be a file of dates";
        return Err(format!("names {shown}, which {what}"));
    }
    parse_calendar(&text).map_err(|fault| format!("names {shown}, whose {fault}"))
}
