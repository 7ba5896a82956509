//! The client against servers that keep to HTTP, and against servers that do not.

mod after_the_reply;
mod misbehaving;
pub(crate) mod peer;
mod questions;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use callq::call::{Answer, Class};
use callq::tencent::wire::StartCallBody;
use callq::tencent::{ClientError, Settings, SignedContent, TencentClient, classify};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use self::peer::*;
use crate::support::port::Port;

#[tokio::test]
async fn the_request_is_a_post_with_all_five_parameters_and_the_documented_body() {
    let peer = Peer::that_answers("200 OK", OK_BODY).await;
    ask(&client_of(peer.address)).await;
    let requests = peer.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    let target = head.lines().next().unwrap().split(' ').collect::<Vec<_>>();
    assert_eq!((target[0], target[2]), ("POST", "HTTP/1.1"));
    let (path, query) = target[1].split_once('?').unwrap();
    assert_eq!(path, "/v4/call_engine_http_srv/start_call_by_robot");
    let pairs: Vec<_> = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .collect();
    let names: Vec<_> = pairs.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["sdkappid", "identifier", "usersig", "random", "contenttype"]
    );
    let values: Vec<_> = pairs.iter().map(|(_, value)| *value).collect();
    assert_eq!((values[0], values[1]), ("1400000000", "administrator"));
    assert_eq!((values[3], values[4]), ("4294967295", "json"));
    let content = SignedContent::decode(values[2]).unwrap();
    assert!(content.is_signed_by(&"key".into()) && content.signed_at_unix == NOW);
    assert_eq!(header(head, "content-type"), Some("application/json"));
    assert_eq!(
        header(head, "user-agent"),
        Some(concat!("callq/", env!("CARGO_PKG_VERSION")))
    );
    let sent: StartCallBody = serde_json::from_str(body).unwrap();
    assert_eq!(sent, StartCallBody::from(&call()));
}

#[tokio::test]
async fn a_good_reply_is_accepted_and_carries_everything() {
    let peer = Peer::that_answers("200 OK", OK_BODY).await;
    let answer = ask(&client_of(peer.address)).await;
    assert_eq!(classify(&answer), Class::Accepted);
    let Answer::Reply(reply) = answer else {
        panic!("no reply: {answer:?}")
    };
    assert_eq!(
        (reply.http_status, reply.call_id.as_deref()),
        (200, Some("c-1"))
    );
    assert_eq!(reply.request_id.as_deref(), Some("r-1"));
    assert_eq!(reply.callees[0].result_code, Some(0));
}

#[tokio::test]
async fn an_error_code_of_string_0_is_accepted() {
    let body = r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":"0"}"#;
    let peer = Peer::that_answers("200 OK", body).await;
    let answer = ask(&client_of(peer.address)).await;
    assert_eq!(classify(&answer), Class::Accepted);
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let peer = Peer::that_answers("200 OK", OK_BODY).await;
    let client = client_of(peer.address);
    for _ in 0..5 {
        assert_eq!(classify(&ask(&client).await), Class::Accepted);
    }
    assert_eq!((peer.requests().len(), peer.connections()), (5, 1));
}

#[tokio::test]
async fn a_closed_port_proves_that_nothing_was_sent() {
    let port = Port::new();
    assert_unreachable(&ask(&client_of(port.address())).await);
}

#[tokio::test]
async fn a_name_that_is_not_resolved_proves_that_nothing_was_sent() {
    if let Ok(client) = TencentClient::new(settings("https://no-such-host.invalid")) {
        assert_unreachable(&ask(&client).await);
    }
}

#[tokio::test]
async fn a_failed_tls_handshake_proves_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        }
    });
    match TencentClient::new(settings(&format!("https://{address}"))) {
        Ok(client) => assert_unreachable(&ask(&client).await),
        // A machine without certificates has no https at all; another test looks at that.
        Err(error) => assert!(matches!(error, ClientError::NoCaCertificates), "{error}"),
    }
}

#[tokio::test]
async fn a_stalled_tls_handshake_ends_by_the_connect_timeout_and_proves_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let held = tokio::spawn(async move { listener.accept().await.unwrap() });
    if let Ok(client) = TencentClient::new(settings(&format!("https://{address}"))) {
        assert_unreachable(&ask(&client).await);
        drop(held.await.unwrap());
    }
}

#[tokio::test]
async fn a_connection_closed_before_the_reply_is_in_doubt() {
    for then in [Then::WriteAndClose(Vec::new()), Then::Reset] {
        let peer = Peer::that(then).await;
        assert_unknown(
            &ask(&client_of(peer.address)).await,
            None,
            "error sending request",
        );
        assert_eq!(peer.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_kept_connection_that_closes_after_the_second_request_is_in_doubt_and_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream
            .write_all(&response("200 OK", OK_BODY))
            .await
            .unwrap();
        read_request(&mut stream).await.unwrap();
        drop(stream);
        listener
    });
    let client = client_of(address);
    assert_eq!(classify(&ask(&client).await), Class::Accepted);
    assert_unknown(&ask(&client).await, None, "error sending request");
    let std_listener = served.await.unwrap().into_std().unwrap();
    let again = std_listener.accept();
    assert!(
        again.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock),
        "it was sent again"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let elsewhere = Peer::that_answers("200 OK", OK_BODY).await;
        let moved = format!(
            "HTTP/1.1 {status}\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
            elsewhere.address
        );
        let peer = Peer::that(Then::Write(moved.into_bytes())).await;
        let answer = ask(&client_of(peer.address)).await;
        assert_unknown(&answer, status[..3].parse().ok(), "no reply of Tencent's");
        assert_eq!(
            (peer.requests().len(), elsewhere.connections()),
            (1, 0),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_retry_after_is_not_obeyed() {
    let busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n".to_vec();
    let peer = Peer::that(Then::Write(busy)).await;
    let answer = ask(&client_of(peer.address)).await;
    assert_unknown(&answer, Some(503), "HTTP 503 with 0 bytes");
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test]
async fn an_envelope_decides_whatever_the_http_status() {
    for status in ["307 Temporary", "404 Not Found", "502 Bad Gateway"] {
        let body = r#"{"ActionStatus":"FAIL","ErrorInfo":"slow down","ErrorCode":60007}"#;
        let peer = Peer::that_answers(status, body).await;
        let answer = ask(&client_of(peer.address)).await;
        assert_eq!(classify(&answer), Class::Throttled, "{answer:?}");
        let Answer::Reply(reply) = answer else {
            panic!("no reply: {answer:?}")
        };
        assert_eq!(Some(reply.http_status), status[..3].parse().ok());
    }
}

#[tokio::test]
async fn a_body_that_is_no_envelope_is_in_doubt() {
    for body in [
        "",
        "<html>",
        "{\"ErrorCode\":0",
        "[]",
        "{\"ActionStatus\":\"OK\"}",
        "\u{0}",
    ] {
        let peer = Peer::that_answers("200 OK", body).await;
        let answer = ask(&client_of(peer.address)).await;
        assert_unknown(&answer, Some(200), "that are no reply of Tencent's");
    }
}

#[tokio::test]
async fn what_is_not_http_is_in_doubt() {
    for bytes in [
        "SSH-2.0-x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "\0\u{1}\u{2}\r\n",
    ] {
        let peer = Peer::that(Then::WriteAndClose(bytes.into())).await;
        assert_unknown(
            &ask(&client_of(peer.address)).await,
            None,
            "error sending request",
        );
    }
}

#[tokio::test]
async fn a_truncated_body_is_in_doubt() {
    let mut cut = response("200 OK", OK_BODY);
    cut.truncate(cut.len() - 1);
    let peer = Peer::that(Then::WriteAndClose(cut)).await;
    assert_unknown(
        &ask(&client_of(peer.address)).await,
        Some(200),
        "its body was lost",
    );
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_in_doubt_and_not_read_to_its_end() {
    let two_mib = response("200 OK", &" ".repeat(2 * 1024 * 1024));
    for then in [Then::WriteAndClose(two_mib), Then::Flood] {
        let peer = Peer::that(then).await;
        assert_unknown(
            &ask(&client_of(peer.address)).await,
            Some(200),
            "more than 1048576 bytes",
        );
    }
}

#[tokio::test]
async fn a_reply_that_is_late_is_in_doubt() {
    let late = |then| async {
        let peer = Peer::that(then).await;
        let host = format!("http://{}", peer.address);
        let request_timeout = Duration::from_secs(2);
        let client = TencentClient::new(Settings {
            request_timeout,
            ..settings(&host)
        })
        .unwrap();
        (ask(&client).await, peer.requests().len())
    };
    let (answer, requests) = late(Then::Stall).await;
    assert_unknown(&answer, None, "timed out");
    assert_eq!(requests, 1);
    let half = response("200 OK", OK_BODY)[..60].to_vec();
    let (answer, requests) = late(Then::Write(half)).await;
    assert_unknown(&answer, Some(200), "timed out");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_reply_that_repeats_the_url_does_not_show_the_user_sig() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await.unwrap();
        let user_sig = request
            .split("usersig=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap();
        let body = json!({"ErrorCode": 60002, "ErrorInfo": format!("bad sig {user_sig}!"),
            "Response": {"CallResult": [user_sig]}});
        stream
            .write_all(&response("200 OK", &body.to_string()))
            .await
            .unwrap();
    });
    let Answer::Reply(reply) = ask(&client).await else {
        panic!("no reply")
    };
    assert_eq!(reply.error_info, "bad sig [UserSig]!");
}

#[tokio::test]
async fn an_invalidated_user_sig_is_replaced_on_the_next_request() {
    let peer = Peer::that_answers("200 OK", OK_BODY).await;
    let client = client_of(peer.address);
    for signed_at_unix in [NOW, NOW + 1] {
        client.start_call_by_robot(&call(), 1, signed_at_unix).await;
        client.user_sigs().invalidate();
    }
    let signed_at = |request: &String| {
        let user_sig = request
            .split("usersig=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap();
        SignedContent::decode(user_sig).unwrap().signed_at_unix
    };
    let times: Vec<_> = peer.requests().iter().map(signed_at).collect();
    assert_eq!(times, [NOW, NOW + 1]);
}

#[tokio::test]
async fn calls_that_are_sent_together_are_each_sent_once() {
    let peer = Peer::that_answers("200 OK", OK_BODY).await;
    // On a slow machine the last waits for all others.
    let request_timeout = Duration::from_mins(1);
    let host = format!("http://{}", peer.address);
    let client = TencentClient::new(Settings {
        request_timeout,
        ..settings(&host)
    });
    let client = Arc::new(client.unwrap());
    let tasks: Vec<_> = (0..200_u32)
        .map(|random| {
            let client = client.clone();
            tokio::spawn(async move { client.start_call_by_robot(&call(), random, NOW).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(classify(&task.await.unwrap()), Class::Accepted);
    }
    let mut randoms: Vec<u32> = peer
        .requests()
        .iter()
        .map(|r| {
            r.split("random=")
                .nth(1)
                .unwrap()
                .split('&')
                .next()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    randoms.sort_unstable();
    assert_eq!(randoms, (0..200).collect::<Vec<_>>());
}

#[test]
fn the_body_is_never_empty() {
    let body = serde_json::to_value(StartCallBody::from(&call())).unwrap();
    assert!(matches!(body, Value::Object(object) if !object.is_empty()));
}
