//! What each scripted fault does on the wire and in the ledger.

use std::time::{Duration, Instant};

use callq::sandbox::{Answered, Fault, FaultKind};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::{
    Bench, SOON, bench, body, body_for, content_length, exchange, read_answer, request, target,
};

fn script(bench: &Bench, fault: Fault) {
    bench.sandbox.script(fault).unwrap();
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
    assert_eq!(bench.delete("faults").await, 204);
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
