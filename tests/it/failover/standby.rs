//! A standby is promoted while calls are placed.

use std::time::Instant;

use super::{GOES_ON, Scene, WAITS, insert, on, remembers_until, stop, until_done};
use crate::support::program::Program;
use crate::support::proxy::{Mode, Proxy};
use crate::support::standby::{ComesUp, Node};

/// A primary, its standby, and the way that its log takes.
async fn pair() -> (Node, Node, Proxy) {
    let primary = Node::new().await;
    let replication = Proxy::to(primary.upstream());
    let copy = primary.copy().await;
    let standby = copy.come_up(ComesUp::Following(replication.port())).await;
    primary
        .until("EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')")
        .await;
    (primary, standby, replication)
}

/// Under load the primary is lost, and a standby without which no claim was acknowledged takes over: the
/// ledger has an attempt for every request, and nobody acted.
async fn promoted_synchronous_standby(jobs: usize, gap_ms: f64) -> Node {
    let (primary, standby, _replication) = pair().await;
    primary.wait_for_standbys().await;
    let scene = Scene::new(&primary).await;
    let mut workers = [scene.worker().await, scene.worker().await];
    insert(&primary, jobs, gap_ms).await;
    scene.until_requests(jobs / 4).await;
    drop(primary.crash().await);
    let lost_at = Instant::now();
    let before = scene.requests();
    standby.promote().await;
    scene.lead_to(&standby);
    let promoted = lost_at.elapsed();
    scene.until_requests(before + 1).await;
    let again = lost_at.elapsed();
    for worker in &mut workers {
        worker.says(GOES_ON).await;
    }
    until_done(&standby).await;
    scene.audit(&standby).await;
    let rung = scene.rung();
    let states: Vec<(String, i64)> =
        sqlx::query_as("SELECT state::text, count(*) FROM callq.jobs GROUP BY 1")
            .fetch_all(standby.pool())
            .await
            .unwrap();
    println!(
        "{jobs} jobs, {} requests, {states:?}; promoted after {promoted:?}, the next call after {again:?}",
        scene.requests()
    );
    let open: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM callq.jobs WHERE state NOT IN ('placed', 'completed', 'in_doubt')",
    )
    .fetch_all(standby.pool())
    .await
    .unwrap();
    assert_eq!(open, Vec::<i64>::new(), "none is lost");
    let unrung: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM callq.jobs WHERE state IN ('placed', 'completed')")
            .fetch_all(standby.pool())
            .await
            .unwrap();
    assert!(
        unrung.iter().all(|id| rung.contains(id)),
        "what is placed was rung"
    );
    assert_eq!(
        standby
            .value::<i64>("SELECT count(*) FROM callq.jobs")
            .await,
        i64::try_from(jobs).unwrap()
    );
    assert_eq!(
        standby
            .value::<String>("SELECT state FROM callq.history")
            .await,
        "accepted"
    );
    for worker in workers {
        stop(worker).await;
    }
    standby
}

#[tokio::test]
async fn a_synchronous_standby_takes_over_by_itself_and_every_request_has_its_attempt() {
    promoted_synchronous_standby(400, 12.5).await;
}

/// `make failover`: as it is judged.
#[tokio::test]
#[ignore = "half a minute of load: make failover"]
async fn at_150_calls_a_second_a_synchronous_standby_takes_over_by_itself() {
    promoted_synchronous_standby(3000, 1000.0 / 150.0).await;
}

#[tokio::test]
async fn an_asynchronous_standby_that_lacks_claims_is_noticed_and_waits_for_a_person() {
    let (primary, standby, replication) = pair().await;
    let scene = Scene::new(&primary).await;
    let mut workers = [scene.worker().await, scene.worker().await];
    insert(&primary, 600, 20.0).await;
    scene.until_requests(20).await;
    replication.set(Mode::Refuse);
    let known: i64 = standby.value("SELECT count(*) FROM callq.attempts").await;
    scene.until_requests(120).await;
    drop(primary.crash().await);
    standby.promote().await;
    scene.lead_to(&standby);
    for worker in &mut workers {
        worker.says(WAITS).await;
        worker.says("callq recover --since").await;
    }
    standby
        .until("(SELECT state = 'lost' FROM callq.history)")
        .await;
    let forgotten = scene.requests();
    assert!(
        i64::try_from(forgotten).unwrap() > known,
        "calls are forgotten: {forgotten}, {known}"
    );

    // Jobs are due, and nothing is claimed, expired or settled.
    let quiet = "SELECT count(*) FROM callq.jobs WHERE state = 'scheduled' AND due_at < now() - interval '2 seconds'";
    standby.until(&format!("({quiet}) > 0")).await;
    assert_eq!(scene.requests(), forgotten);
    let status = on(&standby, &["status"]).await.with_code(0);
    assert!(
        status
            .text()
            .contains("Nothing is claimed: the database has lost a part of its history: "),
        "{status}"
    );
    let checked = on(&standby, &["check", "--json"]).await;
    let line = checked
        .text()
        .lines()
        .find(|l| l.contains("\"history\""))
        .unwrap()
        .to_owned();
    assert!(
        line.contains("\"fail\"") && line.contains("callq recover --since"),
        "{line}"
    );

    let since = remembers_until(&standby).await;
    on(&standby, &["recover", "--since", &since, "--yes"])
        .await
        .with_code(0);
    for worker in &mut workers {
        worker.says(GOES_ON).await;
    }
    until_done(&standby).await;
    assert!(scene.requests() > forgotten, "the others are rung");
    let rung = scene.rung();
    // What was rung and is forgotten is held.
    let held: Vec<i64> = sqlx::query_scalar("SELECT id FROM callq.jobs WHERE state = 'in_doubt'")
        .fetch_all(standby.pool())
        .await
        .unwrap();
    let placed: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM callq.jobs WHERE state IN ('placed', 'completed')")
            .fetch_all(standby.pool())
            .await
            .unwrap();
    assert!(
        rung.iter()
            .all(|id| held.contains(id) || placed.contains(id))
    );
    assert_eq!(held.len() + placed.len(), 600);
    for worker in workers {
        stop(worker).await;
    }
}

/// Whether the worker goes on by itself with what is inserted now.
async fn goes_on(scene: &Scene, node: &Node, mut workers: Vec<Program>) {
    let before = scene.requests();
    insert(node, 5, 1.0).await;
    scene.until_requests(before + 5).await;
    until_done(node).await;
    scene.audit(node).await;
    scene.rung();
    assert_eq!(
        node.value::<String>("SELECT state FROM callq.history")
            .await,
        "accepted"
    );
    for worker in workers.drain(..) {
        stop(worker).await;
    }
}

#[tokio::test]
async fn a_planned_switchover_that_loses_nothing_needs_nobody() {
    let (primary, standby, _replication) = pair().await;
    let scene = Scene::new(&primary).await;
    let mut workers = vec![scene.worker().await, scene.worker().await];
    insert(&primary, 100, 1.0).await;
    scene.until_requests(50).await;
    // A fast shutdown waits until the standby has everything.
    drop(primary.stop().await);
    standby.promote().await;
    scene.lead_to(&standby);
    for worker in &mut workers {
        worker.says(GOES_ON).await;
    }
    goes_on(&scene, &standby, workers).await;
}

#[tokio::test]
async fn a_restart_and_a_crash_of_the_same_server_need_nobody() {
    let node = Node::new().await;
    let scene = Scene::new(&node).await;
    let workers = vec![scene.worker().await];
    insert(&node, 10, 1.0).await;
    scene.until_requests(10).await;
    until_done(&node).await;
    let node = node.stop().await.start().await;
    scene.lead_to(&node);
    insert(&node, 10, 1.0).await;
    scene.until_requests(20).await;
    let node = node.crash().await.start().await;
    scene.lead_to(&node);
    goes_on(&scene, &node, workers).await;
}

#[tokio::test]
async fn a_worker_that_dies_with_its_primary_keeps_the_others_waiting_for_a_person() {
    let (primary, standby, _replication) = pair().await;
    primary.wait_for_standbys().await;
    let scene = Scene::new(&primary).await;
    let mut living = scene.worker().await;
    let dies = scene.worker().await;
    insert(&primary, 10, 1.0).await;
    scene.until_requests(10).await;
    until_done(&primary).await;
    dies.signal(libc::SIGKILL);
    drop(primary.crash().await);
    standby.promote().await;
    scene.lead_to(&standby);
    living.says("waiting for the word of").await;
    // One that starts now knows nothing of before.
    let mut fresh = scene.starting();
    fresh.says("waiting for the word of").await;
    insert(&standby, 1, 1.0).await;
    assert_eq!(scene.requests(), 10);
    let moved = on(&standby, &["recover", "--nothing-lost", "--yes"])
        .await
        .with_code(0);
    assert!(moved.text().contains("held 0 jobs"), "{moved}");
    living.says(GOES_ON).await;
    scene.until_requests(11).await;
    scene.rung();
    for worker in [living, fresh] {
        stop(worker).await;
    }
}

#[tokio::test]
async fn a_late_worker_whose_claims_are_missing_stops_those_that_went_on() {
    let (primary, standby, replication) = pair().await;
    let scene = Scene::new(&primary).await;
    let mut early = scene.worker().await;
    // The way of a second worker, which comes back later.
    let (way, url) = Proxy::to_database(&primary.url()).await;
    let late = Scene {
        sandbox: scene.sandbox,
        way,
        url,
    };
    standby
        .until("(SELECT count(*) FROM callq.witnesses) = 1")
        .await;
    replication.set(Mode::Refuse);
    primary
        .until("NOT EXISTS (SELECT FROM pg_stat_replication)")
        .await;
    scene.way.set(Mode::Refuse);
    let mut worker = late.worker().await;
    insert(&primary, 5, 1.0).await;
    late.until_requests(5).await;
    drop(primary.crash().await);
    standby.promote().await;
    scene.way.lead_to(standby.upstream());
    scene.way.set(Mode::Pass);
    // As far as the first one can know, it was alone.
    early.says(GOES_ON).await;
    assert_eq!(
        standby
            .value::<String>("SELECT state FROM callq.history")
            .await,
        "accepted"
    );
    late.way.lead_to(standby.upstream());
    worker.says(WAITS).await;
    early
        .says("the database has lost a part of its history")
        .await;
    insert(&standby, 5, 1.0).await;
    let status = on(&standby, &["status"]).await.with_code(0);
    assert!(status.text().contains("Nothing is claimed"), "{status}");
    assert_eq!(late.requests(), 5);
    for worker in [early, worker] {
        stop(worker).await;
    }
}

#[tokio::test]
async fn a_worker_does_not_start_on_a_standby_and_check_says_so() {
    let (_primary, standby, _replication) = pair().await;
    let scene = Scene::new(&standby).await;
    let refused = scene.starting().end().await.with_code(1);
    assert!(
        refused.stderr.contains("the server is a standby"),
        "{refused}"
    );
    let checked = on(&standby, &["check", "--json"]).await;
    let role = checked
        .text()
        .lines()
        .find(|l| l.contains("\"server role\""))
        .unwrap()
        .to_owned();
    assert!(
        role.contains("\"fail\"") && role.contains("standby"),
        "{role}"
    );
    let refused = on(&standby, &["recover", "--nothing-lost", "--yes"])
        .await
        .with_code(2);
    assert!(refused.stderr.contains("is a standby"), "{refused}");
}

#[tokio::test]
async fn check_warns_of_asynchronous_standbys_and_not_of_synchronous_ones() {
    let (primary, _standby, replication) = pair().await;
    let level = async || {
        let checked = on(&primary, &["check", "--json"]).await;
        let line = checked
            .text()
            .lines()
            .find(|l| l.contains("\"replication\""))
            .unwrap()
            .to_owned();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        (
            line["level"].as_str().unwrap().to_owned(),
            line["says"].as_str().unwrap().to_owned(),
        )
    };
    let (asynchronous, says) = level().await;
    assert_eq!(asynchronous, "warn");
    assert!(says.contains("asynchronous, 1 connected"), "{says}");
    primary.wait_for_standbys().await;
    assert_eq!(level().await.0, "ok");
    replication.set(Mode::Refuse);
    primary
        .until("NOT EXISTS (SELECT FROM pg_stat_replication)")
        .await;
    let (alone, says) = level().await;
    assert_eq!(alone, "warn");
    assert!(says.contains("every claim waits"), "{says}");
}
