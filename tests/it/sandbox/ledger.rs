//! What the ledger keeps, counts and shows.

use callq::sandbox::{Answered, line};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::{
    SOON, admin_sig, bench, body, body_for, body_in, exchange, request, target, target_with,
};

#[tokio::test]
async fn a_request_is_kept_with_everything_but_its_user_data_and_push() {
    let bench = bench().await;
    let answer = bench
        .send(&target_with(&[("random", Some("42"))]), body().to_string())
        .await;
    let requests = bench.page("requests").await;
    let mut record = requests["requests"][0].clone();
    let now_us = chrono::Utc::now().timestamp_micros();
    let received_at_us = record["received_at_us"].take().as_i64().unwrap();
    assert!(
        (now_us - 60_000_000..=now_us).contains(&received_at_us),
        "{received_at_us}"
    );
    assert!(record["monotonic_us"].take().is_u64());
    let expected = json!({
        "seq": 1, "received_at_us": null, "monotonic_us": null,
        "command": "start_call_by_robot", "sdk_app_id": 1_400_000_000, "random": 42,
        "robot": "robot", "callees": ["jack"], "room_id": "roomid-test", "room_id_type": 2,
        "answered": {"code": 0}, "rang": true, "call_id": answer["Response"]["CallId"]
    });
    assert_eq!(record, expected);
    assert_eq!(requests["next_after"], Value::Null);
}

#[tokio::test]
async fn a_refused_request_is_kept_too() {
    let bench = bench().await;
    let mut wrong = body_for("jill");
    wrong["Timeout"] = json!("soon");
    bench.call(&wrong).await;
    bench.send("/v4/nowhere?random=x", "{").await;
    let ledger = bench.sandbox.ledger();
    let [first, second] = ledger.requests() else {
        panic!("{ledger:?}")
    };
    assert_eq!(
        (first.answered, first.rang),
        (Answered::Code(101_002), false)
    );
    assert_eq!(first.callees, ["jill"]);
    assert_eq!(
        (second.answered, second.random),
        (Answered::Code(60_009), None)
    );
    assert_eq!(second.command, "nowhere");
    assert!(ledger.calls().is_empty());
}

#[tokio::test]
async fn a_request_that_was_not_sent_whole_is_not_kept() {
    let bench = bench().await;
    let whole = request(&target(), &body());
    let mut socket = bench.socket().await;
    socket
        .write_all(&whole.as_bytes()[..whole.len() - 1])
        .await
        .unwrap();
    socket.shutdown().await.unwrap();
    // The sandbox closes when it has given the request up.
    exchange(&mut socket, "").await;
    assert_eq!(bench.sandbox.ledger().stats().requests, 0);
}

#[tokio::test]
async fn no_page_shows_user_data_push_or_signature() {
    let bench = bench().await;
    let mut spoilt = body();
    spoilt["Timeout"] = json!(1);
    for body in [body(), body_for("close-x"), spoilt] {
        let _ = bench.try_call(&body).await;
    }
    let ledger = bench.sandbox.ledger();
    assert_eq!(ledger.stats().requests, 3);
    let mut shown = format!("{ledger:?}");
    for page in [
        "requests",
        "rooms",
        "duplicates",
        "calls",
        "stats",
        "faults",
    ] {
        shown.push_str(&bench.page(page).await.to_string());
    }
    for record in ledger.requests() {
        shown.push_str(&line(record));
    }
    for secret in ["userdata-12345687", "This is", "entity", &admin_sig()] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn requests_are_counted_per_room_and_per_room_and_random() {
    let bench = bench().await;
    for (room, random) in [
        ("a", "1"),
        ("a", "2"),
        ("b", "1"),
        ("a", "1"),
        ("b", "1"),
        ("a", "1"),
    ] {
        let target = target_with(&[("random", Some(random))]);
        bench.send(&target, body_in(room).to_string()).await;
    }
    assert_eq!(bench.page("rooms").await["rooms"], json!({"a": 4, "b": 2}));
    let duplicates = bench.page("duplicates").await["duplicates"].clone();
    let expected = json!([
        {"room_id": "a", "random": 1, "count": 3},
        {"room_id": "b", "random": 1, "count": 2}
    ]);
    assert_eq!(duplicates, expected);
    let ledger = bench.sandbox.ledger();
    assert_eq!(ledger.room_requests("a"), 4);
    assert_eq!(ledger.room_requests("c"), 0);
    assert_eq!(ledger.pair_requests("a", 1), 3);
    assert_eq!(ledger.pair_requests("a", 2), 1);
    assert_eq!(ledger.pair_requests("b", 2), 0);
    assert_eq!(ledger.stats().duplicates, 3);
}

#[tokio::test]
async fn the_numbers_count_every_answer() {
    let bench = bench().await;
    for callee in ["jack", "jill", "code-60008-x", "close-x"] {
        let _ = bench.try_call(&body_for(callee)).await;
    }
    let stats = bench.page("stats").await;
    assert_eq!(stats["requests"], 4);
    assert_eq!(stats["rang"], 3);
    assert_eq!(
        stats["per_answer"],
        json!({"0": 2, "60008": 1, "closed": 1})
    );
    assert_eq!(stats["duplicates"], 0);
}

#[tokio::test]
async fn the_busiest_second_is_the_most_that_came_within_any_second() {
    let bench = bench().await;
    for _ in 0..20 {
        bench.call(&body()).await;
    }
    let ledger = bench.sandbox.ledger();
    let times: Vec<u64> = ledger
        .requests()
        .iter()
        .map(|record| record.monotonic_us)
        .collect();
    let most = times
        .iter()
        .map(|end| {
            times
                .iter()
                .filter(|at| *at <= end && end - **at < 1_000_000)
                .count()
        })
        .max();
    assert_eq!(
        Some(ledger.stats().busiest_second),
        most.map(|most| most as u64)
    );
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let bench = bench().await;
    for room in ["a", "b", "c"] {
        bench.call(&body_in(room)).await;
    }
    let first = bench.page("requests?limit=2").await;
    assert_eq!(first["requests"].as_array().unwrap().len(), 2);
    assert_eq!(first["next_after"], 2);
    let second = bench.page("requests?after=2&limit=2").await;
    assert_eq!(second["requests"][0]["seq"], 3);
    assert_eq!(second["next_after"], Value::Null);
    assert_eq!(
        bench.page("rooms?after=1&limit=1").await["rooms"],
        json!({"b": 1})
    );
    let calls = bench.page("calls?after=2").await;
    assert_eq!(calls["calls"][0]["room_id"], "c");
    assert_eq!(
        calls["calls"][0]["callees"][0]["planned_outcome"],
        "answered"
    );
    let url = format!("{}/sandbox/requests?limt=2", bench.sandbox.url());
    assert_eq!(bench.http.get(url).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_reset_forgets_everything() {
    let bench = bench().await;
    bench.call(&body_for("throttle-1-x")).await;
    bench
        .sandbox
        .script(callq::sandbox::Fault::new(
            callq::sandbox::FaultKind::Garbage,
        ))
        .unwrap();
    let url = format!("{}/sandbox/reset", bench.sandbox.url());
    assert_eq!(bench.http.post(url).send().await.unwrap().status(), 204);
    let stats = bench.sandbox.ledger().stats();
    assert_eq!((stats.requests, stats.busiest_second), (0, 0));
    assert_eq!(bench.code(&body_for("throttle-1-x")).await, 60_007);
    assert_eq!(bench.sandbox.ledger().requests()[0].seq, 1);
}

#[tokio::test]
async fn requests_made_at_once_are_all_entered_once_and_in_order() {
    let bench = bench().await;
    let mut calls = tokio::task::JoinSet::new();
    for room in 0..400 {
        let url = format!("{}{}", bench.sandbox.url(), target());
        let body = body_in(&format!("room-{room}")).to_string();
        calls.spawn(bench.http.post(url).body(body).send());
    }
    bench
        .sandbox
        .wait_for(SOON, |ledger| ledger.stats().rang == 400)
        .await
        .unwrap();
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.unwrap().unwrap().status(), 200);
    }
    let ledger = bench.sandbox.ledger();
    assert_eq!(ledger.rooms().count(), 400);
    assert!(ledger.rooms().all(|(_, count)| count == 1));
    let seqs: Vec<u64> = ledger.requests().iter().map(|record| record.seq).collect();
    assert_eq!(seqs, (1..=400).collect::<Vec<_>>());
    assert!(
        ledger
            .requests()
            .is_sorted_by_key(|record| record.monotonic_us)
    );
    let ids: std::collections::HashSet<_> = ledger.calls().iter().map(|c| c.call_id).collect();
    assert_eq!(ids.len(), 400);
}

#[tokio::test]
async fn waiting_ends_with_the_numbers_if_nothing_comes() {
    let bench = bench().await;
    bench.call(&body()).await;
    let waited = bench
        .sandbox
        .wait_for(std::time::Duration::from_millis(20), |ledger| {
            ledger.stats().rang == 2
        })
        .await;
    assert_eq!(waited.unwrap_err().stats.rang, 1);
}

#[tokio::test]
async fn a_subscriber_gets_one_record_per_request_and_a_line_of_it() {
    let bench = bench().await;
    let mut records = bench.sandbox.subscribe();
    let mut body = body_in("r\u{1b}[31m");
    body["CalleeList_Account"] = json!(["jack", "jill"]);
    bench.call(&body).await;
    let answer = bench.call(&body_in("r-2")).await;
    let refused = line(&records.recv().await.unwrap());
    assert!(
        refused.ends_with("  101002     robot -> jack, jill  room r\\u{1b}[31m"),
        "{refused}"
    );
    let rang = line(&records.recv().await.unwrap());
    let call_id = answer["Response"]["CallId"].as_str().unwrap();
    let expected = format!("  0          robot -> jack  room r-2  call {call_id}");
    assert!(rang.ends_with(&expected), "{rang}");
    assert_eq!(rang.len(), "12:00:00.000".len() + expected.len());
    assert!(records.is_empty());
}
