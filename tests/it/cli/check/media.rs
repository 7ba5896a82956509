//! The line about media, against a sandbox: each mistake of the CAM key and of what belongs to it.

use callq::sandbox::{
    Clock, Fault, FaultKind, IngestCode, SANDBOX_CAM_SECRET_ID, SANDBOX_CAM_SECRET_KEY, Sandbox,
    SandboxApp, SandboxConfig,
};
use tokio::process::Command;

use super::{Checked, check};
use crate::support::Database;
use crate::support::port::Port;
use crate::support::tls::{Authority, Certificate};

const ID: &str = "CALLQ_CAM_SECRET_ID";
const KEY: &str = "CALLQ_CAM_SECRET_KEY";

/// A check of an app with the sandbox's CAM key; its database cannot be reached.
fn with_key(host: &str) -> Command {
    let mut command = check("postgres:///callq?host=/nonexistent&user=me", host);
    command
        .env(ID, SANDBOX_CAM_SECRET_ID)
        .env(KEY, SANDBOX_CAM_SECRET_KEY);
    command
}

async fn sandbox() -> Sandbox {
    Sandbox::start(SandboxConfig::default()).await.unwrap()
}

#[track_caller]
fn fails(checked: &Checked, says: &str, fix: &str) {
    let line = checked.line("media");
    assert_eq!(
        (&line["level"], &line["app"]),
        (&"fail".into(), &"default".into()),
        "{line}"
    );
    assert!(line["says"].as_str().unwrap().contains(says), "{line}");
    assert!(line["fix"].as_str().unwrap().contains(fix), "{line}");
    let text = checked.ended.text();
    for secret in [SANDBOX_CAM_SECRET_KEY, "wrong-key"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn an_app_whose_key_is_accepted_passes_and_nothing_plays() {
    let (sandbox, database) = (sandbox().await, Database::new().await);
    let mut command = check(database.url(), &sandbox.url());
    command
        .env(ID, SANDBOX_CAM_SECRET_ID)
        .env(KEY, SANDBOX_CAM_SECRET_KEY);
    let checked = Checked::of(&mut command).await;
    let line = checked.line("media");
    assert_eq!(line["level"], "ok", "{line}");
    assert!(
        line["says"]
            .as_str()
            .unwrap()
            .contains("accepted by http://127.0.0.1:"),
        "{line}"
    );
    assert_eq!(checked.ended.code(), 0);
    assert_eq!(
        sandbox.ingest_tally(),
        callq::sandbox::IngestTally::default()
    );
    assert!(!checked.ended.text().contains(SANDBOX_CAM_SECRET_KEY));
}

#[tokio::test]
async fn an_app_without_a_key_is_in_order_and_nobody_is_asked() {
    let (sandbox, database) = (sandbox().await, Database::new().await);
    let checked = Checked::of(&mut check(database.url(), &sandbox.url())).await;
    assert_eq!(checked.level("media"), "ok");
    assert!(
        checked.line("media")["says"]
            .as_str()
            .unwrap()
            .contains("plays none")
    );
    let ledger = sandbox.ledger();
    assert!(
        ledger
            .queries()
            .iter()
            .all(|query| !query.command.contains("Ingest"))
    );
}

#[tokio::test]
async fn each_mistake_of_the_key_is_told_apart() {
    let mut two = SandboxConfig::default();
    two.apps.push(SandboxApp {
        sdk_app_id: 7,
        cam_secret_id: "AKIDother".to_owned(),
        cam_secret_key: "another-key".to_owned(),
        ..SandboxApp::default()
    });
    let sandbox = Sandbox::start(two).await.unwrap();
    let with = async |changes: &[(&str, &str)]| {
        Checked::of(with_key(&sandbox.url()).envs(changes.iter().copied())).await
    };
    fails(
        &with(&[(ID, "AKIDnobody")]).await,
        "no CAM key has this cam_secret_id",
        "CAM console",
    );
    fails(
        &with(&[(KEY, "wrong-key")]).await,
        "does not belong to cam_secret_id",
        "copy the SecretKey",
    );
    fails(
        &with(&[(ID, "AKIDother"), (KEY, "another-key")]).await,
        "not of the CAM key's account",
        "that the app belongs to",
    );
    fails(
        &with(&[("CALLQ_SDK_APP_ID", "1400000001")]).await,
        "there is no app with this sdk_app_id",
        "compare sdk_app_id",
    );
    let far = with(&[("CALLQ_INGEST_REGION", "eu-frankfurt")]).await;
    fails(&far, "not offered in ingest_region", "ap-singapore");
    assert_eq!(far.ended.code(), 2);
    for (code, says) in [
        (
            "FailedOperation.NotAbility",
            "no package with stream ingest",
        ),
        ("AuthFailure.UnauthorizedOperation", "may not play streams"),
        ("IpNotInWhitelist", "not on the CAM key's list"),
    ] {
        sandbox.clear_faults();
        let fault = Fault::new(FaultKind::IngestError(IngestCode::new(code).unwrap()));
        sandbox
            .script(fault.for_command("DescribeStreamIngest"))
            .unwrap();
        fails(&with(&[]).await, says, "");
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_with_by_how_much() {
    let now = chrono::Utc::now().timestamp();
    let sandbox = Sandbox::start(SandboxConfig {
        clock: Clock::Fixed(now + 3_600),
        ..SandboxConfig::default()
    });
    let checked = Checked::of(&mut with_key(&sandbox.await.unwrap().url())).await;
    fails(
        &checked,
        "s behind Tencent's",
        "set the database's clock by NTP",
    );
}

#[tokio::test]
async fn trouble_at_tencents_is_no_fault_of_the_settings() {
    let sandbox = sandbox().await;
    for (code, level) in [
        ("InvalidParameter.TaskId", "ok"),
        ("FailedOperation.QueryTaskInfoFailed", "ok"),
        ("InternalError", "warn"),
        ("RequestLimitExceeded", "warn"),
    ] {
        sandbox.clear_faults();
        let fault = Fault::new(FaultKind::IngestError(IngestCode::new(code).unwrap()));
        sandbox
            .script(fault.for_command("DescribeStreamIngest"))
            .unwrap();
        let checked = Checked::of(&mut with_key(&sandbox.url())).await;
        assert_eq!(checked.level("media"), level, "{code}: {}", checked.ended);
    }
    sandbox.clear_faults();
    sandbox
        .script(Fault::new(FaultKind::HttpStatus(502)).for_command("DescribeStreamIngest"))
        .unwrap();
    let checked = Checked::of(&mut with_key(&sandbox.url())).await;
    fails(&checked, "HTTP 502", "check ingest_host");
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_or_trusted_is_told() {
    let sandbox = sandbox().await;
    let unused = Port::new();
    let mut command = with_key(&sandbox.url());
    let checked =
        Checked::of(command.env("CALLQ_INGEST_HOST", format!("http://{}", unused.address()))).await;
    fails(
        &checked,
        "no connection to http://127.0.0.1:",
        "check ingest_host",
    );
    assert_eq!(checked.level("UserSig"), "ok", "calls are all right");
    let authority = Authority::new();
    let trusted = authority
        .certificate("127.0.0.1", 2100)
        .in_front_of(sandbox.address())
        .await;
    let strange = Certificate::self_signed("127.0.0.1")
        .in_front_of(sandbox.address())
        .await;
    let mut command = with_key(&format!("https://{trusted}"));
    command.env("SSL_CERT_FILE", authority.file.path());
    let checked = Checked::of(command.env("CALLQ_INGEST_HOST", format!("https://{trusted}"))).await;
    assert_eq!(checked.level("media"), "ok", "{}", checked.ended);
    let checked = Checked::of(command.env("CALLQ_INGEST_HOST", format!("https://{strange}"))).await;
    fails(&checked, "no authority that this machine trusts", "");
}
