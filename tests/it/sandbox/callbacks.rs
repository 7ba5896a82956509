//! Callbacks: where they go, what they say, and what goes wrong with them.

use callq::call::{CallbackCommand, CallbackEvent, Happened, MemberAction};
use callq::sandbox::{CallbackFaults, CallbackStats, SandboxConfig};
use callq::tencent::read_callback;
use serde_json::{Value, json};

use super::{Bench, SOON, bench, bench_with, config};
use crate::support::receiver::{Came, Receiver};

const SET: &str = "/v4/call_config/set_callback";
const GET: &str = "/v4/call_config/get_callback";
const DELETE: &str = "/v4/call_config/delete_callback";

impl Bench {
    /// Waits until no callback is on its way, and nobody is on a call.
    async fn quiet(&self) -> CallbackStats {
        let quiet = self.sandbox.wait_for_outcomes(SOON, |tally, callbacks| {
            tally.pending == 0 && callbacks.waiting == 0 && callbacks.events > 0
        });
        quiet.await.expect("callbacks arrive");
        self.sandbox.callback_stats()
    }

    async fn code_of(&self, path: &str, body: Value) -> Value {
        self.ask(path, &body).await["ErrorCode"].clone()
    }
}

/// A sandbox whose callbacks all go to this receiver.
async fn bench_to(receiver: &Receiver, callback_faults: CallbackFaults) -> Bench {
    bench_with(SandboxConfig {
        callback_url: Some(receiver.url().to_owned()),
        callback_faults,
        ..config()
    })
    .await
}

fn read(came: &Came) -> CallbackEvent {
    read_callback(None, came.body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {came:?}"))
}

#[tokio::test]
async fn where_callbacks_go_is_set_told_and_deleted() {
    let bench = bench().await;
    assert_eq!(bench.code_of(GET, json!({})).await, 100_301);
    assert_eq!(bench.code_of(DELETE, json!({})).await, 100_301);
    let first = json!({ "Url": "https://example.com/x", "CallbackCommandList": ["Call.CallbackAfterStartCall", "Call.CallbackAfterEndCall"] });
    let second = json!({ "Url": "http://example.com/y", "CallbackCommandList": ["Call.CallbackAfterEndCall"] });
    for set in [&first, &second] {
        assert_eq!(bench.code_of(SET, set.clone()).await, 0);
        assert_eq!(
            &bench.ask(GET, &json!({})).await["Response"],
            set,
            "the whole is overwritten"
        );
    }
    for wrong in [
        json!({}),
        json!({ "Url": "ftp://x", "CallbackCommandList": ["Call.CallbackAfterEndCall"] }),
        json!({ "Url": "https://x", "CallbackCommandList": [] }),
        json!({ "Url": "https://x", "CallbackCommandList": ["Call.Other"] }),
    ] {
        assert_eq!(bench.code_of(SET, wrong.clone()).await, 100_002, "{wrong}");
    }
    assert_eq!(bench.code_of(DELETE, json!({})).await, 0);
    assert_eq!(bench.code_of(GET, json!({})).await, 100_301);
}

#[tokio::test]
async fn a_call_tells_of_its_beginning_its_members_and_its_end() {
    let receiver = Receiver::start().await;
    let bench = bench_to(&receiver, CallbackFaults::default()).await;
    let call_id = bench.started(&["144115212830834855"]).await;
    bench.pass(60);
    let stats = bench.quiet().await;
    assert_eq!((stats.events, stats.sent, stats.acknowledged), (4, 4, 4));
    let came = receiver.came();
    let mut told: Vec<_> = came.iter().map(read).collect();
    told.sort_by_key(|event| (event.event_at_ms, event.command()));
    let began_ms = (super::SIGNED_AT + 100) * 1000;
    let when: Vec<_> = told
        .iter()
        .map(|event| (event.event_at_ms.unwrap() - began_ms, event.command()))
        .collect();
    let member = CallbackCommand::AfterMemberChanged;
    let expected = [
        (0, CallbackCommand::AfterStartCall),
        (3000, member),
        (23_000, member),
        (23_000, CallbackCommand::AfterEndCall),
    ];
    assert_eq!(when, expected);
    assert!(told.iter().all(|event| event.call_id == call_id));
    let actions = told.iter().filter_map(|event| match &event.happened {
        Happened::MemberChanged { changes, .. } => {
            Some((changes[0].account.as_str(), changes[0].action.clone()))
        }
        _ => None,
    });
    let jack = "144115212830834855";
    assert_eq!(
        actions.collect::<Vec<_>>(),
        [(jack, MemberAction::Answer), (jack, MemberAction::HangUp)]
    );
    for came in &came {
        assert_eq!(came.path, "/calls/s3cret");
        let command = read(came).command().as_str();
        assert_eq!(
            came.query,
            format!(
                "SdkAppid=1400000000&CallbackCommand={command}&contenttype=json&ClientIP=127.0.0.1&OptPlatform=RESTAPI"
            )
        );
        let body: Value = serde_json::from_str(&came.body).unwrap();
        assert!(
            !came.body.contains(&format!("\"{jack}\"")) && came.body.contains(jack),
            "an account of digits is a number: {body}"
        );
    }
    let start = came
        .iter()
        .find(|came| came.body.contains("AfterStartCall"))
        .unwrap();
    assert!(
        start.body.contains("\"CallMediaType\":\"Video\""),
        "{}",
        start.body
    );
}

#[tokio::test]
async fn only_what_is_asked_for_is_told_and_nothing_after_an_end_by_command() {
    let receiver = Receiver::start().await;
    let bench = bench().await;
    let set = json!({ "Url": receiver.url(), "CallbackCommandList": ["Call.CallbackAfterMemberChanged"] });
    assert_eq!(bench.code_of(SET, set).await, 0);
    let call_id = bench.started(&["jack", "noanswer-x"]).await;
    bench.pass(5);
    bench
        .ask(
            "/v4/call_engine_http_srv/end_call",
            &json!({ "CallId": call_id }),
        )
        .await;
    bench.pass(600);
    bench.quiet().await;
    let mut actions = Vec::new();
    for came in receiver.came() {
        match read(&came).happened {
            Happened::MemberChanged { changes, .. } => actions.push((
                changes[0].account.clone(),
                format!("{:?}", changes[0].action),
            )),
            other => panic!("{other:?}"),
        }
    }
    actions.sort();
    let expected = [
        ("jack", "Answer"),
        ("jack", "HangUp"),
        ("noanswer-x", "CancelInvite"),
    ];
    assert_eq!(
        actions,
        expected.map(|(who, what)| (who.to_owned(), what.to_owned()))
    );
}

#[tokio::test]
async fn both_spellings_come() {
    let receiver = Receiver::start().await;
    let bench = bench_to(&receiver, CallbackFaults::default()).await;
    for _ in 0..20 {
        bench.started(&["jack"]).await;
    }
    bench.pass(60);
    bench.quiet().await;
    let all: String = receiver
        .came()
        .iter()
        .map(|came| came.body.as_str())
        .collect();
    for word in ["\"Answer\"", "\"Accept\"", "\"Hangup\"", "\"Hang Up\""] {
        assert!(all.contains(word), "{word}");
    }
}

#[tokio::test]
async fn callbacks_are_lost_doubled_and_held_back_at_their_rates_and_the_same_by_the_same_seed() {
    let mut runs = Vec::new();
    for seed in [5, 5, 6] {
        let receiver = Receiver::start().await;
        let faults = CallbackFaults {
            lost: 0.2,
            doubled: 0.3,
            reordered: 0.2,
            late: 0.1,
            seed,
        };
        let bench = bench_to(&receiver, faults).await;
        for _ in 0..100 {
            bench.started(&["jack"]).await;
        }
        bench.pass(3600);
        let stats = bench.quiet().await;
        assert_eq!(stats.events, 400);
        assert_eq!(
            stats.acknowledged,
            stats.events - stats.lost + stats.doubled
        );
        assert_eq!(receiver.came().len() as u64, stats.acknowledged);
        for (what, count, expected) in [
            ("lost", stats.lost, 80),
            ("doubled", stats.doubled, 96),
            ("reordered", stats.reordered, 58),
            ("late", stats.late, 32),
        ] {
            assert!(
                (expected / 2..expected * 2).contains(&count),
                "{what}: {stats:?}"
            );
        }
        runs.push(stats);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn a_callback_that_is_held_back_comes_behind_later_ones() {
    let receiver = Receiver::start().await;
    let bench = bench_to(
        &receiver,
        CallbackFaults {
            late: 1.0,
            ..CallbackFaults::default()
        },
    )
    .await;
    bench.started(&["jack"]).await;
    bench.pass(59);
    let told = bench
        .sandbox
        .wait_for_outcomes(SOON, |_, callbacks| callbacks.waiting == 4);
    told.await.expect("all of it is to be told");
    assert_eq!(receiver.came().len(), 0);
    bench.pass(700);
    bench.quiet().await;
    assert_eq!(receiver.came().len(), 4);
}

#[tokio::test]
async fn a_callback_that_is_not_acknowledged_is_sent_again_and_given_up_at_last() {
    let receiver = Receiver::that_answers(|n| if n < 2 { 503 } else { 200 }).await;
    let bench = bench_to(&receiver, CallbackFaults::default()).await;
    let set =
        json!({ "Url": receiver.url(), "CallbackCommandList": ["Call.CallbackAfterEndCall"] });
    assert_eq!(bench.code_of(SET, set).await, 0);
    bench.started(&["busy-x"]).await;
    bench.pass(2);
    for tries in 1..=2 {
        let tried = bench
            .sandbox
            .wait_for_outcomes(SOON, |_, callbacks| callbacks.sent == tries);
        tried.await.expect("it is sent");
        bench.pass(1);
    }
    let stats = bench.quiet().await;
    assert_eq!((stats.sent, stats.acknowledged, stats.given_up), (3, 1, 0));
    let bodies: Vec<_> = receiver.came().into_iter().map(|came| came.body).collect();
    assert_eq!(bodies[0], bodies[2], "it is the same one each time");

    let never = Receiver::that_answers(|_| 500).await;
    let bench = bench_to(&never, CallbackFaults::default()).await;
    let set = json!({ "Url": never.url(), "CallbackCommandList": ["Call.CallbackAfterEndCall"] });
    assert_eq!(bench.code_of(SET, set).await, 0);
    bench.started(&["busy-x"]).await;
    bench.pass(2);
    for tries in 1..=6 {
        let tried = bench
            .sandbox
            .wait_for_outcomes(SOON, |_, callbacks| callbacks.sent == tries);
        tried.await.expect("it is sent");
        bench.pass(5);
    }
    let stats = bench.quiet().await;
    assert_eq!((stats.sent, stats.acknowledged, stats.given_up), (6, 0, 1));
}

#[tokio::test]
async fn nothing_is_sent_to_anybody_but_this_machine() {
    let bench = bench().await;
    let set = json!({ "Url": "https://example.com/x", "CallbackCommandList": ["Call.CallbackAfterEndCall"] });
    assert_eq!(bench.code_of(SET, set).await, 0);
    bench.started(&["busy-x"]).await;
    bench.pass(2);
    let stats = bench.quiet().await;
    assert_eq!((stats.events, stats.sent, stats.given_up), (1, 0, 1));
}

#[tokio::test]
async fn a_reset_forgets_calls_records_and_where_commands_sent_callbacks() {
    let receiver = Receiver::start().await;
    let bench = bench_to(&receiver, CallbackFaults::default()).await;
    assert_eq!(bench.code_of(DELETE, json!({})).await, 0);
    bench.started(&["jack"]).await;
    bench.pass(60);
    bench.sandbox.reset();
    assert_eq!(bench.sandbox.tally().legs, 0);
    assert_eq!(
        bench.ask(GET, &json!({})).await["Response"]["Url"],
        receiver.url(),
        "as it was started"
    );
    bench.started(&["busy-x"]).await;
    bench.pass(2);
    assert_eq!(bench.quiet().await.events, 2);
}
