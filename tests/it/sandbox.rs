//! The sandbox over real HTTP: a client that knows Tencent's pages and nothing of the sandbox.

mod body;
mod callbacks;
mod callees;
mod faults;
mod ledger;
mod lifecycle;
mod lives;
mod queries;
mod records;
mod script;
mod throttle;
mod url;

use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use callq::sandbox::{Clock, Sandbox, SandboxConfig};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The published key, `SDKAppID` and time of the reference's vectors.
const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const APP: u64 = 1_400_000_000;
const SIGNED_AT: i64 = 1_700_000_000;
const PATH: &str = "/v4/call_engine_http_srv/start_call_by_robot";
const GET_CALL_INFO: &str = "/v4/call_engine_http_srv/get_call_info";
/// Longer than any of these tests takes: what is waited for comes, or the test fails.
const SOON: Duration = Duration::from_secs(20);

static RANDOM: AtomicU32 = AtomicU32::new(1);

/// A sandbox and a client.
struct Bench {
    sandbox: Sandbox,
    http: Client,
}

fn config() -> SandboxConfig {
    SandboxConfig {
        clock: Clock::Fixed(SIGNED_AT + 100),
        calls_per_second_limit: 0,
        ..SandboxConfig::default()
    }
}

async fn bench() -> Bench {
    bench_with(config()).await
}

async fn bench_with(config: SandboxConfig) -> Bench {
    Bench {
        sandbox: Sandbox::start(config).await.unwrap(),
        http: client(),
    }
}

fn client() -> Client {
    // Only the first one in the process is installed; the others are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .unwrap()
}

/// The walkthrough's sample, as valid JSON.
fn body() -> Value {
    json!({
        "Robot_Account": "robot",
        "CalleeList_Account": ["jack"],
        "Timeout": 300_000,
        "UserData": "userdata-12345687",
        "CallInfo": { "MediaType": "Video", "RoomId": "roomid-test", "RoomIdType": 2 },
        "OfflinePushInfo": {
            "PushFlag": 0,
            "Title": "This is the push title",
            "Desc": "This is offline push content",
            "Ext": "{\"entity\":{\"key1\":\"value1\",\"key2\":\"value2\"}}"
        }
    })
}

fn body_for(callee: &str) -> Value {
    let mut body = body();
    body["CalleeList_Account"] = json!([callee]);
    body
}

fn body_in(room: &str) -> Value {
    let mut body = body();
    body["CallInfo"]["RoomId"] = json!(room);
    body
}

/// Compresses and encodes the JSON of a `UserSig`.
fn encode(content: &Value) -> String {
    encode_bytes(content.to_string().as_bytes())
}

fn encode_bytes(bytes: &[u8]) -> String {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(bytes).unwrap();
    let base64 = STANDARD.encode(zlib.finish().unwrap());
    base64.replace('+', "*").replace('/', "-").replace('=', "_")
}

fn content(identifier: &str, app: u64, expire: u32, time: i64, sig: &str) -> Value {
    json!({
        "TLS.ver": "2.0", "TLS.identifier": identifier, "TLS.sdkappid": app,
        "TLS.expire": expire, "TLS.time": time, "TLS.sig": sig
    })
}

/// Signs as page 34385 says.
fn signed(identifier: &str, app: u64, key: &str) -> String {
    let text = format!(
        "TLS.identifier:{identifier}\nTLS.sdkappid:{app}\nTLS.time:{SIGNED_AT}\nTLS.expire:86400\n"
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let sig = STANDARD.encode(mac.finalize().into_bytes());
    encode(&content(identifier, app, 86_400, SIGNED_AT, &sig))
}

/// Vector 2 of the reference: the administrator, one day.
fn admin_sig() -> String {
    let sig = "yLAe+w7WUeUuqbV9h/TX78u21oTGi+i9Zp1u3PpnY60=";
    encode(&content("administrator", APP, 86_400, SIGNED_AT, sig))
}

/// Path and query of a request that is right in every part.
fn target() -> String {
    let random = RANDOM.fetch_add(1, Ordering::Relaxed);
    target_with(&[("random", Some(&random.to_string()))])
}

/// The same with parameters replaced, or left out for `None`.
fn target_with(changes: &[(&str, Option<&str>)]) -> String {
    let app = APP.to_string();
    let sig = admin_sig();
    let usual = [
        ("sdkappid", &*app),
        ("identifier", "administrator"),
        ("usersig", &*sig),
        ("random", "7"),
        ("contenttype", "json"),
    ];
    let mut query = ::url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in usual {
        let change = changes.iter().find(|(changed, _)| *changed == name);
        if let Some(value) = change.map_or(Some(value), |(_, value)| *value) {
            query.append_pair(name, value);
        }
    }
    format!("{PATH}?{}", query.finish())
}

/// A whole HTTP request, to be written to a socket.
fn request(target: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: sandbox\r\nContent-Length: {length}\r\n\r\n{body}")
}

impl Bench {
    /// Sends any body to any target; the API always says 200.
    async fn send(&self, target: &str, body: impl Into<reqwest::Body>) -> Value {
        let response = self.post(target, body).await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    async fn post(
        &self,
        target: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<Response> {
        self.http
            .post(format!("{}{target}", self.sandbox.url()))
            .body(body)
            .send()
            .await
    }

    /// Places a call with a good URL.
    async fn call(&self, body: &Value) -> Value {
        self.send(&target(), body.to_string()).await
    }

    /// The same where something else than an envelope is expected.
    async fn try_call(&self, body: &Value) -> reqwest::Result<Response> {
        self.post(&target(), body.to_string()).await
    }

    /// Places a call and looks at the code alone.
    async fn code(&self, body: &Value) -> i64 {
        self.call(body).await["ErrorCode"].as_i64().unwrap()
    }

    /// Sends a good body to a target and looks at the code alone.
    async fn code_at(&self, target: &str) -> i64 {
        self.send(target, body().to_string()).await["ErrorCode"]
            .as_i64()
            .unwrap()
    }

    /// Asks with a good URL for something that rings nobody.
    async fn ask(&self, path: &str, body: &Value) -> Value {
        self.send(&target().replace(PATH, path), body.to_string())
            .await
    }

    async fn call_info(&self, call_id: &str) -> Value {
        self.ask(GET_CALL_INFO, &json!({ "CallId": call_id })).await
    }

    /// Places a call to these callees; its `CallId`.
    async fn started(&self, callees: &[&str]) -> String {
        let mut body = body();
        body["CalleeList_Account"] = json!(callees);
        let answer = self.call(&body).await;
        let call_id = answer["Response"]["CallId"].as_str();
        call_id.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Moves the sandbox's time forward.
    fn pass(&self, seconds: u64) {
        self.sandbox.advance(Duration::from_secs(seconds));
    }

    /// Reads a page of the control endpoint.
    async fn page(&self, path: &str) -> Value {
        let url = format!("{}/sandbox/{path}", self.sandbox.url());
        let response = self.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// Deletes at the control endpoint and returns the status.
    async fn delete(&self, path: &str) -> u16 {
        let url = format!("{}/sandbox/{path}", self.sandbox.url());
        self.http
            .delete(url)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.sandbox.address()).await.unwrap()
    }
}

/// Reads one answer with a `Content-Length` and returns its body.
async fn read_answer(socket: &mut TcpStream) -> Value {
    let mut read = Vec::new();
    loop {
        let reading = tokio::time::timeout(SOON, socket.read_buf(&mut read));
        let count = reading.await.unwrap().unwrap();
        assert!(
            count > 0,
            "closed after {:?}",
            String::from_utf8_lossy(&read)
        );
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = content_length(head);
        if body.len() == length {
            return serde_json::from_str(body).unwrap();
        }
    }
}

fn content_length(head: &str) -> usize {
    let head = head.to_ascii_lowercase();
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    line.parse().unwrap()
}

/// Writes, then reads until the peer closes (or resets, which leaves what was read).
async fn exchange(socket: &mut TcpStream, request: &str) -> Vec<u8> {
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let _ = tokio::time::timeout(SOON, socket.read_to_end(&mut read))
        .await
        .expect("not closed");
    read
}
