//! Results are kept until they are written, however long the database is away, and there are never
//! more of them than there is room for; a worker that is asked to stop leaves nothing open.

use std::time::{Duration, Instant};

use callq::sandbox::{Fault, FaultKind};

use crate::support::look_again;
use crate::support::proxy::{Mode, Proxy};
use crate::support::rig::{Rig, process};

/// So many jobs, due now.
async fn insert(rig: &Rig, jobs: usize) {
    let rows = format!(
        "INSERT INTO callq.jobs (robot_account, callees, on_doubt)
         SELECT 'robot', ARRAY['callee' || i], 'hold' FROM generate_series(1, {jobs}) AS i"
    );
    rig.sql(&rows).await;
}

/// How many jobs are in each state, as in `placed 5`. A placed call is over after half a minute.
async fn states(rig: &Rig) -> String {
    rig.value(
        "SELECT string_agg(state || ' ' || n, ', ' ORDER BY state)
         FROM (SELECT CASE state WHEN 'completed' THEN 'placed' ELSE state::text END AS state, count(*) AS n FROM callq.jobs GROUP BY 1) AS counted",
    )
    .await
}

/// Waits until all jobs are placed.
async fn until_placed(rig: &Rig, jobs: usize) {
    let wanted = format!("placed {jobs}");
    let placed = async {
        while states(rig).await != wanted {
            look_again().await;
        }
    };
    let done = tokio::time::timeout(Duration::from_mins(1), placed).await;
    assert!(done.is_ok(), "{}", states(rig).await);
}

#[tokio::test]
async fn every_reply_is_written_once_the_database_is_back_and_meanwhile_nothing_is_claimed() {
    let rig = Rig::new().await;
    let (database, url) = Proxy::to_database(rig.db.url()).await;
    let late = Fault::new(FaultKind::Delay).delayed_ms(1500).times(30);
    rig.sandbox.script(late).unwrap();
    let mut worker = process(&url, &rig.sandbox.url(), &[]);
    insert(&rig, 30).await;
    rig.until_requests(30).await;
    database.set(Mode::Refuse);
    insert(&rig, 20).await;
    worker
        .says("results could not be written; they are kept and tried again")
        .await;
    assert_eq!(rig.sandbox.ledger().requests().len(), 30);
    database.set(Mode::Pass);
    until_placed(&rig, 50).await;
    worker.says("results are written again").await;
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    assert_eq!(rig.sandbox.ledger().requests().len(), 50);
    rig.audit().await;
}

#[tokio::test]
async fn a_silent_database_costs_no_reply_either() {
    let rig = Rig::new().await;
    let (database, url) = Proxy::to_database(rig.db.url()).await;
    let late = Fault::new(FaultKind::Delay).delayed_ms(2000).times(10);
    rig.sandbox.script(late).unwrap();
    let worker = process(&url, &rig.sandbox.url(), &[]);
    insert(&rig, 10).await;
    rig.until_requests(10).await;
    database.set(Mode::BlackHole);
    database.swallowed("").await;
    database.set(Mode::Pass);
    until_placed(&rig, 10).await;
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    rig.audit().await;
}

/// How many results may be unwritten beside those of requests under way.
const UNRECORDED_MAX: usize = 1000;

#[tokio::test]
async fn when_results_cannot_be_written_claiming_stops_at_the_bound() {
    let rig = Rig::new().await;
    // As a disk that is full for one table: claims go through, results do not.
    rig.sql(
        "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$;
         CREATE TRIGGER no_space BEFORE UPDATE ON callq.attempts
           FOR EACH ROW WHEN (NEW.state = 'replied') EXECUTE FUNCTION no_space()",
    )
    .await;
    let jobs = UNRECORDED_MAX + 500;
    insert(&rig, jobs).await;
    let mut config = rig.config();
    config.poll_interval = Duration::from_millis(50);
    let bound = config.concurrency + UNRECORDED_MAX;
    let worker = rig.worker_with(config).await;
    rig.until_requests(bound).await;
    // The duties go on: a job whose deadline has passed ends, and another one after it.
    for _ in 0..2 {
        let late = [
            ("run_at", "now() - interval '2 hours'"),
            ("app", "'elsewhere'"),
        ];
        let expired = rig.insert("jack", &late).await;
        rig.until_state(expired, "expired").await;
    }
    assert_eq!(rig.sandbox.ledger().requests().len(), bound);
    rig.sql(
        "DROP TRIGGER no_space ON callq.attempts; DELETE FROM callq.jobs WHERE state = 'expired'",
    )
    .await;
    until_placed(&rig, jobs).await;
    worker.stop().await.unwrap();
    assert_eq!(rig.sandbox.ledger().requests().len(), jobs);
    rig.audit().await;
}

#[tokio::test]
async fn a_worker_that_must_end_with_results_unwritten_says_so_and_nobody_is_rung_again() {
    let rig = Rig::new().await;
    let (database, url) = Proxy::to_database(rig.db.url()).await;
    let late = Fault::new(FaultKind::Delay).delayed_ms(3000).times(3);
    rig.sandbox.script(late).unwrap();
    let worker = process(&url, &rig.sandbox.url(), &[]);
    insert(&rig, 3).await;
    rig.until_requests(3).await;
    database.set(Mode::Refuse);
    worker.signal(libc::SIGTERM);
    let ended = worker.end().await.with_code(1);
    assert!(
        ended.stderr.contains("results could not be written"),
        "{ended}"
    );
    rig.sql("UPDATE callq.jobs SET lease_until = now() - interval '1 s'")
        .await;
    let other = rig.worker().await;
    let after = rig.insert("after", &[]).await;
    rig.until_state(after, "placed").await;
    while states(&rig).await != "in_doubt 3, placed 1" {
        look_again().await;
    }
    other.stop().await.unwrap();
    assert_eq!(rig.sandbox.ledger().requests().len(), 4);
    rig.audit().await;
}

#[tokio::test]
async fn claims_and_results_are_synced_whatever_the_databases_default() {
    let rig = Rig::new().await;
    rig.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$;
         CREATE TABLE public.seen (statement text, synced text);
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN INSERT INTO public.seen VALUES (TG_OP, current_setting('synchronous_commit')); RETURN NULL; END $$;
         CREATE TRIGGER see AFTER INSERT OR UPDATE ON callq.attempts FOR EACH STATEMENT EXECUTE FUNCTION see()",
    )
    .await;
    let worker = rig.worker().await;
    let id = rig.insert("jack", &[]).await;
    rig.until_state(id, "placed").await;
    worker.stop().await.unwrap();
    let seen: String = rig
        .value("SELECT string_agg(DISTINCT statement || ' ' || synced, ', ' ORDER BY statement || ' ' || synced) FROM seen")
        .await;
    assert_eq!(seen, "INSERT on, UPDATE on");
}

#[tokio::test]
async fn a_worker_writes_whatever_the_databases_default_says_of_reading_only() {
    let rig = Rig::new().await;
    let id = rig.insert("jack", &[]).await;
    rig.sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$")
        .await;
    let worker = rig.worker().await;
    rig.until_state(id, "placed").await;
    worker.stop().await.unwrap();
}

/// A worker's request timeout here, and what it may take besides to end.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// (3 s are promised; that of a machine that is busy with other tests is no measure of it.)
const BESIDES: Duration = Duration::from_secs(10);

#[tokio::test]
async fn sigterm_under_load_ends_in_time_with_0_and_nothing_in_doubt() {
    let rig = Rig::new().await;
    let late = Fault::new(FaultKind::Delay).delayed_ms(400);
    rig.sandbox.script(late).unwrap();
    insert(&rig, 1500).await;
    let arguments = ["--request-timeout-ms", "8000", "--concurrency", "200"];
    let worker = process(rig.db.url(), &rig.sandbox.url(), &arguments);
    rig.until_requests(500).await;
    let asked = Instant::now();
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    let took = asked.elapsed();
    assert!(took < REQUEST_TIMEOUT + BESIDES, "it took {took:?}");
    let requests = rig.sandbox.ledger().requests().len();
    assert!(requests < 1500, "it stopped claiming");
    let left = 1500 - requests;
    assert_eq!(
        states(&rig).await,
        format!("placed {requests}, scheduled {left}")
    );
    rig.audit().await;
}

#[tokio::test]
async fn sigterm_waits_for_answers_that_never_come_no_longer_than_their_timeout() {
    let rig = Rig::new().await;
    rig.sandbox
        .script(Fault::new(FaultKind::Stall).times(10))
        .unwrap();
    let arguments = ["--request-timeout-ms", "2000"];
    let worker = process(rig.db.url(), &rig.sandbox.url(), &arguments);
    insert(&rig, 10).await;
    rig.until_requests(10).await;
    let asked = Instant::now();
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    let took = asked.elapsed();
    assert!(took < REQUEST_TIMEOUT + BESIDES, "it took {took:?}");
    let reasons: String = rig
        .value("SELECT string_agg(DISTINCT state || ' ' || reason, ', ') FROM callq.jobs")
        .await;
    assert_eq!(
        reasons, "in_doubt reply_unknown",
        "each is told, none left to its lease"
    );
    rig.audit().await;
}
