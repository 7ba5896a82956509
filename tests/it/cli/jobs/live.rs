//! `callq jobs show ID --live`

use callq::sandbox::{SANDBOX_SECRET_KEY, SandboxConfig};

use crate::support::program::{Ended, callq, run};
use crate::support::rig::{Rig, environment};

/// Asks Tencent what a job's call does now.
async fn live(rig: &Rig, id: i64, flags: &[&str]) -> Ended {
    let mut command = callq(["jobs", "show", &id.to_string(), "--live"]);
    let command = environment(command.args(flags), rig.db.url(), &rig.sandbox.url());
    run(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_rings_who_talks_and_that_a_call_is_over_is_what_tencent_says_now() {
    let rig = Rig::with_sandbox(SandboxConfig::default()).await;
    let worker = rig.worker().await;
    let long = [("ring_timeout_ms", "600000")];
    let ringing = rig.insert("noanswer-jack", &long).await;
    let talking = rig.insert("talk-600-rose", &long).await;
    let declined = rig.insert("decline-ben", &long).await;
    let waiting = rig
        .insert("ann", &[("run_at", "now() + interval '1 day'")])
        .await;
    for id in [ringing, talking, declined] {
        rig.until_state(id, "placed").await;
    }
    rig.sandbox.advance(std::time::Duration::from_secs(10));
    let calls = rig.sandbox.read_ledger(|ledger| ledger.requests().len());
    for (id, says) in [
        (ringing, "Now: noanswer-jack rings."),
        (talking, "Now: talk-600-rose talks."),
        (declined, "Now: the call is over, or Tencent knows of none."),
        (
            waiting,
            "Now: no CallId is known of it, so Tencent cannot be asked.",
        ),
    ] {
        let ended = live(&rig, id, &[]).await.with_code(0);
        assert!(ended.text().contains(says), "{says}: {ended}");
    }
    let ended = live(&rig, ringing, &["--json"]).await.with_code(0);
    let shown: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("it is JSON");
    assert_eq!(shown["live"]["state"], "live", "{ended}");
    assert_eq!(shown["live"]["users"][0]["does"], "rings", "{ended}");
    // Asking rings nobody.
    assert_eq!(
        rig.sandbox.read_ledger(|ledger| ledger.requests().len()),
        calls
    );
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_tencent_from_answering_is_told_without_a_secret() {
    let rig = Rig::with_sandbox(SandboxConfig::default()).await;
    let worker = rig.worker().await;
    let id = rig.insert("noanswer-jack", &[]).await;
    rig.until_state(id, "placed").await;
    worker.stop().await.unwrap();
    let Rig { db, sandbox } = rig;
    let url = sandbox.url();
    sandbox.shutdown().await.unwrap();
    let mut command = callq(["jobs", "show", &id.to_string(), "--live"]);
    let ended = run(environment(&mut command, db.url(), &url))
        .await
        .with_code(1);
    assert!(
        ended
            .stderr
            .contains("could not ask Tencent for the call: "),
        "{ended}"
    );
    for secret in [SANDBOX_SECRET_KEY, "usersig"] {
        assert!(!ended.to_string().contains(secret), "{ended}");
    }
}
