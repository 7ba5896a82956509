//! A worker process is killed at named points of a call's way, and who rings again is asserted.
//!
//! The points are reached from outside, with no hook in the product: a gate between the worker and
//! PostgreSQL stops one statement before the server sees it, or its answer after the commit; the
//! sandbox tells when it has read a request. Between the commit of the claim and the first byte of
//! the request nothing changes that anybody could see, so "after the claim's commit" and "the
//! request never arrived" stand on both sides of "before the send".

mod late_replies;
mod outcomes;

use libc::SIGKILL;

use callq::sandbox::{Answered, Fault, FaultKind};

use crate::support::gate::Side;
use crate::support::look_again;
use crate::support::program::Program;
use crate::support::proxy::{Mode, Proxy, Upstream};
use crate::support::rig::{Job, Rig, process};

const CLAIM: &str = "-- Claims due jobs";
const GIVE_BACK: &str = "-- Gives back all that one claim";
const RECORD: &str = "-- Writes a batch of results back";
const LAPSE: &str = "-- Finds jobs whose worker did not report back";
const SETTLE: &str = "-- Applies on_doubt";

/// Timeouts that are short enough to wait for a lease to lapse.
const SHORT: [&str; 4] = ["--request-timeout-ms", "3000", "--lease-ms", "6000"];

/// A rig whose worker process reaches the database and the sandbox through proxies.
struct Scene {
    rig: Rig,
    database: Proxy,
    database_url: String,
    host: Proxy,
}

impl Scene {
    async fn new() -> Self {
        Self::of(Rig::new().await).await
    }

    async fn of(rig: Rig) -> Self {
        let (database, database_url) = Proxy::to_database(rig.db.url()).await;
        let host = Proxy::to(Upstream::Tcp(rig.sandbox.address()));
        Self {
            rig,
            database,
            database_url,
            host,
        }
    }

    fn worker(&self) -> Program {
        let host = self.host.http_url();
        process(&self.database_url, &host, &SHORT)
    }

    /// Kills the worker process; another one, which nothing happens to, goes on until the job is in
    /// this state.
    async fn killed_then(&self, worker: Program, id: i64, state: &str) -> Job {
        kill(worker).await;
        self.another_worker_until(id, state).await
    }

    async fn another_worker_until(&self, id: i64, state: &str) -> Job {
        let other = self.rig.worker().await;
        let job = self.rig.until_state(id, state).await;
        // Something else goes through, so whatever was due has been seen.
        let after = self.rig.insert("after", &[]).await;
        self.rig.until_state(after, "placed").await;
        other.stop().await.unwrap();
        self.rig.audit().await;
        job
    }

    /// How many requests the sandbox has read for the job's callee.
    fn requests(&self) -> usize {
        let ledger = self.rig.sandbox.ledger();
        let of_the_job = |r: &&std::sync::Arc<callq::sandbox::Record>| r.callees[0] != "after";
        ledger.requests().iter().filter(of_the_job).count()
    }

    async fn attempt_states(&self, id: i64) -> String {
        let states = format!(
            "SELECT coalesce(string_agg(state::text, ',' ORDER BY attempt), '') FROM callq.attempts WHERE job_id = {id}"
        );
        self.rig.value(&states).await
    }
}

async fn kill(worker: Program) {
    worker.signal(SIGKILL);
    let _ended = worker.end().await.with_code(137);
}

#[tokio::test]
async fn killed_before_the_claim_is_committed_another_worker_rings_for_the_first_time() {
    let scene = Scene::new().await;
    scene.database.gate().stop(CLAIM, Side::Before);
    let worker = scene.worker();
    let id = scene.rig.insert("jack", &[]).await;
    scene.database.gate().reached().await;
    assert_eq!(scene.rig.job(id).await.state, "scheduled");
    let job = scene.killed_then(worker, id, "placed").await;
    assert_eq!((job.attempt, scene.requests()), (1, 1));
}

#[tokio::test]
async fn killed_after_the_claim_is_committed_the_job_is_in_doubt_and_nobody_rings() {
    let scene = Scene::new().await;
    scene.database.gate().stop(CLAIM, Side::After);
    let worker = scene.worker();
    let id = scene.rig.insert("jack", &[]).await;
    scene.database.gate().reached().await;
    assert_eq!(scene.rig.job(id).await.state, "dialing");
    let job = scene.killed_then(worker, id, "in_doubt").await;
    assert_eq!(job.reason.as_deref(), Some("lease_lapsed"));
    assert_eq!(
        (job.attempt, job.attempts_used, scene.requests()),
        (1, 1, 0)
    );
    assert_eq!(scene.attempt_states(id).await, "unknown");
}

#[tokio::test]
async fn killed_when_its_request_never_arrived_the_job_is_in_doubt_and_nobody_rings() {
    let scene = Scene::new().await;
    scene.host.set(Mode::BlackHole);
    let worker = scene.worker();
    let id = scene.rig.insert("jack", &[]).await;
    // And not a question about records.
    scene.host.swallowed("/start_call_by_robot?").await;
    let job = scene.killed_then(worker, id, "in_doubt").await;
    assert_eq!(job.reason.as_deref(), Some("lease_lapsed"));
    assert_eq!((job.attempt, scene.requests()), (1, 0));
}

#[tokio::test]
async fn killed_after_the_request_was_written_the_job_is_in_doubt_and_is_not_rung_again() {
    let scene = Scene::new().await;
    let late = Fault::new(FaultKind::Delay).delayed_ms(60_000).times(1);
    scene.rig.sandbox.script(late).unwrap();
    let worker = scene.worker();
    let id = scene.rig.insert("jack", &[]).await;
    scene.rig.until_requests(1).await;
    let job = scene.killed_then(worker, id, "in_doubt").await;
    assert_eq!(job.reason.as_deref(), Some("lease_lapsed"));
    assert_eq!((job.attempt, scene.requests()), (1, 1));
}

#[tokio::test]
async fn killed_after_the_request_was_written_a_job_that_says_retry_is_rung_once_more() {
    let scene = Scene::new().await;
    let late = Fault::new(FaultKind::Delay).delayed_ms(60_000).times(1);
    scene.rig.sandbox.script(late).unwrap();
    let worker = scene.worker();
    let id = scene.rig.insert("jack", &[("on_doubt", "'retry'")]).await;
    scene.rig.until_requests(1).await;
    let job = scene.killed_then(worker, id, "in_doubt").await;
    assert!(
        job.waits_s > 30.0,
        "the first ring ends first: {}",
        job.waits_s
    );
    scene
        .rig
        .sql("UPDATE callq.jobs SET lease_until = now() WHERE state = 'in_doubt'")
        .await;
    let job = scene.another_worker_until(id, "placed").await;
    assert_eq!((job.attempt, scene.requests()), (2, 2));
    assert_eq!(scene.attempt_states(id).await, "unknown,replied");
}

#[tokio::test]
async fn killed_after_the_reply_the_job_is_in_doubt_and_is_not_rung_again() {
    let scene = Scene::new().await;
    scene.database.gate().stop(RECORD, Side::Before);
    let worker = scene.worker();
    let id = scene.rig.insert("jack", &[]).await;
    scene.database.gate().reached().await;
    let answered = scene.rig.sandbox.ledger().requests()[0].answered;
    assert_eq!(answered, Answered::Code(0), "the worker has its reply");
    let job = scene.killed_then(worker, id, "in_doubt").await;
    assert_eq!((job.attempt, scene.requests()), (1, 1));
    assert_eq!(scene.attempt_states(id).await, "unknown");
}

/// The record statement has been carried out and cannot commit until the lock is free.
async fn held_before_the_commit(scene: &Scene) -> (Program, i64, sqlx::PgConnection) {
    held(scene, "UPDATE", "replied").await
}

/// What brings an attempt into this state has been carried out and cannot commit until the lock is
/// free.
async fn held(scene: &Scene, by: &str, state: &str) -> (Program, i64, sqlx::PgConnection) {
    use sqlx::Connection as _;
    let wait = format!(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER wait AFTER {by} ON callq.attempts DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW WHEN (NEW.state = '{state}') EXECUTE FUNCTION wait()"
    );
    scene.rig.sql(&wait).await;
    let mut holder = sqlx::PgConnection::connect(scene.rig.db.url())
        .await
        .unwrap();
    let lock = "SELECT pg_advisory_lock(1)";
    sqlx::query(lock).execute(&mut holder).await.unwrap();
    let worker = scene.worker();
    let id = scene.rig.insert("jack", &[]).await;
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while scene.rig.value::<i64>(waits).await == 0 {
        look_again().await;
    }
    (worker, id, holder)
}

#[tokio::test]
async fn killed_with_its_record_uncommitted_and_rolled_back_the_job_is_in_doubt() {
    let scene = Scene::new().await;
    let (worker, id, _holder) = held_before_the_commit(&scene).await;
    kill(worker).await;
    scene
        .rig
        .sql(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
             DROP TRIGGER wait ON callq.attempts",
        )
        .await;
    assert_eq!(scene.rig.job(id).await.state, "dialing");
    let job = scene.another_worker_until(id, "in_doubt").await;
    assert_eq!((job.attempt, scene.requests()), (1, 1));
}

#[tokio::test]
async fn killed_with_its_record_under_way_the_server_finishes_it_and_the_job_is_placed() {
    let scene = Scene::new().await;
    let (worker, id, holder) = held_before_the_commit(&scene).await;
    kill(worker).await;
    drop(holder);
    let job = scene.rig.until_state(id, "placed").await;
    scene.rig.sql("DROP TRIGGER wait ON callq.attempts").await;
    assert_eq!((job.attempt, scene.requests()), (1, 1));
    scene.another_worker_until(id, "placed").await;
    assert_eq!(scene.requests(), 1);
}

#[tokio::test]
async fn killed_after_the_record_is_committed_the_job_is_placed_and_nobody_rings() {
    let scene = Scene::new().await;
    scene.database.gate().stop(RECORD, Side::After);
    let worker = scene.worker();
    let id = scene.rig.insert("jack", &[]).await;
    scene.database.gate().reached().await;
    let job = scene.killed_then(worker, id, "placed").await;
    assert_eq!((job.attempt, job.attempts_used), (1, 0));
    assert_eq!(
        (scene.requests(), job.reason.as_deref()),
        (1, Some("accepted"))
    );
}

/// A dialing job whose worker is gone and whose lease has ended.
async fn lapsed(scene: &Scene, on_doubt: &str) -> i64 {
    scene.database.gate().stop(CLAIM, Side::After);
    let worker = scene.worker();
    let id = scene.rig.insert("jack", &[("on_doubt", on_doubt)]).await;
    scene.database.gate().reached().await;
    kill(worker).await;
    scene
        .rig
        .sql("UPDATE callq.jobs SET lease_until = now() - interval '1 s' WHERE state = 'dialing'")
        .await;
    id
}

#[tokio::test]
async fn killed_in_rescue_on_either_side_of_its_commit_the_doubt_counts_once() {
    for (side, state_then) in [(Side::Before, "dialing"), (Side::After, "in_doubt")] {
        let scene = Scene::new().await;
        let id = lapsed(&scene, "'hold'").await;
        scene.database.gate().stop(LAPSE, side);
        let rescuer = scene.worker();
        scene.database.gate().reached().await;
        assert_eq!(scene.rig.job(id).await.state, state_then);
        let job = scene.killed_then(rescuer, id, "in_doubt").await;
        assert_eq!((job.attempt, job.attempts_used), (1, 1), "{side:?}");
        assert_eq!(scene.requests(), 0, "{side:?}");
    }
}

#[tokio::test]
async fn killed_while_it_settles_a_doubt_on_either_side_of_its_commit_the_job_rings_once_more() {
    for (side, state_then) in [(Side::Before, "in_doubt"), (Side::After, "scheduled")] {
        let scene = Scene::new().await;
        let id = lapsed(&scene, "'retry'").await;
        scene.another_worker_until(id, "in_doubt").await;
        scene.database.gate().stop(SETTLE, side);
        // Nothing else of this worker may get as far as the job.
        scene
            .rig
            .sql("SELECT callq.pause_app('default', 'a test')")
            .await;
        scene
            .rig
            .sql("UPDATE callq.jobs SET lease_until = now() WHERE state = 'in_doubt'")
            .await;
        let settler = scene.worker();
        scene.database.gate().reached().await;
        assert_eq!(scene.rig.job(id).await.state, state_then, "{side:?}");
        kill(settler).await;
        scene.rig.sql("SELECT callq.resume_app('default')").await;
        let job = scene.another_worker_until(id, "placed").await;
        assert_eq!((job.attempt, scene.requests()), (2, 1), "{side:?}");
    }
}

#[tokio::test]
async fn a_living_worker_whose_claim_was_not_answered_gives_it_back_and_rings() {
    let scene = Scene::new().await;
    scene.database.gate().stop(CLAIM, Side::After);
    let worker = scene.worker();
    let id = scene.rig.insert("jack", &[("on_doubt", "'hold'")]).await;
    scene.database.gate().reached().await;
    scene.database.cut();
    let job = scene.rig.until_state(id, "placed").await;
    assert_eq!(
        (job.attempt, job.attempts_used, scene.requests()),
        (2, 0, 1)
    );
    assert_eq!(scene.attempt_states(id).await, "not_sent,replied");
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    scene.rig.audit().await;
}

#[tokio::test]
async fn a_claim_that_is_committed_after_its_worker_was_asked_to_stop_is_given_back() {
    let scene = Scene::new().await;
    let (mut worker, id, holder) = held(&scene, "INSERT", "claimed").await;
    // The server does not know that nobody waits for the answer.
    scene.database.cut();
    worker.says("the database does not answer").await;
    worker.signal(libc::SIGTERM);
    worker.says("stopping").await;
    drop(holder);
    worker.end().await.with_code(0);
    let job = scene.rig.job(id).await;
    let (state, reason) = (job.state.as_str(), job.reason.as_deref());
    // On a busy machine the server has given that claim up (lock_timeout), and the worker was asked
    // to stop during its next one; that is answered, and what it claimed is placed.
    assert!(
        matches!(
            (state, reason, scene.requests()),
            ("scheduled", None | Some("given_back"), 0) | ("placed", Some("accepted"), 1)
        ),
        "{job:?}"
    );
    scene.rig.audit().await;
}

#[tokio::test]
async fn a_claim_whose_giving_back_was_not_answered_either_is_not_given_back_twice() {
    let scene = Scene::new().await;
    scene.database.gate().stop(CLAIM, Side::After);
    let worker = scene.worker();
    let id = scene.rig.insert("jack", &[]).await;
    scene.database.gate().reached().await;
    scene.database.gate().stop(GIVE_BACK, Side::After);
    scene.database.cut();
    scene.database.gate().reached().await;
    scene.database.cut();
    let job = scene.rig.until_state(id, "placed").await;
    assert_eq!((job.attempt, scene.requests()), (2, 1));
    assert_eq!(scene.attempt_states(id).await, "not_sent,replied");
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    scene.rig.audit().await;
}

#[tokio::test]
async fn a_record_that_was_lost_on_either_way_is_written_again_and_counts_once() {
    for side in [Side::Before, Side::After] {
        for (callee, state, used) in [("jack", "placed", 0), ("code-60008-jack", "in_doubt", 1)] {
            let scene = Scene::new().await;
            scene.database.gate().stop(RECORD, side);
            let worker = scene.worker();
            let id = scene.rig.insert(callee, &[]).await;
            scene.database.gate().reached().await;
            // The second time is stopped too, so that it has surely come.
            scene.database.gate().stop(RECORD, Side::After);
            scene.database.cut();
            scene.database.gate().reached().await;
            scene.database.cut();
            let job = scene.rig.until_state(id, state).await;
            assert_eq!((job.attempt, job.attempts_used), (1, used), "{side:?}");
            assert_eq!(scene.requests(), 1, "{side:?}");
            assert_eq!(scene.attempt_states(id).await, "replied");
            worker.signal(libc::SIGTERM);
            worker.end().await.with_code(0);
            assert_eq!(scene.rig.job(id).await.attempts_used, used, "{side:?}");
            scene.rig.audit().await;
        }
    }
}
