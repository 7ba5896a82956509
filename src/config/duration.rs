//! Durations as people write them: `90s`, `10m`, `1h30m`, `2d`.

use std::time::Duration;

/// The units, the longest first, in milliseconds.
const UNITS: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// The longest that is taken: 100 years.
pub const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// `90s`, `10m` or `10min`, `1h30m`, `2d`, `1w`, `250ms`, `0s`; `None` for anything else, and for
/// more than [`LONGEST`]. A day is 24 hours.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at(digits);
        let letters = unit.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = unit.split_at(letters);
        let unit = if unit == "min" { "m" } else { unit };
        let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let ms = number.parse::<u64>().ok()?.checked_mul(*unit_ms)?;
        total = total.checked_add(Duration::from_millis(ms))?;
        rest = after;
    }
    (total <= LONGEST).then_some(total)
}

/// The same as [`duration`] reads it, without weeks, which nobody counts in: `1h30m`, `0s`.
#[must_use]
pub fn duration_shown(duration: Duration) -> String {
    let mut left = duration.as_millis();
    let mut shown = String::new();
    for (name, unit_ms) in UNITS.iter().skip(1) {
        let unit_ms = u128::from(*unit_ms);
        if left >= unit_ms {
            shown = format!("{shown}{}{name}", left / unit_ms);
            left %= unit_ms;
        }
    }
    if shown.is_empty() {
        return "0s".to_owned();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units_and_are_shown_as_they_are_read() {
        for (text, ms) in [
            ("90s", 90_000),
            ("0s", 0),
            ("10min", 600_000),
            ("1h30m", 5_400_000),
            ("2w", 1_209_600_000),
            ("1500ms", 1500),
        ] {
            let read = duration(text);
            assert_eq!(read, Some(Duration::from_millis(ms)), "{text}");
            let shown = duration_shown(read.expect("it was read"));
            assert_eq!(duration(&shown), read, "{shown}");
        }
        assert_eq!(duration_shown(Duration::from_mins(1501)), "1d1h1m");
        for text in ["", "10", "m", "1y", "-5m", "10 m", "99999999999d", "1h-3m"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
