//! From a row of `callq.schedules` to a request at the sandbox.

use super::{firings, in_seconds, rig, schedule, until};

#[tokio::test]
async fn a_schedule_rings_at_its_time_with_the_job_that_it_describes() {
    let rig = rig().await;
    let worker = rig.worker().await;
    let columns = [
        ("on_times", in_seconds(&[10])),
        ("ttl", "'2 min'".to_owned()),
        ("user_data", "'pills'".to_owned()),
        ("metadata", "'{\"campaign\": \"meds\"}'".to_owned()),
        ("priority", "0".to_owned()),
    ];
    let columns = columns
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let id = schedule(&rig, "jack", &columns).await;
    until(
        &rig,
        "EXISTS (SELECT FROM callq.jobs WHERE state = 'scheduled')",
    )
    .await;
    let ahead = "SELECT nominal_at > now() AND run_at = nominal_at AND expires_at = nominal_at + interval '2 min' AND priority = 0
        AND metadata ->> 'campaign' = 'meds' AND nominal_local = nominal_at AT TIME ZONE 'UTC' FROM callq.jobs";
    assert!(
        rig.value::<bool>(ahead).await,
        "it is made ahead of its time"
    );
    until(
        &rig,
        "EXISTS (SELECT FROM callq.jobs WHERE state = 'placed')",
    )
    .await;
    worker.stop().await.unwrap();
    assert_eq!(firings(&rig, id).await, ["placed accepted"]);
    let ledger = rig.sandbox.ledger();
    let [request] = ledger.requests() else {
        panic!("one request")
    };
    assert_eq!(request.callees, ["jack"]);
    let not_before = "SELECT sent_at >= nominal_at FROM callq.jobs";
    assert!(rig.value::<bool>(not_before).await);
    rig.audit().await;
}

#[tokio::test]
async fn a_jitter_delays_a_firing_by_less_than_it_and_its_deadline_not_at_all() {
    let rig = rig().await;
    let worker = rig.worker().await;
    rig.sql("SELECT callq.pause_all('a test looks')").await;
    let columns = [
        ("cron", "'* * * * *'"),
        ("jitter", "'20 s'"),
        ("overlap", "'allow'"),
    ];
    schedule(&rig, "a", &columns).await;
    until(&rig, "EXISTS (SELECT FROM callq.jobs)").await;
    worker.stop().await.unwrap();
    let within = "SELECT bool_and(run_at > nominal_at AND run_at < nominal_at + interval '20 s' AND expires_at = nominal_at + interval '1 min')
        FROM callq.jobs";
    assert!(rig.value::<bool>(within).await);
}
