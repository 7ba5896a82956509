//! cronie's main loop, minute by minute, restated from `cron.c` and `entry.c`: what the schedules
//! are judged by. It uses nothing of theirs, no crate for cron, and zone files read by `tzfile.rs`.
//!
//! It departs from cronie where callq means to:
//! - cronie takes a clock that jumps by more than three hours for one that was set by hand, and
//!   loses fixed times in the jump. A zone never sets its clock by hand: only the times of days that
//!   do not exist at all are lost, as in Apia on 30 December 2011.
//! - Several fixed times in one gap start cronie's job as often, ten seconds apart. A phone rings
//!   once.
//! - With a field of seconds the loop goes second by second.

use super::tzfile::{Offsets, civil_from_days};

const DAY: i64 = 86_400;

/// An expression as five or six sets of bits.
#[derive(Debug)]
pub(crate) struct Job {
    second: u64,
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    either_day: bool,
    /// Its minute or hour begins with a star.
    pub(crate) wild: bool,
    unit: i64,
    /// Dates, as days since 1970, on which it does not ring.
    pub(crate) except: Vec<i64>,
    /// If there are any, it rings at these local times, whatever the sets say.
    times: Vec<i64>,
}

impl Job {
    /// Reads an expression that is known to be sound.
    pub(crate) fn read(text: &str) -> Self {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let (second, unit, five) = match fields.len() {
            6 => (bits(fields[0], 0, 59, &[]), 1, &fields[1..]),
            _ => (1, 60, &fields[..]),
        };
        let star = |n: usize| five[n].starts_with('*');
        let months = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC";
        let weekdays = "SUN MON TUE WED THU FRI SAT";
        let mut weekday = bits(five[4], 0, 7, &weekdays.split(' ').collect::<Vec<_>>());
        if weekday & 0b1000_0001 != 0 {
            weekday |= 0b1000_0001;
        }
        Self {
            second,
            minute: bits(five[0], 0, 59, &[]),
            hour: bits(five[1], 0, 23, &[]),
            day: bits(five[2], 1, 31, &[]),
            month: bits(five[3], 1, 12, &months.split(' ').collect::<Vec<_>>()),
            weekday,
            either_day: !star(2) && !star(4),
            wild: star(0) || star(1),
            unit,
            except: Vec::new(),
            times: Vec::new(),
        }
    }

    /// A job that rings at these local times, each at the beginning of a minute.
    pub(crate) fn at(times: Vec<i64>) -> Self {
        assert!(!times.is_empty());
        Self {
            times,
            ..Self::read("0 0 1 1 *")
        }
    }

    fn has_day(&self, days: i64) -> bool {
        if !self.times.is_empty() {
            let mut all = self.times.iter();
            return all.any(|time| time.div_euclid(DAY) == days) && !self.except.contains(&days);
        }
        let (_, month, day) = civil_from_days(days);
        let day = self.day >> day & 1 == 1;
        let weekday = self.weekday >> (days + 4).rem_euclid(7) & 1 == 1;
        let either = if self.either_day {
            day || weekday
        } else {
            day && weekday
        };
        self.month >> month & 1 == 1 && either && !self.except.contains(&days)
    }

    fn has(&self, local: i64) -> bool {
        let of_day = local.rem_euclid(DAY);
        if !self.times.is_empty() {
            return self.times.contains(&local) && self.has_day(local.div_euclid(DAY));
        }
        self.minute >> (of_day / 60 % 60) & 1 == 1
            && self.second >> (of_day % 60) & 1 == 1
            && self.hour >> (of_day / 3600) & 1 == 1
            && self.has_day(local.div_euclid(DAY))
    }
}

fn bits(field: &str, low: u64, high: u64, names: &[&str]) -> u64 {
    let number = |text: &str| {
        let position = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        position.map_or_else(|| text.parse().unwrap(), |n| n as u64 + low)
    };
    let mut bits = 0;
    for item in field.split(',') {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from), number(to)),
            None if range == "*" => (low, high),
            None => (number(range), number(range)),
        };
        let mut n = from;
        while n <= to {
            bits |= 1 << n;
            n += step.parse::<u64>().unwrap();
        }
    }
    bits
}

/// A ring: the instant, the local time that it is for, and how often that was shown before.
pub(crate) type Ring = (i64, i64, u8);

/// What became of a job.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) rings: Vec<Ring>,
    /// Fixed times of days that do not exist, with the instant at which the clock jumped.
    pub(crate) lost: Vec<(i64, i64)>,
    /// Up to when it was run: earlier than asked for if there were too many rings.
    pub(crate) until: i64,
}

/// Runs `job` from `after` up to `until` itself, or to its `most`th ring.
pub(crate) fn run(job: &Job, zone: &Offsets, after: i64, until: i64, most: usize) -> Run {
    // What was shown twice may be in the past of the beginning.
    let shaken = zone.changes(after - 56 * 3600, after).next().is_some();
    let mut now = if shaken { after - 28 * 3600 } else { after };
    let mut run = Run {
        until,
        ..Run::default()
    };
    let mut kept = 0;
    let unit = job.unit;
    let mut offset = zone.at(now);
    let mut change = zone.next_change(now).unwrap_or(i64::MAX);
    let mut virtual_time = (now + offset).div_euclid(unit);
    while kept < most {
        // Sleep until the next minute of the clock begins, or the clock is changed.
        let clock = now + offset;
        let in_step = clock.div_euclid(unit) == virtual_time && clock.rem_euclid(unit) == 0;
        if in_step && let Some(last) = idle_until(job, clock) {
            let last = (last - offset).min(until).min(change - 1);
            now = last - (last + offset).rem_euclid(unit);
            virtual_time = (now + offset).div_euclid(unit);
        }
        now += unit - (now + offset).rem_euclid(unit);
        if now >= change {
            now = change;
            offset = zone.at(now);
            change = zone.next_change(now).unwrap_or(i64::MAX);
        }
        if now > until {
            break;
        }
        let clock = now + offset;
        let running = clock.div_euclid(unit);
        let on_time = clock.rem_euclid(unit) == 0;
        let before = run.rings.len();
        if job.wild {
            if on_time && job.has(clock) {
                run.rings.push((now, clock, zone.shown_before(clock, now)));
            }
            virtual_time = virtual_time.max(running);
        } else if running > virtual_time {
            let days = (virtual_time * unit).div_euclid(DAY)..clock.div_euclid(DAY);
            while virtual_time < running {
                virtual_time += 1;
                let local = virtual_time * unit;
                if !job.has(local) {
                    continue;
                }
                let day = local.div_euclid(DAY);
                if day > days.start && day < days.end {
                    run.lost.push((now, local));
                } else if run.rings.len() == before {
                    run.rings.push((now, local, 0));
                }
            }
        }
        if now > after {
            kept += run.rings.len() - before;
            run.until = if kept < most { until } else { now };
        }
    }
    run.rings.retain(|ring| ring.0 > after);
    run.lost.retain(|lost| lost.0 > after);
    run
}

/// The last minute of the day or hour that follows `clock`, if the job cannot ring in it. Without
/// this a year takes half a million steps.
fn idle_until(job: &Job, clock: i64) -> Option<i64> {
    let next = clock + job.unit;
    let hour = job.hour >> (next.rem_euclid(DAY) / 3600) & 1 == 1 || !job.times.is_empty();
    let idle = if hour && job.has_day(next.div_euclid(DAY)) {
        return None;
    } else if hour || (next.rem_euclid(DAY) < 3600 && !job.has_day(next.div_euclid(DAY))) {
        DAY
    } else {
        3600
    };
    Some((next.div_euclid(idle) + 1) * idle - job.unit)
}
