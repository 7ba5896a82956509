//! Migrations under working workers, and two versions of them over one queue.

use std::collections::HashSet;
use std::time::Duration;

use callq::store::Program;
use callq::worker::Worker;
use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::next_schema;
use crate::support::program::Program as Process;
use crate::support::rig::{Rig, SURELY, process};

/// What this version is let by.
const OURS: &str = env!("CARGO_PKG_VERSION");

/// Calls under load: due one after the other, 200 a second, from now on.
async fn load(rig: &Rig, calls: usize) {
    rig.sql(&format!(
        "INSERT INTO callq.jobs (robot_account, callees, run_at, ttl, on_doubt)
         SELECT 'robot', ARRAY['c' || i], now() + i * interval '5 ms', '1 day', 'hold' FROM generate_series(1, {calls}) AS i"
    ))
    .await;
}

/// The version of [`Program::next`], which this one is older than.
fn next_version() -> String {
    let mut numbers = OURS.split('.').map(str::parse::<u64>);
    let mut number = || numbers.next().expect("three numbers").expect("a number");
    format!("{}.{}.0", number(), number() + 1)
}

/// A worker of this version in a process of its own, once it works.
async fn worker(rig: &Rig) -> Process {
    let mut worker = process(rig.db.url(), &rig.sandbox.url(), &[]);
    worker.says("the worker is started").await;
    worker
}

/// Waits until all calls are placed (in half a minute the first are over: completed), and holds the ledger against the attempts: each callee was rung by one
/// request.
async fn settle(rig: &Rig, calls: usize) {
    let left = "SELECT count(*) FROM callq.jobs WHERE state NOT IN ('placed', 'completed')";
    let placed = async { while rig.value::<i64>(left).await > 0 {} };
    if timeout(3 * SURELY, placed).await.is_err() {
        let left: String = rig
            .value("SELECT string_agg(to_jsonb(j)::text, E'\\n') FROM callq.jobs AS j WHERE state NOT IN ('placed', 'completed')")
            .await;
        panic!("not placed: {left}");
    }
    rig.audit().await;
    let ledger = rig.sandbox.ledger();
    let rung: HashSet<&str> = ledger
        .requests()
        .iter()
        .map(|r| r.callees[0].as_str())
        .collect();
    assert_eq!(rung.len(), calls, "nothing is lost");
    assert_eq!(ledger.requests().len(), calls, "nothing is rung twice");
    let sent = "SELECT count(*) FROM callq.attempts WHERE state <> 'not_sent'";
    assert_eq!(rig.value::<i64>(sent).await, i64::try_from(calls).unwrap());
    let claimed = "SELECT count(*) FROM callq.attempts WHERE state = 'claimed'";
    assert_eq!(rig.value::<i64>(claimed).await, 0);
}

/// Ends a worker that works, in good order.
async fn end(worker: Process) -> String {
    worker.signal(libc::SIGTERM);
    let ended = worker.end().await.with_code(0);
    let said = &ended.stderr;
    for words in ["cached plan", "panicked", "the database refuses the result"] {
        assert!(!said.contains(words), "{said}");
    }
    ended.stderr
}

/// Applies the migration as `callq migrate` does, which tries again where a lock is not to be had in
/// time or not without a deadlock; it holds all its locks for so long before it commits.
async fn migrate(rig: &Rig, oldest: &str, held: Duration) {
    let sql = format!(
        "BEGIN; SET LOCAL lock_timeout = '1s'; {} SELECT pg_sleep({}); COMMIT;",
        next_schema(oldest),
        held.as_secs_f64()
    );
    let applied = async {
        loop {
            let mut session = PgConnection::connect(rig.db.url()).await.unwrap();
            let done = sqlx::raw_sql(AssertSqlSafe(sql.clone()))
                .execute(&mut session)
                .await;
            let Err(error) = done else { return };
            let code = error.as_database_error().and_then(DatabaseError::code);
            assert!(
                matches!(code.as_deref(), Some("55P03" | "40P01")),
                "{error}"
            );
            session.close().await.unwrap();
        }
    };
    timeout(3 * SURELY, applied).await.expect("it is applied");
}

#[tokio::test]
async fn a_migration_under_load_loses_nothing_and_rings_nobody_twice() {
    const CALLS: usize = 1200;
    let rig = Rig::new().await;
    let (one, two) = (worker(&rig).await, worker(&rig).await);
    load(&rig, CALLS).await;
    rig.until_requests(200).await;
    migrate(&rig, OURS, Duration::from_secs(1)).await;
    settle(&rig, CALLS).await;
    for mut worker in [one, two] {
        worker
            .says("newer than this program, and lets it work")
            .await;
        end(worker).await;
    }
}

#[tokio::test]
async fn a_migration_that_locks_the_queue_for_longer_than_statements_wait_costs_time_alone() {
    const CALLS: usize = 800;
    let rig = Rig::new().await;
    let mut worker = worker(&rig).await;
    load(&rig, CALLS).await;
    rig.until_requests(200).await;
    // A statement waits for 3 s for a lock.
    migrate(&rig, OURS, Duration::from_secs(5)).await;
    settle(&rig, CALLS).await;
    worker.says("the database answers again").await;
    end(worker).await;
}

#[tokio::test]
async fn a_worker_that_a_migration_shuts_out_finishes_and_says_why() {
    const CALLS: usize = 1200;
    let rig = Rig::new().await;
    let (old, slow) = (worker(&rig).await, worker(&rig).await);
    load(&rig, CALLS).await;
    rig.until_requests(200).await;
    let next = next_version();
    migrate(&rig, &next, Duration::from_millis(200)).await;
    for worker in [old, slow] {
        let ended = worker.end().await.with_code(1);
        let says = format!(
            " and needs callq {next} or newer, and this is {OURS}\nhint: use a newer callq\n"
        );
        assert!(ended.stderr.ends_with(&says), "{ended}");
        for words in [
            "stopping: requests under way are finished",
            "this worker must not go on",
        ] {
            assert!(ended.stderr.contains(words), "{ended}");
        }
    }
    let open = "SELECT count(*) FROM callq.jobs WHERE state IN ('dialing', 'in_doubt')";
    assert_eq!(
        rig.value::<i64>(open).await,
        0,
        "what was under way is finished"
    );
    let rows = "SELECT count(*) FROM callq.workers";
    assert_eq!(rig.value::<i64>(rows).await, 0, "they have left");
    let next = Next::start(&rig).await;
    settle(&rig, CALLS).await;
    next.stop().await;
}

/// A worker of the next version: the one that is written for the schema made up here.
struct Next {
    stop: CancellationToken,
    working: tokio::task::JoinHandle<Result<(), callq::worker::WorkerError>>,
}

impl Next {
    async fn start(rig: &Rig) -> Self {
        let worker = Worker::start_as(rig.config(), Program::next())
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let working = tokio::spawn(worker.run(stop.clone()));
        Self { stop, working }
    }

    async fn stop(self) {
        self.stop.cancel();
        let ended = timeout(SURELY, self.working).await;
        ended.expect("it stops in time").expect("no panic").unwrap();
    }
}

#[tokio::test]
async fn a_worker_whose_schema_is_put_back_or_gone_stops_and_says_so() {
    for (change, words) in [
        (
            "UPDATE callq.meta SET schema_version = schema_version - 1",
            ", and this program needs ",
        ),
        (
            "DROP SCHEMA callq CASCADE",
            "this database has no schema callq",
        ),
    ] {
        let rig = Rig::new().await;
        let worker = worker(&rig).await;
        rig.sql(change).await;
        let ended = worker.end().await.with_code(1);
        assert!(ended.stderr.contains(words), "{ended}");
        assert!(
            ended.stderr.ends_with("hint: run `callq migrate`\n"),
            "{ended}"
        );
    }
}

#[tokio::test]
async fn the_next_version_does_not_work_before_its_schema_is_there() {
    let rig = Rig::new().await;
    let refused = Worker::start_as(rig.config(), Program::next()).await;
    let refused = refused.expect_err("it needs the next schema").to_string();
    assert!(refused.contains(", and this program needs"), "{refused}");
}

#[tokio::test]
async fn old_and_new_workers_share_a_queue_while_one_replaces_the_other_and_back() {
    const CALLS: usize = 2400;
    let rig = Rig::new().await;
    let (one, two) = (worker(&rig).await, worker(&rig).await);
    load(&rig, CALLS).await;
    rig.until_requests(200).await;
    migrate(&rig, OURS, Duration::from_millis(200)).await;
    let new = Next::start(&rig).await;
    rig.until_requests(500).await;
    end(one).await;
    rig.until_requests(800).await;
    end(two).await;
    rig.until_requests(1100).await;
    // The new program is not liked, and the old one comes back, on the schema as it is now.
    let back = worker(&rig).await;
    rig.until_requests(1400).await;
    new.stop().await;
    settle(&rig, CALLS).await;
    end(back).await;
    let workers: i64 = rig
        .value("SELECT count(DISTINCT worker) FROM callq.attempts WHERE state = 'replied'")
        .await;
    assert_eq!(workers, 4, "each has placed calls");
}
