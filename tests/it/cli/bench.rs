//! `callq bench`, small: every part measures something, and nothing is left behind.

use std::collections::BTreeSet;

use libc::SIGINT;
use serde_json::Value;

use super::sql;
use crate::support::Database;
use crate::support::program::{Program, callq, run};

/// A bench that takes seconds on a machine that is busy.
const SMALL: [&str; 23] = [
    "bench",
    "--jobs",
    "100",
    "--concurrency",
    "10",
    "--backlog",
    "500",
    "--held",
    "1s",
    "--burst",
    "450",
    "--latency",
    "1s",
    "--workers",
    "1",
    "--workers",
    "2",
    "--apps",
    "20",
    "--json",
    "--beside",
    "--part",
    "throughput",
];

/// Databases of a bench on the server of this one.
async fn left(database: &Database) -> i64 {
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'callq\\_bench\\_%'";
    sqlx::query_scalar(left)
        .fetch_one(database.pool())
        .await
        .unwrap()
}

/// Measures these parts, and none else: something is told of each, and no job is lost or doubled.
async fn measure(parts: &[&str]) {
    let small = SMALL[..SMALL.len() - 3].iter().copied();
    let parts_named = parts.iter().flat_map(|part| ["--part", part]);
    let ended = run(&mut callq(small.chain(parts_named))).await.with_code(0);
    let told: Value = serde_json::from_str(&ended.text()).expect("it is one JSON object");
    let mut measured = BTreeSet::new();
    for figure in told["figures"].as_array().unwrap() {
        let value = figure["value"].as_f64();
        assert!(value.is_some(), "{figure}");
        let what = figure["what"].as_str().unwrap();
        // Not those throttled: a burst of 20 and a pace of 180 leave no room to a machine that
        // stands still for a tenth of a second. The pace has tests of its own.
        if ["jobs not placed", "requests sent twice", "deadlocks"].contains(&what) {
            assert_eq!(value, Some(0.0), "{figure}");
        }
        measured.insert(figure["part"].as_str().unwrap());
    }
    assert_eq!(measured, parts.iter().copied().collect());
    assert!(told["machine"]["postgresql"].is_string());
}

#[tokio::test]
async fn throughput_and_its_limit_are_measured() {
    measure(&["limit", "throughput"]).await;
}

#[tokio::test]
async fn lateness_is_measured() {
    measure(&["latency"]).await;
}

#[tokio::test]
async fn what_rows_cost_is_measured() {
    measure(&["backlog"]).await;
}

#[tokio::test]
async fn what_a_held_snapshot_costs_is_measured() {
    measure(&["snapshot"]).await;
}

#[tokio::test]
async fn a_burst_is_measured() {
    measure(&["burst"]).await;
}

#[tokio::test]
async fn memory_several_workers_and_several_apps_are_measured() {
    measure(&["memory", "workers", "apps"]).await;
}

/// The others of this server may have a bench too: only what is gone again says something of ours,
/// so both ways are one test.
#[tokio::test]
async fn beside_a_database_it_leaves_that_alone_and_nothing_behind() {
    let database = Database::new().await;
    sql(
        &database,
        "INSERT INTO callq.jobs (robot_account, callees) VALUES ('bot', '{jack}')",
    )
    .await;
    let beside = || {
        let mut command = callq(SMALL);
        command.env("DATABASE_URL", database.url());
        command
    };
    run(&mut beside()).await.with_code(0);
    assert_eq!(left(&database).await, 0);

    let mut broken_off = Program::start(&mut beside());
    broken_off.says("throughput: calls").await;
    broken_off.signal(SIGINT);
    assert_eq!(broken_off.end().await.code(), 143);
    assert_eq!(left(&database).await, 0);

    let state: String = sqlx::query_scalar("SELECT state::text FROM callq.jobs")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(state, "scheduled", "the job that was there is untouched");
}

#[tokio::test]
async fn it_answers_on_this_machine_alone() {
    let ended = run(&mut callq(["bench", "--only-answer", "0.0.0.0:0"])).await;
    let ended = ended.with_code(2);
    assert!(
        ended
            .stderr
            .contains("not an address of this machine alone"),
        "{ended}"
    );
}
