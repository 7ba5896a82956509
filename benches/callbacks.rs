//! How many callbacks a second `callq web` takes: `make bench-callbacks`. The program itself, on a
//! PostgreSQL of its own that syncs every commit, and the senders share this machine.
//!
//! Sends 2,000 callbacks/s for 30 s on connections that are kept, as a reverse proxy does; then as
//! many as go. Prints how long each took from the moment it was due, and holds what was
//! acknowledged against what is stored.

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use callq::dev::postgres::{DataDir, Durability, Places, PostgresServer, StartOptions};
use serde_json::json;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

/// Callbacks per second, and for how many seconds.
const RATE: u64 = 2000;
const SECONDS: u64 = 30;

/// Connections that are kept.
const CONNECTIONS: u64 = 64;

/// How long as many are sent as go.
const FLAT_OUT: Duration = Duration::from_secs(10);

const SECRET: &str = "of-a-measurement-0123456789";

/// What Tencent tells of the n-th call: its beginning, an answer, its end.
fn body(round: &str, n: u64) -> Vec<u8> {
    let call = format!("{round}-{:032x}", n / 3);
    let at = 1_700_000_000_000 + n;
    let body = match n % 3 {
        0 => json!({"CallbackCommand": "Call.CallbackAfterStartCall", "EventTime": at,
            "CallInfo": {"CallId": call, "CallMediaType": "Audio", "ChatGroupId": "", "RoomId": format!("callq_{n}_1"), "RoomIdType": 2},
            "UserList": [{"User_Account": "reminder-bot", "Status": "Calling"}, {"User_Account": 144_115_212_830_834_855_i64, "Status": "Waiting"}]}),
        1 => {
            json!({"CallbackCommand": "Call.CallbackAfterMemberChanged", "CallId": call, "EventTime": at,
            "UserList": [{"User_Account": "reminder-bot", "Status": "Calling"}, {"User_Account": 144_115_212_830_834_855_i64, "Status": "Calling"}],
            "ChangedUserList": [{"User_Account": 144_115_212_830_834_855_i64, "ActionType": "Accept"}]})
        }
        _ => json!({"CallbackCommand": "Call.CallbackAfterEndCall", "EventTime": at,
            "CallRecord": {"CallId": call, "Caller_Account": "reminder-bot", "MediaType": "Audio", "CallType": "SingleCall", "StartTime": at / 1000,
                "EndTime": at / 1000 + 30, "AcceptTime": at / 1000 + 5, "CallResult": "NormalEnd",
                "CalleeList_Account": ["144115212830834855", "reminder-bot"], "RoomId": format!("callq_{n}_1"), "RoomIdType": 2}}),
    };
    body.to_string().into_bytes()
}

/// Posts on a kept connection; whether it was acknowledged.
async fn post(stream: &mut TcpStream, body: &[u8]) -> bool {
    let head = format!(
        "POST /callbacks/default/{SECRET}?SdkAppid=1400000000&contenttype=json&ClientIP=127.0.0.1&OptPlatform=RESTAPI HTTP/1.1\r\n\
         Host: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let sent = stream.write_all(&[head.as_bytes(), body].concat()).await;
    sent.expect("the receiver reads");
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    // Every answer ends with its only line: JSON, or a word.
    while !(answer.ends_with(b"}") || answer.ends_with(b"\n") && !answer.ends_with(b"\r\n")) {
        let read = stream.read(&mut piece).await.expect("it is answered");
        assert!(read > 0, "the connection is kept");
        answer.extend_from_slice(&piece[..read]);
    }
    answer.starts_with(b"HTTP/1.1 200")
}

/// `callq web`, from the folder that this was built into.
async fn web(database_url: &str) -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callq"));
    command
        .args(["web", "--listen", "127.0.0.1:0"])
        .env("DATABASE_URL", database_url)
        .env("CALLQ_SDK_APP_ID", "1400000000")
        .env("CALLQ_CALLBACKS_SECRET", SECRET)
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    loop {
        let line = lines.next_line().await.expect("it can be read");
        let line = line.expect("it says where it listens");
        if let Some((_, rest)) = line.split_once("http://") {
            let address = rest.split(',').next().expect("a first part");
            let address = address.parse().expect("an address");
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (child, address);
        }
    }
}

/// How long it took, of the slowest of so many thousandths.
fn slowest(sorted: &[Duration], of_1000: usize) -> Duration {
    sorted[(sorted.len() * of_1000).div_ceil(1000).max(1) - 1]
}

fn tell(mut took: Vec<Duration>) {
    took.sort();
    println!(
        "  p50 {:?}, p90 {:?}, p99 {:?}, p99.9 {:?}, max {:?}",
        slowest(&took, 500),
        slowest(&took, 900),
        slowest(&took, 990),
        slowest(&took, 999),
        slowest(&took, 1000)
    );
}

/// The n-th callback is sent when it is due, or as soon as the connection is free; how long each
/// took that was acknowledged.
async fn paced(address: SocketAddr) -> Vec<Duration> {
    let first_at = Instant::now() + Duration::from_millis(200);
    let sender = |connection: u64| async move {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("it can be set");
        let mut took = Vec::new();
        for n in (connection..RATE * SECONDS).step_by(usize::try_from(CONNECTIONS).expect("few")) {
            let due = first_at + Duration::from_nanos(n * 1_000_000_000 / RATE);
            let body = body("paced", n);
            sleep_until(due).await;
            if post(&mut stream, &body).await {
                took.push(due.elapsed());
            }
        }
        took
    };
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|connection| tokio::spawn(sender(connection)))
        .collect();
    let mut all = Vec::new();
    for sender in senders {
        all.extend(sender.await.expect("no panic"));
    }
    all
}

/// As many as go.
async fn flat_out(address: SocketAddr) -> Vec<Duration> {
    let (next, ends) = (Arc::new(AtomicU64::new(0)), Instant::now() + FLAT_OUT);
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let next = Arc::clone(&next);
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("it listens");
                stream.set_nodelay(true).expect("it can be set");
                let mut took = Vec::new();
                while Instant::now() < ends {
                    let body = body("flat-out", next.fetch_add(1, Ordering::Relaxed));
                    let began = Instant::now();
                    if post(&mut stream, &body).await {
                        took.push(began.elapsed());
                    }
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for sender in senders {
        all.extend(sender.await.expect("no panic"));
    }
    all
}

async fn stored(pool: &PgPool, round: &str) -> i64 {
    let counted =
        "SELECT count(*) FROM callq.callbacks WHERE fault IS NULL AND call_id LIKE $1 || '-%'";
    let counted = sqlx::query_scalar(counted)
        .bind(round)
        .fetch_one(pool)
        .await;
    counted.expect("the database answers")
}

#[tokio::main]
async fn main() {
    let options = StartOptions {
        data: DataDir::Temporary,
        durability: Durability::Durable,
        places: Places::from_env(),
    };
    let server = tokio::task::spawn_blocking(|| PostgresServer::start(options));
    let server = server.await.expect("no panic").expect("PostgreSQL starts");
    let url = server.url("postgres");
    callq::store::migrate(&url).await.expect("it is empty");
    let pool = PgPool::connect(&url).await.expect("it answers");
    let synced: String = sqlx::query_scalar("SELECT current_setting('fsync')")
        .fetch_one(&pool)
        .await
        .expect("it answers");
    let (web, address) = web(&url).await;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("fsync is {synced}; load before: {}", load.trim());

    let (expected, began) = (RATE * SECONDS, Instant::now());
    let took = paced(address).await;
    println!(
        "{RATE} callbacks/s for {SECONDS} s, {CONNECTIONS} connections: {} of {expected} acknowledged, {} stored, in {:.1?}",
        took.len(),
        stored(&pool, "paced").await,
        began.elapsed()
    );
    tell(took);

    let took = flat_out(address).await;
    println!(
        "as many as go, {CONNECTIONS} connections: {} callbacks/s; {} acknowledged, {} stored",
        took.len() as u64 / FLAT_OUT.as_secs(),
        took.len(),
        stored(&pool, "flat-out").await
    );
    tell(took);
    drop(web);
    pool.close().await;
    let stopped = tokio::task::spawn_blocking(|| server.stop()).await;
    stopped.expect("no panic").expect("it stops");
}
