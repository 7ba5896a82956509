//! What holds of the parsers and of the decision for whatever comes, each with 100,000 cases, or
//! 10,000 where one is slow. A failure prints its smallest case; `PROPTEST_CASES` is not heeded, so that nobody lowers it.

mod callbacks;
mod configuration;
mod holds;

use callq::config::settings;
use callq::tencent::verdicts;
use proptest::prelude::*;
use serde_json::{Map, Value};

use self::holds::Numbers;

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: 100_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Any JSON, with some of the given keys in its objects.
fn json(keys: &'static [&'static str]) -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![-2..20_i64, any::<i64>()].prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![
            "[a-z]{0,6}",
            "\\PC{0,40}",
            "(?s).{0,8}",
            "0|-1|FAIL|OK|60008|LOW|high"
        ]
        .prop_map(Value::from),
    ];
    let key =
        prop_oneof![9 => proptest::sample::select(keys).prop_map(str::to_owned), 1 => "\\PC{0,4}"];
    leaf.prop_recursive(3, 16, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|fields| Value::from(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The same with some bytes changed.
fn spoilt(sound: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    (sound, changes).prop_map(|(mut bytes, changes)| {
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes
    })
}

/// A body that is an envelope, or was one before bytes of it were changed.
fn body() -> impl Strategy<Value = Vec<u8>> {
    const KEYS: &[&str] = &[
        "ErrorCode",
        "ErrorInfo",
        "ActionStatus",
        "RequestId",
        "Response",
        "CallId",
        "CallResult",
        "Callee_Account",
        "ResultCode",
    ];
    let envelope = json(KEYS).prop_map(|value| value.to_string().into_bytes());
    let spoilt = spoilt(envelope.clone());
    prop_oneof![6 => envelope, 3 => spoilt, 1 => proptest::collection::vec(any::<u8>(), 0..64)]
}

/// Pieces of a configuration, or of what somebody took for one, some of them spoilt.
fn toml() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&str> = settings::ALL.iter().map(|setting| setting.key).collect();
    let key = prop_oneof![
        12 => proptest::sample::select(known).prop_map(str::to_owned),
        1 => "[a-z_]{1,6}",
        1 => proptest::sample::select(&configuration::SECRETS[..2]).prop_map(str::to_owned),
        1 => any_text().prop_map(|key| format!("{key:?}")),
    ];
    let text = prop_oneof![
        "[a-z0-9:/@.*-]{0,12}",
        any_text(),
        Just("postgres://me@db/x".to_owned()),
        Just("http://127.0.0.1:80".to_owned()),
        Just("singapore".to_owned()),
        Just(format!("{}db/x", configuration::SECRETS[2])),
        proptest::sample::select(&configuration::SECRETS[..2]).prop_map(str::to_owned),
    ];
    let value = prop_oneof![
        6 => text.prop_map(|text| format!("{text:?}")),
        2 => any::<u32>().prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_map(|number| format!("{number:?}")),
        1 => proptest::sample::select(&["true", "[1, 'a']", "{ a = 1 }", "1979-05-27", "tokyo", ""][..])
            .prop_map(str::to_owned),
    ];
    let section = prop_oneof![
        3 => proptest::sample::select(&["[worker]", "[apps.a]", "[apps.'b c']", "[[apps]]", "[apps]", "# x"][..])
            .prop_map(str::to_owned),
        1 => "[a-z.\\[\\]]{0,6}",
    ];
    let line = prop_oneof![
        5 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        2 => section,
    ];
    let whole =
        proptest::collection::vec(line, 0..4).prop_map(|lines| lines.join("\n").into_bytes());
    prop_oneof![
        6 => whole.clone(),
        2 => spoilt(whole),
        1 => proptest::collection::vec(any::<u8>(), 0..64),
    ]
}

/// A few characters of any kind.
fn any_text() -> impl Strategy<Value = String> + Clone {
    proptest::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter)
}

fn numbers() -> impl Strategy<Value = Numbers> {
    let listed: Vec<i64> = verdicts().map(|(code, _)| code).collect();
    let near = (proptest::sample::select(listed), -1..=1_i64).prop_map(|(code, off)| code + off);
    let left = proptest::option::of(prop_oneof![0..5_000_u64, any::<u32>().prop_map(u64::from)]);
    let attempts = (1..200_u32, 0..10_u32, 1..=100_u32);
    let rest = (any::<bool>(), any::<u64>(), left, any::<u8>());
    (prop_oneof![near, any::<i64>()], attempts, rest).prop_map(
        |(
            code,
            (attempt, attempts_used, max_attempts),
            (says_fail, seed, deadline_left_ms, choice),
        )| Numbers {
            code,
            says_fail,
            attempt,
            attempts_used,
            max_attempts,
            seed,
            deadline_left_ms,
            choice,
        },
    )
}

const PUSH_KEYS: &[&str] = &[
    "PushFlag",
    "Title",
    "Desc",
    "Ext",
    "BadgeAddNum",
    "BadgeSetNum",
    "AndroidInfo",
    "ApnsInfo",
    "HarmonyInfo",
    "MultiLanguageContent",
    "Language",
    "Sound",
    "SoundDuration",
    "OPPONotifyLevel",
    "OPPOCategory",
    "HuaWeiImportance",
    "HuaWeiImage",
    "GooglePriority",
    "LiveActivity",
    "LaId",
    "Event",
    "ContentState",
    "InterruptionLevel",
    "VIVONotifyType",
];

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_reply_is_read_from_what_is_none(body in body()) {
        holds::reply(&body);
    }

    #[test]
    fn only_what_certainly_rang_nobody_is_sent_again(numbers in numbers()) {
        holds::decision(numbers);
    }

    #[test]
    fn a_configuration_is_read_or_refused_by_place_and_no_secret_is_told(content in toml()) {
        configuration::configuration(&content);
    }

    #[test]
    fn a_push_passes_unchanged_or_is_refused_without_its_texts(value in json(PUSH_KEYS)) {
        holds::offline_push(&value);
    }
}
