//! Values of the right type, each with its place, or what is wrong with them.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value as Json};
use toml::de::{DeTable, DeValue};

use super::files::name;
use super::json;
use super::keys::{self, Key, Section};
use super::near::{meant, nearest};
use super::text::{self, Lines, Value, article, in_order, key_shown};
use super::{Fault, Faults, Place, looks_like_a_secret, shown};
use crate::config::duration;

/// The values of one section, by their keys.
pub(super) type Values<'t, 'a> = HashMap<&'static str, &'t Value<'a>>;

/// A value that was understood, and where it begins.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

/// Looks at the values of one file.
pub(super) struct Reader<'a> {
    pub(super) lines: Lines<'a>,
    /// What is wrong so far, each with its place; what is missing stands before all.
    faults: Vec<(usize, Fault)>,
    /// What was told to be meant by a key that is none: it is not missing beside.
    meant: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn of(lines: Lines<'a>) -> Self {
        Self {
            lines,
            faults: Vec::new(),
            meant: Vec::new(),
        }
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_content(&self) -> bool {
        self.faults.is_empty()
    }

    /// Tells everything that is wrong, in the order of the file.
    pub(super) fn tell(mut self, faults: &mut Faults) {
        self.faults.sort_by_key(|(at, _)| *at);
        for (_, fault) in self.faults {
            faults.add(fault);
        }
    }

    /// The values of both sections; what is not known is told.
    pub(super) fn sections<'t>(
        &mut self,
        table: &'t DeTable<'a>,
    ) -> (Values<'t, 'a>, Option<Values<'t, 'a>>) {
        let mut top = HashMap::new();
        let mut call = None;
        for (key, value) in in_order(table) {
            let given = key.get_ref().as_ref();
            if given != keys::CALL {
                match keys::of(Section::Top).find(|known| known.name == given) {
                    Some(known) => drop(top.insert(known.name, value)),
                    None => self.unknown(key, Section::Top),
                }
                continue;
            }
            let DeValue::Table(inner) = value.get_ref() else {
                let found = article(value.get_ref().type_str());
                let what = format!("call is {found}: must be a section, [call]");
                self.fault(value.span().start, what);
                continue;
            };
            let mut values = HashMap::new();
            for (key, value) in in_order(inner) {
                let given = key.get_ref().as_ref();
                match keys::of(Section::Call).find(|known| known.name == given) {
                    Some(known) => drop(values.insert(known.name, value)),
                    None => self.unknown(key, Section::Call),
                }
            }
            call = Some(values);
        }
        (top, call)
    }

    fn unknown(&mut self, key: &text::Key<'_>, section: Section) {
        let name = key.get_ref().as_ref();
        let shown = match section {
            Section::Top => key_shown(name),
            Section::Call => format!("call.{}", key_shown(name)),
        };
        let elsewhere = keys::ALL.iter().find(|known| known.name == name);
        let never = keys::NOT_IN_CALL.iter().find(|(column, _)| *column == name);
        self.meant.extend(elsewhere.map(|known| known.name));
        let way_out = match (elsewhere.map(|known| known.section), never) {
            (Some(Section::Top), _) => "it belongs above [call]".to_owned(),
            (Some(Section::Call), _) => "it belongs in [call]".to_owned(),
            (None, Some((_, instead))) => (*instead).to_owned(),
            (None, None) => {
                let known = keys::of(section).map(|key| key.name);
                let mut known: Vec<&'static str> = known.collect();
                if section == Section::Top {
                    known.push(keys::CALL);
                }
                self.meant.extend(nearest(name, known.iter().copied()));
                meant(name, &known)
            }
        };
        self.fault(key.span().start, format!("{shown} is no key: {way_out}"));
    }

    /// Tells what is wrong at this place.
    pub(super) fn fault(&mut self, at: usize, what: impl fmt::Display) {
        let place = self.place(at);
        let fault = Fault::new(format_args!("{place}:"), what);
        self.faults.push((at, fault));
    }

    pub(super) fn place(&self, at: usize) -> Place {
        self.lines.place(at)
    }

    /// Tells what a value is instead of what is allowed.
    pub(super) fn refuse(&mut self, key: &Key, at: usize, found: impl fmt::Display) {
        let (path, allowed) = (key.path(), key.allowed);
        self.fault(at, format_args!("{path} is {found}: must be {allowed}"));
    }

    /// Whether a fault may quote the text. What may not be quoted is refused here.
    pub(super) fn may_quote(&mut self, key: &Key, given: &Found<String>) -> bool {
        let secret = given.value.split_whitespace().any(looks_like_a_secret);
        if secret {
            let what = "something that is not repeated, because it looks like a secret";
            self.refuse(key, given.at, what);
        }
        !secret
    }

    /// Whether another key stands where this was meant, which is told.
    pub(super) fn is_meant(&self, key: &Key) -> bool {
        self.meant.contains(&key.name)
    }

    /// Tells that a key is missing.
    pub(super) fn missing(&mut self, key: &Key) {
        let (path, allowed) = (key.path(), key.allowed);
        self.lacks(key.name, &format!("{path}: must be {allowed}"));
    }

    /// Tells that the file has something not at all; unless `key` was meant by another, which is
    /// told.
    pub(super) fn lacks(&mut self, key: &str, what: &str) {
        if self.meant.contains(&key) {
            return;
        }
        let file = name(self.lines.file());
        let fault = Fault::new(file, format_args!("has no {what}"));
        self.faults.push((0, fault));
    }

    /// A text. One that PostgreSQL cannot store is refused here for all columns.
    pub(super) fn text(&mut self, values: &Values<'_, 'a>, key: &Key) -> Option<Found<String>> {
        let value = values.get(key.name)?;
        let at = value.span().start;
        match value.get_ref() {
            DeValue::String(text) if text.contains('\0') => {
                let path = key.path();
                self.fault(
                    at,
                    format_args!("{path} holds a zero byte: must be without"),
                );
                None
            }
            DeValue::String(text) => Some(Found {
                value: text.to_string(),
                at,
            }),
            other => {
                let found = article(other.type_str());
                let (path, allowed) = (key.path(), key.allowed);
                let what = format!("{path} is {found}: must be in quotes, {allowed}");
                self.fault(at, what);
                None
            }
        }
    }

    /// A text that is a local time, or a date or time of TOML's own.
    pub(super) fn time(&mut self, values: &Values<'_, 'a>, key: &Key) -> Option<Found<String>> {
        let value = values.get(key.name)?;
        if let DeValue::Datetime(time) = value.get_ref() {
            let at = value.span().start;
            return Some(Found {
                value: time.to_string(),
                at,
            });
        }
        self.text(values, key)
    }

    /// One of these words.
    pub(super) fn word(
        &mut self,
        values: &Values<'_, 'a>,
        key: &Key,
        words: &[&'static str],
    ) -> Option<&'static str> {
        let given = self.text(values, key)?;
        let word = words.iter().find(|word| **word == given.value);
        if word.is_none() {
            let lower = given.value.to_lowercase();
            let meant = words.iter().find(|word| word.to_lowercase() == lower);
            let found = shown(&given.value);
            match meant {
                Some(meant) => {
                    let path = key.path();
                    self.fault(
                        given.at,
                        format!("{path} is {found}: did you mean {meant}?"),
                    );
                }
                None => self.refuse(key, given.at, found),
            }
        }
        word.copied()
    }

    /// A whole number.
    pub(super) fn whole(&mut self, values: &Values<'_, 'a>, key: &Key) -> Option<Found<i64>> {
        let value = values.get(key.name)?;
        let at = value.span().start;
        let DeValue::Integer(number) = value.get_ref() else {
            self.refuse(key, at, kind(value.get_ref()));
            return None;
        };
        let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
        if read.is_none() {
            self.refuse(key, at, shown(number.as_str()));
        }
        read.map(|value| Found { value, at })
    }

    pub(super) fn truth(&mut self, values: &Values<'_, 'a>, key: &Key) -> Option<bool> {
        let value = values.get(key.name)?;
        let DeValue::Boolean(truth) = value.get_ref() else {
            self.refuse(key, value.span().start, kind(value.get_ref()));
            return None;
        };
        Some(*truth)
    }

    pub(super) fn duration(
        &mut self,
        values: &Values<'_, 'a>,
        key: &Key,
    ) -> Option<Found<Duration>> {
        let value = values.get(key.name)?;
        let at = value.span().start;
        let read = match value.get_ref() {
            DeValue::String(text) => duration(text),
            _ => None,
        };
        if read.is_none() {
            self.refuse(key, at, kind(value.get_ref()));
        }
        read.map(|value| Found { value, at })
    }

    /// A list of texts, or of dates and times of TOML's own.
    pub(super) fn texts(
        &mut self,
        values: &Values<'_, 'a>,
        key: &Key,
    ) -> Option<Found<Vec<Found<String>>>> {
        let value = values.get(key.name)?;
        let at = value.span().start;
        let DeValue::Array(items) = value.get_ref() else {
            self.refuse(key, at, article(value.get_ref().type_str()));
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        let mut sound = true;
        for item in items {
            let at = item.span().start;
            let text = match item.get_ref() {
                DeValue::String(text) if !text.contains('\0') => text.to_string(),
                DeValue::Datetime(time) => time.to_string(),
                other => {
                    let (path, allowed) = (key.path(), key.allowed);
                    let found = article(other.type_str());
                    let what = format!("{path} has {found} in it: must be {allowed}");
                    self.fault(at, what);
                    sound = false;
                    continue;
                }
            };
            texts.push(Found { value: text, at });
        }
        sound.then_some(Found { value: texts, at })
    }

    /// A table as JSON. No value of it is ever repeated.
    pub(super) fn object(
        &mut self,
        values: &Values<'_, 'a>,
        key: &Key,
    ) -> Option<Found<Map<String, Json>>> {
        let value = values.get(key.name)?;
        let at = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            self.refuse(key, at, article(value.get_ref().type_str()));
            return None;
        };
        match json::object(table) {
            Ok(value) => Some(Found { value, at }),
            Err((at, what)) => {
                let path = key.path();
                self.fault(at, format_args!("{path} has {what}"));
                None
            }
        }
    }
}

/// A value as it may be shown: a short one itself, of others the type.
fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => shown(text),
        DeValue::Integer(number) if !looks_like_a_secret(number.as_str()) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        other => article(other.type_str()),
    }
}
