//! Ringing again whom a call did not reach, hanging up, and bounds on how long is talked.

mod claims;
mod told;

use std::time::Duration;

use callq::call::{CallOutcome, CalleeOutcome, JobDefaults, Outcome, OutcomeSource, Redial};
use callq::sandbox::{Fault, FaultKind, SandboxConfig};
use callq::store::{Followed, Settlement, Store};
use callq::worker::WorkerConfig;

use crate::support::rig::{Rig, Running};

/// A sandbox in which a ring is over in a quarter of a second.
fn fast() -> SandboxConfig {
    SandboxConfig {
        calls_per_second_limit: 0,
        speed: 200.0,
        ..SandboxConfig::default()
    }
}

/// A sandbox in which 10 minutes are one.
fn slow() -> SandboxConfig {
    SandboxConfig {
        speed: 10.0,
        ..fast()
    }
}

/// A worker that reads records: calls that are over before it begins to are long past on a fast
/// clock.
async fn reading(rig: &Rig, config: WorkerConfig) -> Running {
    let worker = rig.worker_with(config).await;
    let reads = "SELECT coalesce(max(read_until_unix), 0) FROM callq.sweeps";
    rig.until_value(reads, |until: &i64| *until > 0).await;
    worker
}

/// Each ring of a chain: number, redials, callees, state, outcome, reason.
async fn chain(rig: &Rig, root: i64) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT concat_ws(' ', ring_no, redials, array_to_string(callees, ','), state, outcome, reason)
         FROM callq.jobs WHERE id = $1 OR root_id = $1 ORDER BY ring_no, redials",
    )
    .bind(root)
    .fetch_all(rig.db.pool())
    .await
    .unwrap()
}

/// Waits until so many jobs are there and none of them is open.
async fn until_over(rig: &Rig, jobs: i64) {
    let open = format!(
        "SELECT count(*) FILTER (WHERE state NOT IN ('scheduled', 'dialing', 'in_doubt', 'placed')) = {jobs}
             AND count(*) = {jobs} FROM callq.jobs"
    );
    rig.until_value(&open, |over: &bool| *over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_not_reached_is_rung_again_as_often_and_as_late_as_the_policy_says() {
    let rig = Rig::with_sandbox(fast()).await;
    let workers = [reading(&rig, rig.config()).await, rig.worker().await];
    let policy = r#"'{"max_rings": 3, "busy": ["1s", "2s"], "min_gap": "0s"}'"#;
    let columns = [("ring_policy", policy), ("metadata", "'{\"visit\": 7}'")];
    let busy = rig.insert("busy-jack", &columns).await;
    let reached = rig.insert("answer-1-ann", &columns).await;
    let declined = rig.insert("decline-bob", &columns).await;
    let once = rig.insert("busy-rose", &[]).await;
    until_over(&rig, 6).await;
    assert_eq!(
        chain(&rig, busy).await,
        [
            "1 0 busy-jack completed busy ring_again",
            "2 1 busy-jack completed busy ring_again",
            "3 2 busy-jack completed busy ring_total",
        ]
    );
    assert_eq!(
        chain(&rig, reached).await,
        ["1 0 answer-1-ann completed answered accepted"]
    );
    assert_eq!(
        chain(&rig, declined).await,
        ["1 0 decline-bob completed declined ring_outcome"]
    );
    assert_eq!(
        chain(&rig, once).await,
        ["1 0 busy-rose completed busy accepted"]
    );
    let inherited: bool = rig
        .value(&format!(
            "SELECT bool_and(f.metadata = r.metadata AND f.ring_policy = r.ring_policy AND f.expires_at = r.expires_at
                 AND f.run_at >= b.finished_at + b.redials * interval '1 second' + interval '1 second')
             FROM callq.jobs AS f JOIN callq.jobs AS r ON r.id = f.root_id JOIN callq.jobs AS b ON b.id = f.follows_id
             WHERE f.root_id = {busy}"
        ))
        .await;
    assert!(inherited);
    for worker in workers {
        worker.stop().await.unwrap();
    }
    assert_eq!(rig.sandbox.read_ledger(|ledger| ledger.calls().len()), 6);
    rig.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_and_unanswered_callees_of_one_call_are_both_rung_again_and_no_outcome_twice() {
    let rig = Rig::with_sandbox(slow()).await;
    let worker = rig.worker().await;
    let columns = [("retry_callees", "true"), ("max_attempts", "2")];
    let root = rig.insert("badcode-5-rose,noanswer-jack", &columns).await;
    let refused = "SELECT count(*) FROM callq.jobs WHERE state = 'failed'";
    rig.until_value(refused, |jobs: &i64| *jobs == 1).await;
    worker.stop().await.unwrap();
    // What a callback tells of one of several.
    let store = Store::connect(rig.db.url(), 2).await.unwrap();
    let which = Followed {
        attempts: vec![(root, 1)],
        ..Followed::default()
    };
    let calls = store.open_calls("default", &which).await.unwrap();
    let leg = |callee: &str, outcome, source| CalleeOutcome {
        callee: callee.to_owned(),
        outcome,
        source,
        accepted_at_ms: None,
        ended_at_ms: None,
        ring_seconds: Some(0),
        talk_seconds: Some(0),
    };
    let settlement = || Settlement {
        call: &calls[0],
        outcome: CallOutcome {
            callees: vec![
                leg("badcode-5-rose", Outcome::Unreachable, OutcomeSource::Reply),
                leg("noanswer-jack", Outcome::NoAnswer, OutcomeSource::Callback),
            ],
            has_record: true,
        },
        closes: false,
        ends: true,
        record: None,
        call_id: None,
        redial: Redial::Again {
            callees: vec![1],
            after: Duration::from_mins(1),
        },
    };
    let (one, other) = ([settlement()], [settlement()]);
    let (one, other) = tokio::join!(store.settle_calls(&one), store.settle_calls(&other));
    let settled = [one.unwrap(), other.unwrap()].map(|settled| settled[0].settled);
    assert!(settled[0] != settled[1], "one of two settles: {settled:?}");
    assert_eq!(
        chain(&rig, root).await,
        [
            "1 0 badcode-5-rose,noanswer-jack completed mixed ring_again",
            "2 0 badcode-5-rose failed callees_refused",
            "2 1 noanswer-jack scheduled",
        ]
    );
    // Whatever comes later corrects, and rings nobody.
    let calls = store.open_calls("default", &which).await.unwrap();
    let again = Settlement {
        call: &calls[0],
        ..settlement()
    };
    assert!(store.settle_calls(&[again]).await.unwrap()[0].settled);
    assert_eq!(chain(&rig, root).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_nobody_is_rung_again_stands_on_the_row() {
    let rig = Rig::with_sandbox(fast()).await;
    let mut config = rig.config();
    // The app's policy, where a job leaves something out.
    config.apps[0].defaults = JobDefaults {
        ring_policy: Some(r#"{"max_rings": 2, "busy": ["1h"]}"#.to_owned()),
        ..JobDefaults::default()
    };
    rig.sql(
        "INSERT INTO callq.schedules (name, every, tz, robot_account, callees) VALUES ('rounds', '1 day', 'UTC', 'robot', '{x}');
         SELECT callq.pause_schedule('rounds')",
    )
    .await;
    let worker = reading(&rig, config).await;
    let late = rig.insert("busy-late", &[("ttl", "'30 minutes'")]).await;
    let paused: i64 = rig
        .value(
            "INSERT INTO callq.jobs (robot_account, callees, schedule_id, nominal_at, ttl)
             SELECT 'robot', '{busy-paused}', id, now(), '1 day' FROM callq.schedules RETURNING id",
        )
        .await;
    let again = rig.insert("busy-again", &[("ttl", "'1 day'")]).await;
    let own = rig
        .insert("busy-own", &[("ring_policy", r#"'{"max_rings": 1}'"#)])
        .await;
    let completed = "SELECT count(*) FROM callq.jobs WHERE state = 'completed'";
    rig.until_value(completed, |jobs: &i64| *jobs == 4).await;
    for (id, reason) in [
        (late, "ring_deadline"),
        (paused, "ring_schedule_stopped"),
        (again, "ring_again"),
        (own, "accepted"),
    ] {
        assert_eq!(rig.job(id).await.reason.as_deref(), Some(reason));
    }
    let detail: String = rig
        .value(&format!(
            "SELECT reason_detail FROM callq.jobs WHERE id = {late}"
        ))
        .await;
    assert_eq!(detail, "busy-late: busy");
    // Whoever cancels the first means the ring that is to come too.
    let said: String = rig.value(&format!("SELECT callq.cancel({again})")).await;
    assert_eq!(said, "cancelled");
    let waiting: i64 = rig
        .value("SELECT count(*) FROM callq.jobs WHERE state = 'scheduled'")
        .await;
    assert_eq!(waiting, 0);
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_of_a_ringing_call_ends_it_and_nobody_is_rung_again() {
    let rig = Rig::with_sandbox(slow()).await;
    let worker = reading(&rig, rig.config()).await;
    let policy = r#"'{"max_rings": 3, "no_answer": ["1s"], "min_gap": "0s"}'"#;
    let columns = [("ring_policy", policy), ("ring_timeout_ms", "600000")];
    let ringing = rig.insert("noanswer-jack", &columns).await;
    rig.until_state(ringing, "placed").await;
    let said: String = rig.value(&format!("SELECT callq.cancel({ringing})")).await;
    assert_eq!(said, "ending");
    until_over(&rig, 1).await;
    let job = rig.job(ringing).await;
    assert_eq!(job.reason.as_deref(), Some("cancel_ends_call"));
    let outcome: String = rig
        .value(&format!(
            "SELECT outcome FROM callq.jobs WHERE id = {ringing}"
        ))
        .await;
    assert_eq!(outcome, "cancelled");
    let said: String = rig.value(&format!("SELECT callq.cancel({ringing})")).await;
    assert_eq!(said, "too_late");
    assert_eq!(chain(&rig, ringing).await.len(), 1);
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_under_way_ends_the_call_that_the_reply_tells_of() {
    let rig = Rig::with_sandbox(slow()).await;
    rig.sandbox
        .script(Fault::new(FaultKind::Delay).delayed_ms(5000).times(1))
        .unwrap();
    let worker = reading(&rig, rig.config()).await;
    let id = rig
        .insert("noanswer-jack", &[("ring_timeout_ms", "600000")])
        .await;
    rig.until_state(id, "dialing").await;
    let said: String = rig.value(&format!("SELECT callq.cancel({id})")).await;
    assert_eq!(said, "requested");
    until_over(&rig, 1).await;
    let job = rig.job(id).await;
    assert_eq!(job.reason.as_deref(), Some("cancel_ends_call"));
    worker.stop().await.unwrap();
    rig.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_lasts_too_long_is_ended_and_asked_again_until_it_is_proven_over() {
    let slower = SandboxConfig {
        speed: 2.0,
        ..slow()
    };
    let rig = Rig::with_sandbox(slower).await;
    rig.sandbox
        .script(
            Fault::new(FaultKind::CloseAfterReading)
                .for_command("end_call")
                .times(1),
        )
        .unwrap();
    let worker = reading(&rig, rig.config()).await;
    let id = rig
        .insert("talk-3600-jack", &[("max_call_seconds", "10")])
        .await;
    rig.until_state(id, "placed").await;
    let after: f64 = rig
        .value("SELECT extract(epoch FROM end_at - opened_at)::float8 FROM callq.calls")
        .await;
    assert!(
        (after - 55.0).abs() < 0.01,
        "the ring timeout and 10 s: {after}"
    );
    rig.sql("UPDATE callq.calls SET end_at = now()").await;
    until_over(&rig, 1).await;
    let told: String = rig
        .value(
            "SELECT concat_ws(' ', reason, j.outcome, l.talk_seconds < 3600)
             FROM callq.jobs AS j JOIN callq.legs AS l ON l.job_id = j.id",
        )
        .await;
    // Before the phone was picked up, or after.
    assert!(
        told.starts_with("max_call_seconds cancelled") || told == "max_call_seconds answered t",
        "{told}"
    );
    worker.stop().await.unwrap();
}
