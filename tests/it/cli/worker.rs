//! `callq worker`: its environment, signals, probes and logs.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use callq::sandbox::{Fault, FaultKind, Sandbox, SandboxConfig};
use sqlx::{PgPool, Row as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixDatagram};
use tokio::process::Command;
use tokio::time::timeout;

use super::{APP, is_one_sentence};
use crate::readme::README;
use crate::readme::pages::table;
use crate::support::program::{Program, callq, run};
use crate::support::{Database, look_again};

const PATIENCE: Duration = Duration::from_mins(1);

/// A worker's command for this database and sandbox.
fn worker(database: &Database, sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = callq(["worker"]);
    command
        .args(arguments)
        .envs(APP)
        .env("CALLQ_HOST", sandbox.url())
        .env("DATABASE_URL", database.url());
    command
}

async fn sandbox() -> Sandbox {
    let started = Sandbox::start(SandboxConfig::default()).await;
    started.expect("a sandbox starts")
}

async fn insert(pool: &PgPool, callee: &str) -> i64 {
    let inserted = sqlx::query(
        "INSERT INTO callq.jobs (robot_account, callees, user_data, offline_push)
         VALUES ('reminder-bot', ARRAY[$1], 'private-words', '{\"Desc\": \"private-words\"}')
         RETURNING id",
    )
    .bind(callee)
    .fetch_one(pool)
    .await;
    inserted.expect("a good row is taken").get(0)
}

async fn requests(sandbox: &Sandbox, at_least: usize) {
    let came = sandbox.wait_for(PATIENCE, |ledger| ledger.requests().len() >= at_least);
    came.await.expect("the requests come");
}

/// How many jobs are in each state, as in `placed 5`.
async fn states(pool: &PgPool) -> String {
    let told = sqlx::query_scalar(
        "SELECT string_agg(state || ' ' || n, ', ' ORDER BY state)
         FROM (SELECT state::text, count(*) AS n FROM callq.jobs GROUP BY 1) AS counted",
    )
    .fetch_one(pool)
    .await;
    told.expect("the database answers")
}

#[tokio::test]
async fn a_missing_name_is_told_with_what_it_must_be() {
    for (missing, _) in APP {
        let mut command = callq(["worker"]);
        command.envs(APP).env_remove(missing);
        command.env("DATABASE_URL", "postgres://never@used/db");
        let ended = run(&mut command).await.with_code(2);
        is_one_sentence(&ended);
        let says = format!("callq: {missing} is not set: must be ");
        assert!(ended.stderr.starts_with(&says), "{ended}");
    }
}

#[tokio::test]
async fn a_wrong_value_is_told_by_name_and_no_secret_is_repeated() {
    let wrong = [
        ("CALLQ_SDK_APP_ID", "0"),
        ("CALLQ_SDK_APP_ID", "twelve"),
        (
            "CALLQ_ADMIN_ACCOUNT",
            "an account of more than thirty-two bytes",
        ),
        ("CALLQ_HOST", "http://console.tim.qq.com"),
        ("CALLQ_HOST", "mars"),
        ("CALLQ_CALLS_PER_SECOND", "0"),
        ("CALLQ_SECRET_KEY_FILE", "/nonexistent/key"),
        ("CALLQ_USER_SIG", "not-a-sig"),
        ("CALLQ_LOG", "callq=loud"),
    ];
    for (name, value) in wrong {
        let mut command = callq(["worker"]);
        command.envs(APP).env(name, value);
        command.env("DATABASE_URL", "postgres://never@used/db");
        if name != "CALLQ_USER_SIG" && name.starts_with("CALLQ_SECRET") {
            command.env_remove("CALLQ_SECRET_KEY");
        }
        let ended = run(&mut command).await.with_code(2);
        is_one_sentence(&ended);
        assert!(ended.stderr.contains(name), "{name}={value}: {ended}");
        assert!(!ended.stderr.contains(APP[2].1), "{name}={value}: {ended}");
    }
}

#[tokio::test]
async fn an_app_of_the_other_kind_is_refused_with_2() {
    let (database, sandbox) = (Database::new().await, sandbox().await);
    sqlx::raw_sql("INSERT INTO callq.apps (app, kind) VALUES ('default', 'live')")
        .execute(database.pool())
        .await
        .expect("a test may write");
    let ended = run(&mut worker(&database, &sandbox, &[]))
        .await
        .with_code(2);
    assert!(ended.stderr.contains("an app of the other kind"), "{ended}");
}

#[tokio::test]
async fn a_lease_shorter_than_a_request_is_refused_with_2() {
    let (database, sandbox) = (Database::new().await, sandbox().await);
    let ended = run(&mut worker(&database, &sandbox, &["--lease-ms", "2100"])).await;
    let ended = ended.with_code(2);
    let says =
        "callq: --lease-ms is 2100: must be at least 10000 for a request_timeout_ms of 8000\n";
    assert!(ended.stderr.starts_with(says), "{ended}");
}

#[tokio::test]
async fn sigterm_finishes_and_records_the_requests_under_way() {
    let (database, sandbox) = (Database::new().await, sandbox().await);
    let late = Fault::new(FaultKind::Delay).delayed_ms(700);
    sandbox.script(late).expect("a fault that makes sense");
    let worker = Program::start(&mut worker(&database, &sandbox, &[]));
    for callee in ["ann", "ben", "cleo", "dan", "eve"] {
        insert(database.pool(), callee).await;
    }
    requests(&sandbox, 5).await;
    worker.signal(libc::SIGTERM);
    let ended = worker.end().await.with_code(0);
    assert_eq!(states(database.pool()).await, "placed 5", "{ended}");
    assert!(ended.stdout.is_empty(), "{ended}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_the_job_is_left_as_claimed() {
    let (database, sandbox) = (Database::new().await, sandbox().await);
    let mut worker = Program::start(&mut worker(&database, &sandbox, &[]));
    insert(database.pool(), "stall-1").await;
    requests(&sandbox, 1).await;
    worker.signal(libc::SIGINT);
    worker
        .says("stopping: requests under way are finished")
        .await;
    worker.signal(libc::SIGTERM);
    let ended = worker.end().await.with_code(130);
    assert!(ended.stderr.contains("become in doubt"), "{ended}");
    assert_eq!(states(database.pool()).await, "dialing 1");
}

#[tokio::test]
async fn a_signal_while_the_database_does_not_answer_ends_with_0_at_once() {
    let database = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = database.local_addr().expect("it is bound").port();
    let mut command = callq(["worker"]);
    command
        .envs(APP)
        .env("DATABASE_URL", format!("postgres://me@127.0.0.1:{port}/db"));
    let worker = Program::start(&mut command);
    let _silent = database.accept().await.expect("the worker connects");
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
}

/// Status and body of `GET path`.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n");
    connection
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut answer = String::new();
    connection
        .read_to_string(&mut answer)
        .await
        .expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    (status.expect("a status"), body.to_owned())
}

/// Each metric with its help, from a text all of whose lines must be well formed.
fn metrics(text: &str) -> Vec<[String; 2]> {
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(series.starts_with("callq_"), "{line}");
        assert_eq!(series.contains('{'), series.ends_with('}'), "{line}");
    }
    let helps = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
    let helps = helps.filter_map(|line| line.split_once(' '));
    helps
        .map(|(name, help)| [format!("`{name}`"), help.trim_end_matches('.').to_owned()])
        .collect()
}

#[tokio::test]
async fn probes_and_metrics_are_served_where_asked() {
    let (database, sandbox) = (Database::new().await, sandbox().await);
    let mut command = worker(&database, &sandbox, &["--listen", "127.0.0.1:0"]);
    let mut worker = Program::start(&mut command);
    let address = probes_of(&mut worker).await;
    insert(database.pool(), "jack").await;
    requests(&sandbox, 1).await;

    assert_eq!(get(address, "/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(get(address, "/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(address, "/secrets").await.0, 404);
    // A metric is there once it was counted; the last to be is that of written results.
    let counted = async {
        loop {
            let (status, text) = get(address, "/metrics").await;
            assert_eq!(status, 200);
            if text.contains("callq_results_total{") {
                return text;
            }
        }
    };
    let text = timeout(PATIENCE, counted)
        .await
        .expect("the result is counted");
    let table = table(["metric", "meaning"], metrics(&text).into_iter());
    README.keep("metrics", &table, str::to_owned);
    for secret in [APP[2].1, "usersig", "private-words"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
}

#[tokio::test]
async fn a_log_that_nobody_reads_any_more_costs_no_result() {
    let (database, sandbox) = (Database::new().await, sandbox().await);
    let mut command = worker(&database, &sandbox, &[]);
    let mut worker = command.stderr(Stdio::piped()).spawn().expect("it starts");
    // From here on every line of the log fails, and a refused call is one.
    drop(worker.stderr.take());
    insert(database.pool(), "code-70107-ann").await;
    let failed = async {
        while states(database.pool()).await != "failed 1" {
            look_again().await;
        }
    };
    let seen = timeout(PATIENCE, failed).await;
    seen.expect("the result is written");
    let pid = worker.id().and_then(|id| i32::try_from(id).ok());
    #[allow(unsafe_code, reason = "std can only kill a child")]
    // SAFETY: two integers; the child is not reaped yet, so the number is its own.
    let sent = unsafe { libc::kill(pid.expect("it runs"), libc::SIGTERM) };
    assert_eq!(sent, 0);
    let ended = timeout(PATIENCE, worker.wait()).await.expect("it ends");
    assert_eq!(ended.expect("it is waited for").code(), Some(0));
}

#[tokio::test]
async fn half_a_question_to_a_probe_does_not_hold_up_the_end() {
    let (database, sandbox) = (Database::new().await, sandbox().await);
    let mut worker = Program::start(&mut worker(
        &database,
        &sandbox,
        &["--listen", "127.0.0.1:0"],
    ));
    let address = probes_of(&mut worker).await;
    let mut asker = TcpStream::connect(address).await.expect("it listens");
    asker
        .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
        .await
        .expect("it reads");
    // The half question is there before this one is answered.
    assert_eq!(get(address, "/livez").await.0, 200);
    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    drop(asker);
}

/// Where a worker says that it serves its probes.
async fn probes_of(worker: &mut Program) -> SocketAddr {
    let said = worker.says("/livez, /readyz and /metrics").await;
    let address = said.split("serving http://").nth(1).expect("an address");
    let address = address.split('/').next().and_then(|a| a.parse().ok());
    address.expect("an address")
}

/// Whether a text holds what looks like a `UserSig`: deflated JSON in Tencent's base64.
fn holds_a_user_sig(text: &str) -> bool {
    let is_sign = |c: char| c.is_ascii_alphanumeric() || "*-_+/=".contains(c);
    let words = text.split(|c| !is_sign(c));
    words.filter(|w| w.len() > 60).any(|w| w.contains("eJ"))
}

#[tokio::test]
async fn logs_never_hold_the_key_a_user_sig_a_request_url_or_private_words() {
    let (database, sandbox) = (Database::new().await, sandbox().await);
    let mut command = worker(&database, &sandbox, &["--request-timeout-ms", "1000"]);
    let worker = Program::start(command.env("CALLQ_LOG", "trace"));
    let callees = [
        "jack",
        "code-60008-x",
        "code-80001-x",
        "throttle-1-x",
        "stall-x",
        "close-x",
        "garbage-x",
        "badcode-5-x",
    ];
    for callee in callees {
        insert(database.pool(), callee).await;
    }
    requests(&sandbox, callees.len() + 1).await;
    // This one pauses the app, so it is last.
    insert(database.pool(), "code-70003-x").await;
    requests(&sandbox, callees.len() + 2).await;
    worker.signal(libc::SIGTERM);
    let ended = worker.end().await.with_code(0);
    let log = ended.stderr;
    assert!(
        log.contains("TRACE") && log.contains("the call was placed"),
        "{log}"
    );
    for secret in [
        APP[2].1,
        "usersig=",
        "start_call_by_robot?",
        "private-words",
    ] {
        let found = log.lines().find(|line| line.contains(secret));
        assert_eq!(found, None, "{secret}");
    }
    assert_eq!(log.lines().find(|line| holds_a_user_sig(line)), None);
}

#[tokio::test]
async fn the_service_manager_is_told_of_the_start_and_of_the_stop() {
    let (database, sandbox) = (Database::new().await, sandbox().await);
    let folder = tempfile::tempdir().expect("a test may make folders");
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    let mut command = worker(&database, &sandbox, &[]);
    let worker = Program::start(command.env("NOTIFY_SOCKET", &socket));
    assert_eq!(heard(&manager).await, "READY=1\n");
    worker.signal(libc::SIGTERM);
    assert_eq!(heard(&manager).await, "STOPPING=1\n");
    worker.end().await.with_code(0);
}

async fn heard(manager: &UnixDatagram) -> String {
    let mut message = [0; 512];
    let received = timeout(PATIENCE, manager.recv(&mut message)).await;
    let length = received
        .expect("it tells in time")
        .expect("it can be heard");
    String::from_utf8_lossy(&message[..length]).into_owned()
}
