//! The record: every reply finds its rows, whatever happened to the job meanwhile.

use std::time::Duration;

use callq::call::{
    Answer, AppHealth, CalleeResult, Class, OnDoubt, Policy, RefusedCallees, Reply, Tried, decide,
};
use callq::sandbox::{Fault, FaultKind};
use callq::store::{AttemptState, ClaimOrder, Claimed, Lows, Store, WriteBack, Written};
use uuid::Uuid;

use crate::support::port::Port;
use crate::support::rig::{Rig, Running, client};

#[tokio::test]
async fn call_id_and_callee_results_stand_on_the_row() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let id = rig.insert("jack,badcode-5-rose", &[]).await;
    let job = rig.until_state(id, "placed").await;
    worker.stop().await.unwrap();
    let call = rig.sandbox.ledger().calls()[0].clone();
    assert_eq!(job.call_id, Some(call.call_id.to_string()));
    assert_eq!(job.error_code, Some(0));
    assert_eq!(
        job.callee_results,
        Some(serde_json::json!([
            {"Callee_Account": "jack", "ResultCode": 0},
            {"Callee_Account": "badcode-5-rose", "ResultCode": 5},
        ]))
    );
    let late: bool = rig
        .value("SELECT sent_at >= due_at AND placed_at >= sent_at FROM callq.jobs")
        .await;
    assert!(late, "due, sent, placed come in this order");
}

#[tokio::test]
async fn a_call_that_every_callee_refused_ends_failed() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let id = rig.insert("badcode-5-rose", &[]).await;
    let job = rig.until_state(id, "failed").await;
    assert_eq!(job.reason.as_deref(), Some("callees_refused"));
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn refused_callees_are_rung_again_by_follow_ups_until_the_attempts_are_spent() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let columns = [
        ("retry_callees", "true"),
        ("max_attempts", "2"),
        ("user_data", "'for you'"),
    ];
    let root = rig.insert("jack,badcode-5-rose", &columns).await;
    rig.until_state(root, "placed").await;
    let follow_up: i64 = rig
        .value("SELECT id FROM callq.jobs WHERE root_id IS NOT NULL AND ring_no = 2")
        .await;
    let job = rig.until_state(follow_up, "failed").await;
    assert_eq!(job.reason.as_deref(), Some("callees_refused"));
    worker.stop().await.unwrap();
    let callees: Vec<String> = rig
        .value(&format!(
            "SELECT callees FROM callq.jobs WHERE id = {follow_up}"
        ))
        .await;
    assert_eq!(callees, ["badcode-5-rose"], "jack is not rung twice");
    let same: bool = rig
        .value(
            "SELECT count(*) = 2 AND count(DISTINCT (user_data, expires_at, app)) = 1
                 AND bool_and(coalesce(root_id, id) = (SELECT min(id) FROM callq.jobs))
             FROM callq.jobs",
        )
        .await;
    assert!(
        same,
        "one follow-up, of this root, with its deadline; none after the attempts are spent"
    );
    assert_eq!(rig.sandbox.ledger().requests().len(), 2);
}

#[tokio::test]
async fn a_throttled_job_is_tried_again_and_its_attempts_do_not_count() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let id = rig.insert("throttle-2-jack", &[]).await;
    let job = rig.until_state(id, "placed").await;
    assert_eq!((job.attempt, job.attempts_used), (3, 0));
    let slowed: bool = rig
        .value("SELECT throttled_at IS NOT NULL FROM callq.apps")
        .await;
    assert!(slowed, "the whole app was asked to go slower");
    worker.stop().await.unwrap();
    rig.audit().await;
}

#[tokio::test]
async fn what_may_have_rung_is_in_doubt_and_not_sent_again() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    for callee in [
        "close-jack",
        "garbage-jack",
        "code-60008-jack",
        "code-999999-jack",
    ] {
        let id = rig.insert(callee, &[]).await;
        let job = rig.until_state(id, "in_doubt").await;
        assert_eq!((job.attempt, job.attempts_used), (1, 1), "{callee}");
        assert!(
            job.waits_s > 5.9 * 86400.0,
            "{callee} waits for evidence for 6 days"
        );
    }
    // Another job goes through, so the queue was read after the doubts arose.
    let after = rig.insert("rose", &[]).await;
    rig.until_state(after, "placed").await;
    worker.stop().await.unwrap();
    assert_eq!(rig.sandbox.ledger().requests().len(), 5);
    rig.audit().await;
}

#[tokio::test]
async fn a_refusal_for_good_ends_the_job_with_code_and_text() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let id = rig.insert("missing-jack", &[]).await;
    let job = rig.until_state(id, "failed").await;
    assert_eq!(job.reason.as_deref(), Some("refused"));
    assert_eq!(job.error_code, Some(70107));
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_fault_of_the_app_pauses_it_and_costs_the_job_nothing() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let id = rig.insert("code-60020-jack", &[]).await;
    let job = rig
        .until(id, |job| job.reason.as_deref() == Some("app_fault"))
        .await;
    assert_eq!((job.state.as_str(), job.attempts_used), ("scheduled", 0));
    worker.stop().await.unwrap();
    let (reason, detail): (String, String) =
        sqlx::query_as("SELECT pause_reason, pause_detail FROM callq.apps")
            .fetch_one(rig.db.pool())
            .await
            .unwrap();
    assert_eq!(reason, "app_fault");
    assert!(detail.starts_with("60020"), "{detail}");
}

#[tokio::test]
async fn a_paused_app_is_resumed_by_a_probe_that_succeeds() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    rig.sandbox
        .script(Fault::new(FaultKind::ErrorCode(60020)).times(1))
        .unwrap();
    let id = rig.insert("jack", &[]).await;
    rig.until(id, |job| job.reason.as_deref() == Some("app_fault"))
        .await;
    rig.until_paused().await;
    rig.sql("UPDATE callq.apps SET probe_at = now(); SELECT pg_notify('callq_jobs', '')")
        .await;
    let job = rig.until_state(id, "placed").await;
    assert_eq!(job.attempt, 2);
    worker.stop().await.unwrap();
    assert!(
        rig.value::<bool>("SELECT paused_at IS NULL FROM callq.apps")
            .await
    );
}

/// A worker whose secret key is another app's.
async fn worker_with_key(rig: &Rig, key: &str) -> Running {
    let mut config = rig.config();
    config.apps[0].client = client(&rig.sandbox.url(), key, Duration::from_secs(8));
    rig.worker_with(config).await
}

#[tokio::test]
async fn a_worker_with_a_wrong_key_does_not_pause_one_with_the_right_key() {
    let rig = Rig::new().await;
    let wrong = worker_with_key(&rig, "a wrong key").await;
    let id = rig.insert("jack", &[]).await;
    rig.until(id, |job| job.reason.as_deref() == Some("app_fault"))
        .await;
    let right = rig.worker().await;
    rig.until_state(id, "placed").await;
    wrong.stop().await.unwrap();
    right.stop().await.unwrap();
    rig.audit().await;
}

#[tokio::test]
async fn two_wrong_keys_pause_the_app_for_all_instead_of_asking_on_and_on() {
    let rig = Rig::new().await;
    let one = worker_with_key(&rig, "a wrong key").await;
    let id = rig.insert("jack", &[]).await;
    rig.until(id, |job| job.reason.as_deref() == Some("app_fault"))
        .await;
    let two = worker_with_key(&rig, "another wrong key").await;
    rig.until(id, |job| job.attempt >= 2 && job.state == "scheduled")
        .await;
    one.stop().await.unwrap();
    two.stop().await.unwrap();
    let pause: String = rig.value("SELECT pause_fingerprint FROM callq.apps").await;
    assert_eq!(pause, "*");
}

#[tokio::test]
async fn a_job_that_says_retry_rings_again_after_its_doubt() {
    let rig = Rig::new().await;
    rig.sandbox
        .script(Fault::new(FaultKind::CloseAfterReading).times(1))
        .unwrap();
    let worker = rig.worker().await;
    let id = rig
        .insert(
            "jack",
            &[("on_doubt", "'retry'"), ("ring_timeout_ms", "10000")],
        )
        .await;
    rig.until_state(id, "in_doubt").await;
    let waits = "SELECT extract(epoch FROM j.lease_until - c.opened_at)::float8 FROM callq.jobs AS j JOIN callq.calls AS c ON c.job_id = j.id";
    let waits_s: f64 = rig.value(waits).await;
    assert!(
        (waits_s - 10.0).abs() < 1e-6,
        "the ring ends first: {waits_s}"
    );
    rig.sql("UPDATE callq.jobs SET lease_until = now() - interval '1 s'")
        .await;
    let job = rig.until_state(id, "placed").await;
    assert_eq!(job.attempt, 2);
    worker.stop().await.unwrap();
    rig.audit().await;
}

#[tokio::test]
async fn an_unreachable_host_costs_the_job_no_attempt() {
    let rig = Rig::new().await;
    let closed = Port::new();
    let host = format!("http://{}", closed.address());
    let worker = rig.worker_with(rig.config_for(&host)).await;
    let id = rig.insert("jack", &[]).await;
    let job = rig
        .until(id, |job| job.attempt >= 2 && job.state == "scheduled")
        .await;
    assert_eq!(job.reason.as_deref(), Some("unreachable"));
    assert_eq!(job.attempts_used, 0);
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancel_under_way_is_settled_by_the_reply() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    for (callee, state, reason) in [
        ("jack", "placed", "cancel_ends_call"),
        ("throttle-1-jack", "cancelled", "cancelled_by_user"),
    ] {
        rig.sandbox.reset();
        rig.sandbox
            .script(Fault::new(FaultKind::Delay).delayed_ms(3000).times(1))
            .unwrap();
        let id = rig.insert(callee, &[]).await;
        rig.until_requests(1).await;
        let word: String = rig.value(&format!("SELECT callq.cancel({id})")).await;
        assert_eq!(word, "requested");
        let job = rig.until_state(id, state).await;
        assert_eq!(job.reason.as_deref(), Some(reason));
    }
    worker.stop().await.unwrap();
}

/// A session that was left open holds what a statement locked; meanwhile other jobs are placed.
async fn held_by_an_open_session(lock: &'static str) {
    let rig = Rig::new().await;
    rig.sandbox
        .script(Fault::new(FaultKind::Delay).delayed_ms(2000).times(1))
        .unwrap();
    let worker = rig.worker().await;
    let held = rig.insert("jack", &[]).await;
    rig.until_requests(1).await;
    let mut open = rig.db.pool().begin().await.unwrap();
    let locking = sqlx::query(lock).bind(held).execute(&mut *open).await;
    assert_eq!(locking.unwrap().rows_affected(), 1, "it holds the row");
    rig.until_value("SELECT unrecorded FROM callq.workers", |n: &i32| *n == 1)
        .await;
    for _ in 0..3 {
        let other = rig.insert("rose", &[]).await;
        rig.until_state(other, "placed").await;
    }
    assert_eq!(rig.job(held).await.state, "dialing");
    open.rollback().await.unwrap();
    rig.until_state(held, "placed").await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_row_that_somebody_has_locked_delays_no_other() {
    held_by_an_open_session("SELECT FROM callq.jobs WHERE id = $1 FOR UPDATE").await;
}

#[tokio::test]
async fn an_attempt_that_somebody_has_locked_delays_no_other() {
    held_by_an_open_session("SELECT FROM callq.attempts WHERE job_id = $1 FOR UPDATE").await;
}

#[tokio::test]
async fn an_expired_signature_pauses_the_app_and_fails_no_job_however_well_the_app_just_did() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    let first = rig.insert("jack", &[]).await;
    rig.until_state(first, "placed").await;
    rig.sandbox
        .script(Fault::new(FaultKind::ErrorCode(70001)))
        .unwrap();
    for _ in 0..20 {
        rig.insert("rose", &[]).await;
    }
    rig.until_paused().await;
    worker.stop().await.unwrap();
    let failed: i64 = rig
        .value("SELECT count(*) FROM callq.jobs WHERE state = 'failed'")
        .await;
    assert_eq!(failed, 0);
    assert!(
        rig.value::<bool>("SELECT paused_at IS NOT NULL FROM callq.apps")
            .await
    );
}

/// A job whose first attempt may have rung and whose policy has put it back.
async fn retried_in_doubt(rig: &Rig) -> i64 {
    rig.sandbox
        .script(Fault::new(FaultKind::CloseAfterReading).times(1))
        .unwrap();
    let worker = rig.worker().await;
    let id = rig.insert("jack", &[("on_doubt", "'retry'")]).await;
    rig.until_state(id, "in_doubt").await;
    worker.stop().await.unwrap();
    rig.sql(&format!(
        "UPDATE callq.jobs SET state = 'scheduled', reason = 'retried_in_doubt', lease_until = NULL
         WHERE id = {id}"
    ))
    .await;
    id
}

#[tokio::test]
async fn a_job_that_may_have_rung_is_never_called_failed() {
    let rig = Rig::new().await;
    let id = retried_in_doubt(&rig).await;
    rig.sandbox
        .script(Fault::new(FaultKind::ErrorCode(70107)).times(1))
        .unwrap();
    let worker = rig.worker().await;
    let job = rig.until_state(id, "unresolved").await;
    assert_eq!(job.reason.as_deref(), Some("earlier_in_doubt"));
    worker.stop().await.unwrap();
    let settled: String = rig
        .value(&format!("SELECT callq.resolve({id}, 'failed')"))
        .await;
    assert_eq!(settled, "failed", "a person may know better");
}

#[tokio::test]
async fn a_job_that_may_have_rung_is_never_called_cancelled_or_expired() {
    let rig = Rig::new().await;
    let id = retried_in_doubt(&rig).await;
    let word: String = rig.value(&format!("SELECT callq.cancel({id})")).await;
    assert_eq!(word, "unresolved");

    let id = retried_in_doubt(&rig).await;
    rig.sql(&format!(
        "UPDATE callq.jobs SET run_at = now() - interval '2 hours' WHERE id = {id}"
    ))
    .await;
    let worker = rig.worker().await;
    rig.until_state(id, "unresolved").await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn an_app_that_became_live_is_left_alone_by_a_running_sandbox_worker() {
    let rig = Rig::new().await;
    let worker = rig.worker().await;
    rig.sql("UPDATE callq.apps SET kind = 'live'").await;
    let id = rig.insert("jack", &[]).await;
    // The duties of this worker go on: it ends a job whose deadline has passed.
    let late = [
        ("app", "'elsewhere'"),
        ("run_at", "now() - interval '2 hours'"),
    ];
    let other = rig.insert("rose", &late).await;
    rig.until_state(other, "expired").await;
    assert_eq!(rig.job(id).await.attempt, 0);
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_database_clock_that_was_set_back_stops_no_app() {
    let rig = Rig::new().await;
    rig.sql(
        "INSERT INTO callq.pace (app, tokens, granted, asked, refilled_at, factor, factor_at)
         VALUES ('default', 0, 0, 0, now() + interval '5 hours', 0.5, now() + interval '5 hours')",
    )
    .await;
    let worker = rig.worker().await;
    let id = rig.insert("jack", &[]).await;
    rig.until_state(id, "placed").await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_stopping_worker_finishes_and_records_what_is_under_way() {
    let rig = Rig::new().await;
    rig.sandbox
        .script(Fault::new(FaultKind::Delay).delayed_ms(500))
        .unwrap();
    let worker = rig.worker().await;
    for _ in 0..5 {
        rig.insert("jack", &[]).await;
    }
    rig.until_requests(5).await;
    worker.stop().await.unwrap();
    let placed: i64 = rig
        .value("SELECT count(*) FROM callq.jobs WHERE state IN ('placed', 'completed')")
        .await;
    assert_eq!(placed, 5);
}

#[tokio::test]
async fn connections_that_are_cut_lose_no_result() {
    let rig = Rig::new().await;
    rig.sandbox
        .script(Fault::new(FaultKind::Delay).delayed_ms(400))
        .unwrap();
    let worker = rig.worker().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(rig.insert("jack", &[]).await);
    }
    rig.until_requests(10).await;
    rig.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'callq'",
    )
    .await;
    for id in ids {
        rig.until_state(id, "placed").await;
    }
    worker.stop().await.unwrap();
    rig.audit().await;
}

#[tokio::test]
async fn a_worker_of_a_sandbox_does_not_touch_an_app_that_rings_real_phones() {
    let rig = Rig::new().await;
    rig.sql("INSERT INTO callq.apps (app, kind) VALUES ('default', 'live')")
        .await;
    let id = rig.insert("jack", &[]).await;
    let error = callq::worker::Worker::start(rig.config())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"default\"") && error.contains("other kind"),
        "{error}"
    );
    assert_eq!(rig.job(id).await.state, "scheduled");
}

// The record statement by itself.

async fn claimed(store: &Store) -> (Claimed, Uuid) {
    let order = ClaimOrder {
        app: "default".to_owned(),
        granted: 1,
        lows: Lows::default(),
        can_stream: true,
    };
    let token = Uuid::new_v4();
    let orders = [order];
    let claim = store.claim(&orders, token, "a test", Duration::from_secs(30));
    (claim.await.unwrap().jobs.pop().expect("a due job"), token)
}

fn reply(job: &Claimed, claim_token: Uuid, code: i64, class: Class) -> WriteBack {
    let answer = Answer::Reply(Reply {
        http_status: 200,
        error_code: code,
        error_info: String::new(),
        says_fail: false,
        request_id: None,
        call_id: None,
        callee_results: None,
        callees: vec![CalleeResult {
            callee: "jack".to_owned(),
            result_code: Some(code),
        }],
    });
    let policy = Policy {
        attempts_used: 0,
        max_attempts: 5,
        on_doubt: OnDoubt::Reconcile,
        ring_timeout: Duration::from_secs(45),
        refused_callees: RefusedCallees::LeaveAlone,
    };
    let tried = Tried {
        attempt: 1,
        seed: 1,
        deadline_left: None,
    };
    let verdict = decide(&policy, &tried, class, &answer, AppHealth::Unproven);
    WriteBack {
        attempt_state: AttemptState::Replied,
        error_code: Some(code),
        call_id: Some("call-1".to_owned()),
        sent_after: Some(Duration::from_millis(1)),
        replied_after: Some(Duration::from_millis(2)),
        ..WriteBack::not_sent(job, claim_token, class.family(), verdict)
    }
}

#[tokio::test]
async fn a_result_with_another_claims_token_is_refused() {
    let rig = Rig::new().await;
    let id = rig.insert("jack", &[]).await;
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    let (job, _) = claimed(&store).await;
    let forged = reply(&job, Uuid::new_v4(), 0, Class::Accepted);
    let recorded = store.record(&[forged]).await.unwrap();
    assert_eq!(recorded[0].written, Written::Forgotten);
    assert_eq!(rig.job(id).await.state, "dialing");
}

#[tokio::test]
async fn an_attempt_takes_its_reply_once() {
    let rig = Rig::new().await;
    let id = rig.insert("jack", &[]).await;
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    let (job, token) = claimed(&store).await;
    let placed = reply(&job, token, 0, Class::Accepted);
    assert_eq!(
        store.record(std::slice::from_ref(&placed)).await.unwrap()[0].written,
        Written::Yes
    );
    assert_eq!(
        store.record(&[placed]).await.unwrap()[0].written,
        Written::NoAttempt
    );
    let refused = reply(&job, token, 70107, Class::Cannot);
    assert_eq!(
        store.record(&[refused]).await.unwrap()[0].written,
        Written::NoAttempt
    );
    assert_eq!(rig.job(id).await.state, "placed");
}

#[tokio::test]
async fn a_reply_in_doubt_is_taken_once_and_what_proves_more_is_taken_after_it() {
    let rig = Rig::new().await;
    let id = rig.insert("jack", &[]).await;
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    let (job, token) = claimed(&store).await;
    let doubtful = reply(&job, token, 60008, Class::InDoubt);
    let proof = reply(&job, token, 0, Class::Accepted);
    for (result, written, state) in [
        (&doubtful, Written::Yes, "in_doubt"),
        (&doubtful, Written::NoAttempt, "in_doubt"),
        (&proof, Written::Yes, "placed"),
        (&doubtful, Written::NoAttempt, "placed"),
        (&proof, Written::NoAttempt, "placed"),
    ] {
        let recorded = store.record(std::slice::from_ref(result)).await.unwrap();
        assert_eq!(recorded[0].written, written);
        assert_eq!(rig.job(id).await.state, state);
    }
}

/// Puts a fresh job through a claim and then `meanwhile`, records that its first attempt rang, and
/// returns the job.
async fn late(meanwhile: &str) -> (String, Option<String>, bool) {
    let rig = Rig::new().await;
    let id = rig.insert("jack", &[]).await;
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    let (job, token) = claimed(&store).await;
    rig.sql(meanwhile).await;
    let accepted = reply(&job, token, 0, Class::Accepted);
    let written = store.record(&[accepted]).await.unwrap()[0].written;
    let job = rig.job(id).await;
    (job.state, job.reason, written == Written::SecondRing)
}

#[tokio::test]
async fn a_late_reply_that_rang_settles_a_doubt() {
    let in_doubt =
        "UPDATE callq.jobs SET state = 'in_doubt'; UPDATE callq.attempts SET state = 'unknown'";
    assert_eq!(
        late(in_doubt).await,
        ("placed".into(), Some("accepted".into()), false)
    );
}

#[tokio::test]
async fn a_late_reply_that_rang_stops_the_ring_that_was_scheduled_again() {
    let again = "UPDATE callq.jobs SET state = 'in_doubt';
        UPDATE callq.attempts SET state = 'unknown';
        SELECT callq.resolve(id, 'retry') FROM callq.jobs";
    assert_eq!(
        late(again).await,
        ("placed".into(), Some("late_reply".into()), false)
    );
}

#[tokio::test]
async fn a_late_reply_that_rang_turns_an_ended_job_to_placed() {
    for end in ["unresolved", "expired", "failed", "cancelled"] {
        let ended = format!(
            "UPDATE callq.jobs SET state = '{end}', reason = 'unresolved', finished_at = now();
             UPDATE callq.attempts SET state = 'unknown'"
        );
        assert_eq!(
            late(&ended).await,
            ("placed".into(), Some("late_reply".into()), false),
            "{end}"
        );
    }
}

#[tokio::test]
async fn a_late_reply_beside_a_newer_attempt_is_told_as_a_second_ring() {
    let newer = "UPDATE callq.jobs SET attempt = 2; UPDATE callq.attempts SET state = 'unknown'";
    assert_eq!(late(newer).await, ("dialing".into(), None, true));
}

#[tokio::test]
async fn a_reply_to_a_deleted_job_still_finds_its_attempt() {
    let rig = Rig::new().await;
    rig.insert("jack", &[]).await;
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    let (job, token) = claimed(&store).await;
    rig.sql("DELETE FROM callq.jobs").await;
    let accepted = reply(&job, token, 0, Class::Accepted);
    assert_eq!(
        store.record(&[accepted]).await.unwrap()[0].written,
        Written::Yes
    );
    let state: String = rig.value("SELECT state::text FROM callq.attempts").await;
    assert_eq!(state, "replied");
}

#[tokio::test]
async fn a_text_that_the_database_refuses_is_told_apart_from_a_database_that_is_away() {
    let rig = Rig::new().await;
    rig.insert("jack", &[]).await;
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    let (job, token) = claimed(&store).await;
    let mut accepted = reply(&job, token, 0, Class::Accepted);
    accepted.callee_results = Some("[{\"ResultCode\": \"\\u0000\"}]".to_owned());
    let error = store.record(&[accepted.clone()]).await.unwrap_err();
    assert!(error.is_about_the_data(), "{error}");
    accepted.strip_texts();
    assert_eq!(
        store.record(&[accepted]).await.unwrap()[0].written,
        Written::Yes
    );
}
