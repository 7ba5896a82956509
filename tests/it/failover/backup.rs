//! A backup is put back after further calls were placed.

use super::{GOES_ON, Scene, WAITS, on, remembers_until, stop, until_done};
use crate::support::program::{Program, run};
use crate::support::proxy::Mode;
use crate::support::standby::{ComesUp, Node};
use sqlx::PgPool;
use tokio::process::Command;

/// Twenty jobs that nobody rings before they are moved.
async fn insert_for_later(node: &Node) {
    let jobs = "INSERT INTO callq.jobs (robot_account, callees, run_at)
        SELECT 'robot', ARRAY['callee' || i], now() + interval '1 hour' FROM generate_series(1, 20) AS i";
    node.sql(jobs).await;
}

/// What was rung after the backup was taken waits for a person; the rest goes on; nobody is rung twice.
async fn held_until_recovered(scene: &Scene, restored: &Node, waiting: Vec<Program>) {
    let rung_before = scene.rung();
    let since = remembers_until(restored).await;
    let counted = on(restored, &["recover", "--since", &since, "--dry-run"])
        .await
        .with_code(0);
    assert!(
        counted
            .text()
            .starts_with("would hold 20 jobs: 20 that were due"),
        "{counted}"
    );
    assert_eq!(
        scene.requests(),
        rung_before.len(),
        "nothing rings meanwhile"
    );
    let held = on(restored, &["recover", "--since", &since, "--yes"])
        .await
        .with_code(0);
    assert!(
        held.text().starts_with("held 20 jobs: 20 that were due"),
        "{held}"
    );
    let mut workers = waiting;
    for worker in &mut workers {
        worker.says(GOES_ON).await;
    }
    // What comes from now on is rung.
    restored.sql("INSERT INTO callq.jobs (robot_account, callees, room_id) VALUES ('robot', '{new}', 'of_999_its_own')").await;
    scene.until_requests(rung_before.len() + 1).await;
    until_done(restored).await;
    scene.rung();
    // The call records say what became of each: all but one rang.
    let kept: i64 = restored
        .value(
            "SELECT count(*) FROM callq.jobs WHERE state = 'in_doubt' AND reason = 'history_lost'",
        )
        .await;
    assert_eq!(kept, 20);
    let last: i64 = restored
        .value("SELECT max(id) FROM callq.jobs WHERE reason = 'history_lost'")
        .await;
    let verdict = [
        "jobs",
        "resolve",
        &last.to_string(),
        "--failed",
        "--note",
        "not in the records",
    ];
    on(restored, &verdict).await.with_code(0);
    let all = [
        "jobs",
        "resolve",
        "--reason",
        "history_lost",
        "--placed",
        "--note",
        "in the records",
        "--yes",
    ];
    on(restored, &all).await.with_code(0);
    restored
        .until("(SELECT count(*) FROM callq.jobs WHERE reason = 'resolved_placed') = 19")
        .await;
    assert_eq!(scene.requests(), rung_before.len() + 1);
    for worker in workers {
        stop(worker).await;
    }
}

#[tokio::test]
async fn a_backup_that_was_recovered_rings_nobody_twice() {
    let node = Node::new().await;
    let scene = Scene::new(&node).await;
    let mut living = scene.worker().await;
    insert_for_later(&node).await;
    let backup = node.copy().await;
    node.sql("UPDATE callq.jobs SET run_at = now()").await;
    scene.until_requests(20).await;
    until_done(&node).await;
    drop(node.crash().await);
    let restored = backup.come_up(ComesUp::Recovered).await;
    // In the backup they are still to be rung: the move was forgotten too.
    restored.sql("UPDATE callq.jobs SET run_at = now()").await;
    scene.lead_to(&restored);
    living.says(WAITS).await;
    let mut fresh = scene.starting();
    fresh.says(WAITS).await;
    held_until_recovered(&scene, &restored, vec![living, fresh]).await;
}

#[tokio::test]
async fn a_recovered_backup_with_new_workers_alone_waits_too() {
    let node = Node::new().await;
    let scene = Scene::new(&node).await;
    let worker = scene.worker().await;
    insert_for_later(&node).await;
    let backup = node.copy().await;
    node.sql("UPDATE callq.jobs SET run_at = now()").await;
    scene.until_requests(20).await;
    until_done(&node).await;
    stop(worker).await;
    drop(node.stop().await);
    let restored = backup.come_up(ComesUp::Recovered).await;
    restored.sql("UPDATE callq.jobs SET run_at = now()").await;
    scene.lead_to(&restored);
    let mut fresh = scene.starting();
    fresh.says(WAITS).await;
    held_until_recovered(&scene, &restored, vec![fresh]).await;
}

#[tokio::test]
async fn a_snapshot_of_the_same_timeline_is_noticed_by_a_living_worker() {
    let node = Node::new().await;
    let scene = Scene::new(&node).await;
    let mut living = scene.worker().await;
    insert_for_later(&node).await;
    let backup = node.copy().await;
    // What is lost of the log is more than the restored server writes in a while.
    node.sql("SELECT pg_switch_wal()").await;
    let switched: String = node.value("SELECT now()::text").await;
    node.sql("UPDATE callq.jobs SET run_at = now()").await;
    scene.until_requests(20).await;
    until_done(&node).await;
    let seen = format!("(SELECT seen_at > '{switched}' FROM callq.witnesses)");
    node.until(&seen).await;
    drop(node.crash().await);
    let restored = backup.come_up(ComesUp::AsItIs).await;
    restored.sql("UPDATE callq.jobs SET run_at = now()").await;
    scene.lead_to(&restored);
    living.says(WAITS).await;
    restored
        .until("(SELECT state = 'lost' FROM callq.history)")
        .await;
    let why: String = restored
        .value("SELECT history_lost_detail FROM callq.meta")
        .await;
    assert!(
        why.contains("write-ahead log")
            || why.contains("newest write")
            || why.contains("claimed by"),
        "{why}"
    );
    held_until_recovered(&scene, &restored, vec![living]).await;
}

#[tokio::test]
async fn a_dump_that_was_restored_elsewhere_or_beside_waits_for_a_person() {
    let node = Node::new().await;
    let scene = Scene::new(&node).await;
    let mut living = scene.worker().await;
    insert_for_later(&node).await;
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("callq.dump");
    let program = |name: &str| Command::new(node.bin_dir().join(name));
    run(program("pg_dump")
        .args(["-Fc", "-f"])
        .arg(&dump)
        .arg(node.url()))
    .await
    .with_code(0);
    node.sql("UPDATE callq.jobs SET run_at = now()").await;
    scene.until_requests(20).await;
    until_done(&node).await;
    // Into the same server and the same database: its numbers are new all the same.
    scene.way.set(Mode::Refuse);
    let mut gone = node.pool().acquire().await.unwrap();
    sqlx::raw_sql("DROP SCHEMA callq CASCADE")
        .execute(&mut *gone)
        .await
        .unwrap();
    drop(gone);
    run(program("pg_restore").arg("-d").arg(node.url()).arg(&dump))
        .await
        .with_code(0);
    node.sql("UPDATE callq.jobs SET run_at = now()").await;
    scene.way.set(Mode::Pass);
    living.says(WAITS).await;
    node.until("(SELECT state IN ('other', 'lost') FROM callq.history)")
        .await;
    held_until_recovered(&scene, &node, vec![living]).await;
}

#[tokio::test]
async fn a_copy_within_the_same_server_is_not_taken_for_the_original() {
    let node = Node::new().await;
    node.pool().close().await;
    let elsewhere = PgPool::connect(&node.url().replace("/postgres?", "/template1?"))
        .await
        .unwrap();
    sqlx::raw_sql("CREATE DATABASE copy TEMPLATE postgres")
        .execute(&elsewhere)
        .await
        .unwrap();
    let states = async |database: &str| {
        let url = node.url().replace("/postgres?", &format!("/{database}?"));
        let pool = PgPool::connect(&url).await.unwrap();
        let state = sqlx::query_scalar::<_, String>("SELECT state FROM callq.history");
        state.fetch_one(&pool).await.unwrap()
    };
    assert_eq!(states("postgres").await, "accepted");
    assert_eq!(states("copy").await, "other");
}
