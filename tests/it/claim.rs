//! The claim: each due job once, in order, with its attempt committed ahead of the request.

use std::time::Duration;

use callq::sandbox::{Fault, FaultKind};
use callq::store::{ClaimOrder, Lows, Store};
use callq::worker::WorkerApp;
use uuid::Uuid;

use crate::support::rig::{Rig, SURELY};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_place_every_due_job_once() {
    let rig = Rig::new().await;
    rig.sql(
        "INSERT INTO callq.jobs (robot_account, callees, run_at, priority)
         SELECT 'robot', ARRAY['callee' || i], now() - i * interval '1 ms', i % 4
         FROM generate_series(1, 400) AS i",
    )
    .await;
    let (one, two) = (rig.worker().await, rig.worker().await);
    rig.until_requests(400).await;
    one.stop().await.unwrap();
    two.stop().await.unwrap();
    let placed: i64 = rig
        .value("SELECT count(*) FROM callq.jobs WHERE state IN ('placed', 'completed') AND attempt = 1")
        .await;
    assert_eq!(placed, 400);
    assert_eq!(rig.sandbox.ledger().requests().len(), 400);
    rig.audit().await;
}

#[tokio::test]
async fn urgent_jobs_go_first_then_the_longest_due() {
    let rig = Rig::new().await;
    rig.sql(
        "INSERT INTO callq.jobs (robot_account, callees, run_at, priority) VALUES
             ('robot', '{late-1}', now() - interval '3 s', 1), ('robot', '{later-1}', now() - interval '2 s', 1),
             ('robot', '{patient-3}', now() - interval '9 s', 3), ('robot', '{urgent-0}', now(), 0),
             ('robot', '{latest-1}', now() - interval '1 s', 1)",
    )
    .await;
    let mut config = rig.config();
    config.concurrency = 1;
    let worker = rig.worker_with(config).await;
    rig.until_requests(5).await;
    worker.stop().await.unwrap();
    let ledger = rig.sandbox.ledger();
    let order: Vec<&str> = ledger
        .requests()
        .iter()
        .map(|r| r.callees[0].as_str())
        .collect();
    assert_eq!(
        order,
        ["urgent-0", "late-1", "later-1", "latest-1", "patient-3"]
    );
}

#[tokio::test]
async fn the_attempt_is_committed_before_the_request_arrives() {
    let rig = Rig::new().await;
    rig.sandbox
        .script(Fault::new(FaultKind::Delay).delayed_ms(5000))
        .unwrap();
    let worker = rig.worker().await;
    let id = rig.insert("jack", &[]).await;
    rig.until_requests(1).await;
    let job = rig.job(id).await;
    assert_eq!((job.state.as_str(), job.attempt), ("dialing", 1));
    let (room, random): (String, i64) =
        sqlx::query_as("SELECT room_id, random FROM callq.attempts WHERE job_id = $1")
            .bind(id)
            .fetch_one(rig.db.pool())
            .await
            .unwrap();
    let request = rig.sandbox.ledger().requests()[0].clone();
    assert_eq!(request.room_id.as_deref(), Some(room.as_str()));
    assert_eq!(request.random.map(i64::from), Some(random));
    rig.until_state(id, "placed").await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_job_does_not_ring_before_its_time_and_needs_no_poll_to_ring_at_it() {
    let rig = Rig::new().await;
    let mut config = rig.config();
    config.poll_interval = Duration::from_hours(1);
    let worker = rig.worker_with(config).await;
    let id = rig
        .insert("jack", &[("run_at", "now() + interval '700 ms'")])
        .await;
    rig.until_state(id, "placed").await;
    let due_us: i64 = rig
        .value("SELECT (extract(epoch FROM run_at) * 1000000)::bigint FROM callq.jobs")
        .await;
    let received = rig.sandbox.ledger().requests()[0].received_at_us;
    assert!(received >= due_us, "it rang before its time");
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_job_and_a_job_moved_to_now_wake_a_sleeping_worker() {
    let rig = Rig::new().await;
    let mut config = rig.config();
    config.poll_interval = Duration::from_hours(1);
    let moved = rig
        .insert("rose", &[("run_at", "now() + interval '1 day'")])
        .await;
    let worker = rig.worker_with(config).await;
    let new = rig.insert("jack", &[]).await;
    rig.until_state(new, "placed").await;
    rig.sql("UPDATE callq.jobs SET run_at = now() WHERE callees = '{rose}'")
        .await;
    rig.until_state(moved, "placed").await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn jobs_of_several_apps_that_do_not_fit_at_once_wait_for_a_slot_and_for_no_poll() {
    let rig = Rig::new().await;
    let mut config = rig.config();
    config.poll_interval = Duration::from_hours(1);
    config.concurrency = 4;
    config.apps = ["a", "b", "c"]
        .map(|name| WorkerApp {
            name: name.to_owned(),
            ..rig.config().apps.remove(0)
        })
        .into();
    // Of each app fewer than there are slots, of all together more.
    rig.sql(
        "INSERT INTO callq.jobs (app, robot_account, callees)
         SELECT app, 'robot', '{jack}' FROM unnest('{a,b,c}'::text[]) AS app, generate_series(1, 3)",
    )
    .await;
    let worker = rig.worker_with(config).await;
    rig.until_requests(9).await;
    rig.until_all("'placed', 'completed'").await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn without_notifications_the_poll_finds_the_job() {
    let rig = Rig::new().await;
    rig.sql("UPDATE callq.settings SET notify = false").await;
    let mut config = rig.config();
    config.poll_interval = Duration::from_millis(50);
    let worker = rig.worker_with(config).await;
    let id = rig.insert("jack", &[]).await;
    rig.until_state(id, "placed").await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_job_past_its_deadline_expires_and_rings_nobody() {
    let rig = Rig::new().await;
    let late = [("run_at", "now() - interval '2 hours'")];
    let id = rig.insert("jack", &late).await;
    let worker = rig.worker().await;
    let job = rig.until_state(id, "expired").await;
    assert_eq!(job.reason.as_deref(), Some("expired_no_worker"));
    assert_eq!(job.attempt, 0);
    worker.stop().await.unwrap();
    assert!(rig.sandbox.ledger().requests().is_empty());
}

#[tokio::test]
async fn the_deadline_of_an_app_that_nobody_serves_is_kept_too() {
    let rig = Rig::new().await;
    let columns = [
        ("app", "'elsewhere'"),
        ("run_at", "now() - interval '2 hours'"),
    ];
    let id = rig.insert("jack", &columns).await;
    let waiting = rig.insert("rose", &[("app", "'elsewhere'")]).await;
    let worker = rig.worker().await;
    rig.until_state(id, "expired").await;
    assert_eq!(rig.job(waiting).await.state, "scheduled");
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_paused_app_rings_nobody_until_it_is_resumed() {
    let rig = Rig::new().await;
    for (pause, resume) in [
        (
            "SELECT callq.pause_app('default', 'a test')",
            "SELECT callq.resume_app('default')",
        ),
        (
            "SELECT callq.pause_all('a test')",
            "SELECT callq.resume_all()",
        ),
    ] {
        rig.sql(pause).await;
        let worker = rig.worker().await;
        let id = rig.insert("jack", &[]).await;
        // A round of the other duties passes; the claim loop has been woken by the INSERT.
        let expired = rig
            .insert("x", &[("run_at", "now() - interval '2 hours'")])
            .await;
        rig.until_state(expired, "expired").await;
        assert_eq!(rig.job(id).await.state, "scheduled");
        rig.sql(resume).await;
        rig.until_state(id, "placed").await;
        worker.stop().await.unwrap();
    }
    assert_eq!(rig.sandbox.ledger().requests().len(), 2);
}

#[tokio::test]
async fn what_lies_before_the_last_claim_is_found_whether_it_was_locked_or_came_late() {
    let rig = Rig::new().await;
    let locked = rig
        .insert("locked", &[("run_at", "now() - interval '1 second'")])
        .await;
    let mut person = rig.db.pool().begin().await.unwrap();
    let lock = "SELECT id FROM callq.jobs FOR UPDATE";
    sqlx::query(lock).execute(&mut *person).await.unwrap();
    let worker = rig.worker().await;
    let first = rig.insert("first", &[]).await;
    rig.until_state(first, "placed").await;
    for priority in ["0", "1", "2", "3"] {
        let late = [
            ("run_at", "now() - interval '1 hour'"),
            ("ttl", "'1 day'"),
            ("priority", priority),
        ];
        let late = rig.insert("late", &late).await;
        rig.until_state(late, "placed").await;
    }
    assert_eq!(rig.job(locked).await.state, "scheduled");
    person.rollback().await.unwrap();
    rig.until_state(locked, "placed").await;
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_given_back_by_its_token() {
    let rig = Rig::new().await;
    let id = rig.insert("jack", &[]).await;
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    let order = ClaimOrder {
        app: "default".to_owned(),
        granted: 10,
        lows: Lows::default(),
        can_stream: true,
    };
    let token = Uuid::new_v4();
    let claims = store
        .claim(&[order], token, "a test", Duration::from_secs(30))
        .await
        .unwrap();
    assert_eq!(claims.jobs.len(), 1);
    assert_eq!(rig.job(id).await.state, "dialing");
    assert_eq!(
        store.give_back(Uuid::new_v4()).await.unwrap(),
        0,
        "another claim's token"
    );
    assert_eq!(store.give_back(token).await.unwrap(), 1);
    let job = rig.job(id).await;
    assert_eq!(
        (job.state.as_str(), job.attempt, job.attempts_used),
        ("scheduled", 1, 0)
    );
    let attempt: String = rig.value("SELECT state::text FROM callq.attempts").await;
    assert_eq!(attempt, "not_sent");
}

#[tokio::test]
async fn a_claim_locks_and_takes_no_more_than_it_is_granted() {
    let rig = Rig::new().await;
    rig.sql(
        "INSERT INTO callq.jobs (robot_account, callees, priority)
         SELECT 'robot', ARRAY['c' || i], i % 4 FROM generate_series(1, 100) AS i",
    )
    .await;
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    let order = ClaimOrder {
        app: "default".to_owned(),
        granted: 7,
        lows: Lows::default(),
        can_stream: true,
    };
    let claims = store
        .claim(&[order], Uuid::new_v4(), "a test", Duration::from_secs(30))
        .await
        .unwrap();
    assert_eq!(claims.jobs.len(), 7);
    assert!(
        claims.jobs.iter().all(|job| job.priority == 0),
        "the most urgent level first"
    );
    let mut open = rig.db.pool().begin().await.unwrap();
    let free: Vec<i64> = sqlx::query_scalar("SELECT id FROM callq.jobs FOR UPDATE SKIP LOCKED")
        .fetch_all(&mut *open)
        .await
        .unwrap();
    assert_eq!(free.len(), 100, "no lock outlives the claim");
}

#[tokio::test]
async fn the_pace_is_kept_by_all_workers_together() {
    // The pace is 40 with a burst of 20, which the first second may see on top; and some are read
    // later than they left, on a machine that stands still for a moment.
    let rig = Rig::with_limit(70).await;
    rig.sql(
        "INSERT INTO callq.jobs (robot_account, callees)
         SELECT 'robot', ARRAY['c' || i] FROM generate_series(1, 120) AS i",
    )
    .await;
    let config = || {
        let mut config = rig.config();
        config.apps[0].calls_per_second = Some(40.0);
        config
    };
    let (one, two) = (
        rig.worker_with(config()).await,
        rig.worker_with(config()).await,
    );
    rig.sandbox
        .wait_for(SURELY, |l| l.requests().len() >= 120)
        .await
        .unwrap();
    one.stop().await.unwrap();
    two.stop().await.unwrap();
    let stats = rig.sandbox.ledger().stats();
    assert_eq!(stats.rang, 120, "nothing was throttled: {stats:?}");
    assert!(stats.busiest_second <= 70, "{stats:?}");
}
