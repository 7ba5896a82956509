//! What the names of the callees make happen.

use callq::sandbox::{Answered, CALLEE_NAMES, PlannedOutcome};
use serde_json::{Value, json};

use super::{bench, body, body_for};

fn body_for_all(callees: &[&str]) -> Value {
    let mut body = body();
    body["CalleeList_Account"] = json!(callees);
    body
}

#[tokio::test]
async fn a_ringing_callee_keeps_the_outcome_its_name_plans() {
    let bench = bench().await;
    let answer = bench
        .call(&body_for_all(&[
            "jack",
            "busy-1",
            "noanswer-1",
            "decline-1",
        ]))
        .await;
    assert_eq!(answer["ErrorCode"], 0);
    let calls = bench.sandbox.ledger().calls().to_vec();
    let outcomes: Vec<_> = calls[0]
        .callees
        .iter()
        .map(|party| party.planned_outcome)
        .collect();
    let expected = [
        PlannedOutcome::Answered,
        PlannedOutcome::Busy,
        PlannedOutcome::NoAnswer,
        PlannedOutcome::Declined,
    ];
    assert_eq!(outcomes, expected.map(Some));
    assert_eq!(answer["Response"]["CallId"], calls[0].call_id.to_string());
}

#[tokio::test]
async fn a_bad_code_is_given_to_that_callee_alone() {
    let bench = bench().await;
    let answer = bench.call(&body_for_all(&["jack", "badcode-5-x"])).await;
    assert_eq!(answer["ErrorCode"], 0);
    let expected = json!([
        { "Callee_Account": "jack", "ResultCode": 0 },
        { "Callee_Account": "badcode-5-x", "ResultCode": 5 }
    ]);
    assert_eq!(answer["Response"]["CallResult"], expected);
    let ledger = bench.sandbox.ledger();
    assert!(ledger.requests()[0].rang);
    assert_eq!(ledger.calls()[0].callees[1].planned_outcome, None);
}

#[tokio::test]
async fn nobody_rings_if_every_callee_has_a_bad_code() {
    let bench = bench().await;
    assert_eq!(bench.code(&body_for("badcode-5-x")).await, 0);
    let ledger = bench.sandbox.ledger();
    assert!(!ledger.requests()[0].rang);
    assert_eq!(ledger.stats().rang, 0);
}

#[tokio::test]
async fn a_missing_callee_refuses_the_whole_request() {
    let bench = bench().await;
    assert_eq!(
        bench.code(&body_for_all(&["jack", "missing-jill"])).await,
        70_107
    );
    assert!(bench.sandbox.ledger().calls().is_empty());
}

#[tokio::test]
async fn a_code_in_a_name_is_answered_each_time() {
    let bench = bench().await;
    for _ in 0..2 {
        assert_eq!(bench.code(&body_for("code-60008-x")).await, 60_008);
    }
    assert_eq!(bench.code(&body_for("code--10113-x")).await, -10_113);
    assert_eq!(bench.sandbox.ledger().stats().rang, 0);
}

#[tokio::test]
async fn a_throttled_name_rings_after_its_first_requests() {
    let bench = bench().await;
    let mut codes = Vec::new();
    for callee in [
        "throttle-2-a",
        "throttle-2-a",
        "throttle-2-b",
        "throttle-2-a",
    ] {
        codes.push(bench.code(&body_for(callee)).await);
    }
    assert_eq!(codes, [60_007, 60_007, 60_007, 0]);
}

#[tokio::test]
async fn a_closing_name_rings_and_loses_its_answer() {
    let bench = bench().await;
    let error = bench.try_call(&body_for("close-x")).await.unwrap_err();
    assert!(
        error.is_request() && !error.is_timeout() && !error.is_connect(),
        "{error:?}"
    );
    let ledger = bench.sandbox.ledger();
    assert_eq!(ledger.requests()[0].answered, Answered::Closed);
    assert!(ledger.requests()[0].rang);
    assert_eq!(
        bench.code(&body()).await,
        0,
        "the next connection is served"
    );
}

#[tokio::test]
async fn a_garbage_name_rings_and_is_answered_without_json() {
    let bench = bench().await;
    let response = bench.try_call(&body_for("garbage-x")).await.unwrap();
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
    assert!(bench.sandbox.ledger().requests()[0].rang);
}

#[tokio::test]
async fn a_stalling_name_rings_and_is_never_answered() {
    let bench = bench().await;
    let url = format!("{}{}", bench.sandbox.url(), super::target());
    let request = bench.http.post(url).body(body_for("stall-x").to_string());
    let error = request
        .timeout(std::time::Duration::from_secs(3))
        .send()
        .await
        .unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    let ledger = bench.sandbox.ledger();
    assert_eq!(ledger.requests()[0].answered, Answered::Stalled);
    assert!(ledger.requests()[0].rang);
}

#[tokio::test]
async fn the_first_callee_who_decides_over_the_request_wins() {
    let bench = bench().await;
    assert_eq!(
        bench
            .code(&body_for_all(&["jack", "code-1-a", "missing-b"]))
            .await,
        1
    );
    assert_eq!(
        bench
            .code(&body_for_all(&["jack", "missing-b", "code-1-a"]))
            .await,
        70_107
    );
}

#[tokio::test]
async fn a_name_does_nothing_to_a_request_that_breaks_a_rule() {
    let bench = bench().await;
    let mut body = body_for("close-x");
    body["Timeout"] = json!(1);
    assert_eq!(bench.code(&body).await, 101_002);
}

#[test]
fn the_table_of_names_has_every_name() {
    let names = [
        "busy-*",
        "noanswer-*",
        "decline-*",
        "badcode-N-*",
        "missing-*",
        "code-N-*",
        "throttle-N-*",
        "stall-*",
        "close-*",
        "garbage-*",
    ];
    for name in names {
        assert!(CALLEE_NAMES.contains(&format!("\n  {name} ")), "{name}");
    }
}
