//! Scripted faults, in process and through the control endpoint.

use std::time::{Duration, Instant};

use callq::sandbox::{Answered, Fault, FaultKind, SandboxConfig};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::{
    Bench, SOON, bench, bench_with, body, body_for, body_in, config, content_length, exchange,
    read_answer, request, target,
};

fn script(bench: &Bench, fault: Fault) {
    bench.sandbox.script(fault).unwrap();
}

async fn post_fault(bench: &Bench, fault: &Value) -> (u16, Value) {
    let url = format!("{}/sandbox/faults", bench.sandbox.url());
    let response = bench.http.post(url).json(fault).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn delete(bench: &Bench, path: &str) -> u16 {
    let url = format!("{}/sandbox/{path}", bench.sandbox.url());
    bench
        .http
        .delete(url)
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn an_error_code_is_answered_as_often_as_scripted_and_rings_nobody() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::ErrorCode(60_008)).times(2));
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(bench.code(&body()).await);
    }
    assert_eq!(codes, [60_008, 60_008, 0]);
    let rang: Vec<bool> = bench
        .sandbox
        .ledger()
        .requests()
        .iter()
        .map(|r| r.rang)
        .collect();
    assert_eq!(rang, [false, false, true]);
}

#[tokio::test]
async fn an_error_code_may_hide_a_ring() {
    let bench = bench().await;
    script(
        &bench,
        Fault::new(FaultKind::ErrorCode(60_008)).that_rings(),
    );
    assert_eq!(bench.code(&body()).await, 60_008);
    let ledger = bench.sandbox.ledger();
    assert!(ledger.requests()[0].rang);
    assert_eq!(
        ledger.requests()[0].call_id,
        Some(ledger.calls()[0].call_id)
    );
    assert_eq!(ledger.requests()[0].answered, Answered::Code(60_008));
}

#[tokio::test]
async fn a_fault_lasts_until_it_is_cleared() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::ErrorCode(60_020)));
    for _ in 0..5 {
        assert_eq!(bench.code(&body()).await, 60_020);
    }
    bench.sandbox.clear_faults();
    assert_eq!(bench.code(&body()).await, 0);
}

#[tokio::test]
async fn a_fault_is_for_the_requests_it_matches() {
    let bench = bench().await;
    let code = |code| Fault::new(FaultKind::ErrorCode(code));
    script(&bench, code(1).for_callee("jill"));
    script(&bench, code(2).for_room("r-*"));
    script(&bench, code(3).for_robot("other").for_callee("jack"));
    let mut both = body();
    both["CalleeList_Account"] = json!(["jack", "jill"]);
    let mut other = body();
    other["Robot_Account"] = json!("other");
    assert_eq!(bench.code(&body()).await, 0);
    assert_eq!(bench.code(&both).await, 1);
    assert_eq!(bench.code(&body_in("r-17")).await, 2);
    assert_eq!(bench.code(&other).await, 3);
    assert_eq!(
        bench.code(&body_for("jilly")).await,
        0,
        "no star, no other ending"
    );
}

#[tokio::test]
async fn the_first_fault_that_matches_is_taken_and_the_next_one_waits() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::ErrorCode(1)).times(1));
    script(&bench, Fault::new(FaultKind::ErrorCode(2)).times(1));
    assert_eq!(bench.code(&body()).await, 1);
    assert_eq!(bench.code(&body()).await, 2);
    assert_eq!(bench.code(&body()).await, 0);
}

#[tokio::test]
async fn a_delay_comes_before_the_usual_answer() {
    let bench = bench().await;
    script(
        &bench,
        Fault::new(FaultKind::Delay).delayed_ms(150).times(1),
    );
    let started = Instant::now();
    assert_eq!(bench.code(&body()).await, 0);
    assert!(started.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_request_is_in_the_ledger_while_its_answer_is_delayed() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::Delay).delayed_ms(600_000));
    let call = body();
    let calling = bench.try_call(&call);
    let entered = bench
        .sandbox
        .wait_for(SOON, |ledger| ledger.stats().rang == 1);
    tokio::select! {
        entered = entered => entered.unwrap(),
        answer = calling => panic!("answered at once: {answer:?}"),
    }
}

#[tokio::test]
async fn an_http_status_comes_with_html() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::HttpStatus(502)));
    let response = bench.try_call(&body()).await.unwrap();
    assert_eq!(response.status(), 502);
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(response.text().await.unwrap().starts_with("<html>"));
    let ledger = bench.sandbox.ledger();
    assert_eq!(ledger.requests()[0].answered, Answered::HttpStatus(502));
    assert_eq!(ledger.stats().per_answer["http_502"], 1);
}

#[tokio::test]
async fn a_connection_closed_before_reading_leaves_no_request_in_the_ledger() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::CloseBeforeReading).times(1));
    bench.try_call(&body()).await.unwrap_err();
    let stats = bench.sandbox.ledger().stats();
    assert_eq!((stats.requests, stats.closed_unread), (0, 1));
    assert_eq!(bench.code(&body()).await, 0);
    assert_eq!(bench.sandbox.ledger().stats().requests, 1);
}

#[tokio::test]
async fn a_kept_connection_is_closed_before_its_next_request_is_read() {
    let bench = bench().await;
    let mut socket = bench.socket().await;
    let request = request(&target(), &body());
    socket.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut socket).await["ErrorCode"], 0);
    script(&bench, Fault::new(FaultKind::CloseBeforeReading).times(1));
    assert_eq!(exchange(&mut socket, &request).await, b"");
    let stats = bench.sandbox.ledger().stats();
    assert_eq!((stats.requests, stats.closed_unread), (1, 1));
}

#[tokio::test]
async fn a_client_that_leaves_uses_up_no_close_before_reading() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::CloseBeforeReading).times(1));
    let mut socket = bench.socket().await;
    socket.shutdown().await.unwrap();
    assert_eq!(exchange_nothing(&mut socket).await, b"");
    assert_eq!(bench.sandbox.ledger().stats().closed_unread, 0);
    bench.try_call(&body()).await.unwrap_err();
}

/// Reads until the peer closes.
async fn exchange_nothing(socket: &mut tokio::net::TcpStream) -> Vec<u8> {
    exchange(socket, "").await
}

#[tokio::test]
async fn the_control_endpoint_is_reached_while_every_request_is_closed_unread() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::CloseBeforeReading));
    bench.try_call(&body()).await.unwrap_err();
    assert_eq!(bench.page("stats").await["closed_unread"], 1);
    assert_eq!(delete(&bench, "faults").await, 204);
    assert_eq!(bench.code(&body()).await, 0);
}

#[tokio::test]
async fn a_connection_closed_after_reading_leaves_a_request_that_rang() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::CloseAfterReading).times(1));
    let mut socket = bench.socket().await;
    assert_eq!(
        exchange(&mut socket, &request(&target(), &body())).await,
        b""
    );
    let ledger = bench.sandbox.ledger();
    assert_eq!(ledger.stats().requests, 1);
    assert_eq!(ledger.requests()[0].answered, Answered::Closed);
    assert!(ledger.requests()[0].rang);
}

#[tokio::test]
async fn a_lost_answer_may_have_rung_nobody() {
    let bench = bench().await;
    script(
        &bench,
        Fault::new(FaultKind::CloseAfterReading).that_rings_nobody(),
    );
    bench.try_call(&body()).await.unwrap_err();
    let ledger = bench.sandbox.ledger();
    assert_eq!((ledger.stats().requests, ledger.stats().rang), (1, 0));
    assert!(ledger.calls().is_empty());
}

#[tokio::test]
async fn a_close_cuts_no_other_connection() {
    let bench = bench().await;
    let mut other = bench.socket().await;
    other
        .write_all(request(&target(), &body()).as_bytes())
        .await
        .unwrap();
    assert_eq!(read_answer(&mut other).await["ErrorCode"], 0);
    bench.try_call(&body_for("close-x")).await.unwrap_err();
    other
        .write_all(request(&target(), &body()).as_bytes())
        .await
        .unwrap();
    assert_eq!(read_answer(&mut other).await["ErrorCode"], 0);
}

#[tokio::test]
async fn garbage_is_not_json() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::Garbage));
    let text = bench.try_call(&body()).await.unwrap().text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
}

#[tokio::test]
async fn a_stall_ends_when_the_client_hangs_up() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::Stall).times(1));
    let mut socket = bench.socket().await;
    socket
        .write_all(request(&target(), &body()).as_bytes())
        .await
        .unwrap();
    bench
        .sandbox
        .wait_for(SOON, |ledger| ledger.stats().rang == 1)
        .await
        .unwrap();
    socket.shutdown().await.unwrap();
    assert_eq!(
        exchange_nothing(&mut socket).await,
        b"",
        "closed without an answer"
    );
}

#[tokio::test]
async fn a_truncated_body_is_shorter_than_promised() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::TruncatedBody).times(1));
    let mut socket = bench.socket().await;
    let answer = exchange(&mut socket, &request(&target(), &body())).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, sent) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(sent.starts_with("{\"ErrorCode\":0,"), "{sent}");
    assert!(sent.len() < content_length(head), "{answer}");
    assert!(bench.sandbox.ledger().requests()[0].rang);
}

#[tokio::test]
async fn a_redirect_points_to_the_same_url() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::Redirect).times(1));
    let target = target();
    let response = bench.post(&target, body().to_string()).await.unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(response.headers()["location"], target);
    assert!(!bench.sandbox.ledger().requests()[0].rang);
}

#[tokio::test]
async fn a_client_that_follows_a_redirect_is_seen_twice() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::Redirect).times(1));
    let follower = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}{}", bench.sandbox.url(), target());
    follower
        .post(url)
        .body(body().to_string())
        .send()
        .await
        .unwrap();
    let ledger = bench.sandbox.ledger();
    assert_eq!((ledger.stats().requests, ledger.stats().duplicates), (2, 1));
}

/// The codes of `count` requests made at once, with each one's time as the ledger has it.
async fn burst(bench: &Bench, count: usize) -> Vec<(u64, i64)> {
    let body = body();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..count {
        let url = format!("{}{}", bench.sandbox.url(), target());
        calls.spawn(bench.http.post(url).body(body.to_string()).send());
    }
    while let Some(answer) = calls.join_next().await {
        answer.unwrap().unwrap();
    }
    let ledger = bench.sandbox.ledger();
    let code = |answered| match answered {
        Answered::Code(code) => code,
        other => panic!("{other:?}"),
    };
    ledger
        .requests()
        .iter()
        .map(|r| (r.monotonic_us, code(r.answered)))
        .collect()
}

/// Whether 60007 was answered exactly when `limit` others had passed in the second before.
fn assert_throttled_above(limit: usize, answers: &[(u64, i64)]) {
    let mut passed: Vec<u64> = Vec::new();
    for (at, code) in answers {
        let recent = passed
            .iter()
            .filter(|passed| at - **passed < 1_000_000)
            .count();
        assert_eq!(
            *code,
            if recent < limit { 0 } else { 60_007 },
            "at {at} us, {recent} before"
        );
        if *code == 0 {
            passed.push(*at);
        }
    }
    assert!(passed.len() < answers.len(), "nothing was throttled");
}

#[tokio::test]
async fn an_app_is_throttled_above_its_limit_in_any_sliding_second() {
    let bench = bench_with(SandboxConfig {
        calls_per_second_limit: 7,
        ..config()
    })
    .await;
    assert_throttled_above(7, &burst(&bench, 40).await);
}

#[tokio::test]
async fn a_limit_of_zero_is_no_limit() {
    let bench = bench().await;
    assert!(burst(&bench, 250).await.iter().all(|(_, code)| *code == 0));
}

#[tokio::test]
async fn a_scripted_throttle_refuses_only_above_its_limit() {
    let bench = bench().await;
    script(&bench, Fault::new(FaultKind::ThrottleAbove(5)));
    assert_throttled_above(5, &burst(&bench, 40).await);
}

#[tokio::test]
async fn the_control_endpoint_scripts_lists_and_clears_faults() {
    let bench = bench().await;
    let fault = json!({
        "fault": {"error_code": 60_008}, "match": {"callee": "jack"}, "times": 2, "delay_ms": 1,
        "rings": true
    });
    assert_eq!(post_fault(&bench, &fault).await, (201, json!({"id": 1})));
    assert_eq!(
        post_fault(&bench, &json!({"fault": "garbage"})).await,
        (201, json!({"id": 2}))
    );
    assert_eq!(bench.code(&body()).await, 60_008);
    let faults = bench.page("faults").await["faults"].clone();
    let mut left = fault.clone();
    left["id"] = json!(1);
    left["times"] = json!(1);
    assert_eq!(faults[0], left);
    assert_eq!(faults[1]["fault"], "garbage");
    assert_eq!(delete(&bench, "faults/1").await, 204);
    assert_eq!(delete(&bench, "faults/1").await, 404);
    assert_eq!(
        bench.page("faults").await["faults"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(delete(&bench, "faults").await, 204);
    assert_eq!(bench.code(&body()).await, 0);
}

#[tokio::test]
async fn every_kind_of_fault_can_be_scripted_over_http() {
    let bench = bench().await;
    let kinds = [
        json!({"error_code": -10113}),
        json!({"http_status": 503}),
        json!("close_before_reading"),
        json!("close_after_reading"),
        json!("garbage"),
        json!("stall"),
        json!("truncated_body"),
        json!("redirect"),
        json!({"throttle_above": 5}),
    ];
    for kind in kinds {
        assert_eq!(
            post_fault(&bench, &json!({ "fault": kind })).await.0,
            201,
            "{kind}"
        );
    }
    assert_eq!(
        post_fault(&bench, &json!({"fault": "delay", "delay_ms": 5}))
            .await
            .0,
        201
    );
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_refused_with_a_sentence() {
    let bench = bench().await;
    let senseless = [
        (json!({"fault": "delay"}), "delay_ms"),
        (
            json!({"fault": "delay", "delay_ms": 1, "rings": false}),
            "rings as usual",
        ),
        (json!({"fault": "garbage", "times": 0}), "at least 1"),
        (
            json!({"fault": "garbage", "delay_ms": 600_001}),
            "at most 600000",
        ),
        (json!({"fault": {"error_code": 0}}), "must not be 0"),
        (json!({"fault": {"http_status": 99}}), "200 to 599"),
        (
            json!({"fault": "close_before_reading", "match": {"callee": "x"}}),
            "only times",
        ),
        (
            json!({"fault": {"throttle_above": 1}, "rings": true}),
            "cannot ring",
        ),
        (json!({"fault": "explode"}), "explode"),
        (json!({"fault": "garbage", "time": 1}), "time"),
        (
            json!({"fault": "garbage", "match": {"calle": "x"}}),
            "calle",
        ),
        (json!({}), "fault"),
    ];
    for (fault, word) in senseless {
        let (status, answer) = post_fault(&bench, &fault).await;
        assert!([400, 422].contains(&status), "{fault}: {status}");
        assert!(
            answer["error"].as_str().unwrap().contains(word),
            "{fault}: {answer}"
        );
    }
    assert_eq!(bench.page("faults").await["faults"], json!([]));
}
