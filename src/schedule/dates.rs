//! Dates on which a schedule does not ring, and the dates between which it rings.

use chrono::{DateTime, NaiveDate, Utc};

use super::clock::Clock;
use super::fault::{TimetableFault, quoted};
use super::local::{self, DAY_SECONDS};
use super::recurrence::{DATES_MAX, date, local_time};
use super::zone::Zone;

/// Reads the dates of `except_dates`, as `2026-12-25`.
///
/// # Errors
/// If one is no date; the text names it.
pub fn parse_dates<T: AsRef<str>>(
    dates: impl IntoIterator<Item = T>,
) -> Result<Vec<NaiveDate>, TimetableFault> {
    let read = |text: T| {
        let text = text.as_ref();
        date(text).ok_or_else(|| {
            let text = quoted(text);
            TimetableFault(format!(
                "except_dates has {text}: must be a date such as 2026-12-25"
            ))
        })
    };
    dates.into_iter().take(DATES_MAX + 1).map(read).collect()
}

/// So many lines of a calendar are told to be wrong; who has more has another file in hand.
const CALENDAR_FAULTS_MAX: usize = 20;

/// Reads a calendar: a date a line, as `2026-12-25`; what follows a `#` is a comment, and empty
/// lines count nothing.
///
/// # Errors
/// If a line is something else, or there are more than [`DATES_MAX`] dates; each text names the
/// line. Of many such lines the first 20 are told, and that there are more.
pub fn parse_calendar(text: &str) -> Result<Vec<NaiveDate>, Vec<TimetableFault>> {
    let mut dates = Vec::new();
    let mut faults = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (n, line) in (1..).zip(text.lines()) {
        let given = line.split('#').next().unwrap_or(line).trim();
        if given.is_empty() {
            continue;
        }
        let problem = match date(given) {
            Some(given) if dates.len() < DATES_MAX => {
                dates.push(given);
                continue;
            }
            Some(_) => format!("line {n} is one date too many: must be at most {DATES_MAX}"),
            None if faults.len() == CALENDAR_FAULTS_MAX => {
                format!("line {n} is no date either, nor may be others after it")
            }
            None => {
                let given = quoted(given);
                let must = "must be a date such as 2026-12-25, with a comment after # if any";
                format!("line {n} is {given}: {must}")
            }
        };
        faults.push(TimetableFault(problem));
        if faults.len() > CALENDAR_FAULTS_MAX || dates.len() == DATES_MAX {
            break;
        }
    }
    if faults.is_empty() {
        Ok(dates)
    } else {
        Err(faults)
    }
}

impl Zone {
    /// The instant that `start_at` means in this zone: the beginning of a day (`2026-01-01`), a
    /// local time (`2026-01-01 09:00`, the first if it exists twice, the first instant after the
    /// gap if it does not exist), or an instant (`2026-01-01T09:00:00+01:00`).
    ///
    /// # Errors
    /// If it is none of these.
    pub fn start_at(&self, text: &str) -> Result<DateTime<Utc>, TimetableFault> {
        self.edge(text, "start_at", Clock::reaches)
    }

    /// The instant that `end_at` means in this zone, which is the last at which a schedule rings:
    /// the last second of a day (`2026-12-31`), or a time as in [`Self::start_at`].
    ///
    /// # Errors
    /// If it is none of these.
    pub fn end_at(&self, text: &str) -> Result<DateTime<Utc>, TimetableFault> {
        self.edge(text, "end_at", |clock, day| {
            clock.last_before(day + DAY_SECONDS)
        })
    }

    fn edge(
        &self,
        text: &str,
        key: &str,
        of_day: impl Fn(&Clock, i64) -> i64,
    ) -> Result<DateTime<Utc>, TimetableFault> {
        let seconds = if let Some(date) = date(text) {
            Some(of_day(self.clock(), local::midnight(date)))
        } else if let Some(time) = local_time(text) {
            Some(self.clock().reaches(local::seconds(time)))
        } else {
            let instant = DateTime::parse_from_rfc3339(text);
            return instant.map(|at| at.with_timezone(&Utc)).map_err(|_| {
                let text = quoted(text);
                let must = "must be a date (2026-12-31), a local time (2026-12-31 18:00) or an \
                            instant (2026-12-31T18:00:00+01:00)";
                TimetableFault(format!("{key} is {text}: {must}"))
            });
        };
        let at = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        Ok(at.expect("a date of four digits is an instant"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_is_a_date_a_line_with_comments() {
        let text = "\u{feff}# Holidays\r\n2026-12-25  # Christmas\n\n 2027-01-01\n";
        let dates = parse_calendar(text).expect("it is sound");
        let dates: Vec<String> = dates.iter().map(ToString::to_string).collect();
        assert_eq!(dates, ["2026-12-25", "2027-01-01"]);
        for (text, said) in [
            (
                "2026-12-25\n25.12.2026",
                "line 2 is \"25.12.2026\": must be a date",
            ),
            ("2026-02-30", "line 1 is \"2026-02-30\""),
            ("2026-1-1", "line 1 is \"2026-1-1\""),
            ("2026-12-25 Christmas", "line 1 is"),
        ] {
            let faults = parse_calendar(text).expect_err(text);
            let [fault] = faults.as_slice() else {
                panic!("{faults:?}")
            };
            assert!(fault.to_string().starts_with(said), "{fault}");
        }
        let lines = |n: usize| parse_calendar(&"New Year\n".repeat(n)).expect_err("no dates");
        assert_eq!((lines(3).len(), lines(20).len()), (3, 20));
        let many = lines(1000);
        let last = many.last().expect("there are some").to_string();
        assert_eq!(many.len(), 21);
        assert!(last.starts_with("line 21 is no date either"), "{last}");
        let many = "2026-12-25\n".repeat(DATES_MAX + 1);
        assert!(parse_calendar(&many).is_err());
    }

    #[test]
    fn edges_are_days_times_or_instants() {
        let berlin = Zone::find("Europe/Berlin").expect("it is a zone");
        for (text, start, end) in [
            ("2026-01-01", "2025-12-31T23:00:00Z", "2026-01-01T22:59:59Z"),
            ("2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z"),
            (
                "2026-06-01 09:00",
                "2026-06-01T07:00:00Z",
                "2026-06-01T07:00:00Z",
            ),
            (
                "2026-03-29T02:30",
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:00:00Z",
            ),
            (
                "2026-06-01T09:00:00+08:00",
                "2026-06-01T01:00:00Z",
                "2026-06-01T01:00:00Z",
            ),
        ] {
            let at = |text: &str| text.parse::<DateTime<Utc>>().expect(text);
            assert_eq!(berlin.start_at(text).expect(text), at(start), "{text}");
            assert_eq!(berlin.end_at(text).expect(text), at(end), "{text}");
        }
        // Midnight, from which the clock goes back to 23:00 of the day that ends.
        let nuuk = Zone::find("America/Nuuk").expect("it is a zone");
        let end = nuuk.end_at("2026-10-24").expect("it is a date");
        assert_eq!(end.to_rfc3339(), "2026-10-25T01:59:59+00:00");
        for text in [
            "",
            "tomorrow",
            "2026-13-01",
            "2026-01-01 9:00",
            "2026-01-01 24:00",
        ] {
            let fault = berlin.end_at(text).expect_err(text).to_string();
            assert!(fault.starts_with("end_at is "), "{fault}");
        }
    }
}
