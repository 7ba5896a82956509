//! Everything that a whole run prints, serves and stores, searched for what must not be in it. Tencent's
//! part is played by a server that repeats what it was sent, in whatever it answers.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use callq::dev::postgres::{DataDir, StartOptions};
use serde_json::json;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::child::open_folder;
use crate::support::program::{Program, callq, run};
use crate::support::server::Server;
use crate::tencent_client::peer::{read_request, response};

const KEY: &str = "0b7d5c9e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4";
const PASSWORD: &str = "correct-horse-battery";

/// Stands in `user_data`, with what JSON escapes.
const USER_DATA: &str =
    "Dear \"Ms Quenneville\",\nyour code is 31415926535897 \u{2013} Gr\u{fc}\u{df}e";
/// Stands in `offline_push`.
const PUSH: &str = "Zwiebelfisch at noon, room 27182818284590";

/// Parts of these texts: what is repeated may be cut or escaped.
const PARTS: [&str; 6] = [
    "Quenneville",
    "your code",
    "31415926535897",
    "Zwiebelfisch",
    "at noon",
    "27182818284590",
];

/// Answers by the first callee's name, with the whole request in every text.
struct Echo {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&heard)));
            }
        });
        Self { address, requests }
    }

    /// Every `UserSig` that came.
    fn user_sigs(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let sig = |request: &String| {
            let rest = request.split("usersig=").nth(1)?;
            Some(rest.split('&').next()?.to_owned())
        };
        requests.iter().filter_map(sig).collect()
    }
}

async fn converse(mut stream: TcpStream, requests: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut stream).await {
        requests.lock().unwrap().push(request.clone());
        let body = request
            .split_once("\r\n\r\n")
            .map_or("", |(_, body)| body)
            .to_owned();
        let named = |callee: &str| body.contains(&format!("[\"{callee}"));
        if named("close") {
            return;
        }
        if named("stall") {
            let _ = stream.read(&mut [0]).await;
            return;
        }
        let code = match () {
            () if named("refused") => 70107,
            () if named("doubt") => 60008,
            () if named("throttled") => 60007,
            () if named("poisoned") => 60010,
            () => 0,
        };
        // The whole request, and its body first: of a long text the end is cut.
        let said = format!("{body} {request}");
        let results =
            json!([{ "Callee_Account": "jack", "ResultCode": 0, "Said": said, &said: [said] }]);
        let envelope = json!({ "ActionStatus": "OK", "ErrorCode": code, "ErrorInfo": said, "RequestId": said,
            "Response": { "CallId": said, "CallResult": results } });
        let answer = match () {
            () if named("garbage") => response("200 OK", &said),
            () if named("page") => response("502 Bad Gateway", &format!("<html>{said}</html>")),
            () if named("object") => {
                let odd =
                    json!({ "ErrorCode": 70107, "ErrorInfo": { "Body": body, &said: [said] } });
                response("200 OK", &odd.to_string())
            }
            () => response("200 OK", &envelope.to_string()),
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// What was found where it must not be.
struct Search {
    words: Vec<String>,
    looked_at: usize,
}

impl Search {
    #[track_caller]
    fn look(&mut self, what: &str, text: &str) {
        for word in &self.words {
            let at = text.find(word.as_str());
            let around = at.map(|at| {
                let line = text[..at].rfind('\n').map_or(0, |n| n + 1);
                text[line..].lines().next().unwrap_or_default()
            });
            assert!(
                at.is_none(),
                "{what} holds {word:?}: {}",
                around.unwrap_or_default()
            );
        }
        self.looked_at += text.len();
    }
}

/// A server whose log is kept whole in the file `log`.
async fn server(folder: &TempDir) -> Server {
    let mut options = StartOptions {
        data: DataDir::Kept(folder.path().join("pg")),
        ..StartOptions::throwaway()
    };
    let first = Server::start(options.clone()).await;
    let programs = first.bin_dir().to_owned();
    first
        .sql("ALTER SYSTEM SET log_min_messages = 'debug1'")
        .await;
    first.stop().await;
    // PostgreSQL's own collector would keep the line from us that says when it is ready.
    let (bin, log) = (folder.path().join("bin"), folder.path().join("log"));
    let write = |path: &Path, content: String, mode: u32| {
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(&bin).unwrap();
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).unwrap();
    write(&log, String::new(), 0o666);
    for name in ["initdb", "postgres"] {
        let program = programs.join(name);
        let (program, log) = (program.display(), log.display());
        let script =
            format!("#!/bin/bash\nexec '{program}' \"$@\" 2> >(exec tee -a '{log}' >&2)\n");
        write(&bin.join(name), script, 0o755);
    }
    options.places.pg_bin = Some(bin);
    let server = Server::start(options).await;
    server
        .sql(&format!("CREATE ROLE caller LOGIN PASSWORD '{PASSWORD}' IN ROLE callq_worker, callq_enqueue, callq_report"))
        .await;
    server
}

fn configuration(folder: &TempDir, server: &Server, echo: &Echo) {
    let write = |name: &str, content: String| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("key", KEY.to_owned());
    write("url", server.url("caller", PASSWORD));
    let app = |name: &str, id: u32, host: &str| {
        format!(
            "[apps.{name}]\nsdk_app_id = {id}\nadmin_account = \"administrator\"\nsecret_key_file = \"key\"\nhost = \"http://{host}\"\n"
        )
    };
    let apps = [
        app("default", 1_400_000_000, &echo.address.to_string()),
        app("paused", 1_400_000_001, &echo.address.to_string()),
        app("far", 1_400_000_002, "127.0.0.1:1"),
    ];
    let head = "database_url_file = \"url\"\n[worker]\nrequest_timeout_ms = 3000\nlease_ms = 8000\nlisten = \"127.0.0.1:0\"\n";
    write("callq.toml", format!("{head}{}", apps.concat()));
}

fn command(folder: &TempDir, arguments: &[&str]) -> tokio::process::Command {
    let mut command = callq(arguments.iter().copied());
    command.current_dir(folder.path()).env("CALLQ_LOG", "debug");
    command
}

async fn insert(server: &Server, app: &str, callee: &str) -> i64 {
    let inserted = sqlx::query_scalar(
        "INSERT INTO callq.jobs (app, robot_account, callees, user_data, offline_push)
         VALUES ($1, 'robot', ARRAY[$2], $3, $4) RETURNING id",
    );
    let push = json!({ "Title": PUSH, "Desc": PUSH, "Ext": json!({ "text": PUSH }).to_string() });
    let inserted = inserted.bind(app).bind(callee).bind(USER_DATA).bind(push);
    inserted.fetch_one(server.pool()).await.unwrap()
}

/// Rows that no rule has seen, each private text where it is refused.
async fn insert_bad(server: &Server) -> Vec<i64> {
    server
        .sql("ALTER TABLE callq.jobs DISABLE TRIGGER USER")
        .await;
    let long = USER_DATA.repeat(40);
    let mut bad = Vec::new();
    for (user_data, push) in [
        (long.as_str(), json!({ "Desc": PUSH })),
        (USER_DATA, json!([PUSH])),
        (
            USER_DATA,
            json!({ "PushFlag": PUSH, "ApnsInfo": { "Sound": 7, PUSH: PUSH } }),
        ),
    ] {
        let inserted = sqlx::query_scalar(
            "INSERT INTO callq.jobs (app, robot_account, callees, due_at, expires_at, user_data, offline_push)
             VALUES ('default', 'robot', '{jack}', now(), now() + interval '1 hour', $1, $2) RETURNING id",
        );
        let inserted = inserted.bind(user_data).bind(push);
        bad.push(inserted.fetch_one(server.pool()).await.unwrap());
    }
    server
        .sql("ALTER TABLE callq.jobs ENABLE TRIGGER ALL")
        .await;
    bad
}

/// What a worker serves.
async fn served(log: &str) -> String {
    let port = log
        .split("http://127.0.0.1:")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let address = format!("127.0.0.1:{}", port.expect("it says where"));
    let mut all = String::new();
    for page in ["/metrics", "/livez", "/readyz"] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET {page} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.read_to_string(&mut all).await.unwrap();
    }
    assert!(all.contains("callq_"), "{all}");
    all
}

/// Every row of every table and view of ours as text, but for the two columns.
async fn stored(server: &Server) -> Vec<(String, String)> {
    let names = "SELECT table_schema || '.' || table_name FROM information_schema.tables
                 WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
                 UNION ALL VALUES ('pg_catalog.pg_stat_activity'), ('pg_catalog.pg_description'), ('pg_catalog.pg_settings')";
    let names: Vec<String> = sqlx::query_scalar(names)
        .fetch_all(server.pool())
        .await
        .unwrap();
    assert!(names.len() > 15, "{names:?}");
    let mut all = Vec::new();
    for name in names {
        // As text, without the escapes of JSON.
        let rows = format!(
            "SELECT coalesce(string_agg(field.key || '=' || field.value, E'\\n'), '') FROM {name} AS t
             CROSS JOIN LATERAL jsonb_each_text(to_jsonb(t) - ARRAY['user_data', 'offline_push']) AS field"
        );
        let text: String = sqlx::query_scalar(AssertSqlSafe(rows))
            .fetch_one(server.pool())
            .await
            .unwrap();
        all.push((name, text));
    }
    all
}

/// Each command that shows jobs, and one that is refused.
const COMMANDS: [&str; 10] = [
    "status",
    "status --json",
    "apps list",
    "jobs list --json",
    "jobs export --json",
    "jobs export --csv",
    "config show --json",
    "check",
    "enqueue --jsonl bad.jsonl",
    "jobs list",
];

#[tokio::test]
async fn no_secret_and_no_private_text_is_printed_served_or_stored() {
    let (data, folder) = (open_folder(), TempDir::new().unwrap());
    let (server, echo) = (server(&data).await, Echo::start().await);
    configuration(&folder, &server, &echo);
    let mut workers = Vec::new();
    for format in ["text", "json"] {
        let mut command = command(&folder, &["worker", "--log-format", format]);
        let mut worker = Program::start(&mut command);
        let log = worker.says("/readyz and /metrics").await;
        workers.push((worker, log));
    }

    let mut jobs = Vec::new();
    for (callee, condition) in [
        ("jack", "state = 'placed'"),
        ("refused", "state = 'in_doubt'"),
        ("object", "state = 'failed'"),
        ("doubt", "state = 'in_doubt'"),
        ("garbage", "state = 'in_doubt'"),
        ("page", "state = 'in_doubt'"),
        ("close", "state = 'in_doubt'"),
        ("stall", "state = 'in_doubt'"),
        ("throttled", "error_code = 60007"),
    ] {
        jobs.push((insert(&server, "default", callee).await, condition));
    }
    jobs.push((
        insert(&server, "paused", "poisoned").await,
        "error_code = 60010",
    ));
    for _ in 0..6 {
        jobs.push((
            insert(&server, "far", "jack").await,
            "reason = 'unreachable'",
        ));
    }
    let bad = insert_bad(&server).await;
    jobs.extend(bad.into_iter().map(|id| (id, "state = 'failed'")));
    for (id, condition) in &jobs {
        server.until(*id, condition).await;
    }

    let line = json!({ "robot_account": "robot", "callees": ["jack"], "user_data": USER_DATA,
        "offline_push": { "PushFlag": PUSH } });
    fs::write(folder.path().join("bad.jsonl"), line.to_string()).unwrap();
    let mut search = Search {
        words: [KEY, PASSWORD, "usersig="]
            .into_iter()
            .chain(PARTS)
            .map(str::to_owned)
            .collect(),
        looked_at: 0,
    };
    search.words.extend(echo.user_sigs());
    assert!(
        search.words.iter().any(|word| word.starts_with("eJ")),
        "a UserSig was caught"
    );
    for (_, log) in &workers {
        search.look("what is served", &served(log).await);
    }
    let shown = jobs.iter().map(|(id, _)| format!("jobs show {id}"));
    for line in COMMANDS.into_iter().map(str::to_owned).chain(shown) {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let ended = run(&mut command(&folder, &arguments)).await;
        assert!(
            !ended.text().is_empty() || !ended.stderr.is_empty(),
            "{line} says something"
        );
        search.look(&line, &format!("{}\n{}", ended.text(), ended.stderr));
    }
    for (worker, _) in workers {
        worker.signal(libc::SIGTERM);
        let ended = worker.end().await.with_code(0);
        search.look(
            "a worker's log",
            &format!("{}\n{}", ended.text(), ended.stderr),
        );
    }
    for (name, text) in stored(&server).await {
        search.look(&name, &text);
    }
    let log = fs::read_to_string(data.path().join("log")).unwrap();
    assert!(log.contains("ready to accept connections"), "{log}");
    search.look("PostgreSQL's log", &log);
    assert!(search.looked_at > 20_000, "only {} bytes", search.looked_at);
    server.stop().await;
}
