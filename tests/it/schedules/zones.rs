//! Zone data: a firing is its local time, whichever instant a worker takes that for.

use callq::store::{Decision, Make, Store, Timeliness};
use chrono::TimeDelta;

use super::{HELD, firings, in_seconds, rig, schedule, until, until_looked_at};

#[tokio::test]
async fn two_workers_with_different_zone_data_make_one_job_of_a_firing() {
    let rig = rig().await;
    let id = schedule(&rig, "a", &[("cron", "'0 9 * * *'")]).await;
    let store = Store::connect(rig.db.url(), 2).await.unwrap();
    let mut answers = Vec::new();
    for hours in [1, 2] {
        let row = store
            .due_schedules(10, "2026a", &[])
            .await
            .unwrap()
            .remove(0);
        let at = row.now + TimeDelta::hours(hours);
        let nominal_local = chrono::NaiveDateTime::default();
        let make = Make {
            nominal_at: at,
            nominal_local,
            nominal_fold: 0,
            run_at: at,
            expires_at: at + TimeDelta::hours(1),
            when: Timeliness::Ahead,
        };
        let decision = Decision {
            id,
            turn: row.turn,
            held_at: row.now,
            cursor_at: row.now,
            next_fire_at: None,
            check_at: Some(row.now),
            upcoming: Vec::new(),
            default_ttl: std::time::Duration::from_mins(1),
            skips: 0,
            error: None,
            makes: vec![make],
            tells: Vec::new(),
        };
        let decisions = [decision];
        let fired = store.fire(&decisions, "2026a").await.unwrap()[0];
        answers.push((fired.done, fired.made));
        let again = store.fire(&decisions, "2026a").await.unwrap()[0];
        assert!(
            !again.done,
            "of two workers that read the same turn one fires"
        );
    }
    assert_eq!(answers, [(true, 1), (true, 0)]);
    assert_eq!(firings(&rig, id).await, ["scheduled"]);
}

#[tokio::test]
async fn a_worker_with_older_zone_data_leaves_a_schedule_alone() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let newer = schedule(&rig, "newer", &[("on_times", &in_seconds(&[50]))]).await;
    rig.sql("UPDATE callq.schedules SET zone_data = '2999za'")
        .await;
    let ours = schedule(&rig, "ours", &[("on_times", &in_seconds(&[50]))]).await;
    let worker = rig.worker().await;
    until(&rig, "(SELECT count(*) FROM callq.jobs) = 1").await;
    assert_eq!(firings(&rig, ours).await, ["scheduled"]);
    assert!(firings(&rig, newer).await.is_empty());
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn newer_zone_data_moves_what_was_made_ahead() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let moved = schedule(&rig, "moved", &[("on_times", &in_seconds(&[50]))]).await;
    let same = schedule(&rig, "same", &[("on_times", &in_seconds(&[50]))]).await;
    let worker = rig.worker().await;
    until(&rig, "(SELECT count(*) FROM callq.jobs) = 2").await;
    worker.stop().await.unwrap();
    // As older data would have had it: the same local time 20 seconds earlier.
    rig.sql(&format!(
        "CREATE TABLE was AS SELECT * FROM callq.jobs;
         UPDATE callq.jobs SET run_at = run_at - interval '20 s', nominal_at = nominal_at - interval '20 s' WHERE schedule_id = {moved};
         UPDATE callq.jobs SET moved_at = NULL;
         UPDATE callq.schedules SET zone_data = '2000a', check_at = now() + interval '1 hour';
         UPDATE callq.schedules SET cursor_at = cursor_at - interval '20 s' WHERE id = {moved}"
    ))
    .await;
    let worker = rig.worker().await;
    until(
        &rig,
        "NOT EXISTS (SELECT FROM callq.schedules WHERE zone_data = '2000a')",
    )
    .await;
    until_looked_at(&rig).await;
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, moved).await, ["scheduled"]);
    assert_eq!(firings(&rig, same).await, ["scheduled"]);
    let mended = "SELECT bool_and((j.id, j.nominal_at, j.run_at, j.due_at, j.expires_at) = (w.id, w.nominal_at, w.run_at, w.due_at, w.expires_at))
        FROM callq.jobs AS j JOIN was AS w ON w.schedule_id = j.schedule_id";
    assert!(rig.value::<bool>(mended).await);
}

/// Of a zone that no worker here knows, as another one has reckoned it.
const ELSEWHERE: &str = "SET LOCAL session_replication_role = replica;
    UPDATE callq.schedules SET tz = 'Europe/Nowhere', default_ttl = '1 hour', check_at = now()";

#[tokio::test]
async fn a_schedule_of_a_zone_that_only_another_worker_knows_is_left_to_it_for_a_while() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let id = schedule(&rig, "a", &[("on_times", &in_seconds(&[50]))]).await;
    rig.sql(&format!("BEGIN; {ELSEWHERE}; COMMIT")).await;
    let worker = rig.worker().await;
    // Others are fired meanwhile, one after the other.
    for (n, made) in ["b", "c"].into_iter().zip(["1", "2"]) {
        schedule(&rig, n, &[("on_times", &in_seconds(&[50]))]).await;
        until(&rig, &format!("(SELECT count(*) FROM callq.jobs) = {made}")).await;
    }
    let left =
        "SELECT count(*) FROM callq.schedules WHERE name = 'a' AND error IS NULL AND turn = 1";
    assert_eq!(rig.value::<i64>(left).await, 1);
    // Nobody came.
    rig.sql("UPDATE callq.schedules SET check_at = now() - interval '31 s' WHERE name = 'a'")
        .await;
    until(
        &rig,
        "(SELECT error LIKE '%Europe/Nowhere%' FROM callq.schedules WHERE name = 'a')",
    )
    .await;
    let again = "SELECT check_at BETWEEN now() AND now() + interval '1 min' FROM callq.schedules WHERE name = 'a'";
    assert!(rig.value::<bool>(again).await, "others look at it too");
    // As a worker does that knows the zone, when it looks.
    rig.sql(
        "BEGIN; SET LOCAL session_replication_role = replica;
        UPDATE callq.schedules SET tz = 'UTC', check_at = now() WHERE name = 'a'; COMMIT",
    )
    .await;
    until(&rig, "(SELECT count(*) FROM callq.jobs) = 3").await;
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, id).await, ["scheduled"]);
    let mended = "SELECT error IS NULL AND error_at IS NULL FROM callq.schedules WHERE name = 'a'";
    assert!(rig.value::<bool>(mended).await);
}
