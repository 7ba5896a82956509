//! The offsets of a zone, read from a compiled zone file (RFC 8536) by code of the tests' own, so
//! that a fault in a library's reading shows.

/// The last year for which the rule at a file's end is spelt out.
const LAST_YEAR: i64 = 2102;

/// When a zone's clock is how far from UTC, both in seconds.
#[derive(Debug)]
pub(crate) struct Offsets {
    first: i64,
    /// From when on which offset; only real changes, in order.
    changes: Vec<(i64, i64)>,
}

impl Offsets {
    pub(crate) fn read(file: &[u8]) -> Self {
        let counts = |header: &[u8]| {
            assert_eq!(&header[..4], b"TZif");
            let count = |n: usize| {
                u32::from_be_bytes(header[20 + 4 * n..24 + 4 * n].try_into().unwrap()) as usize
            };
            [0, 1, 2, 3, 4, 5].map(count)
        };
        let [utc, standard, leaps, times, types, letters] = counts(file);
        let old = 44 + times * 5 + types * 6 + letters + leaps * 8 + standard + utc;
        let file = &file[old..];
        let [utc, standard, leaps, times, types, letters] = counts(file);
        assert_eq!(leaps, 0, "leap seconds are not counted");
        let body = &file[44..];
        let (instants, body) = body.split_at(times * 8);
        let (indices, body) = body.split_at(times);
        let (kinds, body) = body.split_at(types * 6);
        let rule = &body[letters + standard + utc..];
        let rule = std::str::from_utf8(rule).unwrap().trim_matches('\n');

        let offset = |kind: usize| {
            i64::from(i32::from_be_bytes(
                kinds[kind * 6..kind * 6 + 4].try_into().unwrap(),
            ))
        };
        let mut changes: Vec<(i64, i64)> = Vec::new();
        for (instant, index) in instants.chunks(8).zip(indices) {
            let instant = i64::from_be_bytes(instant.try_into().unwrap());
            changes.push((instant, offset(usize::from(*index))));
        }
        let last = changes.last().map_or(i64::MIN, |(instant, _)| *instant);
        if let Some(rule) = Rule::read(rule) {
            let mut ruled: Vec<_> = (1969..=LAST_YEAR)
                .flat_map(|year| rule.changes(year))
                .collect();
            ruled.retain(|(instant, _)| *instant > last);
            ruled.sort_unstable();
            changes.extend(ruled);
        }
        let first = offset(0);
        let mut current = first;
        changes.retain(|(_, offset)| std::mem::replace(&mut current, *offset) != *offset);
        Self { first, changes }
    }

    /// The offset at an instant.
    pub(crate) fn at(&self, instant: i64) -> i64 {
        let after = self.changes.partition_point(|(start, _)| *start <= instant);
        match after {
            0 => self.first,
            after => self.changes[after - 1].1,
        }
    }

    /// The first change after an instant.
    pub(crate) fn next_change(&self, instant: i64) -> Option<i64> {
        let after = self.changes.partition_point(|(start, _)| *start <= instant);
        self.changes.get(after).map(|(start, _)| *start)
    }

    /// The changes in a time, both ends included.
    pub(crate) fn changes(&self, from: i64, to: i64) -> impl Iterator<Item = i64> + Clone {
        let begin = self.changes.partition_point(|(start, _)| *start < from);
        let starts = self.changes[begin..].iter().map(|(start, _)| *start);
        starts.take_while(move |start| *start <= to)
    }

    /// How often a clock of this zone showed `local` in the three days before `instant`.
    pub(crate) fn shown_before(&self, local: i64, instant: i64) -> u8 {
        let from = instant - 3 * 86_400;
        let mut starts: Vec<i64> = vec![from];
        starts.extend(self.changes(from + 1, instant));
        let mut shown = 0;
        for (n, start) in starts.iter().enumerate() {
            let end = starts.get(n + 1).copied().unwrap_or(instant);
            let showing = local - self.at(*start);
            shown += u8::from((*start..end).contains(&showing) && showing < instant);
        }
        shown
    }
}

/// Summer time as a rule for ever: `CET-1CEST,M3.5.0,M10.5.0/3`.
struct Rule {
    standard: i64,
    summer: i64,
    begin: (Day, i64),
    end: (Day, i64),
}

#[derive(Clone, Copy)]
enum Day {
    /// Month, week (5 is the last), day of the week.
    Weekday(i64, i64, i64),
    /// 1 to 365, without 29 February.
    Julian(i64),
    /// 0 to 365.
    OfYear(i64),
}

impl Rule {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let names = parts.next()?;
        let (begin, end) = (parts.next()?, parts.next()?);
        let rest = after_name(names);
        let (standard, rest) = time(rest);
        let rest = after_name(rest);
        let summer = if rest.is_empty() {
            3600 - standard
        } else {
            -time(rest).0
        };
        Some(Self {
            standard: -standard,
            summer,
            begin: day(begin),
            end: day(end),
        })
    }

    fn changes(&self, year: i64) -> [(i64, i64); 2] {
        let instant =
            |(day, at): (Day, i64), offset: i64| day_number(day, year) * 86_400 + at - offset;
        [
            (instant(self.begin, self.standard), self.summer),
            (instant(self.end, self.summer), self.standard),
        ]
    }
}

fn after_name(text: &str) -> &str {
    match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>').unwrap().1,
        None => text.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    }
}

/// `[+-]h[h][:mm[:ss]]` in seconds, and what follows.
fn time(text: &str) -> (i64, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || "+-:".contains(c)))
        .unwrap_or(text.len());
    let (time, rest) = text.split_at(end);
    let sign = if time.starts_with('-') { -1 } else { 1 };
    let parts = time.trim_start_matches(['+', '-']).split(':');
    let seconds: i64 = parts
        .zip([3600, 60, 1])
        .map(|(part, unit)| part.parse::<i64>().unwrap() * unit)
        .sum();
    (sign * seconds, rest)
}

fn day(text: &str) -> (Day, i64) {
    let (day, at) = match text.split_once('/') {
        Some((day, at)) => (day, time(at).0),
        None => (text, 7200),
    };
    let day = if let Some(rest) = day.strip_prefix('M') {
        let mut numbers = rest.split('.').map(|n| n.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        Day::Weekday(next(), next(), next())
    } else if let Some(rest) = day.strip_prefix('J') {
        Day::Julian(rest.parse().unwrap())
    } else {
        Day::OfYear(day.parse().unwrap())
    };
    (day, at)
}

fn day_number(day: Day, year: i64) -> i64 {
    let first = |month| days_from_civil(year, month, 1);
    match day {
        Day::Weekday(month, week, weekday) => {
            // 1 January 1970 was a Thursday.
            let of_first = (first(month) + 4).rem_euclid(7);
            let day = first(month) + (weekday - of_first).rem_euclid(7) + (week - 1) * 7;
            let next = if month == 12 {
                days_from_civil(year + 1, 1, 1)
            } else {
                first(month + 1)
            };
            if day >= next { day - 7 } else { day }
        }
        Day::Julian(n) => {
            let leap = first(3) - first(2) == 29;
            first(1) + n - 1 + i64::from(leap && n >= 60)
        }
        Day::OfYear(n) => first(1) + n,
    }
}

/// Days since 1 January 1970.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a number of days since 1 January 1970.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}
