//! The request line: path, method, parameters and `UserSig`.

use callq::sandbox::{Clock, SandboxApp, SandboxConfig};
use serde_json::json;

use super::{
    APP, KEY, SIGNED_AT, admin_sig, bench, bench_with, body, config, content, encode, encode_bytes,
    signed, target, target_with,
};

#[tokio::test]
async fn every_url_parameter_is_required() {
    let bench = bench().await;
    let missing = [
        ("sdkappid", 60_012),
        ("identifier", 60_025),
        ("usersig", 60_025),
        ("random", 60_025),
        ("contenttype", 60_025),
    ];
    for (name, code) in missing {
        assert_eq!(
            bench.code_at(&target_with(&[(name, None)])).await,
            code,
            "{name}"
        );
    }
    assert_eq!(bench.sandbox.ledger().stats().rang, 0);
}

#[tokio::test]
async fn a_garbled_url_parameter_is_refused_with_its_code() {
    let bench = bench().await;
    let garbled = [
        ("sdkappid", "", 60_012),
        ("sdkappid", "14000x", 60_006),
        ("sdkappid", "-1", 60_006),
        ("sdkappid", "1400000001", 70_020),
        ("identifier", "", 60_025),
        ("contenttype", "JSON", 60_025),
        ("contenttype", "xml", 60_025),
        ("random", "", 60_025),
        ("random", "-1", 60_025),
        ("random", "+1", 60_025),
        ("random", "1.0", 60_025),
        ("random", "0x10", 60_025),
        ("random", "4294967296", 60_025),
    ];
    for (name, value, code) in garbled {
        let answered = bench.code_at(&target_with(&[(name, Some(value))])).await;
        assert_eq!(answered, code, "{name}={value}");
    }
}

#[tokio::test]
async fn random_may_be_any_u32() {
    let bench = bench().await;
    for random in ["0", "4294967295"] {
        assert_eq!(
            bench
                .code_at(&target_with(&[("random", Some(random))]))
                .await,
            0,
            "{random}"
        );
    }
}

#[tokio::test]
async fn a_url_parameter_given_twice_is_refused() {
    let bench = bench().await;
    let target = format!("{}&random=8", target());
    assert_eq!(bench.code_at(&target).await, 60_025);
}

#[tokio::test]
async fn parameter_names_are_case_sensitive() {
    let bench = bench().await;
    assert_eq!(
        bench
            .code_at(&target().replace("sdkappid", "SdkAppId"))
            .await,
        60_012
    );
}

#[tokio::test]
async fn an_unknown_command_is_a_resource_error() {
    let bench = bench().await;
    for path in [
        "/",
        "/v4/call_engine_http_srv/start_call",
        "/v4/call_engine_http_srv/START_CALL_BY_ROBOT",
        "/v4/call_engine_http_srv/start_call_by_robot/",
        "/v3/call_engine_http_srv/start_call_by_robot",
    ] {
        let target = target().replace(super::PATH, path);
        assert_eq!(bench.code_at(&target).await, 60_009, "{path}");
    }
}

#[tokio::test]
async fn only_post_is_supported() {
    let bench = bench().await;
    let url = format!("{}{}", bench.sandbox.url(), target());
    for method in [reqwest::Method::GET, reqwest::Method::PUT] {
        let request = bench.http.request(method, &url).body(body().to_string());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let answer: serde_json::Value = response.json().await.unwrap();
        assert_eq!(answer["ErrorCode"], 60_002);
        assert_eq!(answer["ActionStatus"], "FAIL");
    }
}

#[tokio::test]
async fn the_administrator_alone_may_call() {
    let bench = bench().await;
    let sig = signed("jack", APP, KEY);
    let target = target_with(&[("identifier", Some("jack")), ("usersig", Some(&sig))]);
    assert_eq!(bench.code_at(&target).await, 60_010);
}

/// What a sandbox whose clock stands at `now` says to a `UserSig` of `admin`.
async fn judge(admin: &str, now: i64, user_sig: &str) -> i64 {
    let apps = vec![SandboxApp {
        admin_account: admin.to_owned(),
        ..SandboxApp::default()
    }];
    let bench = bench_with(SandboxConfig {
        apps,
        clock: Clock::Fixed(now),
        ..config()
    })
    .await;
    let changes = [("identifier", Some(admin)), ("usersig", Some(user_sig))];
    bench.code_at(&target_with(&changes)).await
}

#[tokio::test]
async fn the_published_user_sigs_are_accepted() {
    let first = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVW\
        FGQWpYJkTE1NjRDiJZm5YFFzNPXFmekgG3zKHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpD\
        nA2SMgu0nUxslWoBHdYzUg__";
    let fourth = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVW\
        FGQWpYJkTE1NjRDiJZm5YFFzNPWlxalFSaVpIFsiw72y4FZkpoOEArNCjAwMKwKyI7L1E30NU7UrDcoS\
        s6OSDLyNMgOK3EpTtbUNik0rzZLcfG2VagHdkjl6";
    let at = 1_767_225_600;
    let sig = "FiOAv4qPlFvKi6Scg/++v1AKHZfdFD4+KQwOREPWQiI=";
    let third = encode(&content("administrator", APP, 86_400, at, sig));
    assert_eq!(judge("xiaojun", SIGNED_AT, first).await, 0);
    assert_eq!(judge("administrator", SIGNED_AT, &admin_sig()).await, 0);
    assert_eq!(judge("administrator", at, &third).await, 0);
    assert_eq!(judge("xiaojun", SIGNED_AT, fourth).await, 0);
}

#[tokio::test]
async fn a_user_sig_whose_claims_were_changed_does_not_verify() {
    let sig = "yLAe+w7WUeUuqbV9h/TX78u21oTGi+i9Zp1u3PpnY60=";
    let good = content("administrator", APP, 86_400, SIGNED_AT, sig);
    let changes = [
        ("TLS.expire", json!(86_401)),
        ("TLS.time", json!(SIGNED_AT + 1)),
        ("TLS.userbuf", json!("YWJj")),
        (
            "TLS.sig",
            json!("zLAe+w7WUeUuqbV9h/TX78u21oTGi+i9Zp1u3PpnY60="),
        ),
        ("TLS.sig", json!("")),
    ];
    for (name, value) in changes {
        let mut forged = good.clone();
        forged[name] = value;
        let code = judge("administrator", SIGNED_AT, &encode(&forged)).await;
        assert_eq!(code, 70_009, "{name}");
    }
}

#[tokio::test]
async fn a_user_sig_of_another_key_does_not_verify() {
    let sig = signed("administrator", APP, "another key");
    assert_eq!(judge("administrator", SIGNED_AT, &sig).await, 70_009);
}

#[tokio::test]
async fn a_user_sig_expires_to_the_second() {
    let ends_at = SIGNED_AT + 86_400;
    assert_eq!(judge("administrator", ends_at - 1, &admin_sig()).await, 0);
    assert_eq!(judge("administrator", ends_at, &admin_sig()).await, 70_001);
}

#[tokio::test]
async fn a_user_sig_must_be_of_the_identifier_and_the_app_of_the_url() {
    let of_jack = signed("jack", APP, KEY);
    assert_eq!(judge("administrator", SIGNED_AT, &of_jack).await, 70_013);
    let of_other_app = signed("administrator", APP + 1, KEY);
    assert_eq!(
        judge("administrator", SIGNED_AT, &of_other_app).await,
        70_014
    );
}

#[tokio::test]
async fn a_garbled_user_sig_is_illegal() {
    let good = admin_sig();
    let unsubstituted = good.replace('*', "+").replace('-', "/").replace('_', "=");
    assert_ne!(unsubstituted, good);
    let mut without_time = content("administrator", APP, 86_400, SIGNED_AT, "x");
    without_time.as_object_mut().unwrap().remove("TLS.time");
    let mut other_version = content("administrator", APP, 86_400, SIGNED_AT, "x");
    other_version["TLS.ver"] = json!("1.0");
    let garbled = [
        good[..good.len() / 2].to_owned(),
        unsubstituted,
        "not a signature".to_owned(),
        "AAAA".to_owned(),
        encode_bytes(b"not JSON"),
        encode_bytes(&vec![b' '; 1024 * 1024]),
        encode(&without_time),
        encode(&other_version),
    ];
    for user_sig in garbled {
        let code = judge("administrator", SIGNED_AT, &user_sig).await;
        assert_eq!(code, 70_003, "{user_sig}");
    }
    assert_eq!(judge("administrator", SIGNED_AT, "").await, 70_002);
}
