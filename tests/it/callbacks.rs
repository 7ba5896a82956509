//! `callq web`: Tencent's callbacks over real HTTP, from whoever sends them, into a real database.

mod admission;
mod bodies;
mod clients;
mod outage;
mod program;
mod storm;

use std::net::SocketAddr;
use std::time::Duration;

use callq::web::{CallbackApp, Receiver, ReceiverConfig, ReceiverError};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::Database;

/// What takes longer has not happened.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const SECRET: &str = "of-the-clinic-0123456789";
const SDK_APP_ID: u32 = 1_400_000_000;

/// The query that Tencent puts behind the URL.
const QUERY: &str = "?SdkAppid=1400000000&CallbackCommand=Call.CallbackAfterEndCall&contenttype=json&ClientIP=127.0.0.1&OptPlatform=RESTAPI";

pub(crate) fn app(name: &str, secret: &str, token: Option<&str>) -> CallbackApp {
    CallbackApp {
        name: name.to_owned(),
        sdk_app_id: SDK_APP_ID,
        secret: secret.into(),
        token: token.map(Into::into),
    }
}

/// A receiver that runs in this process.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    working: JoinHandle<Result<(), ReceiverError>>,
}

impl Web {
    pub(crate) async fn on(database_url: &str, apps: Vec<CallbackApp>) -> Self {
        let receiver = Receiver::start(ReceiverConfig {
            database_url: database_url.to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            apps,
        })
        .await
        .unwrap();
        let address = receiver.address();
        let stop = CancellationToken::new();
        let working = tokio::spawn(receiver.run(stop.clone()));
        Self {
            address,
            stop,
            working,
        }
    }

    /// One for the app `clinic`.
    async fn of_clinic(database: &Database) -> Self {
        Self::on(database.url(), vec![app("clinic", SECRET, None)]).await
    }

    /// Posts a body to the path of the clinic.
    async fn post(&self, body: &[u8]) -> Answer {
        self.ask("POST", &format!("/callbacks/clinic/{SECRET}{QUERY}"), body)
            .await
    }

    async fn ask(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let asked = ask(self.address, method, target, body).await;
        asked.expect("it answers")
    }

    async fn metric(&self, name: &str) -> u64 {
        let text = self.ask("GET", "/metrics", b"").await.body;
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let ended = timeout(PATIENCE, self.working).await;
        ended
            .expect("it stops")
            .expect("no panic")
            .expect("in order");
    }
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    body: String,
}

/// One request on a connection of its own; `None` if that ends without an answer.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    body: &[u8],
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream
        .write_all(&[head.as_bytes(), body].concat())
        .await
        .ok()?;
    answer(&mut stream).await
}

/// What comes until the connection ends.
async fn answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("it is answered or ended").ok()?;
    let text = String::from_utf8(bytes).expect("it is text");
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let head = head.lines().filter(|line| !line.starts_with("date: "));
    Some(Answer {
        status,
        head: head.collect::<Vec<_>>().join("\n"),
        body: body.to_owned(),
    })
}

/// The end of a call, as Tencent's page has it.
fn end_of(call: &str) -> Vec<u8> {
    let body = json!({
        "CallbackCommand": "Call.CallbackAfterEndCall",
        "CallRecord": {"CallId": call, "Caller_Account": "robot", "MediaType": "Audio", "CallType": "SingleCall", "StartTime": 1_700_000_000,
            "EndTime": 1_700_000_030, "AcceptTime": 0, "CallResult": "NotAnswer", "CalleeList_Account": ["jack", "robot"], "RoomId": "room-1", "RoomIdType": 2},
        "EventTime": 1_700_000_030_123_i64,
    });
    body.to_string().into_bytes()
}

/// What is stored, as JSON, in the order of ids.
async fn rows(database: &Database) -> Vec<Value> {
    let sql = "SELECT to_jsonb(c) || jsonb_build_object('event_ms', (extract(epoch FROM event_at) * 1000)::bigint) FROM callq.callbacks AS c ORDER BY id";
    sqlx::query_scalar(sql)
        .fetch_all(database.pool())
        .await
        .unwrap()
}

async fn count(database: &Database, of: &str) -> i64 {
    let sql = AssertSqlSafe(format!("SELECT count(*) FROM callq.callbacks WHERE {of}"));
    sqlx::query_scalar(sql)
        .fetch_one(database.pool())
        .await
        .unwrap()
}
