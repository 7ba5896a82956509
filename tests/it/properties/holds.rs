//! What holds of the parsers whatever comes: asked by the property tests with made-up input, and
//! by the fuzz targets with input that looks for new paths through the code.

use std::collections::HashMap;
use std::time::Duration;

use callq::call::{
    Answer, AppHealth, Class, Evidence, Family, NextState, OfflinePush, OnDoubt, Outcome,
    OutcomeSource, Policy, READABLE_CHARS_MAX, RefusedCallees, Reply, Tried, decide, outcomes,
};
use callq::tencent::{classify, read_callback, read_record, read_reply, verdict, verdicts};
use serde_json::Value;
use serde_json::value::RawValue;

/// The longest delay that a verdict may ask for, but for a doubt.
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// A reply is read from nothing but an object with an integer `ErrorCode`, and what it carries fits
/// into a row.
pub(crate) fn reply(body: &[u8]) {
    let Some(reply) = read_reply(200, body) else {
        return;
    };
    let fields: HashMap<String, &RawValue> =
        serde_json::from_slice(body).expect("it is a JSON object");
    let code: Value = serde_json::from_str(fields["ErrorCode"].get()).expect("its code is JSON");
    let code = code.as_i64().or_else(|| code.as_str()?.trim().parse().ok());
    assert_eq!(
        code,
        Some(reply.error_code),
        "the code is the one that was answered"
    );
    let texts = [
        Some(&reply.error_info),
        reply.request_id.as_ref(),
        reply.call_id.as_ref(),
    ];
    for text in texts.into_iter().flatten() {
        assert!(text.chars().count() <= READABLE_CHARS_MAX, "{text}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    if let Some(results) = &reply.callee_results {
        let stored: Value = serde_json::from_str(results.get()).expect("what is stored is JSON");
        assert!(!holds_nul(&stored), "{stored}");
    }
    let says_fail = reply.says_fail;
    let code = reply.error_code;
    let accepted = classify(&Answer::Reply(reply)) == Class::Accepted;
    assert_eq!(
        accepted,
        code == 0 && !says_fail,
        "0 without FAIL, and nothing else, is accepted"
    );
}

/// A callback or a record is read from nothing but an object that names a call, its texts fit into
/// a row, and what it leads to is told of everybody who was called.
pub(crate) fn callback(body: &[u8]) {
    let event = read_callback(None, body);
    let record = read_record(body);
    if event.is_ok() || record.is_some() {
        let value: Value = serde_json::from_slice(body).expect("it is JSON");
        assert!(value.is_object(), "{value}");
    }
    let mut evidence = Vec::new();
    if let Ok(event) = event {
        let named = read_callback(Some(event.command().as_str()), body);
        assert_eq!(
            named.as_ref(),
            Ok(&event),
            "its own command changes nothing"
        );
        fits_a_row(&event.call_id);
        evidence.push(Evidence::Callback(event));
    }
    if let Some(record) = record {
        fits_a_row(&record.call_id);
        record.callees.iter().for_each(|callee| fits_a_row(callee));
        assert!(
            !record
                .callees
                .iter()
                .any(|c| Some(c) == record.caller.as_ref())
        );
        evidence.push(Evidence::Record(record));
    }
    for callees in [&["a"][..], &["a", "b", "0"]] {
        let callees: Vec<String> = callees.iter().map(|c| (*c).to_owned()).collect();
        let told = outcomes(&callees, &evidence);
        assert!(told.callees.iter().map(|of| &of.callee).eq(&callees));
        for of in told.callees {
            let is_known = of.source != OutcomeSource::Nothing;
            assert!(is_known || of.outcome == Outcome::Unknown, "{of:?}");
        }
    }
}

fn fits_a_row(text: &str) {
    assert!(
        (1..=READABLE_CHARS_MAX).contains(&text.chars().count()),
        "{text}"
    );
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| key.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// The numbers that a case of [`decision`] is drawn from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) code: i64,
    pub(crate) says_fail: bool,
    pub(crate) attempt: u32,
    pub(crate) attempts_used: u32,
    pub(crate) max_attempts: u32,
    pub(crate) seed: u64,
    pub(crate) deadline_left_ms: Option<u64>,
    pub(crate) choice: u8,
}

/// Only what certainly rang nobody goes back to the queue, in time for its deadline; a code that
/// no page lists is a doubt.
pub(crate) fn decision(numbers: Numbers) {
    let Numbers {
        code,
        says_fail,
        attempt,
        attempts_used,
        max_attempts,
        seed,
        deadline_left_ms,
        choice,
    } = numbers;
    let answer = Answer::Reply(Reply {
        http_status: 200,
        error_code: code,
        error_info: String::new(),
        says_fail,
        request_id: None,
        call_id: None,
        callee_results: None,
        callees: Vec::new(),
    });
    let listed = verdicts().any(|(listed, _)| listed == code);
    assert!(
        listed || verdict(code).class == Class::InDoubt,
        "{code} is not listed"
    );
    let class = classify(&answer);
    let policy = Policy {
        attempts_used,
        max_attempts,
        on_doubt: [OnDoubt::Hold, OnDoubt::Reconcile, OnDoubt::Retry][usize::from(choice % 3)],
        ring_timeout: Duration::from_secs(45),
        refused_callees: RefusedCallees::LeaveAlone,
    };
    let deadline_left = deadline_left_ms.map(Duration::from_millis);
    let tried = Tried {
        attempt,
        seed,
        deadline_left,
    };
    let health = [
        AppHealth::Proven,
        AppHealth::SigMayBeStale,
        AppHealth::Unproven,
    ][usize::from(choice / 3 % 3)];
    let verdict = decide(&policy, &tried, class, &answer, health);
    match verdict.next {
        NextState::Scheduled => {
            assert!(
                matches!(class.family(), Family::Safe | Family::App),
                "{class:?} is not sent again"
            );
            let delay = verdict.delay.unwrap_or_default();
            assert!(delay <= BACKOFF_MAX, "{delay:?}");
            assert!(
                deadline_left.is_none_or(|left| delay <= left),
                "{delay:?} of {deadline_left:?}"
            );
            assert!(
                !verdict.counts(),
                "what Tencent refused without ringing is not counted"
            );
        }
        NextState::Placed => assert_eq!(class, Class::Accepted),
        NextState::Failed => assert!(
            matches!(class, Class::Cannot | Class::AppOrJob),
            "{class:?} fails no job"
        ),
        NextState::Expired => assert_eq!(class.family(), Family::Safe),
        NextState::InDoubt => assert_eq!(class, Class::InDoubt),
    }
    assert_eq!(
        class == Class::InDoubt,
        verdict.next == NextState::InDoubt,
        "a doubt stays one"
    );
}

/// A push passes unchanged or is refused by path, in words that no text of it has a part in.
pub(crate) fn offline_push(value: &Value) {
    match OfflinePush::new(value.clone()) {
        Ok(push) => assert_eq!(
            &Value::Object(push.object().clone()),
            value,
            "it passes unchanged"
        ),
        Err(fault) => {
            let said = fault.to_string();
            assert!(said.starts_with("offline_push"), "{said}");
            let blank = OfflinePush::new(without_texts(value));
            let of_blank = blank.map_err(|fault| fault.to_string());
            assert_eq!(of_blank, Err(said), "a text's length alone is told");
        }
    }
}

/// The same with every text that is no word of Tencent's made unreadable.
fn without_texts(value: &Value) -> Value {
    const WORD_BYTES_MAX: usize = 24;
    match value {
        Value::String(text) if text.len() > WORD_BYTES_MAX => {
            let kept = text.starts_with("https://").then_some("https://");
            let kept = kept.unwrap_or_default();
            (kept.to_owned() + &"x".repeat(text.len() - kept.len())).into()
        }
        Value::Array(items) => items.iter().map(without_texts).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, field)| (key.clone(), without_texts(field)))
            .collect(),
        other => other.clone(),
    }
}
