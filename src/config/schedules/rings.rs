//! When a schedule rings: `cron`, `every` or `on`.

use std::time::Duration;

use chrono::NaiveDateTime;

use super::keys::{self, Key};
use super::reader::{Reader, Values};
use crate::schedule::{Expression, Interval, LocalTimes, Recurrence};

/// When a schedule rings, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rings {
    /// A cron expression.
    Cron(String),
    /// An interval in real time.
    Every(Duration),
    /// Local times, in order.
    On(Vec<NaiveDateTime>),
}

/// When a schedule rings, and where that is written.
pub(super) struct Ringing {
    pub(super) recurrence: Recurrence,
    pub(super) written: Rings,
    pub(super) at: usize,
}

/// When it rings; what is wrong is told.
pub(super) fn rings<'a>(reader: &mut Reader<'a>, top: &Values<'_, 'a>) -> Option<Ringing> {
    let ways = [keys::CRON, keys::EVERY, keys::ON];
    let given: Vec<&Key> = ways
        .into_iter()
        .filter(|key| top.contains_key(key.name))
        .collect();
    match given.as_slice() {
        [] => {
            if !ways.into_iter().any(|key| reader.is_meant(key)) {
                reader.missing(keys::CRON);
            }
            None
        }
        [only] => match only.name {
            "cron" => cron(reader, top),
            "every" => every(reader, top),
            _ => on(reader, top),
        },
        [first, .., last] => {
            let at = top[last.name].span().start;
            let what = format!(
                "{} and {} are both given: must be one of them",
                first.name, last.name
            );
            reader.fault(at, what);
            None
        }
    }
}

fn cron<'a>(reader: &mut Reader<'a>, top: &Values<'_, 'a>) -> Option<Ringing> {
    let given = reader.text(top, keys::CRON)?;
    if !reader.may_quote(keys::CRON, &given) {
        return None;
    }
    match Expression::parse(&given.value) {
        Ok(expression) => Some(Ringing {
            written: Rings::Cron(expression.as_str().to_owned()),
            recurrence: Recurrence::Cron(expression),
            at: given.at,
        }),
        Err(fault) => {
            // In a plain string the fault itself can be pointed at.
            let before = given.value.chars().take(fault.column() - 1);
            let before: usize = before.map(char::len_utf8).sum();
            let inner = given.at + 1;
            let plain = reader.lines.piece(inner, inner + given.value.len()) == given.value;
            let at = if plain { inner + before } else { given.at };
            reader.fault(at, format_args!("cron: {fault}"));
            None
        }
    }
}

fn every<'a>(reader: &mut Reader<'a>, top: &Values<'_, 'a>) -> Option<Ringing> {
    let given = reader.duration(top, keys::EVERY)?;
    match Interval::new(given.value) {
        Ok(interval) => Some(Ringing {
            recurrence: Recurrence::Every(interval),
            written: Rings::Every(given.value),
            at: given.at,
        }),
        Err(fault) => {
            reader.fault(given.at, fault);
            None
        }
    }
}

fn on<'a>(reader: &mut Reader<'a>, top: &Values<'_, 'a>) -> Option<Ringing> {
    let given = reader.texts(top, keys::ON)?;
    let mut sound = true;
    for time in &given.value {
        // Each by itself, so that each fault has its place.
        if !reader.may_quote(keys::ON, time) {
            sound = false;
        } else if let Err(fault) = LocalTimes::parse([&time.value]) {
            reader.fault(time.at, fault);
            sound = false;
        }
    }
    let times = given.value.iter().map(|time| time.value.as_str());
    match sound.then(|| LocalTimes::parse(times))? {
        Ok(times) => Some(Ringing {
            written: Rings::On(times.iter().collect()),
            recurrence: Recurrence::On(times),
            at: given.at,
        }),
        Err(fault) => {
            reader.fault(given.at, fault);
            None
        }
    }
}
