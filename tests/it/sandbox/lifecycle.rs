//! Starting, stopping, and living beside another sandbox.

use std::io::ErrorKind;

use callq::sandbox::{Fault, FaultKind, SANDBOX_SECRET_KEY, Sandbox, SandboxApp, SandboxConfig};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{
    APP, KEY, SOON, bench, bench_with, body, config, read_answer, request, signed, target,
    target_with,
};

#[tokio::test]
async fn an_address_that_is_not_loopback_is_refused() {
    for listen in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let config = SandboxConfig {
            listen: listen.parse().unwrap(),
            ..config()
        };
        let error = Sandbox::start(config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{listen}");
        assert!(error.to_string().contains("loopback"), "{error}");
    }
}

#[tokio::test]
async fn no_app_and_an_app_given_twice_are_refused() {
    for apps in [vec![], vec![SandboxApp::default(), SandboxApp::default()]] {
        let error = Sandbox::start(SandboxConfig { apps, ..config() })
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn each_app_is_verified_with_its_own_key() {
    let other = SandboxApp {
        sdk_app_id: APP + 1,
        admin_account: "root".to_owned(),
        secret_key: "other".to_owned(),
        cam_secret_key: "other".to_owned(),
        ..SandboxApp::default()
    };
    assert!(
        !format!("{other:?}").contains("other"),
        "the key is not shown"
    );
    let apps = vec![SandboxApp::default(), other];
    let bench = bench_with(SandboxConfig { apps, ..config() }).await;
    let app = (APP + 1).to_string();
    let at = |sig: String| {
        let changes = [
            ("sdkappid", Some(&*app)),
            ("identifier", Some("root")),
            ("usersig", Some(&*sig)),
        ];
        target_with(&changes)
    };
    assert_eq!(
        bench.code_at(&at(signed("root", APP + 1, "other"))).await,
        0
    );
    assert_eq!(
        bench.code_at(&at(signed("root", APP + 1, KEY))).await,
        70_009
    );
    assert_eq!(bench.code_at(&target()).await, 0);
    let of: Vec<_> = bench
        .sandbox
        .ledger()
        .calls()
        .iter()
        .map(|call| call.sdk_app_id)
        .collect();
    assert_eq!(of, [APP + 1, APP]);
}

#[tokio::test]
async fn one_apps_throttle_is_not_the_others() {
    let other = SandboxApp {
        sdk_app_id: APP + 1,
        ..SandboxApp::default()
    };
    let apps = vec![SandboxApp::default(), other];
    let limited = SandboxConfig {
        apps,
        calls_per_second_limit: 1,
        ..config()
    };
    let bench = bench_with(limited).await;
    let app = (APP + 1).to_string();
    let sig = signed("administrator", APP + 1, SANDBOX_SECRET_KEY);
    assert_eq!(bench.code_at(&target()).await, 0);
    let of_other = target_with(&[("sdkappid", Some(&app)), ("usersig", Some(&sig))]);
    assert_eq!(bench.code_at(&of_other).await, 0);
}

#[tokio::test]
async fn two_sandboxes_share_nothing() {
    let (one, other) = (bench().await, bench().await);
    one.sandbox
        .script(Fault::new(FaultKind::ErrorCode(60_008)))
        .unwrap();
    assert_eq!(other.code(&body()).await, 0);
    assert_eq!(one.sandbox.ledger().stats().requests, 0);
    one.sandbox.reset();
    assert_eq!(other.sandbox.ledger().stats().requests, 1);
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let bench = bench().await;
    let mut socket = bench.socket().await;
    for _ in 0..3 {
        socket
            .write_all(request(&target(), &body()).as_bytes())
            .await
            .unwrap();
        assert_eq!(read_answer(&mut socket).await["ErrorCode"], 0);
    }
}

#[tokio::test]
async fn a_shutdown_frees_the_port_and_cuts_what_stalls() {
    let bench = bench().await;
    let mut idle = bench.socket().await;
    bench.sandbox.script(Fault::new(FaultKind::Stall)).unwrap();
    let mut stalled = bench.socket().await;
    stalled
        .write_all(request(&target(), &body()).as_bytes())
        .await
        .unwrap();
    bench
        .sandbox
        .wait_for(SOON, |ledger| ledger.stats().requests == 1)
        .await
        .unwrap();
    let address = bench.sandbox.address();
    tokio::time::timeout(SOON, bench.sandbox.shutdown())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(super::exchange(&mut stalled, "").await, b"");
    assert_eq!(super::exchange(&mut idle, "").await, b"");
    let error = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn an_unknown_page_under_sandbox_is_not_found() {
    let bench = bench().await;
    for path in [
        "/sandbox",
        "/sandbox/",
        "/sandbox/nothing",
        "/sandbox/requests/1",
    ] {
        let response = bench
            .http
            .get(format!("{}{path}", bench.sandbox.url()))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 404, "{path}");
        let answer: Value = response.json().await.unwrap();
        assert!(answer["error"].is_string());
    }
    assert_eq!(bench.sandbox.ledger().stats().requests, 0);
}
