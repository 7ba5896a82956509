//! What a user gives of a schedule, as fields with a name and a text: for plans, tables and
//! programs. `user_data`, `offline_push` and `media_url` are shown only to who asks for them.

use chrono::NaiveDate;
use serde_json::{Map, Value};

use crate::call::readable;
use crate::config::duration_shown;
use crate::config::schedules::{Rings, ScheduleFile};
use crate::store::ScheduleDefinition;

/// Whether what belongs to the callees is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Private {
    Hidden,
    Shown,
}

impl Private {
    /// As `--show-user-data` says it.
    pub(super) const fn of_flag(show_user_data: bool) -> Self {
        if show_user_data {
            Self::Shown
        } else {
            Self::Hidden
        }
    }
}

/// The fields that are personal.
const PRIVATE: [&str; 3] = ["user_data", "offline_push", "media_url"];

/// The value of a field; empty: not given.
#[derive(PartialEq)]
pub(super) enum Text {
    One(String),
    List(Vec<String>),
}

/// More items of a list than this are counted.
const ITEMS_TOLD: usize = 8;

impl Text {
    fn of(value: Option<impl ToString>) -> Self {
        Self::One(value.map(|value| value.to_string()).unwrap_or_default())
    }

    fn dates(dates: &[NaiveDate]) -> Self {
        Self::List(dates.iter().map(NaiveDate::to_string).collect())
    }

    /// On one line, cut where it is long.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::One(text) => readable(text),
            Self::List(items) => told(items.iter().map(String::as_str), ""),
        }
    }
}

/// The items, each behind `sign`; the last ones counted if there are many.
fn told<'a>(items: impl Iterator<Item = &'a str> + Clone, sign: &str) -> String {
    let count = items.clone().count();
    let first = items.take(ITEMS_TOLD);
    let first: Vec<String> = first
        .map(|item| format!("{sign}{}", readable(item)))
        .collect();
    let between = if sign.is_empty() { ", " } else { " " };
    match count.saturating_sub(ITEMS_TOLD) {
        0 => first.join(between),
        more => format!("{} and {more} more", first.join(between)),
    }
}

/// A field that differs.
pub(super) struct Change {
    pub(super) field: &'static str,
    /// `old -> new`, or what was added to and taken from a list.
    pub(super) shown: String,
    /// For programs; `null` where it is not shown.
    pub(super) old: Value,
    pub(super) new: Value,
}

/// The fields of a schedule, each with its text.
pub(super) fn fields(definition: &ScheduleDefinition) -> Vec<(&'static str, Text)> {
    let d = definition;
    let duration = |duration: Option<std::time::Duration>| Text::of(duration.map(duration_shown));
    let object = |value: Option<&Value>| Text::of(value.map(Value::to_string));
    vec![
        ("cron", Text::of(d.cron.as_ref())),
        ("every", duration(d.every)),
        ("on", Text::List(d.on_times.clone().unwrap_or_default())),
        ("tz", Text::of(Some(&d.tz))),
        ("enabled", Text::of(Some(d.enabled))),
        ("ttl", duration(d.ttl)),
        ("jitter", duration(d.jitter)),
        ("catch_up", Text::of(Some(&d.catch_up))),
        ("catch_up_window", duration(d.catch_up_window)),
        ("overlap", Text::of(Some(&d.overlap))),
        ("start_at", Text::of(d.start_at.as_ref())),
        ("end_at", Text::of(d.end_at.as_ref())),
        ("except_dates", Text::dates(&d.except_dates)),
        ("calendars", Text::List(d.calendars.clone())),
        ("calendar_dates", Text::dates(&d.calendar_dates)),
        ("robot_account", Text::of(Some(&d.robot_account))),
        ("callees", Text::List(d.callees.clone())),
        ("media_type", Text::of(Some(&d.media_type))),
        ("room_id", Text::of(d.room_id.as_ref())),
        ("room_id_type", Text::of(Some(d.room_id_type))),
        ("ring_timeout_ms", Text::of(Some(d.ring_timeout_ms))),
        ("user_data", Text::of(d.user_data.as_ref())),
        ("offline_push", object(d.offline_push.as_ref())),
        ("priority", Text::of(Some(d.priority))),
        ("max_attempts", Text::of(Some(d.max_attempts))),
        ("on_doubt", Text::of(Some(&d.on_doubt))),
        ("retry_callees", Text::of(Some(d.retry_callees))),
        ("metadata", object(Some(&d.metadata))),
        ("ring_policy", object(d.ring_policy.as_ref())),
        ("max_call_seconds", Text::of(d.max_call_seconds)),
        ("media_url", Text::of(d.media_url.as_ref())),
        ("media_options", object(d.media_options.as_ref())),
    ]
}

/// Whether the field is personal, and so not shown.
pub(super) fn is_hidden(field: &str, private: Private) -> bool {
    private == Private::Hidden && PRIVATE.contains(&field)
}

/// The fields in which two schedules differ.
pub(super) fn changes(
    old: &ScheduleDefinition,
    new: &ScheduleDefinition,
    private: Private,
) -> Vec<Change> {
    let pairs = fields(old).into_iter().zip(fields(new));
    let differing = pairs.filter(|((_, old), (_, new))| old != new);
    differing
        .map(|((field, old), (_, new))| {
            if is_hidden(field, private) {
                let shown = "is another; --show-user-data shows it".to_owned();
                let (old, new) = (Value::Null, Value::Null);
                return Change {
                    field,
                    shown,
                    old,
                    new,
                };
            }
            let json = |text: &Text| match text {
                Text::One(text) if text.is_empty() => Value::Null,
                Text::One(text) => Value::from(text.as_str()),
                Text::List(items) => Value::from(items.clone()),
            };
            let shown = difference(&old, &new);
            let (old, new) = (json(&old), json(&new));
            Change {
                field,
                shown,
                old,
                new,
            }
        })
        .collect()
}

fn difference(old: &Text, new: &Text) -> String {
    if let (Text::List(old), Text::List(new)) = (old, new) {
        let lacks = |list: &[String], item: &String| !list.contains(item);
        let added = new
            .iter()
            .filter(|item| lacks(old, item))
            .map(String::as_str);
        let gone = old
            .iter()
            .filter(|item| lacks(new, item))
            .map(String::as_str);
        let parts = [told(added, "+"), told(gone, "-")];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        return match parts.as_slice() {
            [] => "the same in another order".to_owned(),
            parts => parts.join(" "),
        };
    }
    let given = |text: &Text| {
        let shown = text.shown();
        if shown.is_empty() {
            "(none)".to_owned()
        } else {
            shown
        }
    };
    format!("{} -> {}", given(old), given(new))
}

/// A schedule for programs: the columns that users give, durations as in files.
pub(super) fn json(definition: &ScheduleDefinition, private: Private) -> Map<String, Value> {
    let d = definition;
    let duration = |duration: Option<std::time::Duration>| duration.map(duration_shown);
    let value = serde_json::to_value(d).expect("every field has a JSON form");
    let Value::Object(mut object) = value else {
        unreachable!("a struct is an object")
    };
    for (seconds, name, value) in [
        ("every_s", "every", duration(d.every)),
        ("ttl_s", "ttl", duration(d.ttl)),
        ("jitter_s", "jitter", duration(d.jitter)),
        (
            "catch_up_window_s",
            "catch_up_window",
            duration(d.catch_up_window),
        ),
    ] {
        object.remove(seconds);
        object.insert(name.to_owned(), value.into());
    }
    let on = object.remove("on_times").unwrap_or_default();
    object.insert("on".to_owned(), on);
    for name in PRIVATE {
        if is_hidden(name, private) {
            let given = object.remove(name).is_some_and(|value| !value.is_null());
            object.insert(format!("has_{name}"), given.into());
        }
    }
    object
}

/// When it rings, on one line.
pub(super) fn rings(definition: &ScheduleDefinition) -> String {
    let d = definition;
    if let Some(cron) = &d.cron {
        readable(cron)
    } else if let Some(every) = d.every {
        format!("every {}", duration_shown(every))
    } else {
        let times = d.on_times.as_deref().unwrap_or_default();
        match times {
            [] => String::new(),
            [only] => format!("on {}", readable(only)),
            [first, ..] => format!("on {} and {} more", readable(first), times.len() - 1),
        }
    }
}

/// What a file describes, as the table has it.
pub(super) fn definition(file: &ScheduleFile) -> ScheduleDefinition {
    let call = &file.call;
    let (mut cron, mut every, mut on_times) = (None, None, None);
    match &file.rings {
        Rings::Cron(text) => cron = Some(text.clone()),
        Rings::Every(interval) => every = Some(*interval),
        Rings::On(times) => {
            let times = times
                .iter()
                .map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string());
            let short = |time: String| match time.strip_suffix(":00") {
                Some(short) => short.to_owned(),
                None => time,
            };
            on_times = Some(times.map(short).collect());
        }
    }
    let small = |number: i64| i32::try_from(number).expect("the file's rules keep it small");
    ScheduleDefinition {
        cron,
        every,
        on_times,
        tz: file.timetable.zone().name().to_owned(),
        enabled: file.enabled,
        ttl: file.ttl,
        jitter: Some(file.jitter),
        catch_up: file.catch_up.to_owned(),
        catch_up_window: Some(file.catch_up_window),
        overlap: file.overlap.to_owned(),
        start_at: file.start_at.clone(),
        end_at: file.end_at.clone(),
        except_dates: file.except_dates.clone(),
        calendars: file.calendars.clone(),
        calendar_dates: file.calendar_dates.clone(),
        robot_account: call.robot_account.clone(),
        callees: call.callees.clone(),
        media_type: call.media_type.clone(),
        room_id: call.room_id.clone(),
        room_id_type: small(call.room_id_type),
        ring_timeout_ms: call.ring_timeout_ms,
        user_data: call.user_data.clone(),
        offline_push: call.offline_push.clone().map(Value::Object),
        priority: small(call.priority),
        max_attempts: small(call.max_attempts),
        on_doubt: call.on_doubt.clone(),
        retry_callees: call.retry_callees,
        metadata: Value::Object(call.metadata.clone()),
        ring_policy: file.ring_policy.clone().map(Value::Object),
        max_call_seconds: call.max_call_seconds.map(small),
        media_url: call.media_url.clone(),
        media_options: call.media_options.clone().map(Value::Object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_the_field_and_both_values_but_nothing_personal() {
        let old = ScheduleDefinition::with_defaults();
        let mut new = old.clone();
        new.cron = Some("0 9 * * *".to_owned());
        new.callees = vec!["jack".to_owned()];
        new.user_data = Some("swordfish".to_owned());
        let told = |private| {
            let changes = changes(&old, &new, private);
            let lines = changes
                .iter()
                .map(|change| format!("{}: {}", change.field, change.shown));
            lines.collect::<Vec<_>>()
        };
        let hidden = "user_data: is another; --show-user-data shows it";
        assert_eq!(
            told(Private::Hidden),
            ["cron: (none) -> 0 9 * * *", "callees: +jack", hidden]
        );
        assert_eq!(told(Private::Shown)[2], "user_data: (none) -> swordfish");
        let json = |private| Value::Object(json(&new, private)).to_string();
        assert!(json(Private::Hidden).contains("\"has_user_data\":true"));
        assert!(!json(Private::Hidden).contains("swordfish"));
        assert!(json(Private::Shown).contains("swordfish"));
    }

    #[test]
    fn many_items_are_counted() {
        let dates: Vec<String> = (1..=20).map(|n| format!("2026-12-{n:02}")).collect();
        let shown = difference(&Text::List(Vec::new()), &Text::List(dates));
        assert!(shown.starts_with("+2026-12-01 +2026-12-02 "), "{shown}");
        assert!(shown.ends_with(" and 12 more"), "{shown}");
    }
}
