//! What nobody reports on: lapsed leases, doubts whose time has come.

use std::time::Duration;

use callq::sandbox::{Fault, FaultKind};
use callq::store::{ClaimOrder, Lows, Store};
use uuid::Uuid;

use crate::support::rig::Rig;

/// Claims the due job as a worker that is never heard of again.
async fn lost_worker(rig: &Rig) {
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    let order = ClaimOrder {
        app: "default".to_owned(),
        granted: 1,
        lows: Lows::default(),
        can_stream: true,
    };
    let claims = store
        .claim(
            &[order],
            Uuid::new_v4(),
            "a lost worker",
            Duration::from_secs(30),
        )
        .await;
    assert_eq!(claims.unwrap().jobs.len(), 1);
    rig.sql("UPDATE callq.jobs SET lease_until = now() - interval '1 s' WHERE state = 'dialing'")
        .await;
}

#[tokio::test]
async fn a_lapsed_lease_of_a_dialing_job_becomes_in_doubt() {
    let rig = Rig::new().await;
    let id = rig.insert("jack", &[]).await;
    lost_worker(&rig).await;
    let worker = rig.worker().await;
    let job = rig.until_state(id, "in_doubt").await;
    assert_eq!(job.reason.as_deref(), Some("lease_lapsed"));
    assert_eq!((job.attempt, job.attempts_used), (1, 1));
    let attempt: String = rig.value("SELECT state::text FROM callq.attempts").await;
    assert_eq!(attempt, "unknown");
    worker.stop().await.unwrap();
    assert!(
        rig.sandbox.ledger().requests().is_empty(),
        "it was not rung by guess"
    );
}

#[tokio::test]
async fn a_reply_after_the_lease_lapsed_still_places_the_job() {
    let rig = Rig::new().await;
    rig.sandbox
        .script(Fault::new(FaultKind::Delay).delayed_ms(6000))
        .unwrap();
    let store = Store::connect(rig.db.url(), 1).await.unwrap();
    let worker = rig.worker().await;
    let id = rig.insert("jack", &[]).await;
    rig.until_requests(1).await;
    rig.sql("UPDATE callq.jobs SET lease_until = now() - interval '1 s' WHERE state = 'dialing'")
        .await;
    // Here or there, whoever is first.
    store.lapse().await.unwrap();
    rig.until_state(id, "in_doubt").await;
    let job = rig.until_state(id, "placed").await;
    assert_eq!(job.attempt, 1);
    worker.stop().await.unwrap();
    rig.audit().await;
}

#[tokio::test]
async fn nothing_in_doubt_rings_again_past_its_deadline_its_attempts_or_a_cancel() {
    let rig = Rig::new().await;
    for (what, column, meanwhile) in [
        (
            "the deadline",
            ("priority", "1"),
            "ALTER TABLE callq.jobs DISABLE TRIGGER USER;
             UPDATE callq.jobs SET expires_at = now() - interval '1 s';
             ALTER TABLE callq.jobs ENABLE TRIGGER USER",
        ),
        ("the attempts", ("max_attempts", "1"), "SELECT 1"),
        (
            "a cancel",
            ("priority", "1"),
            "SELECT callq.cancel(id) FROM callq.jobs",
        ),
    ] {
        let id = rig.insert("jack", &[("on_doubt", "'retry'"), column]).await;
        lost_worker(&rig).await;
        rig.sql(meanwhile).await;
        let worker = rig.worker().await;
        rig.until_state(id, "in_doubt").await;
        rig.sql("UPDATE callq.jobs SET lease_until = now() - interval '1 s'")
            .await;
        let job = rig.until(id, |job| job.waits_s > 60.0).await;
        assert_eq!(job.state, "in_doubt", "{what}");
        worker.stop().await.unwrap();
        rig.sql("DELETE FROM callq.jobs").await;
    }
    assert!(rig.sandbox.ledger().requests().is_empty());
}

#[tokio::test]
async fn a_doubt_ends_unresolved_after_six_days() {
    let rig = Rig::new().await;
    let id = rig.insert("jack", &[]).await;
    lost_worker(&rig).await;
    let worker = rig.worker().await;
    rig.until_state(id, "in_doubt").await;
    rig.sql(
        "UPDATE callq.attempts SET claimed_at = now() - interval '6 days 1 s';
         UPDATE callq.jobs SET lease_until = now() - interval '1 s'",
    )
    .await;
    let job = rig.until_state(id, "unresolved").await;
    assert_eq!(job.reason.as_deref(), Some("unresolved"));
    worker.stop().await.unwrap();
}
