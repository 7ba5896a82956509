//! A worker is killed while it settles what became of a call.

use callq::sandbox::SandboxConfig;

use super::{Scene, kill};
use crate::support::gate::Side;
use crate::support::rig::Rig;

const FIND: &str = "-- The calls that are followed";
const SETTLE_CALLS: &str = "-- Settles what became of calls";

/// Kills the worker at this statement; another one goes on.
async fn killed_at(statement: &'static str, side: Side) {
    let rig = Rig::with_sandbox(SandboxConfig {
        calls_per_second_limit: 0,
        speed: 50.0,
        ..SandboxConfig::default()
    });
    let scene = Scene::of(rig.await).await;
    scene.database.gate().stop(statement, side);
    let worker = scene.worker();
    let policy = r#"'{"max_rings": 2, "no_answer": ["1s"], "min_gap": "0s"}'"#;
    let columns = [("ring_policy", policy), ("ring_timeout_ms", "10000")];
    let root = scene.rig.insert("noanswer-jack", &columns).await;
    scene.database.gate().reached().await;
    kill(worker).await;
    // Nobody waits for what the dead one had the right to.
    scene
        .rig
        .sql("UPDATE callq.sweeps SET lease_until = now()")
        .await;
    let other = scene.rig.worker().await;
    let rung = "SELECT count(*) FROM callq.jobs WHERE state = 'completed'";
    scene.rig.until_value(rung, |jobs: &i64| *jobs == 2).await;
    let chain: Vec<String> = sqlx::query_scalar(
        "SELECT concat_ws(' ', j.ring_no, j.outcome, j.reason, l.outcome)
         FROM callq.jobs AS j JOIN callq.legs AS l ON l.job_id = j.id
         WHERE coalesce(j.root_id, j.id) = $1 ORDER BY j.ring_no",
    )
    .bind(root)
    .fetch_all(scene.rig.db.pool())
    .await
    .unwrap();
    let expected = [
        "1 no_answer ring_again no_answer",
        "2 no_answer ring_total no_answer",
    ];
    assert_eq!(chain, expected, "{statement} {side:?}");
    let counted: i64 = scene
        .rig
        .value("SELECT sum(legs)::bigint FROM callq.leg_counts")
        .await;
    assert_eq!(counted, 2, "each leg is counted once: {statement} {side:?}");
    let told = "SELECT count(*) FROM callq.events WHERE event = 'completed'";
    assert_eq!(
        scene.rig.value::<i64>(told).await,
        2,
        "{statement} {side:?}"
    );
    other.stop().await.unwrap();
    assert_eq!(scene.requests(), 2);
    scene.rig.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_an_outcome_is_looked_at_another_worker_finds_it() {
    killed_at(FIND, Side::After).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_an_outcome_is_settled_another_worker_settles_it() {
    killed_at(SETTLE_CALLS, Side::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_an_outcome_is_settled_it_is_counted_told_and_rung_again_once() {
    killed_at(SETTLE_CALLS, Side::After).await;
}
