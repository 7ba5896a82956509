//! A firing whose time comes while an earlier job of its schedule is not finished.

use super::{HELD, firings, in_seconds, rig, schedule, until, word};
use crate::support::rig::Rig;

/// A schedule with one firing in three seconds, and the job that `run_schedule_now` made before.
async fn with_earlier(rig: &Rig, name: &str, overlap: &str) -> (i64, String) {
    let overlap = format!("'{overlap}'");
    let columns = [
        ("on_times", "ARRAY['2100-01-01 00:00']"),
        ("overlap", &overlap),
    ];
    let id = schedule(rig, name, &columns).await;
    let job = word(rig, &format!("run_schedule_now('{name}')")).await;
    (id, job)
}

/// Has the schedules fire in some seconds.
async fn fire_soon(rig: &Rig) {
    rig.sql(&format!(
        "UPDATE callq.schedules SET on_times = {}",
        in_seconds(&[12])
    ))
    .await;
}

/// The call of a job is in doubt, since a claim so long ago.
fn doubted(job: &str, ago: &str) -> String {
    format!(
        "INSERT INTO callq.attempts (job_id, attempt, claim_token, state, app, worker, room_id, room_id_type, random, due_at, claimed_at)
         VALUES ({job}, 1, gen_random_uuid(), 'unknown', 'default', 'gone', 'room', 2, 1, now(), now() - interval '{ago}');
         UPDATE callq.jobs SET state = 'in_doubt', attempt = 1, lease_until = now() + interval '6 days' WHERE id = {job};"
    )
}

#[tokio::test]
async fn an_unfinished_job_skips_the_firing_is_cancelled_or_is_let_be_as_the_schedule_says() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let (skip, _) = with_earlier(&rig, "skip", "skip").await;
    let (cancel, _) = with_earlier(&rig, "cancel", "cancel_previous").await;
    let (allow, _) = with_earlier(&rig, "allow", "allow").await;
    let (doubt, doubted_job) = with_earlier(&rig, "doubt", "cancel_previous").await;
    rig.sql(&doubted(&doubted_job, "1 minute")).await;
    let (finishes, first) = with_earlier(&rig, "finishes", "skip").await;
    let worker = rig.worker().await;
    fire_soon(&rig).await;
    until(&rig, "NOT EXISTS (SELECT FROM callq.schedules WHERE next_fire_at IS NULL AND check_at IS NOT NULL)").await;
    // While it is held, no job is there and the cursor stays before it.
    let held =
        format!("SELECT next_fire_at IS NOT NULL FROM callq.schedules WHERE id = {finishes}");
    assert!(rig.value::<bool>(&held).await);
    rig.sql(&format!("SELECT callq.cancel({first})")).await;
    until(
        &rig,
        "NOT EXISTS (SELECT FROM callq.schedules WHERE check_at IS NOT NULL)",
    )
    .await;
    worker.stop().await.unwrap();
    assert_eq!(
        firings(&rig, skip).await,
        ["scheduled", "skipped overlap 1"]
    );
    assert_eq!(
        firings(&rig, cancel).await,
        ["cancelled overlap_cancelled", "scheduled"]
    );
    assert_eq!(firings(&rig, allow).await, ["scheduled", "scheduled"]);
    assert_eq!(firings(&rig, doubt).await, ["in_doubt", "scheduled"]);
    let asked =
        format!("SELECT cancel_requested_at IS NOT NULL FROM callq.jobs WHERE id = {doubted_job}");
    assert!(rig.value::<bool>(&asked).await, "as by callq.cancel");
    assert_eq!(
        firings(&rig, finishes).await,
        ["cancelled cancelled_by_user", "scheduled"]
    );
}

#[tokio::test]
async fn a_stuck_job_never_silences_a_schedule() {
    let rig = rig().await;
    rig.sql(HELD).await;
    let (young, job) = with_earlier(&rig, "young", "skip").await;
    rig.sql(&doubted(&job, "30 minutes")).await;
    let (old, job) = with_earlier(&rig, "old", "skip").await;
    rig.sql(&doubted(&job, "33 minutes")).await;
    let worker = rig.worker().await;
    fire_soon(&rig).await;
    until(
        &rig,
        "NOT EXISTS (SELECT FROM callq.schedules WHERE check_at IS NOT NULL)",
    )
    .await;
    worker.stop().await.unwrap();
    assert_eq!(
        firings(&rig, young).await,
        ["in_doubt", "skipped overlap 1"]
    );
    assert_eq!(firings(&rig, old).await, ["in_doubt", "scheduled"]);
}

#[tokio::test]
async fn a_short_period_skips_nothing_while_each_call_is_finished_in_time() {
    let rig = rig().await;
    let worker = rig.worker().await;
    let columns = [("cron", "'*/6 * * * * *'"), ("ttl", "'1 hour'")];
    let id = schedule(&rig, "often", &columns).await;
    until(
        &rig,
        "(SELECT count(*) FROM callq.jobs WHERE state IN ('placed', 'completed')) >= 4",
    )
    .await;
    rig.sql("SELECT callq.pause_schedule('often')").await;
    worker.stop().await.unwrap();
    let told = firings(&rig, id).await;
    let overlaps = told
        .iter()
        .filter(|told| told.starts_with("skipped overlap"));
    assert_eq!(overlaps.count(), 0, "{told:?}");
    let placed = "SELECT extract(epoch FROM max(nominal_at) - min(nominal_at)) / 6 + 1 = count(*) FROM callq.jobs WHERE state IN ('placed', 'completed')";
    assert!(
        rig.value::<bool>(placed).await,
        "each in its turn: {told:?}"
    );
}

#[tokio::test]
async fn a_call_that_was_still_to_be_sent_when_the_next_was_looked_at_counts_at_its_time() {
    let rig = rig().await;
    let columns = [
        ("on_times", in_seconds(&[4, 9])),
        // As the default is for a schedule of every five seconds.
        ("ttl", "'5 s'".to_owned()),
    ];
    let columns = columns
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let id = schedule(&rig, "stall-jack", &columns).await;
    let worker = rig.worker().await;
    until(&rig, "EXISTS (SELECT FROM callq.skipped_firings)").await;
    assert_eq!(rig.sandbox.ledger().requests().len(), 1);
    let told = firings(&rig, id).await;
    assert_eq!(told[1..], ["skipped overlap 1"], "{told:?}");
    worker.stop().await.unwrap();
}
