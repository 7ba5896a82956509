//! The lines of one app, each against real servers: names, ports, certificates, credentials.

use callq::sandbox::{
    Fault, FaultKind, SANDBOX_ADMIN_ACCOUNT, SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY, Sandbox,
    SandboxConfig,
};
use callq::tencent::generate_user_sig;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::super::sql;
use super::{Checked, check};
use crate::support::Database;
use crate::support::port::Port;
use crate::support::tls::{Authority, Certificate};

/// The last line of an app.
const LAST: &str = "UserSig";

async fn sandbox() -> Sandbox {
    Sandbox::start(SandboxConfig::default()).await.unwrap()
}

/// The check of an app alone; what its database's lines say does not matter here.
fn of_app(host: &str) -> Command {
    check("postgres:///callq?host=/nonexistent&user=me", host)
}

/// Fails unless nothing rang.
#[track_caller]
fn nobody_was_called(sandbox: &Sandbox) {
    assert_eq!(sandbox.ledger().stats().requests, 0);
}

#[tokio::test]
async fn an_app_in_order_has_nothing_that_fails_and_rings_nobody() {
    let (sandbox, database) = (sandbox().await, Database::new().await);
    let checked = Checked::of(&mut check(database.url(), &sandbox.url())).await;
    for name in [
        "kind",
        "host name",
        "TCP",
        "TLS",
        "HTTP",
        "UserSig life",
        LAST,
    ] {
        assert_eq!(checked.level(name), "ok", "{name}: {}", checked.ended);
        assert_eq!(checked.line(name)["app"], "default");
    }
    assert_eq!(checked.ended.code(), 0);
    nobody_was_called(&sandbox);
    assert!(!checked.ended.text().contains(SANDBOX_SECRET_KEY));
}

#[tokio::test]
async fn an_app_of_the_other_kind_is_told_before_anything_is_sent() {
    let (sandbox, database) = (sandbox().await, Database::new().await);
    sql(
        &database,
        "INSERT INTO callq.apps (app, kind) VALUES ('default', 'live')",
    )
    .await;
    let checked = Checked::of(&mut check(database.url(), &sandbox.url())).await;
    checked.fails("kind", "the configured host is sandbox", LAST, 2);
    assert_eq!(sandbox.ledger().stats().queries, 0);
}

#[tokio::test]
async fn a_host_that_does_not_resolve_and_a_closed_port_are_told_apart() {
    let checked = Checked::of(&mut of_app("https://no-such-host.invalid")).await;
    checked.fails("host name", "no-such-host.invalid", LAST, 1);
    let port = Port::new();
    let checked = Checked::of(&mut of_app(&format!("http://{}", port.address()))).await;
    checked.fails("TCP", "is closed", LAST, 1);
}

/// The check of an app behind this certificate, on a machine that trusts this authority.
async fn behind(sandbox: &Sandbox, certificate: Certificate, trusted: &Authority) -> Checked {
    let address = certificate.in_front_of(sandbox.address()).await;
    let mut command = of_app(&format!("https://{address}"));
    Checked::of(command.env("SSL_CERT_FILE", trusted.file.path())).await
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_apart() {
    let sandbox = sandbox().await;
    let authority = Authority::new();
    let good = behind(
        &sandbox,
        authority.certificate("127.0.0.1", 2100),
        &authority,
    )
    .await;
    assert_eq!(
        (good.level("TLS"), good.level(LAST)),
        ("ok", "ok"),
        "{}",
        good.ended
    );
    for (certificate, words) in [
        (Certificate::self_signed("127.0.0.1"), "self-signed"),
        (Certificate::own_authority("127.0.0.1"), "self-signed"),
        (
            Authority::new().certificate("127.0.0.1", 2100),
            "self-signed, or a proxy's",
        ),
        (
            authority.certificate("elsewhere.example", 2100),
            "for another name",
        ),
        (authority.certificate("127.0.0.1", 2020), "has expired"),
    ] {
        behind(&sandbox, certificate, &authority)
            .await
            .fails("TLS", words, LAST, 2);
    }
    nobody_was_called(&sandbox);
}

#[tokio::test]
async fn a_port_without_tls_is_told() {
    let (sandbox, authority) = (sandbox().await, Authority::new());
    let mut command = of_app(&format!("https://{}", sandbox.address()));
    let checked = Checked::of(command.env("SSL_CERT_FILE", authority.file.path())).await;
    checked.fails("TLS", "handshake failed", LAST, 2);
}

#[tokio::test]
async fn a_server_that_is_not_tencents_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _read = stream.read(&mut request).await.unwrap();
            let page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(page).await.unwrap();
        }
    });
    Checked::of(&mut of_app(&host))
        .await
        .fails("HTTP", "HTTP 404", LAST, 2);
    let sandbox = sandbox().await;
    sandbox
        .script(Fault::new(FaultKind::HttpStatus(502)))
        .unwrap();
    let checked = Checked::of(&mut of_app(&sandbox.url())).await;
    checked.fails("HTTP", "HTTP 502", LAST, 1);
}

#[tokio::test]
async fn credentials_and_settings_that_tencent_refuses_are_told_apart() {
    let sandbox = sandbox().await;
    let with =
        async |name: &str, value: &str| Checked::of(of_app(&sandbox.url()).env(name, value)).await;
    let key = with("CALLQ_SECRET_KEY", "another secret").await;
    key.fails(LAST, "70009", LAST, 2);
    assert!(!key.ended.text().contains("another secret"));
    with("CALLQ_SDK_APP_ID", "1400000001").await.fails(
        LAST,
        "no such SDKAppID at this site",
        LAST,
        2,
    );
    with("CALLQ_ADMIN_ACCOUNT", "jack")
        .await
        .fails(LAST, "not an administrator", LAST, 2);
    for (code, words, exit) in [
        (60_026, "not that of the SDKAppID's site", 2),
        (60_020, "no package", 2),
        (70_001, "expired", 2),
        (70_050, "failed too often", 1),
    ] {
        sandbox.clear_faults();
        sandbox
            .script(Fault::new(FaultKind::ErrorCode(code)))
            .unwrap();
        with("NO_COLOR", "1").await.fails(LAST, words, LAST, exit);
    }
    nobody_was_called(&sandbox);
}

/// A fixed `UserSig` that was signed a while ago for two days.
fn signed_before(days: i64) -> String {
    let app = u32::try_from(SANDBOX_SDK_APP_ID).unwrap();
    let at = chrono::Utc::now().timestamp() - days * 86_400;
    let user_sig = generate_user_sig(
        &SANDBOX_SECRET_KEY.into(),
        app,
        SANDBOX_ADMIN_ACCOUNT,
        at,
        172_800,
        None,
    );
    user_sig.expose_secret().to_owned()
}

#[tokio::test]
async fn a_fixed_user_sig_is_warned_of_before_it_expires_and_fails_after() {
    let sandbox = sandbox().await;
    let with = async |user_sig: &str| {
        let mut command = of_app(&sandbox.url());
        let command = command
            .env_remove("CALLQ_SECRET_KEY")
            .env("CALLQ_USER_SIG", user_sig);
        Checked::of(command).await
    };
    let expired = signed_before(12);
    let checked = with(&expired).await;
    checked.fails("UserSig life", "expired 10 days ago", LAST, 2);
    assert!(!checked.ended.text().contains(&expired));
    with(&signed_before(2))
        .await
        .fails("UserSig life", "expired less than a day ago", LAST, 2);
    let checked = with(&signed_before(0)).await;
    assert_eq!(
        (checked.level("UserSig life"), checked.level(LAST)),
        ("warn", "ok"),
        "{}",
        checked.ended
    );
}
