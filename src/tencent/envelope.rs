//! Reading a reply: strict about whether there is an envelope, lenient about everything in it.
//!
//! The pages disagree on types (`RoomIdType` as text, results as numbers and as words), so a value
//! of another type than documented never costs the reply. Only `ErrorCode` must be there and must
//! be an integer, because the verdict hangs on it.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::private::Private;
use crate::call::{CalleeResult, READABLE_CHARS_MAX, Reply, readable};

/// So much of a text is looked at; less of it is kept.
const LOOKED_AT_CHARS: usize = 4 * READABLE_CHARS_MAX;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "ErrorCode")]
    error_code: Value,
    #[serde(rename = "ErrorInfo", default)]
    error_info: Value,
    #[serde(rename = "ActionStatus", default)]
    action_status: Value,
    #[serde(rename = "RequestId", default)]
    request_id: Value,
    #[serde(rename = "Response", default, borrow)]
    response: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Response<'a> {
    #[serde(rename = "CallId", default)]
    call_id: Value,
    #[serde(rename = "CallResult", default, borrow)]
    call_result: Option<&'a RawValue>,
}

/// The reply in `body`, if it holds an envelope: a JSON object with an integer `ErrorCode`, all of
/// it UTF-8, as JSON is (RFC 8259); the parser alone would not look into fields that are skipped.
///
/// Every text is fit for a row: bounded, and without the NUL that Postgres refuses.
#[must_use]
pub fn read(http_status: u16, body: &[u8]) -> Option<Reply> {
    read_without(&Private::default(), http_status, body)
}

/// The same without a word of what is private to the request.
pub(super) fn read_without(private: &Private, http_status: u16, body: &[u8]) -> Option<Reply> {
    let body = str::from_utf8(body).ok()?;
    let envelope: Envelope<'_> = object(body)?;
    let error_code = integer(&envelope.error_code)?;
    // A reply that says 0 rang phones, whatever its `Response` looks like.
    let response: Response<'_> = envelope
        .response
        .and_then(|response| object(response.get()))
        .unwrap_or_default();
    let (callee_results, callees) = callee_results(private, response.call_result);
    Some(Reply {
        http_status,
        error_code,
        error_info: text(private, &envelope.error_info).unwrap_or_default(),
        says_fail: text(private, &envelope.action_status)
            .is_some_and(|s| s.eq_ignore_ascii_case("FAIL")),
        request_id: text(private, &envelope.request_id),
        call_id: text(private, &response.call_id),
        callee_results,
        callees,
    })
}

/// Reads a JSON object. The derived readers would take an array as well, its elements in the order
/// of the fields: `[0]` must not become a reply that says 0.
fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    json.trim_ascii_start()
        .starts_with('{')
        .then(|| serde_json::from_str(json).ok())?
}

/// `CallResult` for the row, and read.
///
/// A `jsonb` column takes less than JSON allows: no NUL, no half of a surrogate pair, no number
/// beyond its range. A result that it would refuse must not keep the whole reply from being
/// recorded, so such a text is escaped, and what is not even a value is left out.
fn callee_results(
    private: &Private,
    raw: Option<&RawValue>,
) -> (Option<Box<RawValue>>, Vec<CalleeResult>) {
    let Some(raw) = raw else {
        return (None, Vec::new());
    };
    let Ok(mut value) = serde_json::from_str::<Value>(raw.get()) else {
        return (None, Vec::new());
    };
    let blinded = each_text(&mut value, &|text| private.blinded(text));
    let escaped = each_text(&mut value, &escaped_nul);
    let stored = if blinded || escaped {
        serde_json::value::to_raw_value(&value).ok()
    } else if value.is_null() {
        None
    } else {
        Some(raw.to_owned())
    };
    (
        stored,
        value.as_array().map_or_else(Vec::new, |items| {
            items.iter().map(|item| callee(private, item)).collect()
        }),
    )
}

/// The callees of a `CallResult` that was stored.
#[must_use]
pub fn read_callee_results(stored: &str) -> Vec<CalleeResult> {
    let value: Value = serde_json::from_str(stored).unwrap_or_default();
    let private = Private::default();
    let items = value.as_array().into_iter().flatten();
    items.map(|item| callee(&private, item)).collect()
}

fn callee(private: &Private, item: &Value) -> CalleeResult {
    CalleeResult {
        callee: text(private, &item["Callee_Account"]).unwrap_or_default(),
        result_code: integer(&item["ResultCode"]),
    }
}

/// An integer, or a string of digits with or without a sign.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(digits) => digits.trim().parse().ok(),
        _ => None,
    }
}

/// A string that is not empty, or anything else but null as JSON.
pub(super) fn text(private: &Private, value: &Value) -> Option<String> {
    let shown = |text: &str| {
        let looked_at = match text.char_indices().nth(LOOKED_AT_CHARS) {
            Some((end, _)) => &text[..end],
            None => text,
        };
        let blinded = private.blinded(looked_at);
        // What is cut here is cut again, with a mark.
        readable(blinded.as_deref().unwrap_or(looked_at))
    };
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(shown(text)),
        other => {
            let mut other = other.clone();
            each_text(&mut other, &|text| private.blinded(text));
            Some(shown(&other.to_string()))
        }
    }
}

/// The text with every NUL written as `\0`, if there is one.
fn escaped_nul(text: &str) -> Option<String> {
    text.contains('\0').then(|| text.replace('\0', "\\0"))
}

/// Changes every text and key of a value; says whether there was anything to change.
fn each_text(value: &mut Value, change: &impl Fn(&str) -> Option<String>) -> bool {
    match value {
        Value::String(text) => {
            let changed = change(text);
            let found = changed.is_some();
            *text = changed.unwrap_or_else(|| std::mem::take(text));
            found
        }
        // Not `any`, which would stop at the first.
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |found, item| each_text(item, change) | found),
        Value::Object(object) => {
            let mut found = false;
            for (key, mut item) in std::mem::take(object) {
                let changed = change(&key);
                found |= each_text(&mut item, change) | changed.is_some();
                object.insert(changed.unwrap_or(key), item);
            }
            found
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Option<Reply> {
        read(200, value.to_string().as_bytes())
    }

    fn raw(reply: &Reply) -> Option<&str> {
        reply.callee_results.as_deref().map(RawValue::get)
    }

    #[test]
    fn a_full_reply_is_read() {
        let body = br#"{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":"","RequestId":"r-1",
            "Response":{"CallId":"c-1","CallResult":[ {"Callee_Account":"ann","ResultCode":0},
            {"ResultCode":"70107","Callee_Account":144115212830834855, "New":1}, 3 ]},"Later":[]}"#;
        let reply = read(200, body).expect("there is an envelope");
        assert_eq!(
            (reply.http_status, reply.error_code, reply.says_fail),
            (200, 0, false)
        );
        assert_eq!(reply.error_info, "");
        assert_eq!(reply.request_id.as_deref(), Some("r-1"));
        assert_eq!(reply.call_id.as_deref(), Some("c-1"));
        let callee = |callee: &str, result_code| CalleeResult {
            callee: callee.to_owned(),
            result_code,
        };
        let expected = [
            callee("ann", Some(0)),
            callee("144115212830834855", Some(70107)),
            callee("", None),
        ];
        assert_eq!(reply.callees, expected);
        assert!(raw(&reply).is_some_and(|raw| raw.starts_with("[ {") && raw.ends_with("3 ]")));
    }

    #[test]
    fn the_error_code_is_an_integer_or_a_string_of_digits_and_must_be_there() {
        for (code, read) in [
            (json!(0), Some(0)),
            (json!("0"), Some(0)),
            (json!(-10113), Some(-10113)),
            (json!("-10113"), Some(-10113)),
            (json!("60007"), Some(60007)),
            (json!(0.0), None),
            (json!("0.0"), None),
            (json!(""), None),
            (json!("OK"), None),
            (json!(null), None),
            (json!(true), None),
            (json!([0]), None),
            (json!(u64::MAX), None),
        ] {
            let reply = of(&json!({ "ErrorCode": code }));
            assert_eq!(reply.map(|reply| reply.error_code), read, "{code}");
        }
        assert!(of(&json!({"ActionStatus": "OK"})).is_none());
    }

    #[test]
    fn values_of_other_types_than_documented_do_not_cost_the_reply() {
        let odd = json!({"ErrorCode": 0, "ErrorInfo": {"a": 1}, "ActionStatus": 7, "RequestId": 12,
            "Response": {"CallId": 99, "CallResult": "none"}});
        let reply = of(&odd).expect("there is an envelope");
        assert_eq!(reply.error_info, "{\"a\":1}");
        assert_eq!(reply.request_id.as_deref(), Some("12"));
        assert_eq!(reply.call_id.as_deref(), Some("99"));
        assert_eq!((raw(&reply), reply.callees.len()), (Some("\"none\""), 0));
        for response in [
            json!(null),
            json!([]),
            json!("x"),
            json!({}),
            json!({"CallId": ""}),
        ] {
            let reply = of(&json!({"ErrorCode": 0, "Response": response}));
            assert_eq!(reply.map(|reply| reply.call_id), Some(None), "{response}");
        }
    }

    #[test]
    fn fail_is_told_apart_in_any_case() {
        let says_fail = |status: &str| {
            of(&json!({"ErrorCode": 0, "ActionStatus": status})).map(|reply| reply.says_fail)
        };
        assert_eq!(says_fail("FAIL"), Some(true));
        assert_eq!(says_fail("Fail"), Some(true));
        assert_eq!(says_fail("OK"), Some(false));
    }

    #[test]
    fn what_holds_no_envelope_is_none() {
        for body in [
            &b""[..],
            b"<html>502 Bad Gateway</html>",
            b"{\"ErrorCode\":0",
            b"[{\"ErrorCode\":0}]",
            b"[0]",
            b" [0,\"\",\"OK\",\"r-1\",null]",
            b"0",
            b"null",
            b"{\"ErrorCode\":0,\"ErrorCode\":1}",
            b"{\"ErrorCode\":0,\"ErrorInfo\":\"\xff\"}",
            b"{\"ErrorCode\":0,\"Unknown\":\"\xff\"}",
            b"{\"ErrorCode\":0} {\"ErrorCode\":0}",
        ] {
            assert!(
                read(200, body).is_none(),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn texts_are_cut_and_made_harmless() {
        let long = json!({"ErrorCode": 1, "ErrorInfo": "x".repeat(900), "RequestId": "a\0\u{1b}b"});
        let reply = of(&long).expect("there is an envelope");
        assert_eq!(reply.error_info.chars().count(), 500);
        assert_eq!(reply.request_id.as_deref(), Some("a\\u{0}\\u{1b}b"));
    }

    #[test]
    fn results_that_a_jsonb_column_would_refuse_are_escaped_or_left_out_and_the_call_id_stays() {
        let body = |results: &str| {
            let text = format!(
                "{{\"ErrorCode\":0,\"Response\":{{\"CallId\":\"c\",\"CallResult\":{results}}}}}"
            );
            read(200, text.as_bytes()).expect("there is an envelope")
        };
        let nul = body(r#"[{"Callee_Account":"a\u0000b","k\u0000":"\u0000","ResultCode":0}]"#);
        assert!(raw(&nul).is_some_and(|raw| !raw.contains("\\u0000") && raw.contains("a\\\\0b")));
        assert_eq!(nul.callees.len(), 1);
        for results in [
            r#"["\ud800"]"#.to_owned(),
            "1e999".to_owned(),
            "[".repeat(200) + &"]".repeat(200),
        ] {
            let reply = body(&results);
            assert_eq!(reply.call_id.as_deref(), Some("c"));
            assert!(raw(&reply).is_none(), "{results}");
        }
    }

    proptest! {
        #[test]
        fn no_body_stops_the_reader(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(200, &body).is_none_or(|reply| reply.http_status == 200));
        }
    }
}
