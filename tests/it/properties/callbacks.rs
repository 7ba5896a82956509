//! Callbacks and records in whatever spelling: respelled as Tencent's pages are among themselves,
//! they say the same.

use callq::call::CallbackEvent;
use callq::tencent::{read_callback, read_record};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{holds, json as any_json, spoilt};

const KEYS: &[&str] = &[
    "CallbackCommand",
    "CallId",
    "CallInfo",
    "CallRecord",
    "Response",
    "UserList",
    "ChangedUserList",
    "User_Account",
    "ActionType",
    "Status",
    "EventTime",
    "CalleeList_Account",
    "Caller_Account",
    "StartTime",
    "EndTime",
    "AcceptTime",
    "CallResult",
    "RoomId",
    "RoomIdType",
];

/// A body that may be one of ours, spoilt or not.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let sound = any_json(KEYS).prop_map(|value| value.to_string().into_bytes());
    let ours = (sample(), any::<u64>()).prop_map(|(sample, seed)| {
        let mut rng = fastrand::Rng::with_seed(seed);
        respelled(&sample, None, &mut rng).to_string().into_bytes()
    });
    let spoilt = spoilt(ours.clone());
    prop_oneof![3 => sound, 3 => ours, 3 => spoilt]
}

/// A callback as it is documented, or the answer with a record.
fn sample() -> impl Strategy<Value = Value> + Clone {
    let account = || prop_oneof!["[a-z]{1,4}", "[1-9][0-9]{0,17}"];
    let list = |of: BoxedStrategy<Value>| proptest::collection::vec(of, 0..4);
    let status = prop::sample::select(&["Calling", "Waiting"][..]);
    let user = (account(), status).prop_map(|(a, s)| json!({ "User_Account": a, "Status": s }));
    let actions = [
        "Answer",
        "Reject",
        "NotAnswer",
        "Hang Up",
        "Join",
        "Offline",
        "Invite",
        "Cancel_Invite",
    ];
    let change = (account(), prop::sample::select(actions.to_vec()));
    let change = change.prop_map(|(a, w)| json!({ "User_Account": a, "ActionType": w }));
    let results = [
        "Cancel",
        "Reject",
        "NotAnswer",
        "NormalEnd",
        "CallBusy",
        "Interrupt",
        "Offline",
    ];
    let record = (
        prop::sample::select(results.to_vec()),
        list(account().prop_map(Value::from).boxed()),
        0..3_i64,
    );
    let record = record.prop_map(|(result, callees, accepted)| {
        json!({"CallId": "c1", "Caller_Account": "bot", "MediaType": "Video", "CallType": "SingleCall",
            "StartTime": 1_700_000_000, "EndTime": 1_700_000_009, "AcceptTime": accepted, "CallResult": result,
            "CalleeList_Account": callees, "RoomId": "7", "RoomIdType": 1})
    });
    let info = json!({"CallId": "c1", "MediaType": "Audio", "RoomId": "room1", "RoomIdType": 2});
    let users = list(user.boxed());
    prop_oneof![
        users.clone().prop_map(move |users| json!({"CallInfo": info, "UserList": users, "EventTime": 1_700_000_000_123_i64})),
        (users, list(change.boxed())).prop_map(|(users, changes)| json!({"CallId": "c1", "UserList": users,
            "ChangedUserList": changes, "EventTime": 1_700_000_000_456_i64})),
        record.clone().prop_map(|record| json!({"CallRecord": record, "EventTime": 5})),
        record.prop_map(|record| json!({"ErrorCode": 0, "Response": {"CallRecord": record}})),
    ]
}

/// The same with other capitals, spaces and underscores in keys and in words that are no ids, and
/// with ids and numbers as strings or not.
fn respelled(value: &Value, key: Option<&str>, rng: &mut fastrand::Rng) -> Value {
    let is_word = matches!(
        key,
        Some("ActionType" | "Status" | "CallResult" | "CallType" | "MediaType")
    );
    match value {
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                (varied(key, rng), respelled(value, Some(key), rng))
            };
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(|item| respelled(item, key, rng)).collect(),
        Value::String(word) if is_word => Value::from(varied(word, rng)),
        Value::String(id) => match id.parse::<u64>() {
            Ok(number) if rng.bool() => Value::from(number),
            _ => value.clone(),
        },
        Value::Number(number) if rng.bool() => Value::from(number.to_string()),
        other => other.clone(),
    }
}

fn varied(word: &str, rng: &mut fastrand::Rng) -> String {
    let mut varied = String::new();
    for c in word.chars().filter(|c| c.is_alphanumeric()) {
        match rng.u8(0..8) {
            0 => varied.push('_'),
            1 => varied.push(' '),
            _ => {}
        }
        varied.push(if rng.bool() {
            c.to_ascii_uppercase()
        } else {
            c.to_ascii_lowercase()
        });
    }
    varied
}

fn event(value: &Value) -> Option<CallbackEvent> {
    read_callback(None, value.to_string().as_bytes()).ok()
}

/// Fewer than of the others: a body has many parts, and each is read several times.
fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: 10_000,
        ..super::cases()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_callback_is_read_from_what_is_none(body in body()) {
        holds::callback(&body);
    }

    #[test]
    fn a_callback_says_the_same_in_every_spelling(sample in sample(), seed in any::<u64>()) {
        let other = respelled(&sample, None, &mut fastrand::Rng::with_seed(seed));
        prop_assert_eq!(event(&other), event(&sample), "{}", other);
        let record = |value: &Value| read_record(value.to_string().as_bytes());
        prop_assert_eq!(record(&other), record(&sample), "{}", other);
        prop_assert!(event(&sample).is_some() || record(&sample).is_some());
    }
}
