//! A server that answers as it is told, and requests to it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callq::call::{Answer, Class, StartCall, StartCallFields};
use callq::tencent::{Credential, Host, Settings, TencentClient, UserSigs, classify};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) const NOW: i64 = 1_700_000_000;
pub(super) const OK_BODY: &str = r#"{
    "ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"RequestId":"r-1",
    "Response":{"CallId":"c-1","CallResult":[{"Callee_Account":"jack","ResultCode":0}]}}"#;

/// What a [`Peer`] does once it has read a whole request.
#[derive(Clone)]
pub(crate) enum Then {
    /// Writes this and reads the next request from the same connection.
    Write(Vec<u8>),
    /// Writes this and closes.
    WriteAndClose(Vec<u8>),
    /// Says nothing until the client has gone.
    Stall,
    /// Closes with a reset.
    Reset,
    /// Writes a head, then chunks without end.
    Flood,
}

/// A server on this machine that keeps what it was sent.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    pub(super) connections: Arc<AtomicUsize>,
}

impl Peer {
    pub(crate) async fn that(then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (peer.requests.clone(), peer.connections.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(converse(stream, then.clone(), requests.clone()));
            }
        });
        peer
    }

    pub(crate) async fn that_answers(status: &str, body: &str) -> Self {
        Self::that(Then::Write(response(status, body))).await
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub(super) async fn converse(mut stream: TcpStream, then: Then, requests: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut stream).await {
        requests.lock().unwrap().push(request);
        match &then {
            Then::Write(bytes) => stream.write_all(bytes).await.unwrap(),
            Then::WriteAndClose(bytes) => return stream.write_all(bytes).await.unwrap(),
            Then::Stall => {
                let mut byte = [0];
                let _ = stream.read(&mut byte).await;
                return;
            }
            Then::Reset => return stream.set_zero_linger().unwrap(),
            Then::Flood => {
                let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                stream.write_all(head).await.unwrap();
                let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
                while stream.write_all(chunk.as_bytes()).await.is_ok() {}
                return;
            }
        }
    }
}

/// One request with its body, or `None` once the client has closed.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => request.extend_from_slice(&bytes[..count]),
        }
        let text = String::from_utf8(request.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length")
                .unwrap()
                .parse::<usize>()
                .unwrap();
            if body.len() >= length {
                return Some(text);
            }
        }
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

pub(crate) fn response(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

pub(super) fn user_sigs() -> UserSigs {
    UserSigs::new(
        1_400_000_000,
        "administrator",
        Credential::SecretKey("key".into()),
    )
    .unwrap()
}

pub(super) fn settings(host: &str) -> Settings {
    Settings {
        host: Host::new(host).unwrap(),
        user_sigs: user_sigs(),
        request_timeout: Duration::from_secs(5),
        https_proxy: None,
    }
}

pub(super) fn client_of(address: SocketAddr) -> TencentClient {
    TencentClient::new(settings(&format!("http://{address}"))).unwrap()
}

pub(super) fn call() -> StartCall {
    StartCall::new(StartCallFields {
        robot_account: "reminder-bot",
        callees: &["jack".to_owned()],
        media_type: "Audio",
        room_id: "callq_1_1",
        room_id_type: 2,
        ring_timeout_ms: 45_000,
        user_data: Some("Grüße"),
        offline_push: Some(json!({"Title": "Reminder"})),
    })
    .unwrap()
}

/// Sends one call; the answer, after a check that its words hold neither signature nor URL.
pub(super) async fn ask(client: &TencentClient) -> Answer {
    use secrecy::ExposeSecret;
    let answer = client
        .start_call_by_robot(&call(), 4_294_967_295, NOW)
        .await;
    let user_sig = client.user_sigs().current(NOW);
    let said = format!("{answer:?}");
    assert!(!said.contains(user_sig.expose_secret()), "{said}");
    assert!(
        !said.contains("usersig=") && !said.contains("start_call_by_robot"),
        "{said}"
    );
    answer
}

#[track_caller]
pub(super) fn assert_unknown(answer: &Answer, status: Option<u16>, words: &str) {
    match answer {
        Answer::Unknown {
            detail,
            http_status,
        } => {
            assert_eq!(*http_status, status, "{detail}");
            assert!(detail.contains(words), "{detail}");
        }
        other => panic!("not unknown: {other:?}"),
    }
    assert_eq!(classify(answer), Class::InDoubt);
}

#[track_caller]
pub(super) fn assert_unreachable(answer: &Answer) {
    assert!(
        matches!(
            answer,
            Answer::NotSent {
                unreachable: true,
                ..
            }
        ),
        "{answer:?}"
    );
    assert_eq!(classify(answer), Class::Safe);
}
