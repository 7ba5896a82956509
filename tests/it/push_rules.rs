//! The database and the program agree on which rows can be sent: what one accepts, the other does.
//!
//! Values are random and the seed is printed; `CALLQ_TEST_SEED=...` repeats a run.

use callq::call::{OfflinePush, StartCall, StartCallFields};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::Database;

/// How many values one comparison looks at.
const CASES: usize = 4000;

/// `CASES` values of a strategy, with the seed they were made from.
fn samples<T>(strategy: &impl Strategy<Value = T>) -> (u64, Vec<T>) {
    let given = std::env::var("CALLQ_TEST_SEED").ok();
    let seed = given.map_or_else(
        || u64::from(uuid::Uuid::new_v4().as_fields().0),
        |seed| seed.parse().expect("CALLQ_TEST_SEED is a number"),
    );
    #[allow(
        clippy::print_stdout,
        reason = "shown when the test fails, to repeat it"
    )]
    {
        println!("CALLQ_TEST_SEED={seed}");
    }
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let sample = |_| {
        strategy
            .new_tree(&mut runner)
            .expect("it makes values")
            .current()
    };
    (seed, (0..CASES).map(sample).collect())
}

/// Each documented key: the object it lies in, its name, and values it may have.
fn keys() -> Vec<(&'static str, &'static str, Value)> {
    let text = || json!(["", "x", "hello", "é"]);
    let switch = || json!([0, 1]);
    let object = || json!([{}, {"a": "b"}, {"n": null}]);
    let word_or_number = || json!(["", "17", 17, -1, i64::MAX, i64::MIN]);
    let importance = || json!(["LOW", "NORMAL"]);
    let mut keys = vec![
        ("", "PushFlag", switch()),
        ("", "BadgeAddNum", json!([1, 50, 99])),
        ("", "BadgeSetNum", json!([0, 999])),
        ("", "PushTemplateId", word_or_number()),
        ("", "PushTemplateParam", object()),
        ("", "Unknown", json!([null, 1, "x", {}, [1]])),
        ("AndroidInfo", "OPPONotifyLevel", json!([1, 2, 16])),
        ("AndroidInfo", "OPPOPrivateTitleParameters", object()),
        ("AndroidInfo", "OPPOPrivateContentParameters", object()),
        ("AndroidInfo", "VIVONotifyType", json!(["1", "2", "3", "4"])),
        ("AndroidInfo", "HuaWeiImportance", importance()),
        ("AndroidInfo", "HonorImportance", importance()),
        (
            "AndroidInfo",
            "HuaWeiImage",
            json!(["https://", "https://example.com/a.png"]),
        ),
        ("AndroidInfo", "GooglePriority", json!(["normal", "high"])),
        (
            "ApnsInfo",
            "InterruptionLevel",
            json!(["active", "critical", "passive", "time-sensitive"]),
        ),
        (
            "LiveActivity",
            "LaId",
            json!(["a", "é".repeat(32), "x".repeat(64)]),
        ),
        ("LiveActivity", "Event", json!(["update", "end"])),
        ("LiveActivity", "ContentState", object()),
        ("LiveActivity", "DismissalDate", word_or_number()),
        ("HarmonyInfo", "SoundDuration", json!([1, 60])),
    ];
    let switches = [
        (
            "AndroidInfo",
            "PushStyle VIVOClassification MeiZuNoticeMsgType ExtAsHuaweiIntentParam",
        ),
        (
            "ApnsInfo",
            "BadgeMode MutableContent ContentAvailable IsVoipPush",
        ),
    ];
    let texts = [
        ("", "Title"),
        ("Item", "Language Title Desc"),
        (
            "AndroidInfo",
            "Sound XiaoMiChannelID OPPOChannelID OPPOCategory OPPOPrivateMsgTemplateId",
        ),
        (
            "AndroidInfo",
            "OPPOCategory VIVOCategory HuaWeiChannelID HuaWeiCategory HonorImage GoogleChannelID",
        ),
        ("AndroidInfo", "OPPOCategory GoogleImage"),
        ("ApnsInfo", "Title SubTitle Image Sound"),
        ("HarmonyInfo", "Title Category Image Sound Sound Sound"),
    ];
    for (object, names) in switches {
        keys.extend(names.split(' ').map(|name| (object, name, switch())));
    }
    for (object, names) in texts {
        keys.extend(names.split(' ').map(|name| (object, name, text())));
    }
    keys
}

/// Any value that is near a rule's edge somewhere, or of a type that is wrong somewhere.
fn any_value() -> impl Strategy<Value = Value> {
    let edges = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(2),
        json!(3),
        json!(16),
        json!(60),
        json!(61),
        json!(99),
        json!(100),
        json!(999),
        json!(1000),
        json!(-1),
        json!(1.0),
        json!(0.0),
        json!(1.5),
        json!(1e20),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(""),
        json!("0"),
        json!("1"),
        json!("4"),
        json!("5"),
        json!("low"),
        json!("LOW"),
        json!("normal"),
        json!("NORMAL"),
        json!("high"),
        json!("end"),
        json!("END"),
        json!("update "),
        json!("active"),
        json!("https://x"),
        json!("http://x"),
        json!("HTTPS://x"),
        json!(" https://x"),
        json!("x".repeat(64)),
        json!("x".repeat(65)),
        json!("é".repeat(33)),
        json!([]),
        json!([{}]),
        json!([1]),
        json!({}),
        json!({"a": 1}),
    ];
    prop_oneof![4 => prop::sample::select(edges), 1 => any::<i16>().prop_map(|n| json!(n))]
}

/// One key with a value that it may have, or (one time in eight) with any value.
fn entry(object: &'static str) -> impl Strategy<Value = (String, Value)> {
    let of_object: Vec<_> = keys().into_iter().filter(|key| key.0 == object).collect();
    (
        prop::sample::select(of_object),
        0u8..8,
        any_value(),
        any::<prop::sample::Index>(),
    )
        .prop_map(|((_, name, right), wrong, any, index)| {
            let right = right.as_array().expect("a list");
            let value = if wrong == 0 {
                any
            } else {
                right[index.index(right.len())].clone()
            };
            (name.to_owned(), value)
        })
}

fn object(name: &'static str, keys: usize) -> impl Strategy<Value = Value> {
    prop::collection::vec(entry(name), 0..=keys)
        .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>()))
}

/// Mostly `inner`, sometimes any value at all.
fn mostly(inner: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    prop_oneof![12 => inner, 1 => any_value()]
}

/// A `LiveActivity` that has what it needs, more often than not.
fn live_activity() -> impl Strategy<Value = Value> {
    (object("LiveActivity", 4), 0u8..3).prop_map(|(mut activity, complete)| {
        if complete > 0 {
            let needed = json!({"LaId": "a", "Event": "end", "ContentState": {}});
            for (key, value) in needed.as_object().expect("it is one") {
                let object = activity.as_object_mut().expect("it is one");
                object.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        activity
    })
}

fn push() -> impl Strategy<Value = Value> {
    let apns = (
        object("ApnsInfo", 3),
        prop::option::of(mostly(live_activity())),
    )
        .prop_map(|(mut apns, live)| {
            if let (Some(apns), Some(live)) = (apns.as_object_mut(), live) {
                apns.insert("LiveActivity".into(), live);
            }
            apns
        });
    let long_text = || {
        (
            prop::sample::select(vec!["d", "é", "€"]),
            0usize..8,
            1530usize..1540,
        )
            .prop_map(|(letter, long, bytes)| {
                json!(letter.repeat(if long == 0 { 2 } else { bytes / letter.len() }))
            })
    };
    let items = prop::collection::vec(mostly(object("Item", 2)), 0..3).prop_map(Value::Array);
    let parts = (
        object("", 3),
        prop::option::of(mostly(object("AndroidInfo", 4))),
        prop::option::of(mostly(apns)),
        prop::option::of(mostly(object("HarmonyInfo", 3))),
        prop::option::of(mostly(items)),
        prop::option::of(mostly(long_text())),
        prop::option::of(mostly(long_text())),
    );
    let whole = parts.prop_map(|(mut top, android, apns, harmony, items, desc, ext)| {
        let object = top.as_object_mut().expect("it is one");
        for (name, value) in [
            ("AndroidInfo", android),
            ("ApnsInfo", apns),
            ("HarmonyInfo", harmony),
            ("MultiLanguageContent", items),
            ("Desc", desc),
            ("Ext", ext),
        ] {
            if let Some(value) = value {
                object.insert(name.into(), value);
            }
        }
        top
    });
    prop_oneof![40 => whole, 1 => any_value()]
}

/// Asserts that neither all were accepted nor all refused: such a comparison would prove nothing.
fn assert_varied(accepted: usize) {
    let tenth = CASES / 10;
    assert!(
        (tenth..CASES - tenth).contains(&accepted),
        "{accepted} of {CASES} are accepted"
    );
}

/// Path and rule of a refusal: "PATH is FAULT: [it] must be RULE".
fn path_and_rule(said: &str) -> (&str, &str) {
    let (head, rule) = said
        .split_once("must be ")
        .expect("it says what is allowed");
    (head.split_once(' ').expect("it begins with a path").0, rule)
}

#[tokio::test]
async fn the_same_pushes_are_accepted_and_the_same_rules_are_named() {
    let database = Database::new().await;
    let (seed, pushes) = samples(&push());
    let texts: Vec<String> = pushes.iter().map(Value::to_string).collect();
    // The program is given what it reads from the column, not what was written into it.
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT p::jsonb::text, callq.offline_push_fault(p::jsonb) FROM unnest($1::text[]) WITH ORDINALITY AS u(p, n) ORDER BY n",
    )
    .bind(&texts)
    .fetch_all(database.pool())
    .await
    .unwrap();
    let mut accepted = 0;
    for (text, sql) in rows {
        let value: Value = serde_json::from_str(&text).expect("jsonb is JSON");
        let rust = OfflinePush::new(value)
            .map_err(|fault| fault.to_string())
            .err();
        let about = format!("seed {seed}: {text}: the database says {sql:?}, the program {rust:?}");
        assert_eq!(sql.is_none(), rust.is_none(), "{about}");
        accepted += usize::from(sql.is_none());
        if let (Some(sql), Some(rust)) = (&sql, &rust) {
            let (sql, rust) = (path_and_rule(sql), path_and_rule(rust));
            // Of several faults each names the first it meets.
            assert!(sql.0 != rust.0 || sql.1 == rust.1, "{about}");
        }
    }
    assert_varied(accepted);
}

#[tokio::test]
async fn a_single_wrong_key_is_refused_in_the_same_words() {
    let database = Database::new().await;
    let mut pushes = vec![];
    for (object, name, _) in keys() {
        for wrong in [
            json!(null),
            json!(false),
            json!(-5),
            json!("so wrong"),
            json!(["x"]),
            json!({}),
        ] {
            let inner = json!({ name: wrong });
            pushes.push(match object {
                "" => inner,
                "Item" => json!({ "MultiLanguageContent": [{}, inner] }),
                "LiveActivity" => {
                    let mut live = json!({"LaId": "a", "Event": "end", "ContentState": {}});
                    live[name] = wrong;
                    json!({ "ApnsInfo": { "LiveActivity": live } })
                }
                object => json!({ object: inner }),
            });
        }
    }
    pushes.extend(
        [
            "AndroidInfo",
            "ApnsInfo",
            "HarmonyInfo",
            "MultiLanguageContent",
        ]
        .map(|key| json!({ key: 7 })),
    );
    pushes.extend(["LaId", "Event", "ContentState"].map(|key| {
        let mut live = json!({"LaId": "a", "Event": "end", "ContentState": {}});
        live.as_object_mut().expect("it is one").remove(key);
        json!({ "ApnsInfo": { "LiveActivity": live } })
    }));
    let texts: Vec<String> = pushes.iter().map(Value::to_string).collect();
    let said: Vec<Option<String>> = sqlx::query_scalar(
        "SELECT callq.offline_push_fault(p::jsonb) FROM unnest($1::text[]) WITH ORDINALITY AS u(p, n) ORDER BY n",
    )
    .bind(&texts)
    .fetch_all(database.pool())
    .await
    .unwrap();
    let mut refused = 0;
    for (push, sql) in pushes.into_iter().zip(said) {
        let text = push.to_string();
        let rust = OfflinePush::new(push)
            .map_err(|fault| fault.to_string())
            .err();
        assert_eq!(
            sql.map(|said| said.replace("it must be", "must be")),
            rust,
            "{text}"
        );
        refused += usize::from(rust.is_some());
    }
    assert!(refused > 200, "{refused} were refused");
}

/// The values of a row that the request is made of.
#[derive(Debug)]
struct Fields {
    robot_account: String,
    callees: Vec<String>,
    media_type: String,
    room_id: String,
    room_id_type: i64,
    ring_timeout_ms: i64,
    user_data: Option<String>,
}

fn fields() -> impl Strategy<Value = Fields> {
    let text = |pattern: &'static str| proptest::string::string_regex(pattern).expect("a pattern");
    let rare = |usual: BoxedStrategy<String>, odd: BoxedStrategy<String>| prop_oneof![12 => usual, 1 => odd];
    let account = move || {
        let usual = prop_oneof![text("[a-z0-9_-]{1,32}"), text("[é€\\PC]{1,8}")].boxed();
        let odd = prop_oneof![
            text("[a-z]{0,1}"),
            text("[a-z]{32,33}"),
            text("é{15,17}"),
            text("[^\0]{0,40}")
        ];
        rare(usual, odd.boxed())
    };
    let room = prop_oneof![
        12 => (text("[A-Za-z0-9_]{1,64}"), Just(2i64)),
        4 => (text("[1-9][0-9]{0,8}"), Just(1)),
        1 => (text("[0-9]{0,12}"), 1i64..=2),
        1 => (prop::sample::select(vec!["2147483647", "2147483648", "0", "00", "+7", " 7", "7 ", "7\n", "١"]).prop_map(str::to_owned), Just(1)),
        2 => (text("[ !-~]{1,6}"), Just(2)),
        1 => (text("[a-z]{63,66}"), Just(2)),
        1 => (text("[^\0]{0,3}"), Just(2)),
        1 => (text("[a-z]{1,3}"), -1i64..5),
    ];
    let callees = prop_oneof![
        20 => prop::collection::vec(account(), 1..5),
        1 => prop::collection::vec(account(), 0..1),
        1 => prop::collection::vec(text("[ab]"), 1..4),
        1 => (98usize..103).prop_map(|n| (0..n).map(|i| format!("c{i}")).collect()),
    ];
    let media_type = prop_oneof![
        20 => prop::sample::select(vec!["Audio", "Video"]),
        1 => prop::sample::select(vec!["", "audio", "Video ", "AUDIO"]),
    ];
    let timeout = prop_oneof![
        20 => 10_000i64..=600_000,
        1 => prop::sample::select(vec![9_999, 10_000, 600_000, 600_001, 0, -1, i64::MAX, i64::MIN, 1 << 32]),
    ];
    let user_data = prop::option::of(prop_oneof![
        20 => text("[^\0]{0,50}"),
        1 => (990usize..1010).prop_map(|n| "u".repeat(n)),
        1 => (330usize..336).prop_map(|n| "€".repeat(n)),
    ]);
    let parts = (account(), callees, media_type, room, timeout, user_data);
    parts.prop_map(
        |(
            robot_account,
            callees,
            media_type,
            (room_id, room_id_type),
            ring_timeout_ms,
            user_data,
        )| Fields {
            robot_account,
            callees,
            media_type: media_type.to_owned(),
            room_id,
            room_id_type,
            ring_timeout_ms,
            user_data,
        },
    )
}

/// What the database says of an INSERT of each row; nothing stays inserted.
async fn said_by_insert(pool: &PgPool, rows: &[Fields]) -> Vec<Option<String>> {
    const TRY: &str = "CREATE FUNCTION said(r jsonb) RETURNS text LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO callq.jobs (robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data)
            SELECT x.* FROM jsonb_to_record(r) AS x(robot_account text, callees text[], media_type text, room_id text,
                room_id_type int, ring_timeout_ms bigint, user_data text);
            RAISE EXCEPTION 'accepted' USING ERRCODE = 'P0099';
        EXCEPTION WHEN SQLSTATE 'P0099' THEN RETURN NULL;
            WHEN check_violation THEN RETURN sqlerrm;
        END $$";
    sqlx::raw_sql(AssertSqlSafe(TRY))
        .execute(pool)
        .await
        .unwrap();
    let texts: Vec<String> = rows
        .iter()
        .map(|row| {
            json!({
                "robot_account": row.robot_account, "callees": row.callees, "media_type": row.media_type,
                "room_id": row.room_id, "room_id_type": row.room_id_type,
                "ring_timeout_ms": row.ring_timeout_ms, "user_data": row.user_data,
            })
            .to_string()
        })
        .collect();
    sqlx::query_scalar(
        "SELECT said(r::jsonb) FROM unnest($1::text[]) WITH ORDINALITY AS u(r, n) ORDER BY n",
    )
    .bind(&texts)
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn the_same_rows_are_accepted_by_the_table_and_by_the_request() {
    let database = Database::new().await;
    let (seed, rows) = samples(&fields());
    let said = said_by_insert(database.pool(), &rows).await;
    let mut accepted = 0;
    for (row, sql) in rows.iter().zip(said) {
        let rust = StartCall::new(StartCallFields {
            robot_account: &row.robot_account,
            callees: &row.callees,
            media_type: &row.media_type,
            room_id: &row.room_id,
            room_id_type: row.room_id_type,
            ring_timeout_ms: row.ring_timeout_ms,
            user_data: row.user_data.as_deref(),
            offline_push: None,
        });
        let rust = rust.map_err(|fault| fault.to_string()).err();
        let about =
            format!("seed {seed}: {row:?}: the database says {sql:?}, the program {rust:?}");
        assert_eq!(sql.is_none(), rust.is_none(), "{about}");
        accepted += usize::from(sql.is_none());
        if let (Some(sql), Some(rust)) = (&sql, &rust) {
            let column = |said: &str| said.split([' ', '[']).next().map(str::to_owned);
            assert_eq!(column(sql), column(rust), "{about}");
        }
    }
    assert_varied(accepted);
}
