//! Media of single calls, in the sandbox: from the answer to the end, whatever goes wrong.

use callq::sandbox::{CallbackFaults, Fault, FaultKind, IngestCode};

use super::{URL, ingest, insert, player, reasons, sandbox, until_ended, with_callbacks};
use crate::support::rig::Rig;

const START: &str = "StartStreamIngest";
const STOP: &str = "StopStreamIngest";

/// A ring that nobody hears is over in ten seconds of the sandbox.
const SHORT_RING: (&str, &str) = ("ring_timeout_ms", "10000");

/// For ever, which is 100 minutes at most: should its `TaskId` be lost, it ends all the same.
const BOUNDED: (&str, &str) = (
    "media_options",
    "'{\"repeat\": -1, \"max_minutes\": 100, \"volume\": 70}'",
);

#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_hears_the_media_until_the_call_is_over_and_nobody_else_does() {
    let (rig, web) = with_callbacks(4.0, CallbackFaults::default()).await;
    let plain = Rig::with_sandbox(sandbox(4.0)).await;
    for rig in [&rig, &plain] {
        let worker = rig.worker_with(player(rig)).await;
        let callees = [
            "answer-1-a",
            "answer-6-b",
            "jack",
            "busy-c",
            "decline-d",
            "noanswer-e",
        ];
        for callee in callees {
            insert(rig, callee, &[SHORT_RING, BOUNDED]).await;
        }
        let silent = rig.insert("answer-1-silent", &[SHORT_RING]).await;
        until_ended(rig, 6).await;
        assert_eq!(
            reasons(rig).await,
            [
                "answer-1-a media_stopped",
                "answer-6-b media_stopped",
                "busy-c media_unanswered",
                "decline-d media_unanswered",
                "jack media_stopped",
                "noanswer-e media_unanswered",
            ]
        );
        let tally = rig.sandbox.ingest_tally();
        assert_eq!(
            (tally.started, tally.stopped, tally.playing),
            (3, 3, 0),
            "{tally:?}"
        );
        assert_eq!((tally.before_answer, tally.doubled), (0, 0), "{tally:?}");
        for task in rig.sandbox.ingest_tasks() {
            assert_eq!(
                (task.stream_url.as_str(), task.user_id.as_str()),
                (URL, "robot")
            );
            assert_eq!(
                (task.repeat, task.max_minutes, task.volume),
                (-1, Some(100), 70)
            );
            let known = format!(
                "SELECT count(*) FROM callq.streams WHERE task_id = '{}' AND stopped_at > started_at",
                task.task_id
            );
            assert_eq!(rig.value::<i64>(&known).await, 1);
        }
        rig.until_all("'completed'").await;
        let told = format!(
            "SELECT string_agg(event, ' ' ORDER BY id) FROM callq.events WHERE event LIKE 'media%' OR job_id = {silent} AND event LIKE 'm%'"
        );
        let told: String = rig.value(&told).await;
        assert_eq!(told.matches("media_started").count(), 3, "{told}");
        assert_eq!(told.matches("media_stopped").count(), 3, "{told}");
        let report = "SELECT concat_ws(' ', sum(started), sum(failed), sum(minutes) > 0) FROM callq.media_minutes";
        assert_eq!(rig.value::<String>(report).await, "3 0 t");
        let legs = "SELECT count(*) FROM callq.call_legs WHERE media_started_at > media_answered_at AND media_seconds IS NOT NULL AND media_reason = 'media_stopped'";
        assert_eq!(rig.value::<i64>(legs).await, 3);
        worker.stop().await.unwrap();
        rig.audit().await;
    }
    web.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_or_lasts_too_long_is_not_played_to_any_more() {
    let rig = Rig::with_sandbox(sandbox(20.0)).await;
    let worker = rig.worker_with(player(&rig)).await;
    let cancelled = insert(&rig, "talk-40000-jack", &[]).await;
    insert(
        &rig,
        "talk-40000-ann",
        &[SHORT_RING, ("max_call_seconds", "10")],
    )
    .await;
    let plays = format!(
        "SELECT count(*) FROM callq.streams WHERE state = 'playing' AND job_id = {cancelled}"
    );
    rig.until_value(&plays, |plays: &i64| *plays == 1).await;
    rig.sql(&format!("SELECT callq.cancel({cancelled})")).await;
    until_ended(&rig, 2).await;
    assert_eq!(
        reasons(&rig).await,
        [
            "talk-40000-ann media_stopped",
            "talk-40000-jack media_stopped"
        ]
    );
    assert_eq!(rig.sandbox.ingest_tally().playing, 0);
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_stops_what_one_that_has_left_has_started() {
    let rig = Rig::with_sandbox(sandbox(4.0)).await;
    let first = rig.worker_with(player(&rig)).await;
    insert(&rig, "talk-60-jack", &[]).await;
    let plays = "SELECT count(*) FROM callq.streams WHERE state = 'playing'";
    rig.until_value(plays, |plays: &i64| *plays == 1).await;
    first.stop().await.unwrap();
    let second = rig.worker_with(player(&rig)).await;
    until_ended(&rig, 1).await;
    let tally = rig.sandbox.ingest_tally();
    assert_eq!((tally.started, tally.stopped, tally.doubled), (1, 1, 0));
    second.stop().await.unwrap();
}

/// What becomes of one call whose requests meet this fault.
async fn meets(fault: Fault, talk: u32) -> (Rig, String) {
    let rig = Rig::with_sandbox(sandbox(4.0)).await;
    rig.sandbox.script(fault).unwrap();
    let worker = rig.worker_with(player(&rig)).await;
    insert(&rig, &format!("talk-{talk}-jack"), &[BOUNDED]).await;
    until_ended(&rig, 1).await;
    rig.until_all("'completed'").await;
    worker.stop().await.unwrap();
    // Whatever became of its media, it was rung once.
    rig.audit().await;
    assert_eq!(rig.sandbox.read_ledger(|ledger| ledger.calls().len()), 1);
    let reason = rig.value("SELECT reason FROM callq.streams").await;
    (rig, reason)
}

fn refusal(code: &str) -> FaultKind {
    FaultKind::IngestError(IngestCode::new(code).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_refused_for_now_is_tried_again_and_one_for_good_is_told() {
    for (code, times, expected, started) in [
        ("RequestLimitExceeded", 2, "media_stopped", 1),
        ("FailedOperation.RoomNotExist", 1, "media_stopped", 1),
        ("FailedOperation.RoomNotExist", 9, "media_room_unknown", 0),
        ("InvalidParameter.StreamUrl", 1, "media_refused", 0),
    ] {
        let fault = Fault::new(refusal(code)).for_command(START).times(times);
        let (rig, reason) = meets(fault, 60).await;
        assert_eq!(reason, expected, "{code}");
        assert_eq!(rig.sandbox.ingest_tally().started, started, "{code}");
        let detail = "SELECT coalesce(detail, '') FROM callq.streams";
        let detail: String = rig.value(detail).await;
        assert_eq!(detail.starts_with(code), started == 0, "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_a_start_leads_to_one_task_at_most_which_is_stopped_or_told_as_lost() {
    // It never arrived: the next one plays.
    let lost = || {
        Fault::new(FaultKind::CloseAfterReading)
            .for_command(START)
            .times(1)
    };
    let (rig, reason) = meets(lost().that_rings_nobody(), 60).await;
    let tally = rig.sandbox.ingest_tally();
    assert_eq!(
        (reason.as_str(), tally.started, tally.stopped),
        ("media_stopped", 1, 1)
    );
    // It plays: no other is started, and its own time ends it.
    let (rig, reason) = meets(lost().that_rings(), 30).await;
    let tally = rig.sandbox.ingest_tally();
    assert_eq!(
        (reason.as_str(), tally.started, tally.stopped),
        ("media_lost", 1, 0)
    );
    assert!(tally.doubled > 0, "{tally:?}");
    assert_eq!(tally.left_running, 1, "{tally:?}");
    rig.sandbox.advance(std::time::Duration::from_hours(2));
    let over = rig
        .sandbox
        .wait_for_ingest(crate::support::rig::SURELY, |tally| tally.playing == 0);
    over.await.unwrap();
    assert_eq!(rig.sandbox.ingest_tally().ended, 1);
    let told =
        "SELECT string_agg(event, ' ' ORDER BY id) FROM callq.events WHERE event LIKE 'media%'";
    assert_eq!(
        rig.value::<String>(told).await,
        "media_started media_failed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_sent_until_tencent_says_that_nothing_runs() {
    for fault in [
        Fault::new(FaultKind::HttpStatus(502)).times(2),
        Fault::new(FaultKind::CloseAfterReading)
            .that_rings()
            .times(1),
        Fault::new(refusal("InternalError")).times(2),
        Fault::new(refusal("AuthFailure.SignatureFailure")).times(2),
    ] {
        let (rig, reason) = meets(fault.for_command(STOP), 20).await;
        let tally = rig.sandbox.ingest_tally();
        assert_eq!(
            (reason.as_str(), tally.started, tally.stopped),
            ("media_stopped", 1, 1)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cam_key_that_is_refused_pauses_media_and_no_call_and_a_good_one_is_heard_again() {
    let rig = Rig::with_sandbox(sandbox(4.0)).await;
    let mut config = player(&rig);
    config.apps[0].ingest = Some(ingest(
        &rig.sandbox.url(),
        "another-key-than-the-sandbox-has",
    ));
    let wrong = rig.worker_with(config).await;
    insert(&rig, "talk-300-jack", &[]).await;
    let paused =
        "SELECT media_retry_at > now() AND media_failure LIKE 'AuthFailure%' FROM callq.apps";
    rig.until_value(paused, |paused: &Option<bool>| *paused == Some(true))
        .await;
    let ann = insert(&rig, "talk-300-ann", &[]).await;
    rig.until_state(ann, "placed").await;
    let none: i64 = rig
        .value("SELECT count(*) FROM callq.apps WHERE paused_at IS NOT NULL")
        .await;
    assert_eq!(none, 0);
    wrong.stop().await.unwrap();
    let good = rig.worker_with(player(&rig)).await;
    rig.sql("UPDATE callq.apps SET media_retry_at = now()")
        .await;
    let plays = "SELECT count(*) FROM callq.streams WHERE state = 'playing'";
    rig.until_value(plays, |plays: &i64| *plays == 2).await;
    let paused: bool = rig
        .value("SELECT media_retry_at IS NOT NULL FROM callq.apps")
        .await;
    assert!(!paused);
    rig.sql("SELECT callq.cancel(id) FROM callq.jobs").await;
    until_ended(&rig, 2).await;
    good.stop().await.unwrap();
    assert_eq!(rig.sandbox.ingest_tally().playing, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn media_ends_with_its_call_even_where_outcomes_are_not_asked_for() {
    let rig = Rig::with_sandbox(sandbox(4.0)).await;
    rig.sql("UPDATE callq.settings SET outcomes = false, events = false")
        .await;
    let worker = rig.worker_with(player(&rig)).await;
    let with = insert(&rig, "jack", &[]).await;
    let without = rig.insert("ann", &[]).await;
    until_ended(&rig, 1).await;
    rig.until_state(with, "completed").await;
    assert_eq!(rig.job(without).await.state, "placed");
    let tally = rig.sandbox.ingest_tally();
    assert_eq!((tally.started, tally.stopped), (1, 1));
    worker.stop().await.unwrap();
}
