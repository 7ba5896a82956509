//! The body: every field's rule, and the shape of the answer.

use callq::sandbox::Answered;
use serde_json::{Value, json};

use super::{SOON, bench, body, target};

/// Sets one field of a good body, or removes it for `None`.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut body = body();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    body
}

fn in_room(room: Value, room_type: Value) -> Value {
    let mut body = with("/CallInfo/RoomId", Some(room));
    body["CallInfo"]["RoomIdType"] = room_type;
    body
}

#[tokio::test]
async fn the_documented_sample_is_answered_in_the_documented_shape() {
    let bench = bench().await;
    let response = bench.try_call(&body()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let text = response.text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let call_id = answer["Response"]["CallId"].as_str().unwrap();
    let request_id = answer["RequestId"].as_str().unwrap();
    assert!(uuid::Uuid::parse_str(call_id).is_ok(), "{call_id}");
    assert!(
        request_id.starts_with("Id-") && request_id.ends_with("-O-Seq-1"),
        "{request_id}"
    );
    let expected = [
        r#"{"ErrorCode":0,"ErrorInfo":"","ActionStatus":"OK","RequestId":""#,
        request_id,
        r#"","Response":{"CallId":""#,
        call_id,
        r#"","CallResult":[{"Callee_Account":"jack","ResultCode":0}]}}"#,
    ];
    assert_eq!(text, expected.concat());
}

#[tokio::test]
async fn a_refusal_has_the_envelope_and_no_response() {
    let bench = bench().await;
    let answer = bench.call(&with("/Timeout", None)).await;
    assert_eq!(answer["ErrorCode"], 101_002);
    assert_eq!(answer["ActionStatus"], "FAIL");
    assert!(answer["RequestId"].is_string());
    assert!(answer.get("Response").is_none());
}

/// Sends a good body with one value replaced, for each of the values, and expects the refusal to
/// name the field.
async fn assert_named(field: &str, values: &[Value]) {
    let bench = bench().await;
    let pointer = format!("/{}", field.replace('.', "/"));
    for value in values {
        let answer = bench.call(&with(&pointer, Some(value.clone()))).await;
        assert_eq!(answer["ErrorCode"], 101_002, "{field} = {value}");
        let info = answer["ErrorInfo"].as_str().unwrap();
        let names = info.strip_prefix("invalid parameter: ").unwrap();
        assert!(
            names.starts_with(&format!("{field} ")),
            "{field} = {value}: {info}"
        );
    }
    assert_eq!(bench.sandbox.ledger().stats().rang, 0);
}

#[tokio::test]
async fn a_required_field_that_is_missing_is_named() {
    let bench = bench().await;
    for field in [
        "Robot_Account",
        "CalleeList_Account",
        "Timeout",
        "CallInfo",
        "CallInfo.MediaType",
    ] {
        let answer = bench
            .call(&with(&format!("/{}", field.replace('.', "/")), None))
            .await;
        assert_eq!(answer["ErrorCode"], 101_002, "{field}");
        let info = answer["ErrorInfo"].as_str().unwrap();
        assert!(info.contains(&format!(" {field} ")), "{info}");
    }
}

#[tokio::test]
async fn a_robot_that_is_no_user_id_is_named() {
    let long = "x".repeat(33);
    assert_named(
        "Robot_Account",
        &[
            json!(""),
            json!(7),
            json!(long),
            json!("r\u{f6}bot"),
            json!("a\nb"),
            Value::Null,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_callee_list_without_or_with_a_wrong_callee_is_named() {
    let long = "x".repeat(33);
    let wrong = [
        json!([]),
        json!("jack"),
        json!([1]),
        json!(["jack", ""]),
        json!([long]),
    ];
    assert_named("CalleeList_Account", &wrong).await;
}

#[tokio::test]
async fn a_timeout_that_is_no_integer_from_10000_to_600000_is_named() {
    let wrong = [
        json!(9_999),
        json!(600_001),
        json!("30000"),
        json!(30_000.0),
        json!(-1),
        Value::Null,
    ];
    assert_named("Timeout", &wrong).await;
}

#[tokio::test]
async fn user_data_is_limited_in_bytes_not_in_characters() {
    let of_three_bytes_each = "\u{4e2d}".repeat(334);
    let wrong = [
        json!("x".repeat(1001)),
        json!(of_three_bytes_each),
        json!({}),
        Value::Null,
    ];
    assert_named("UserData", &wrong).await;
}

#[tokio::test]
async fn a_call_info_that_breaks_a_rule_is_named() {
    assert_named("CallInfo", &[json!([]), json!("Video"), Value::Null]).await;
    assert_named(
        "CallInfo.MediaType",
        &[json!("video"), json!("AUDIO"), json!(1)],
    )
    .await;
    assert_named(
        "CallInfo.RoomIdType",
        &[json!(0), json!(3), json!("2"), Value::Null],
    )
    .await;
    let long = "x".repeat(65);
    let wrong = [
        json!(""),
        json!(long),
        json!(5),
        json!("a/b"),
        json!("a\"b"),
        json!("z\u{fc}"),
    ];
    assert_named("CallInfo.RoomId", &wrong).await;
}

#[tokio::test]
async fn a_room_without_its_type_is_refused() {
    let bench = bench().await;
    let answer = bench.call(&with("/CallInfo/RoomIdType", None)).await;
    assert_eq!(answer["ErrorCode"], 101_002);
    assert!(
        answer["ErrorInfo"]
            .as_str()
            .unwrap()
            .contains("CallInfo.RoomIdType")
    );
}

#[tokio::test]
async fn a_push_that_breaks_a_rule_is_named() {
    assert_named("OfflinePushInfo", &[json!("push"), json!([]), Value::Null]).await;
    assert_named(
        "OfflinePushInfo.PushFlag",
        &[json!(2), json!("0"), json!(true)],
    )
    .await;
    assert_named("OfflinePushInfo.Title", &[json!(1), Value::Null]).await;
    assert_named("OfflinePushInfo.Ext", &[json!({"entity": {}})]).await;
    assert_named("OfflinePushInfo.BadgeAddNum", &[json!(0), json!(100)]).await;
    let wrong = [json!({}), json!([{"Title": 1}]), json!(["en"])];
    assert_named("OfflinePushInfo.MultiLanguageContent", &wrong).await;
    assert_named("OfflinePushInfo.AndroidInfo", &[json!("x")]).await;
}

#[tokio::test]
async fn a_vendors_push_field_that_breaks_its_rule_is_named() {
    let bench = bench().await;
    let wrong = [
        ("AndroidInfo", "OPPONotifyLevel", json!(3)),
        ("AndroidInfo", "VIVONotifyType", json!(4)),
        ("AndroidInfo", "GooglePriority", json!("urgent")),
        ("ApnsInfo", "IsVoipPush", json!("1")),
        ("ApnsInfo", "InterruptionLevel", json!("loud")),
        ("HarmonyInfo", "SoundDuration", json!(61)),
    ];
    for (vendor, field, value) in wrong {
        let answer = bench
            .call(&with(
                &format!("/OfflinePushInfo/{vendor}"),
                Some(json!({ field: value })),
            ))
            .await;
        assert_eq!(answer["ErrorCode"], 101_002, "{vendor}.{field}");
        let info = answer["ErrorInfo"].as_str().unwrap();
        assert!(
            info.contains(&format!("OfflinePushInfo.{vendor}.{field} must")),
            "{info}"
        );
    }
}

#[tokio::test]
async fn what_the_pages_allow_is_accepted() {
    let bench = bench().await;
    let push = json!({
        "PushFlag": 1, "Title": "t", "Desc": "d", "BadgeSetNum": 0, "NewKey": {"any": [1]},
        "MultiLanguageContent": [{"Language": "en", "Title": "t", "Desc": "d"}],
        "AndroidInfo": {"OPPONotifyLevel": 16, "VIVONotifyType": "4", "NewVendor": 1},
        "ApnsInfo": {"IsVoipPush": 1, "Sound": "01.caf"}, "HarmonyInfo": {"SoundDuration": 60}
    });
    let mut no_room = with("/CallInfo/RoomId", None);
    no_room["CallInfo"]
        .as_object_mut()
        .unwrap()
        .remove("RoomIdType");
    let allowed = [
        with("/UserData", None),
        with("/UserData", Some(json!("x".repeat(1000)))),
        with("/OfflinePushInfo", None),
        with("/OfflinePushInfo", Some(push)),
        with("/Timeout", Some(json!(10_000))),
        with("/Timeout", Some(json!(600_000))),
        with("/CallInfo/MediaType", Some(json!("Audio"))),
        with(
            "/CalleeList_Account",
            Some(json!(["jack", "jill", "x".repeat(32)])),
        ),
        with("/UnknownField", Some(json!(1))),
        with("/CallInfo/RoomId", None),
        no_room,
        in_room(json!("A z!#$%&()+-:;<=.>?@[]^_{}|~,9"), json!(2)),
        in_room(json!("x".repeat(64)), json!(2)),
        in_room(json!("123"), json!(2)),
        in_room(json!("2147483647"), json!(1)),
        in_room(json!(1), json!(1)),
    ];
    for body in allowed {
        let answer = bench.call(&body).await;
        assert_eq!(answer["ErrorCode"], 0, "{body}: {answer}");
    }
}

#[tokio::test]
async fn a_digital_room_is_a_number_from_1_to_2147483647() {
    let bench = bench().await;
    let wrong = [
        json!("abc"),
        json!("0"),
        json!("2147483648"),
        json!("-1"),
        json!(""),
        json!(0),
        json!(1.5),
    ];
    for room in wrong {
        let answer = bench.call(&in_room(room.clone(), json!(1))).await;
        assert_eq!(answer["ErrorCode"], 101_002, "{room}");
        assert!(
            answer["ErrorInfo"]
                .as_str()
                .unwrap()
                .contains("CallInfo.RoomId"),
            "{room}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let bench = bench().await;
    let bodies: [(&[u8], i64); 6] = [
        (b"", 60_003),
        (b"{", 60_003),
        (b"{\"a\":1} x", 60_003),
        (b"{\"a\":\"\xff\"}", 60_003),
        (b"[]", 101_002),
        (b"{}", 101_002),
    ];
    for (body, code) in bodies {
        let answer = bench.send(&target(), body.to_vec()).await;
        assert_eq!(
            answer["ErrorCode"],
            code,
            "{}",
            String::from_utf8_lossy(body)
        );
    }
}

#[tokio::test]
async fn a_body_may_have_12_kb_and_no_byte_more() {
    let bench = bench().await;
    let padded = |length| format!("{:<length$}", body().to_string());
    assert_eq!(
        bench.send(&target(), padded(12 * 1024)).await["ErrorCode"],
        0
    );
    assert_eq!(
        bench.send(&target(), padded(12 * 1024 + 1)).await["ErrorCode"],
        80_002
    );
}

#[tokio::test]
async fn a_body_beyond_all_limits_is_judged_without_being_read_to_its_end() {
    let bench = bench().await;
    // The answer may be lost, because the rest of the body is still on its way.
    let _ = bench.post(&target(), " ".repeat(8 * 1024 * 1024)).await;
    bench
        .sandbox
        .wait_for(SOON, |ledger| ledger.stats().requests == 1)
        .await
        .unwrap();
    assert_eq!(
        bench.sandbox.ledger().requests()[0].answered,
        Answered::Code(80_002)
    );
}

#[tokio::test]
async fn a_wrong_url_is_told_before_a_wrong_body() {
    let bench = bench().await;
    let target = target().replace("contenttype=json", "contenttype=xml");
    assert_eq!(bench.send(&target, "").await["ErrorCode"], 60_025);
}
