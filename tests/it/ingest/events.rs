//! What the sandbox tells of streams by callbacks.

use std::time::Duration;

use base64::Engine as _;
use callq::sandbox::{IngestEvents, SandboxConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::{Bench, NOW, config, start_of};
use crate::tencent_client::peer::{Peer, Then, header, response};

const KEY: &str = "a1B2c3";
/// Longer than any of these tests takes.
const SOON: Duration = Duration::from_secs(20);

/// A sandbox that tells a server of streams.
async fn told() -> (Bench, Peer) {
    let peer = Peer::that(Then::WriteAndClose(response("200 OK", r#"{"code":0}"#))).await;
    let events = IngestEvents {
        url: format!("http://{}/rooms", peer.address),
        key: KEY.to_owned(),
    };
    let told = SandboxConfig {
        ingest_events: Some(events),
        ..config()
    };
    (Bench::with(told).await, peer)
}

/// Waits for so many callbacks; their type and status, with the seconds since the sandbox began.
async fn arrived(bench: &Bench, peer: &Peer, count: u64) -> Vec<(i64, i64, i64)> {
    let arrived = bench
        .sandbox
        .wait_for_outcomes(SOON, |_, stats| stats.acknowledged == count);
    arrived.await.unwrap();
    let requests = peer.requests();
    let mut events: Vec<(i64, i64, i64)> = requests.iter().map(|request| event(request)).collect();
    // They may come in another order than they happened.
    events.sort_by_key(|(_, _, at)| *at);
    events
}

/// One callback, whose signature must be right.
fn event(request: &str) -> (i64, i64, i64) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /rooms HTTP/1.1"), "{head}");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let sign = base64::prelude::BASE64_STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(header(head, "sign"), Some(sign.as_str()));
    assert_eq!(header(head, "sdkappid"), Some("1400000000"));
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["EventGroupId"], 7);
    assert!(
        body["EventInfo"]["TaskId"]
            .as_str()
            .is_some_and(|id| !id.is_empty()),
        "{body}"
    );
    let at_ms = body["EventInfo"]["EventMsTs"].as_i64().unwrap();
    let number = |value: &Value| value.as_i64().unwrap();
    (
        number(&body["EventType"]),
        number(&body["EventInfo"]["Status"]),
        at_ms / 1000 - NOW,
    )
}

#[tokio::test]
async fn a_stream_that_begins_and_is_stopped_is_told_of_and_signed() {
    let (bench, peer) = told().await;
    let room = bench.answered("callq_1_1").await;
    let task = bench.start(&room).await.unwrap();
    bench.pass(4);
    bench.streams.stop(&task, NOW).await.unwrap();
    bench.streams.stop(&task, NOW).await.unwrap();
    assert_eq!(arrived(&bench, &peer, 2).await, [(701, 0, 3), (702, 0, 7)]);
    let body: Value =
        serde_json::from_str(peer.requests()[0].split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["EventInfo"]["TaskId"], json!(task));
}

#[tokio::test]
async fn a_stream_that_ends_by_itself_is_told_of_and_not_again_where_it_was_stopped() {
    let (bench, peer) = told().await;
    let room = bench.answered("callq_1_1").await;
    start_of(
        &bench.streams,
        &room,
        "https://media.example/x.mp4?seconds=5",
    )
    .await
    .unwrap();
    bench.pass(6);
    assert_eq!(arrived(&bench, &peer, 2).await, [(701, 0, 3), (702, 0, 8)]);
    let task = start_of(
        &bench.streams,
        &room,
        "https://media.example/x.mp4?seconds=5",
    )
    .await
    .unwrap();
    bench.pass(1);
    bench.streams.stop(&task, NOW).await.unwrap();
    bench.pass(10);
    let events = arrived(&bench, &peer, 4).await;
    assert_eq!(events[2..], [(701, 0, 9), (702, 0, 10)]);
}

#[tokio::test]
async fn a_stream_that_cannot_be_played_is_tried_three_times() {
    let (bench, peer) = told().await;
    let room = bench.answered("callq_1_1").await;
    start_of(
        &bench.streams,
        &room,
        "https://media.example/gone.mp4?fails",
    )
    .await
    .unwrap();
    bench.pass(5);
    assert_eq!(
        arrived(&bench, &peer, 3).await,
        [(701, 1, 3), (701, 1, 4), (701, 1, 6)]
    );
    assert_eq!((bench.tally().ended, bench.tally().playing), (1, 0));
}

#[tokio::test]
async fn events_of_streams_go_to_this_machine_alone() {
    let elsewhere = SandboxConfig {
        ingest_events: Some(IngestEvents {
            url: "https://example.com/rooms".to_owned(),
            key: KEY.to_owned(),
        }),
        ..config()
    };
    assert!(callq::sandbox::Sandbox::start(elsewhere).await.is_err());
}
