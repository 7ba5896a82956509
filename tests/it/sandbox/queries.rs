//! The commands that ask and ring nobody: `get_call_info` and `account_check`.

use callq::sandbox::{Answered, Fault, FaultKind, SandboxConfig};
use serde_json::json;

use super::{GET_CALL_INFO, PATH, bench, bench_with, body_for, config, target_with};

const ACCOUNT_CHECK: &str = "/v4/im_open_login_svc/account_check";
const NO_CALL: &str = "00000000-0000-0000-0000-000000000000";

#[tokio::test]
async fn a_call_that_nobody_started_is_unknown() {
    let bench = bench().await;
    for call_id in [NO_CALL, "no uuid"] {
        let answer = bench.call_info(call_id).await;
        assert_eq!(answer["ErrorCode"], 101_004, "{answer}");
        assert_eq!(answer["ActionStatus"], "FAIL");
    }
}

#[tokio::test]
async fn a_call_that_was_started_is_told_with_whom_it_rings() {
    let bench = bench().await;
    let mut body = body_for("jack");
    body["CalleeList_Account"] = json!(["jack", "badcode-5-rose"]);
    let started = bench.call(&body).await;
    let call_id = started["Response"]["CallId"].as_str().unwrap();
    let answer = bench.call_info(call_id).await;
    let response = json!({
        "CallInfo": {
            "CallId": call_id, "MediaType": "Video", "ChatGroupId": "", "RoomId": "roomid-test", "RoomIdType": 2
        },
        "UserList": [{ "User_Account": "jack", "Status": "Waiting" }]
    });
    assert_eq!(
        (&answer["ErrorCode"], &answer["Response"]),
        (&json!(0), &response)
    );
}

#[tokio::test]
async fn accounts_named_missing_were_not_imported() {
    let bench = bench().await;
    let asked = json!({ "CheckItem": [{ "UserID": "jack" }, { "UserID": "missing-rose" }] });
    let answer = bench.ask(ACCOUNT_CHECK, &asked).await;
    let item = |id: &str, status: &str| json!({ "UserID": id, "ResultCode": 0, "ResultInfo": "", "AccountStatus": status });
    let expected = json!([
        item("jack", "Imported"),
        item("missing-rose", "NotImported")
    ]);
    assert_eq!(
        (&answer["ErrorCode"], &answer["ResultItem"]),
        (&json!(0), &expected)
    );
}

#[tokio::test]
async fn a_question_that_breaks_a_rule_is_refused_with_its_code() {
    let bench = bench().await;
    let accounts = |count: usize| json!({ "CheckItem": vec![json!({ "UserID": "jack" }); count] });
    for (path, body, code) in [
        (GET_CALL_INFO, json!({}), 101_002),
        (GET_CALL_INFO, json!({ "CallId": 7 }), 101_002),
        (ACCOUNT_CHECK, json!({}), 70_402),
        (ACCOUNT_CHECK, accounts(0), 70_402),
        (ACCOUNT_CHECK, json!({ "CheckItem": ["jack"] }), 70_402),
        (ACCOUNT_CHECK, accounts(100), 0),
        (ACCOUNT_CHECK, accounts(101), 70_206),
    ] {
        assert_eq!(
            bench.ask(path, &body).await["ErrorCode"],
            code,
            "{path} {body}"
        );
    }
}

#[tokio::test]
async fn a_question_needs_the_same_url_as_a_call() {
    let bench = bench().await;
    let body = json!({ "CallId": NO_CALL }).to_string();
    for (name, value, code) in [
        ("sdkappid", "1400000001", 70_020),
        ("usersig", "garbled", 70_003),
        ("random", "-1", 60_025),
    ] {
        let target = target_with(&[(name, Some(value))]).replace(PATH, GET_CALL_INFO);
        assert_eq!(
            bench.send(&target, body.clone()).await["ErrorCode"],
            code,
            "{name}"
        );
    }
}

#[tokio::test]
async fn questions_are_no_calls_in_the_ledger() {
    let bench = bench().await;
    bench.call_info(NO_CALL).await;
    bench
        .ask(
            ACCOUNT_CHECK,
            &json!({ "CheckItem": [{ "UserID": "jack" }] }),
        )
        .await;
    let ledger = bench.sandbox.ledger();
    let stats = ledger.stats();
    assert_eq!((stats.requests, stats.rang, stats.queries), (0, 0, 2));
    let told: Vec<_> = ledger
        .queries()
        .iter()
        .map(|q| (&*q.command, q.answered))
        .collect();
    let expected = [
        ("get_call_info", Answered::Code(101_004)),
        ("account_check", Answered::Code(0)),
    ];
    assert_eq!(told, expected);
    let page = bench.page("queries?limit=1").await;
    assert_eq!(
        (&page["queries"][0]["command"], &page["next_after"]),
        (&json!("get_call_info"), &json!(1))
    );
}

#[tokio::test]
async fn a_fault_of_one_command_leaves_the_others_alone() {
    let bench = bench().await;
    let fault = Fault::new(FaultKind::ErrorCode(60_020)).for_command("get_call_info");
    bench.sandbox.script(fault).unwrap();
    assert_eq!(bench.code(&body_for("jack")).await, 0);
    assert_eq!(bench.call_info(NO_CALL).await["ErrorCode"], 60_020);
    bench.sandbox.clear_faults();
    bench
        .sandbox
        .script(Fault::new(FaultKind::ErrorCode(70_009)))
        .unwrap();
    assert_eq!(bench.code(&body_for("jack")).await, 70_009);
    assert_eq!(bench.call_info(NO_CALL).await["ErrorCode"], 70_009);
}

#[tokio::test]
async fn each_command_has_a_limit_of_its_own() {
    let bench = bench_with(SandboxConfig {
        calls_per_second_limit: 1,
        ..config()
    })
    .await;
    let accounts = json!({ "CheckItem": [{ "UserID": "jack" }] });
    assert_eq!(bench.code(&body_for("jack")).await, 0);
    assert_eq!(bench.ask(ACCOUNT_CHECK, &accounts).await["ErrorCode"], 0);
    assert_eq!(bench.call_info(NO_CALL).await["ErrorCode"], 101_004);
    let second = [
        bench.code(&body_for("jack")).await,
        bench.code(&body_for("jack")).await,
    ];
    assert!(second.contains(&60_007), "{second:?}");
}
