//! A real `PgBouncer` in front of the database: in session mode everything works, in the others it is
//! refused before anything is done, also where it comes to that while a worker runs.

use std::collections::HashSet;

use callq::dev::postgres::{PostgresServer, StartOptions};
use callq::sandbox::{
    SANDBOX_ADMIN_ACCOUNT, SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY, Sandbox, SandboxConfig,
};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::bouncer::Bouncer;
use crate::support::program::{Program, callq, run};
use crate::support::rig::SURELY;

const FIX: &str = "hint: set pool_mode = session for this database, or connect directly; `callq check` tells more\n";

/// Every command that talks to the database, but for those that have tests of their own here.
const COMMANDS: [&[&str]; 8] = [
    &["status"],
    &["jobs", "list"],
    &["jobs", "show", "1"],
    &["jobs", "cancel", "1"],
    &["jobs", "export", "--csv"],
    &["apps", "list"],
    &["apps", "pause", "shop", "--new", "--reason", "tea"],
    &["enqueue", "--robot-account", "bot", "--callee", "rose"],
];

async fn server() -> PostgresServer {
    tokio::task::spawn_blocking(|| PostgresServer::start(StartOptions::throwaway()))
        .await
        .unwrap()
        .unwrap()
}

fn on(url: &str, arguments: &[&str]) -> Command {
    let mut command = callq(arguments.iter().copied());
    command.env("DATABASE_URL", url);
    command
}

fn worker(url: &str, sandbox: &Sandbox) -> Command {
    let mut command = on(url, &["worker"]);
    command
        .env("CALLQ_SDK_APP_ID", SANDBOX_SDK_APP_ID.to_string())
        .env("CALLQ_ADMIN_ACCOUNT", SANDBOX_ADMIN_ACCOUNT)
        .env("CALLQ_SECRET_KEY", SANDBOX_SECRET_KEY)
        .env("CALLQ_HOST", sandbox.url());
    command
}

#[tokio::test]
async fn through_a_pooler_in_session_mode_everything_works() {
    let server = server().await;
    let bouncer = Bouncer::start(&server, "session").await;
    let url = bouncer.url("postgres");
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    run(&mut on(&url, &["migrate"])).await.with_code(0);
    let mut working = Program::start(&mut worker(&url, &sandbox));
    working.says("the worker is started").await;
    let enqueue = ["enqueue", "--robot-account", "bot", "--callee", "jack"];
    run(&mut on(&url, &enqueue)).await.with_code(0);
    let watched = run(&mut on(&url, &["jobs", "watch", "1"]))
        .await
        .with_code(0);
    assert!(watched.text().contains("placed"), "{watched}");
    sandbox
        .wait_for(SURELY, |ledger| ledger.requests().len() == 1)
        .await
        .unwrap();
    working.signal(libc::SIGTERM);
    working.end().await.with_code(0);
}

#[tokio::test]
async fn through_a_pooler_that_gives_sessions_away_nothing_is_begun() {
    let server = server().await;
    let direct = server.url("postgres");
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    for mode in ["transaction", "statement"] {
        let bouncer = Bouncer::start(&server, mode).await;
        let url = bouncer.url("postgres");
        let refused = run(&mut on(&url, &["migrate"])).await.with_code(2);
        assert!(refused.stderr.ends_with(FIX), "{mode}: {refused}");
        let untouched = run(&mut on(&direct, &["jobs", "list"])).await;
        if mode == "transaction" {
            assert!(
                untouched.stderr.contains("has no schema callq"),
                "{untouched}"
            );
        }
        run(&mut on(&direct, &["migrate"])).await.with_code(0);
        let refused = run(&mut worker(&url, &sandbox)).await.with_code(2);
        assert!(refused.stderr.ends_with(FIX), "{mode}: {refused}");
    }
}

async fn sql(url: &str, text: &str) {
    let mut session = PgConnection::connect(url).await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&mut session);
    done.await.unwrap_or_else(|error| panic!("{text}: {error}"));
}

async fn count(url: &str, text: &str) -> i64 {
    let mut session = PgConnection::connect(url).await.unwrap();
    let asked = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {text}")));
    asked.fetch_one(&mut session).await.unwrap()
}

/// Waits until nothing of this is there, which is read as `there`.
async fn until_none(url: &str, text: &str) {
    let mut session = PgConnection::connect(url).await.unwrap();
    let asked = format!("SELECT EXISTS (SELECT FROM {text})");
    let gone = async {
        while sqlx::query_scalar::<_, bool>(AssertSqlSafe(asked.clone()))
            .fetch_one(&mut session)
            .await
            .unwrap()
        {}
    };
    let gone = timeout(3 * SURELY, gone).await;
    if gone.is_err() {
        let left = sqlx::query_scalar::<_, String>(AssertSqlSafe(format!(
            "SELECT to_jsonb(there)::text FROM {text} LIMIT 3"
        )));
        let left = left.fetch_all(&mut session).await.unwrap();
        panic!("there is still {text}: {left:#?}");
    }
}

#[tokio::test]
async fn every_command_refuses_a_pooler_that_gives_sessions_away_and_changes_nothing() {
    let server = server().await;
    let direct = server.url("postgres");
    run(&mut on(&direct, &["migrate"])).await.with_code(0);
    sql(
        &direct,
        "INSERT INTO callq.jobs (robot_account, callees) VALUES ('bot', '{jack}')",
    )
    .await;
    for mode in ["transaction", "statement"] {
        let bouncer = Bouncer::start(&server, mode).await;
        let url = bouncer.url("postgres");
        // What other clients of the pooler get must stay as it is.
        let mut others = PgConnection::connect_with(&plain(&url)).await.unwrap();
        for arguments in COMMANDS {
            let refused = run(&mut on(&url, arguments)).await.with_code(2);
            let says = format!(
                "callq: a pooler in front of the database gives sessions away between transactions\n{FIX}"
            );
            assert_eq!(refused.stderr, says, "{mode}: {arguments:?}");
        }
        let checked = run(&mut on(&url, &["check"])).await.with_code(2);
        assert!(
            checked
                .text()
                .contains("gives sessions away between transactions"),
            "{checked}"
        );
        let set = "SELECT concat_ws(' ', current_setting('search_path'), current_setting('jit'), current_setting('enable_seqscan'))";
        let set: Option<String> = sqlx::raw_sql(set)
            .fetch_one(&mut others)
            .await
            .unwrap()
            .get(0);
        assert_eq!(set.as_deref(), Some("\"$user\", public on on"), "{mode}");
    }
    assert_eq!(
        count(&direct, "callq.jobs WHERE state = 'scheduled'").await,
        1
    );
    assert_eq!(count(&direct, "callq.jobs").await, 1);
    assert_eq!(
        count(&direct, "callq.apps WHERE paused_at IS NOT NULL").await,
        0
    );
}

/// How a client that knows nothing of callq connects through a pooler.
fn plain(url: &str) -> PgConnectOptions {
    let options: PgConnectOptions = url.parse().unwrap();
    options.extra_float_digits(None)
}

#[tokio::test]
async fn every_command_works_through_a_pooler_in_session_mode() {
    let server = server().await;
    let bouncer = Bouncer::start(&server, "session").await;
    let url = bouncer.url("postgres");
    run(&mut on(&url, &["migrate"])).await.with_code(0);
    let later = "INSERT INTO callq.jobs (robot_account, callees, run_at) VALUES ('bot', '{jack}', now() + interval '1 day')";
    sql(&server.url("postgres"), later).await;
    for arguments in COMMANDS {
        run(&mut on(&url, arguments)).await.with_code(0);
    }
    let one = Bouncer::start(&server, "session\ndefault_pool_size = 1").await;
    let ended = run(&mut on(&one.url("postgres"), &["status"]))
        .await
        .with_code(1);
    assert!(
        ended.stderr.contains("of which a pooler may have too few"),
        "{ended}"
    );
}

/// A producer needs none of what a pooler takes away.
#[tokio::test]
async fn a_producer_may_insert_through_a_pooler_in_transaction_mode() {
    let server = server().await;
    let direct = server.url("postgres");
    run(&mut on(&direct, &["migrate"])).await.with_code(0);
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let mut working = Program::start(&mut worker(&direct, &sandbox));
    working.says("the worker is started").await;
    let bouncer = Bouncer::start(&server, "transaction").await;
    let mut producer = PgConnection::connect_with(&plain(&bouncer.url("postgres")))
        .await
        .unwrap();
    sqlx::raw_sql("INSERT INTO callq.jobs (robot_account, callees) VALUES ('bot', '{jack}')")
        .execute(&mut producer)
        .await
        .unwrap();
    until_none(
        &direct,
        "callq.jobs AS there WHERE state NOT IN ('placed', 'completed')",
    )
    .await;
    working.signal(libc::SIGTERM);
    working.end().await.with_code(0);
}

/// Calls under load: due one after the other, 200 a second, from now on.
async fn load(url: &str, calls: usize) {
    let insert = "INSERT INTO callq.jobs (robot_account, callees, run_at, ttl, on_doubt)
        SELECT 'robot', ARRAY['c' || i], now() + i * interval '5 ms', '1 day', 'hold' FROM generate_series(1, ";
    sql(url, &format!("{insert}{calls}) AS i")).await;
}

/// Holds the sandbox's ledger against the attempts: each callee was rung by one request.
async fn audit(url: &str, sandbox: &Sandbox, calls: usize) {
    let ledger = sandbox.ledger();
    let rung: HashSet<&str> = ledger
        .requests()
        .iter()
        .map(|r| r.callees[0].as_str())
        .collect();
    assert_eq!(rung.len(), calls, "nothing is lost");
    assert_eq!(ledger.requests().len(), calls, "nothing is rung twice");
    let sent = count(url, "callq.attempts WHERE state <> 'not_sent'").await;
    assert_eq!(sent, i64::try_from(calls).unwrap());
}

async fn requests(sandbox: &Sandbox, at_least: usize) {
    let came = sandbox.wait_for(SURELY, |ledger| ledger.requests().len() >= at_least);
    came.await.unwrap();
}

fn unlimited() -> SandboxConfig {
    SandboxConfig {
        calls_per_second_limit: 0,
        ..SandboxConfig::default()
    }
}

#[tokio::test]
async fn a_pooler_that_is_restarted_under_load_costs_no_call_and_rings_nobody_twice() {
    const CALLS: usize = 1000;
    let server = server().await;
    let direct = server.url("postgres");
    run(&mut on(&direct, &["migrate"])).await.with_code(0);
    let mut bouncer = Bouncer::start(&server, "session\ndefault_pool_size = 40").await;
    let url = bouncer.url("postgres");
    let sandbox = Sandbox::start(unlimited()).await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let mut working =
            Program::start(worker(&url, &sandbox).env("CALLQ_CALLS_PER_SECOND", "1000"));
        working.says("the worker is started").await;
        workers.push(working);
    }
    load(&direct, CALLS).await;
    for placed in [150, 400, 650] {
        requests(&sandbox, placed).await;
        bouncer = bouncer.restart().await;
    }
    until_none(
        &direct,
        "callq.jobs AS there WHERE state NOT IN ('placed', 'completed')",
    )
    .await;
    for working in workers {
        working.signal(libc::SIGTERM);
        working.end().await.with_code(0);
    }
    audit(&direct, &sandbox, CALLS).await;
}

#[tokio::test]
async fn a_worker_whose_pooler_begins_to_give_sessions_away_stops_and_says_why() {
    const CALLS: usize = 2000;
    let server = server().await;
    let direct = server.url("postgres");
    run(&mut on(&direct, &["migrate"])).await.with_code(0);
    let mut bouncer = Bouncer::start(&server, "session\ndefault_pool_size = 40").await;
    let url = bouncer.url("postgres");
    let sandbox = Sandbox::start(unlimited()).await.unwrap();
    let mut working = Program::start(worker(&url, &sandbox).env("CALLQ_CALLS_PER_SECOND", "1000"));
    working.says("the worker is started").await;
    load(&direct, CALLS).await;
    requests(&sandbox, 150).await;
    bouncer.reload("transaction\ndefault_pool_size = 40").await;
    let ended = working.end().await;
    assert!(
        ended
            .stderr
            .contains("this worker must not go on; it stops"),
        "{ended}"
    );
    // Through such a pooler not every last result may have been written; that is said then.
    if ended
        .stderr
        .contains("results could not be written before the worker stopped")
    {
        ended.with_code(1);
    } else {
        let ended = ended.with_code(2);
        assert!(ended.stderr.ends_with(FIX), "{ended}");
    }
    // Another one, connected as it should be, does the rest; what was in doubt stays so.
    let mut working =
        Program::start(worker(&direct, &sandbox).env("CALLQ_CALLS_PER_SECOND", "1000"));
    working.says("the worker is started").await;
    until_none(
        &direct,
        "callq.jobs AS there WHERE state NOT IN ('placed', 'completed', 'in_doubt')",
    )
    .await;
    working.signal(libc::SIGTERM);
    working.end().await.with_code(0);
    audit(&direct, &sandbox, CALLS).await;
}

/// What a pooler and `max_connections` must have for each worker.
#[tokio::test]
async fn a_worker_holds_at_most_ten_connections() {
    const CALLS: usize = 400;
    let server = server().await;
    let direct = server.url("postgres");
    run(&mut on(&direct, &["migrate"])).await.with_code(0);
    let sandbox = Sandbox::start(unlimited()).await.unwrap();
    let mut working =
        Program::start(worker(&direct, &sandbox).env("CALLQ_CALLS_PER_SECOND", "1000"));
    working.says("the worker is started").await;
    load(&direct, CALLS).await;
    let (mut most, mut before) = (0, 0);
    let watching = async {
        while count(
            &direct,
            "callq.jobs AS there WHERE state NOT IN ('placed', 'completed')",
        )
        .await
            > 0
        {
            // One that is just given up is still listed for a moment.
            let held = count(&direct, "pg_stat_activity WHERE application_name = 'callq'").await;
            most = held.min(before).max(most);
            before = held;
        }
    };
    timeout(3 * SURELY, watching).await.expect("all are placed");
    assert!((2..=10).contains(&most), "{most} connections");
    working.signal(libc::SIGTERM);
    working.end().await.with_code(0);
}
