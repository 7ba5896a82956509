//! What a client is made with, and what of the machine it does not obey.

use std::process::Command;
use std::time::Duration;

use callq::call::Class;
use callq::tencent::{ClientError, Settings, TencentClient, classify};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::peer::{NOW, OK_BODY, Peer, ask, assert_unreachable, client_of, settings};

#[test]
fn a_setting_out_of_range_is_refused_in_a_sentence() {
    let refusal = |host: &str, timeout_ms, proxy: Option<&str>| {
        let settings = Settings {
            request_timeout: Duration::from_millis(timeout_ms),
            https_proxy: proxy.map(Into::into),
            ..settings(host)
        };
        TencentClient::new(settings).unwrap_err().to_string()
    };
    assert_eq!(
        refusal("singapore", 3_000, None),
        "request_timeout_ms is 3000: must be 3500 to 60000"
    );
    assert_eq!(
        refusal("http://127.0.0.1:1", 60_001, None),
        "request_timeout_ms is 60001: must be 100 to 60000"
    );
    let said = refusal("singapore", 8_000, Some("http://me:pw@"));
    assert!(
        said.starts_with("https_proxy is not a proxy's URL") && !said.contains("pw"),
        "{said}"
    );
}

#[test]
fn debug_shows_no_secret() {
    use secrecy::ExposeSecret;
    let client = client_of("127.0.0.1:1".parse().unwrap());
    let user_sig = client.user_sigs().current(NOW);
    let shown = format!("{client:?} {:?}", settings("http://127.0.0.1:1"));
    assert!(shown.contains("administrator") && !shown.contains(user_sig.expose_secret()));
    assert!(!shown.contains("\"key\""), "{shown}");
}

/// Runs one ignored test of this binary alone, with another environment.
fn run_with_environment(test: &str, environment: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored"])
        .envs(environment.iter().copied());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
fn a_machine_without_certificates_reaches_a_sandbox_and_is_told_what_to_install() {
    run_with_environment(
        "tencent_client::settings::without_certificates",
        &[
            ("SSL_CERT_FILE", "/nonexistent"),
            ("SSL_CERT_DIR", "/nonexistent"),
        ],
    );
}

#[tokio::test]
#[ignore = "run by another test in an environment without certificates"]
async fn without_certificates() {
    let refused = TencentClient::new(settings("singapore")).unwrap_err();
    assert!(
        matches!(refused, ClientError::NoCaCertificates),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .contains("install the package ca-certificates"),
        "{refused}"
    );
    let peer = Peer::that_answers("200 OK", OK_BODY).await;
    assert_eq!(
        classify(&ask(&client_of(peer.address)).await),
        Class::Accepted
    );
}

#[test]
fn a_proxy_in_the_environment_is_not_used() {
    let nowhere = "http://127.0.0.1:1";
    run_with_environment(
        "tencent_client::settings::with_a_proxy_in_the_environment",
        &[
            ("http_proxy", nowhere),
            ("ALL_PROXY", nowhere),
            ("HTTPS_PROXY", nowhere),
        ],
    );
}

#[tokio::test]
#[ignore = "run by another test in an environment with a proxy"]
async fn with_a_proxy_in_the_environment() {
    let peer = Peer::that_answers("200 OK", OK_BODY).await;
    assert_eq!(
        classify(&ask(&client_of(peer.address)).await),
        Class::Accepted
    );
    assert!(peer.requests()[0].starts_with("POST /v4/"));
}

#[tokio::test]
async fn an_https_proxy_that_refuses_the_tunnel_proves_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let tunnel = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        let count = stream.read(&mut head).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            .await
            .unwrap();
        String::from_utf8_lossy(&head[..count]).into_owned()
    });
    let settings = Settings {
        https_proxy: Some(proxy.into()),
        ..settings("singapore")
    };
    if let Ok(client) = TencentClient::new(settings) {
        assert_unreachable(&ask(&client).await);
        let head = tunnel.await.unwrap();
        assert!(
            head.starts_with("CONNECT adminapisgp.im.qcloud.com:443 "),
            "{head}"
        );
        assert!(!head.contains("usersig"), "{head}");
    }
}
