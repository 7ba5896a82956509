//! The columns that a line or a flag may give, and their values: only types are read here, the
//! rules are the database's. No message repeats a value of `user_data`, `offline_push` or
//! `metadata`.

use std::str::FromStr;

use serde_json::value::RawValue;

use super::times::{self, Moment};
use crate::store::JobLine;

/// Every column that a user may give.
pub(super) const COLUMNS: [&str; 22] = [
    "robot_account",
    "callees",
    "run_at",
    "ttl",
    "expires_at",
    "app",
    "media_type",
    "room_id",
    "room_id_type",
    "ring_timeout_ms",
    "user_data",
    "offline_push",
    "priority",
    "max_attempts",
    "on_doubt",
    "retry_callees",
    "idempotency_key",
    "metadata",
    "ring_policy",
    "max_call_seconds",
    "media_url",
    "media_options",
];

/// Between two callees of one cell or flag.
const CALLEE_SEPARATOR: char = ';';

/// Below this, names have little more in common than some letters.
const ALIKE: f64 = 0.7;

/// The column of this name, or why there is none.
pub(super) fn column(name: &str) -> Result<&'static str, String> {
    if let Some(column) = COLUMNS.iter().find(|column| **column == name) {
        return Ok(column);
    }
    let lower = name.to_lowercase().replace([' ', '-'], "_");
    let nearest = COLUMNS
        .iter()
        .map(|column| (strsim::jaro_winkler(column, &lower), column));
    let nearest = nearest.max_by(|one, other| one.0.total_cmp(&other.0));
    let name = quoted(name);
    Err(match nearest {
        Some((alike, column)) if alike >= ALIKE => {
            format!("there is no column {name}; did you mean {column}?")
        }
        _ => format!(
            "there is no column {name}; the columns are {}",
            COLUMNS.join(", ")
        ),
    })
}

/// Gives `job` the column's value as a cell or a flag has it.
pub(super) fn set(job: &mut JobLine, column: &str, value: &str) -> Result<(), String> {
    match column {
        "callees" => job.callees = Some(callees(value)?),
        "offline_push" => job.offline_push = Some(json(column, value)?),
        "metadata" => job.metadata = Some(json(column, value)?),
        "ring_policy" => job.ring_policy = Some(json(column, value)?),
        "max_call_seconds" => job.max_call_seconds = Some(whole(column, value)?),
        "media_url" => job.media_url = Some(text(column, value)?),
        "media_options" => job.media_options = Some(json(column, value)?),
        "app" => job.app = Some(text(column, value)?),
        "robot_account" => job.robot_account = Some(text(column, value)?),
        "media_type" => job.media_type = Some(text(column, value)?),
        "room_id" => job.room_id = Some(text(column, value)?),
        "user_data" => job.user_data = Some(text(column, value)?),
        "on_doubt" => job.on_doubt = Some(text(column, value)?),
        "idempotency_key" => job.idempotency_key = Some(text(column, value)?),
        "room_id_type" => job.room_id_type = Some(whole(column, value)?),
        "ring_timeout_ms" => job.ring_timeout_ms = Some(whole(column, value)?),
        "priority" => job.priority = Some(whole(column, value)?),
        "max_attempts" => job.max_attempts = Some(whole(column, value)?),
        "retry_callees" => job.retry_callees = Some(truth(column, value)?),
        "ttl" => job.ttl = Some(times::duration(column, value)?),
        "run_at" => (job.run_at, job.run_in) = pair(times::run_at(column, value)?),
        "expires_at" => (job.expires_at, job.expires_in) = pair(times::expires_at(column, value)?),
        other => unreachable!("{other} is none of COLUMNS"),
    }
    Ok(())
}

/// The same for a value of a JSON line. `null` leaves the column to its default.
pub(super) fn set_json(job: &mut JobLine, column: &str, value: &RawValue) -> Result<(), String> {
    let raw = value.get();
    match (column, raw.as_bytes().first()) {
        (_, Some(b'n')) => Ok(()),
        ("callees", _) => {
            job.callees = Some(list(raw)?);
            Ok(())
        }
        ("offline_push" | "metadata" | "ring_policy" | "media_options", _) => set(job, column, raw),
        (_, Some(b'"')) => {
            let value: String = serde_json::from_str(raw)
                .map_err(|_| format!("{column} has an escape that stands for no character"))?;
            set(job, column, &value)
        }
        (_, Some(b'[')) => Err(format!("{column} is an array: it must be one value")),
        (_, Some(b'{')) => Err(format!("{column} is an object: it must be one value")),
        _ => set(job, column, raw),
    }
}

/// Forgets the deadline that flags gave, for a line that has its own.
pub(super) fn forget_deadline(job: &mut JobLine) {
    (job.ttl, job.expires_at, job.expires_in) = (None, None, None);
}

fn pair(moment: Moment) -> (Option<String>, Option<String>) {
    match moment {
        Moment::At(time) => (Some(time), None),
        Moment::In(interval) => (None, Some(interval)),
    }
}

fn callees(value: &str) -> Result<Vec<String>, String> {
    let value = value.trim();
    if value.starts_with('[') {
        return list(value);
    }
    if value.starts_with('{') && value.ends_with('}') {
        return Err(
            "callees is written as a PostgreSQL array: separate the accounts with ;".into(),
        );
    }
    let accounts = value.split(CALLEE_SEPARATOR).map(str::trim);
    let accounts = accounts.filter(|account| !account.is_empty());
    accounts.map(|account| text("callees", account)).collect()
}

fn list(raw: &str) -> Result<Vec<String>, String> {
    let accounts: Vec<String> = serde_json::from_str(raw)
        .map_err(|_| "callees is no list: it must be an array of strings".to_owned())?;
    accounts
        .iter()
        .map(|account| text("callees", account))
        .collect()
}

fn text(column: &str, value: &str) -> Result<String, String> {
    if value.contains('\0') {
        return Err(format!(
            "{column} holds a zero byte, which PostgreSQL cannot store"
        ));
    }
    Ok(value.to_owned())
}

fn whole<T: FromStr>(column: &str, value: &str) -> Result<T, String> {
    let value = value.trim();
    value.parse().map_err(|_| {
        let digits = value.strip_prefix('-').unwrap_or(value);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            format!("{column} is {}: the number is too large", quoted(value))
        } else {
            format!("{column} is {}: it must be a whole number", quoted(value))
        }
    })
}

fn truth(column: &str, value: &str) -> Result<bool, String> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "1" => Ok(true),
        "false" | "f" | "no" | "0" => Ok(false),
        _ => Err(format!(
            "{column} is {}: it must be true or false",
            quoted(value)
        )),
    }
}

fn json(column: &str, value: &str) -> Result<Box<RawValue>, String> {
    // serde's text names places and what was expected there, never what stands there.
    let raw = RawValue::from_string(value.trim().to_owned())
        .map_err(|error| format!("{column} is not JSON: {error}"))?;
    if holds_zero(raw.get()) {
        return Err(format!(
            "{column} holds \\u0000, which PostgreSQL cannot store"
        ));
    }
    Ok(raw)
}

/// Whether a string in this JSON has a zero byte. An escaped backslash may come before `u0000`.
fn holds_zero(raw: &str) -> bool {
    raw.match_indices("\\u0000").any(|(at, _)| {
        let before = raw[..at].bytes().rev().take_while(|b| *b == b'\\').count();
        before % 2 == 0
    })
}

/// A value for a message, on one line and short.
pub(super) fn quoted(value: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut short: String = value.chars().take(CHARS_MAX).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    format!("\"{}\"", crate::call::readable(&short))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(column: &str, value: &str) -> String {
        set(&mut JobLine::default(), column, value).expect_err("it is wrong")
    }

    #[test]
    fn every_column_takes_a_value() {
        for column in COLUMNS {
            let value = match column {
                "offline_push" | "metadata" | "ring_policy" | "media_options" => "{}",
                "retry_callees" => "true",
                "ttl" => "15m",
                "run_at" | "expires_at" => "in 10m",
                _ => "1",
            };
            let mut job = JobLine::default();
            assert_eq!(set(&mut job, column, value), Ok(()), "{column}");
            let json = serde_json::to_value(&job).expect("it has a JSON form");
            let given = json.as_object().expect("an object").values();
            assert_eq!(
                given.filter(|value| !value.is_null()).count(),
                1,
                "{column}"
            );
        }
    }

    #[test]
    fn several_callees_are_separated_or_a_json_array() {
        for value in ["ann;bob", " ann ; bob; ", r#"["ann", "bob"]"#] {
            assert_eq!(callees(value), Ok(vec!["ann".to_owned(), "bob".to_owned()]));
        }
        assert!(fault("callees", "{ann,bob}").contains("separate the accounts with ;"));
    }

    #[test]
    fn an_unknown_column_is_named_with_the_nearest() {
        let said = |name| column(name).expect_err("it is unknown");
        assert!(said("callee").ends_with("did you mean callees?"));
        assert!(said("Robot Account").ends_with("did you mean robot_account?"));
        assert!(said("ring_timeout").ends_with("did you mean ring_timeout_ms?"));
        assert!(said("zzz").contains("the columns are robot_account, "));
    }

    #[test]
    fn a_fault_names_the_column_and_shows_nothing_private() {
        assert_eq!(
            fault("priority", "high"),
            "priority is \"high\": it must be a whole number"
        );
        assert!(fault("priority", "99999999999").ends_with("the number is too large"));
        for column in ["offline_push", "metadata"] {
            let said = fault(column, r#"{"Desc": secret}"#);
            assert!(
                said.starts_with(column) && !said.contains("secret"),
                "{said}"
            );
        }
    }

    #[test]
    fn zero_bytes_are_found_and_backslashes_are_not_mistaken_for_them() {
        assert!(holds_zero(r#"{"a": "\u0000"}"#) && holds_zero(r#""\\\u0000""#));
        assert!(!holds_zero(r#""\\u0000""#));
        assert!(fault("user_data", "a\0b").contains("a zero byte"));
    }
}
