//! What goes over the wire, and servers that are not Tencent's.

use callq::call::Class;
use callq::tencent::{BODY_BYTES_MAX, IngestClient, Stopped, TaskStatus};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{APP, NOW, ROBOT, URL, settings, start, text_room, user_sigs};
use crate::tencent_client::peer::{Peer, Then, header};

fn client_of(peer: &Peer) -> IngestClient {
    IngestClient::new(settings(&format!("http://{}", peer.address))).unwrap()
}

#[tokio::test]
async fn a_request_has_the_headers_and_the_body_of_the_pages() {
    let peer = Peer::that_answers("200 OK", r#"{"Response":{"TaskId":"t","RequestId":"r"}}"#).await;
    let client = client_of(&peer);
    assert_eq!(start(&client, &text_room("callq_1_1")).await.unwrap(), "t");
    client.stop("t", NOW).await.unwrap();
    client.describe("t", NOW).await.unwrap();
    let requests = peer.requests();
    let bodies: Vec<Value> = requests
        .iter()
        .zip(["StartStreamIngest", "StopStreamIngest", "DescribeStreamIngest"])
        .map(|(request, action)| {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
            let host = peer.address.to_string();
            for (name, value) in [
                ("host", host.as_str()),
                ("content-type", "application/json; charset=utf-8"),
                ("x-tc-action", action),
                ("x-tc-version", "2019-07-22"),
                ("x-tc-timestamp", "1700000000"),
                ("x-tc-region", "ap-singapore"),
            ] {
                assert_eq!(header(head, name), Some(value), "{name}");
                let lines = head.lines().filter(|line| line.to_lowercase().starts_with(&format!("{name}:")));
                assert_eq!(lines.count(), 1, "{head}");
            }
            let signed = "TC3-HMAC-SHA256 Credential=AKIDsandbox/2023-11-14/trtc/tc3_request, SignedHeaders=content-type;host;x-tc-action, Signature=";
            assert!(header(head, "authorization").unwrap().starts_with(signed), "{head}");
            serde_json::from_str(body).unwrap()
        })
        .collect();
    assert_eq!(bodies[1], json!({"SdkAppId": APP, "TaskId": "t"}));
    assert_eq!(bodies[2], bodies[1]);
    let keys: Vec<&String> = bodies[0].as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 6, "{keys:?}");
    let expected = json!(["callq_1_1", 0, ROBOT, URL]);
    let sent = ["RoomId", "RoomIdType", "UserId", "StreamUrl"].map(|key| bodies[0][key].clone());
    assert_eq!(Value::from(sent.to_vec()), expected);
}

#[tokio::test]
async fn a_server_that_repeats_the_request_has_no_secret_quoted() {
    let user_sig = user_sigs().of_account(ROBOT, NOW).unwrap();
    let echo = format!(
        "refused: {{\"UserSig\":\"{}\",\"StreamUrl\":\"{URL}\"}}",
        user_sig.expose_secret()
    );
    let body = json!({"Response": {"Error": {"Code": "InvalidParameter", "Message": echo}, "RequestId": "r"}}).to_string();
    let peer = Peer::that_answers("200 OK", &body).await;
    // The check for secrets is that of `start`; other words stay.
    let error = start(&client_of(&peer), &text_room("r")).await.unwrap_err();
    assert!(
        error.message.contains("refused") && error.message.contains("[private]"),
        "{error}"
    );
    assert_eq!(
        (error.class, error.request_id.as_deref()),
        (Class::Cannot, Some("r"))
    );
}

#[tokio::test]
async fn a_start_without_a_task_id_is_in_doubt_and_says_so() {
    let peer = Peer::that_answers("200 OK", r#"{"Response":{"RequestId":"r"}}"#).await;
    let error = start(&client_of(&peer), &text_room("r")).await.unwrap_err();
    assert_eq!(
        (error.class, error.request_id.as_deref()),
        (Class::InDoubt, Some("r"))
    );
    assert!(error.to_string().contains("without a TaskId"), "{error}");
}

#[tokio::test]
async fn what_tencent_may_say_otherwise_is_read() {
    for (body, status) in [
        (
            r#"{"Response":{"Status":"InProgress","New":{"a":1}},"More":1}"#,
            TaskStatus::InProgress,
        ),
        (
            r#"{"Response":{"Status":"Paused"}}"#,
            TaskStatus::Other("Paused".to_owned()),
        ),
        (
            r#"{"Response":{"Error":null,"Status":"NotExist"}}"#,
            TaskStatus::NotExist,
        ),
    ] {
        let peer = Peer::that_answers("200 OK", body).await;
        assert_eq!(
            client_of(&peer).describe("t", NOW).await,
            Ok(status),
            "{body}"
        );
    }
    let new =
        r#"{"Response":{"Error":{"Code":"FailedOperation.Later","Message":"new"},"RequestId":7}}"#;
    let peer = Peer::that_answers("200 OK", new).await;
    let error = start(&client_of(&peer), &text_room("r")).await.unwrap_err();
    assert_eq!(
        (error.class, error.request_id.as_deref()),
        (Class::InDoubt, Some("7"))
    );
    assert!(
        error.to_string().contains("a code that no page lists"),
        "{error}"
    );
    // A well-formed answer decides, whatever the HTTP status.
    let gone = r#"{"Response":{"Error":{"Code":"FailedOperation.TaskFinished","Message":""}}}"#;
    let peer = Peer::that_answers("500 Internal Server Error", gone).await;
    assert_eq!(client_of(&peer).stop("t", NOW).await, Ok(Stopped::Already));
}

#[tokio::test]
async fn a_server_that_resets_or_floods_leaves_a_start_in_doubt() {
    for (then, words) in [
        (Then::Reset, String::new()),
        (Then::Flood, format!("more than {BODY_BYTES_MAX} bytes")),
        (
            Then::WriteAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"Resp".to_vec()),
            "its body was lost".to_owned(),
        ),
        (
            Then::WriteAndClose(b"nonsense\r\n\r\n".to_vec()),
            String::new(),
        ),
    ] {
        let peer = Peer::that(then).await;
        let error = start(&client_of(&peer), &text_room("r")).await.unwrap_err();
        assert_eq!(
            (error.class, error.code.as_deref(), error.is_unreachable),
            (Class::InDoubt, None, false),
            "{error}"
        );
        assert!(error.to_string().contains(&words), "{error}");
        assert_eq!(peer.requests().len(), 1, "at most one request");
    }
}
