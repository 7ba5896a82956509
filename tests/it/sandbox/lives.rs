//! Calls that live: they ring, are answered, end by themselves or are ended.

use callq::sandbox::{CalleeScript, PlannedOutcome, Sandbox, SandboxConfig};
use serde_json::{Value, json};

use super::{bench, config};

const END_CALL: &str = "/v4/call_engine_http_srv/end_call";

/// Who is on the call, and how.
fn users(answer: &Value) -> Vec<(&str, &str)> {
    let users = answer["Response"]["UserList"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    users
        .iter()
        .map(|u| {
            (
                u["User_Account"].as_str().unwrap(),
                u["Status"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_call_rings_is_answered_and_is_over() {
    let bench = bench().await;
    let call_id = bench
        .started(&["jack", "answer-5-rose", "decline-al"])
        .await;
    let rings = [
        ("jack", "Waiting"),
        ("answer-5-rose", "Waiting"),
        ("decline-al", "Waiting"),
    ];
    assert_eq!(users(&bench.call_info(&call_id).await), rings);
    bench.pass(4);
    let answered = [("jack", "Calling"), ("answer-5-rose", "Waiting")];
    assert_eq!(users(&bench.call_info(&call_id).await), answered);
    bench.pass(20);
    assert_eq!(
        users(&bench.call_info(&call_id).await),
        [("answer-5-rose", "Calling")]
    );
    bench.pass(1);
    assert_eq!(bench.call_info(&call_id).await["ErrorCode"], 101_004);
}

#[tokio::test]
async fn a_call_can_be_ended_while_it_rings_and_while_somebody_talks_but_only_once() {
    let bench = bench().await;
    for (seconds, outcome) in [
        (1, PlannedOutcome::Cancelled),
        (4, PlannedOutcome::Answered),
    ] {
        let call_id = bench.started(&["jack"]).await;
        bench.pass(seconds);
        let end = json!({ "CallId": call_id });
        let answer = bench.ask(END_CALL, &end).await;
        assert_eq!(
            (&answer["ErrorCode"], answer.get("Response")),
            (&json!(0), None)
        );
        assert_eq!(bench.call_info(&call_id).await["ErrorCode"], 101_004);
        assert_eq!(bench.ask(END_CALL, &end).await["ErrorCode"], 101_004);
        assert_eq!(bench.sandbox.tally().of(outcome), 1);
    }
    let tally = bench.sandbox.tally();
    assert_eq!((tally.ring_seconds, tally.talk_seconds), (1 + 3, 1));
    for nobodys in [
        json!({ "CallId": "no uuid" }),
        json!({ "CallId": "00000000-0000-0000-0000-000000000000" }),
    ] {
        assert_eq!(bench.ask(END_CALL, &nobodys).await["ErrorCode"], 101_004);
    }
    assert_eq!(bench.ask(END_CALL, &json!({})).await["ErrorCode"], 101_002);
}

#[tokio::test]
async fn the_tally_holds_what_the_names_promise() {
    let bench = bench().await;
    let callees = [
        "jack",
        "answer-9-x",
        "talk-40-x",
        "answer-900-x",
        "busy-x",
        "noanswer-x",
        "decline-x",
        "interrupt-x",
        "offline-x",
        "badcode-5-x",
    ];
    for callee in callees {
        bench.started(&[callee]).await;
    }
    let tally = bench.sandbox.tally();
    // Who is not rung is no longer awaited.
    assert_eq!((tally.legs, tally.pending), (10, 9));
    bench.pass(301);
    let page = bench.page("outcomes").await;
    let outcomes = json!({"answered": 3, "no_answer": 2, "busy": 1, "declined": 1, "interrupted": 1, "unreachable": 2});
    assert_eq!(page["outcomes"], outcomes);
    assert_eq!(
        page["provable"], outcomes,
        "an only callee's record says all"
    );
    assert_eq!((&page["legs"], &page["pending"]), (&json!(10), &json!(0)));
    let rung = 3 + 9 + 3 + 300 + 1 + 300 + 3 + 3 + 1;
    assert_eq!(
        (&page["ring_seconds"], &page["talk_seconds"]),
        (&json!(rung), &json!(20 + 20 + 40))
    );
    let legs = bench.page("legs?after=2&limit=1").await;
    let leg = &legs["legs"][0];
    assert_eq!(
        (&leg["callee"], &leg["talk_seconds"], &legs["next_after"]),
        (&json!("talk-40-x"), &json!(40), &json!(3))
    );
}

#[tokio::test]
async fn of_a_call_to_several_only_what_a_callback_or_the_reply_told_is_provable() {
    let bench = bench().await;
    bench.started(&["jack", "decline-x", "badcode-5-x"]).await;
    bench.started(&["noanswer-1", "noanswer-2"]).await;
    bench.pass(301);
    let page = bench.page("outcomes").await;
    assert_eq!(
        page["outcomes"],
        json!({"answered": 1, "declined": 1, "unreachable": 1, "no_answer": 2})
    );
    assert_eq!(
        page["provable"],
        json!({"unknown": 2, "unreachable": 1, "no_answer": 2})
    );
}

#[tokio::test]
async fn what_callees_do_can_be_scripted() {
    let bench = bench().await;
    let url = format!("{}/sandbox/callees", bench.sandbox.url());
    let post = |script: Value| bench.http.post(&url).json(&script).send();
    let script = json!({"callee": "ja*", "outcome": "interrupted", "after_s": 5, "talk_s": 7});
    assert_eq!(post(script.clone()).await.unwrap().status(), 201);
    for nonsense in [
        json!({"callee": "x", "outcome": "busy", "talk_s": 1}),
        json!({"callee": "x", "outcome": "x"}),
        json!({}),
    ] {
        let refused = post(nonsense).await.unwrap();
        assert!(refused.status().is_client_error());
        assert!(refused.json::<Value>().await.unwrap()["error"].is_string());
    }
    assert_eq!(bench.page("callees").await["callees"], json!([script]));
    bench
        .sandbox
        .script_callee(CalleeScript::new("jack", PlannedOutcome::Busy))
        .unwrap();
    bench.started(&["jack"]).await;
    bench.started(&["busy-x"]).await;
    bench.pass(13);
    let tally = bench.sandbox.tally();
    assert_eq!(
        (
            tally.of(PlannedOutcome::Interrupted),
            tally.of(PlannedOutcome::Busy)
        ),
        (1, 1)
    );
    assert_eq!((tally.ring_seconds, tally.talk_seconds), (5 + 1, 7));
    assert_eq!(bench.delete("callees").await, 204);
    assert_eq!(bench.page("callees").await["callees"], json!([]));
}

#[tokio::test]
async fn the_clock_is_moved_over_http_and_is_the_date_of_every_answer() {
    let bench = bench().await;
    let before = bench.page("clock").await["now_ms"].as_i64().unwrap();
    let url = format!("{}/sandbox/clock", bench.sandbox.url());
    let moved = bench
        .http
        .post(&url)
        .json(&json!({ "advance_ms": 90_000 }))
        .send()
        .await
        .unwrap();
    assert_eq!(
        moved.json::<Value>().await.unwrap()["now_ms"],
        before + 90_000
    );
    assert_eq!(bench.sandbox.now_ms(), before + 90_000);
    let answer = bench.try_call(&super::body()).await.unwrap();
    // The clock of the tests stands at 1700000100.
    assert_eq!(answer.headers()["date"], "Tue, 14 Nov 2023 22:16:30 GMT");
    assert_eq!(
        bench
            .http
            .post(&url)
            .json(&json!({ "advance_s": 1 }))
            .send()
            .await
            .unwrap()
            .status(),
        422
    );
}

#[tokio::test]
async fn a_speed_or_a_rate_out_of_range_is_refused() {
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY, 200_000.0] {
        let refused = Sandbox::start(SandboxConfig { speed, ..config() })
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("speed"), "{refused}");
    }
    let mut wrong = config();
    wrong.callback_faults.lost = 1.5;
    let refused = Sandbox::start(wrong).await.unwrap_err();
    assert!(refused.to_string().contains("from 0 to 1"), "{refused}");
}
