//! Hostile text everywhere that somebody else can write: in rows, in Tencent's answers, on the command
//! line and in files. Nothing that is printed, logged or served acts on a terminal, forges a line, or is
//! endless; and what programs read is the text as it is.

use std::fs;

use callq::call::acts_on_a_terminal;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::program::{Ended, Program, callq, run};
use crate::support::rig::Rig;
use crate::support::terminal::Terminal;
use crate::tencent_client::peer::Peer;

/// A title, a cleared screen, a line of a log, colours, a mark that turns the rest around.
const HOSTILE: &str = "\u{1b}]0;x\u{7}\u{1b}[2J\u{9b}1m\r\n2030-01-01T00:00:00Z ERROR forged\t\u{7f}\u{202e}\u{2066}\u{2028}\u{200b}";

/// The same for names of 32 bytes, and of 64.
const NAME: &str = "\u{1b}[2J\nERROR forged\u{202e}\u{9b}1m";
const APP: &str = "clinic\u{1b}[2J\r\nERROR forged\u{202e}\u{9b}1m";

/// Stands in `user_data` and `offline_push`.
const PRIVATE: &str = "the-callees-own-words";

/// Far more than any line of ours needs; JSON holds whole rows.
const LINE_CHARS_MAX: usize = 4000;
const JSON_CHARS_MAX: usize = 60_000;

/// Fails if a text does something to a terminal, looks as if something forged it, or is endless.
#[track_caller]
fn is_harmless(what: &str, text: &str) {
    for line in text.lines() {
        let shown = line.escape_debug();
        assert!(!line.contains(acts_on_a_terminal), "{what}: {shown}");
        assert!(
            !line.starts_with("ERROR forged") && !line.starts_with("2030-01-01T00:00:00Z ERROR"),
            "{what}: {shown}"
        );
        let limit = if line.starts_with('{') {
            JSON_CHARS_MAX
        } else {
            LINE_CHARS_MAX
        };
        assert!(
            line.chars().count() <= limit,
            "{what}: {} characters",
            line.chars().count()
        );
    }
    for secret in [PRIVATE, callq::sandbox::SANDBOX_SECRET_KEY, "usersig="] {
        assert!(!text.contains(secret), "{what}: {secret}");
    }
}

#[track_caller]
fn both_are_harmless(what: &str, ended: &Ended) {
    is_harmless(what, &ended.text());
    is_harmless(what, &ended.stderr);
}

fn long() -> String {
    HOSTILE.repeat(150)
}

/// What a Tencent that misbehaves may answer.
fn answers() -> Vec<(&'static str, String)> {
    let long = long();
    let envelope = |code: i64, response: Value| {
        json!({ "ActionStatus": if code == 0 { "OK" } else { &long }, "ErrorInfo": long, "ErrorCode": code,
            "RequestId": long, "Response": response })
        .to_string()
    };
    let results: Vec<Value> = (0..50)
        .map(|_| json!({ "Callee_Account": HOSTILE, "ResultCode": HOSTILE }))
        .collect();
    vec![
        (
            "200 OK",
            envelope(0, json!({ "CallId": long, "CallResult": results })),
        ),
        (
            "200 OK",
            envelope(
                0,
                json!({ "CallId": { "a": HOSTILE }, "CallResult": HOSTILE }),
            ),
        ),
        ("200 OK", envelope(70107, json!({ "CallId": HOSTILE }))),
        ("200 OK", envelope(60008, Value::Null)),
        ("200 OK", envelope(987_654, Value::Null)),
        ("200 OK", long.clone()),
        ("200 OK", format!("{{\"ErrorCode\": \"{long}\"")),
        ("500 \u{1b}[2J", long.clone()),
        // The last one: it pauses the app.
        ("200 OK", envelope(60010, Value::Null)),
    ]
}

fn worker(rig: &Rig, peer: &Peer, arguments: &[&str]) -> Program {
    let mut command = callq([
        "worker",
        "--listen",
        "127.0.0.1:0",
        "--request-timeout-ms",
        "1000",
        "--lease-ms",
        "3000",
    ]);
    command
        .args(arguments)
        .env("CALLQ_SDK_APP_ID", "1400000000")
        .env("CALLQ_ADMIN_ACCOUNT", "administrator")
        .env("CALLQ_SECRET_KEY", callq::sandbox::SANDBOX_SECRET_KEY)
        .env("CALLQ_HOST", format!("http://{}", peer.address))
        .env("CALLQ_LOG", "debug")
        .env("DATABASE_URL", rig.db.url());
    Program::start(&mut command)
}

/// Inserts a job with hostile text in every column that takes it.
async fn insert(rig: &Rig, app: &str, key: &str) -> i64 {
    let inserted = sqlx::query_scalar(
        "INSERT INTO callq.jobs (app, robot_account, callees, idempotency_key, metadata, user_data, offline_push, expires_at)
         VALUES ($1, $2, ARRAY[$2, 'jack'], $3, jsonb_build_object($3, $4::text), $5, jsonb_build_object('Desc', $5::text), 'infinity')
         RETURNING id",
    )
    .bind(app)
    .bind(NAME)
    .bind(format!("{key}{HOSTILE}"))
    .bind(HOSTILE.repeat(50))
    .bind(PRIVATE)
    .fetch_one(rig.db.pool())
    .await;
    inserted.unwrap()
}

async fn sql(rig: &Rig, text: &str, hostile: &str) {
    let done = sqlx::query(AssertSqlSafe(text.to_owned()))
        .bind(hostile)
        .execute(rig.db.pool())
        .await;
    done.unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// What `/metrics` of this worker says.
async fn metrics(log: &str) -> String {
    let address = log
        .split("http://127.0.0.1:")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let mut stream = TcpStream::connect(format!("127.0.0.1:{}", address.expect("it says where")))
        .await
        .unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
        .split_once("\r\n\r\n")
        .expect("a head and a body")
        .1
        .replace("\r\n", "\n")
}

/// Places a call for each answer, with hostile text in the rows; returns the rig.
async fn with_everything_hostile() -> Rig {
    let rig = Rig::new().await;
    // Due, and of an app that nobody serves; paused.
    insert(&rig, APP, "due").await;
    let pause = "SELECT callq.pause_app(E'clinic\\x1b[2J', $1)";
    sql(&rig, pause, &long()).await;
    // What a trigger of the database's own tells every client.
    rig.sql(
        "CREATE TABLE public.shouted (words text);
         CREATE FUNCTION public.shout() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE WARNING '%', (SELECT words FROM public.shouted); RETURN NULL; END $$;
         CREATE TRIGGER shout AFTER INSERT ON callq.attempts FOR EACH ROW EXECUTE FUNCTION public.shout()",
    )
    .await;
    sql(&rig, "INSERT INTO public.shouted VALUES ($1)", &long()).await;
    for (n, (status, body)) in answers().into_iter().enumerate() {
        let peer = Peer::that_answers(status, &body).await;
        let format: &[&str] = if n % 2 == 0 {
            &[]
        } else {
            &["--log-format", "json"]
        };
        let mut program = worker(&rig, &peer, format);
        let id = insert(&rig, "default", &format!("answer {n}")).await;
        rig.until(id, |job| {
            job.error_code.is_some() || job.state != "scheduled" && job.state != "dialing"
        })
        .await;
        if n < 2 {
            let log = program.says("/readyz and /metrics").await;
            let lapsed = lapsed(&rig, &format!("lapsed {n}")).await;
            rig.until_state(lapsed, "in_doubt").await;
            let text = metrics(&log).await;
            assert!(text.contains("clinic"), "{text}");
            is_harmless("/metrics", &text);
            // Said while it runs.
            sql(&rig, "SELECT callq.pause_all($1)", &long()).await;
            program.says("everything is paused").await;
            rig.sql("SELECT callq.resume_all()").await;
        }
        program.signal(libc::SIGTERM);
        let ended = program.end().await.with_code(0);
        assert!(
            ended.stderr.contains("forged"),
            "the database shouted: {ended}"
        );
        both_are_harmless(&format!("the worker, answer {n}"), &ended);
    }
    rig
}

/// A job under way whose worker has a hostile name and is gone.
async fn lapsed(rig: &Rig, key: &str) -> i64 {
    let id = insert(rig, APP, key).await;
    rig.sql(&format!(
        "BEGIN;
         INSERT INTO callq.attempts (job_id, attempt, claim_token, app, worker, room_id, room_id_type, random, due_at, claimed_at)
         VALUES ({id}, 1, gen_random_uuid(), 'x', E'w\\x1b[2J\\nforged', E'room\\x1b[2J', 2, 7, now(), now());
         UPDATE callq.jobs SET state = 'dialing', attempt = 1, claim_token = gen_random_uuid(), lease_until = now() - interval '1 minute'
         WHERE id = {id};
         COMMIT"
    ))
    .await;
    id
}

/// Every command that prints. A: the hostile app; P: a placed job; H: a long hostile text; N: a short one.
const COMMANDS: &str = "
    jobs watch P
    jobs watch P --json
    jobs list
    jobs list --json
    jobs list --app H --callee H --reason H
    jobs export --json
    apps list
    apps list --json
    apps pause A --reason H
    apps pause --all --reason H
    apps list
    status
    status --json
    jobs show 1
    jobs list --json
    apps resume --all
    apps resume A
    apps pause N --reason x
    apps pause H --new --reason x
    jobs resolve 3 --placed --note H --call-id H
    jobs show 3
    jobs retry 3 P
    jobs retry 3 P --json
    jobs reschedule P --run-at now
    jobs cancel 1 999
    jobs list --metadata H
    jobs show H
    H
    enqueue --csv N
    enqueue --csv H
    enqueue --robot-account H --callee jack
    enqueue --robot-account bot --callee H
    enqueue --robot-account bot --callee jack --media-type H
    enqueue --robot-account bot --callee jack --run-at H
    enqueue --robot-account bot --callee jack --metadata H
    enqueue --robot-account bot --callee jack --metadata @H
    enqueue --robot-account bot --callee jack --ttl H --json";

#[tokio::test]
async fn nothing_that_is_shown_or_logged_acts_on_a_terminal() {
    let rig = with_everything_hostile().await;
    let placed: i64 = rig
        .value("SELECT min(id) FROM callq.jobs WHERE state = 'placed'")
        .await;
    let (placed, long, name) = (placed.to_string(), long(), format!("clinic{HOSTILE}"));
    let shown: Vec<String> = (1..=12)
        .flat_map(|id| [format!("jobs show {id}"), format!("jobs show {id} --json")])
        .collect();
    let given = |word: &str| match word {
        "A" => APP.to_owned(),
        "P" => placed.clone(),
        _ => word.replace('H', &long).replace('N', &name),
    };
    let lines = shown.iter().map(String::as_str);
    for line in lines.chain(COMMANDS.trim().lines()) {
        let arguments: Vec<String> = line.split_whitespace().map(given).collect();
        let mut command = callq(arguments.iter().map(String::as_str));
        let ended = run(command.env("DATABASE_URL", rig.db.url())).await;
        let says = !ended.stdout.is_empty() || !ended.stderr.is_empty();
        assert!(says, "{line} says something");
        both_are_harmless(line, &ended);
    }
    for line in [
        "jobs list",
        "jobs show 3",
        "jobs export --csv",
        "jobs export --json",
        "apps list",
        "status",
    ] {
        let terminal = Terminal {
            columns: 120,
            typed: "",
        };
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let (code, shown) = terminal.run(&rig.db, &arguments).await;
        assert_eq!(code, 0, "{shown}");
        // A terminal makes two characters of a line break.
        let shown = shown.replace("\r\n", "\n");
        let acts = |c: char| c != '\n' && acts_on_a_terminal(c);
        let harmless = !shown.contains(acts) && !shown.contains(PRIVATE);
        assert!(harmless, "{line}: {}", shown.escape_debug());
    }
}

#[tokio::test]
async fn lines_of_a_file_are_told_without_their_effect() {
    let rig = Rig::new().await;
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let csv = format!("robot_account,callees,priority,{NAME}\n");
    fs::write(path("head.csv"), csv.replace(['\n', '\r'], " ")).unwrap();
    let field = format!("\"{}\"", HOSTILE.repeat(20));
    let row = |columns: [&str; 5]| columns.join(",") + "\n";
    let rows = [
        row([
            "robot_account",
            "callees",
            "priority",
            "media_type",
            "run_at",
        ]),
        row([&field, "jack", "1", "", ""]),
        row(["bot", &field, "1", "", ""]),
        row(["bot", "jack", &field, "", ""]),
        row(["bot", "jack", "1", &field, ""]),
        row(["bot", "jack", "1", "", &field]),
    ];
    fs::write(path("bad.csv"), rows.concat()).unwrap();
    let lines = [
        json!({ "robot_account": HOSTILE.repeat(20), "callees": ["jack"] }),
        json!({ "robot_account": "bot", "callees": [NAME, NAME] }),
        json!({ "robot_account": "bot", "callees": ["jack"], HOSTILE: 1 }),
        json!({ "robot_account": "bot", "callees": ["jack"], "room_id": HOSTILE }),
        json!({ "robot_account": "bot", "callees": ["jack"], "on_doubt": HOSTILE, "offline_push": { "Desc": PRIVATE } }),
        json!({ "robot_account": "bot", "callees": ["jack"], "offline_push": { "PushFlag": HOSTILE } }),
    ];
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(path("bad.jsonl"), lines.join("\n")).unwrap();
    fs::write(path("none.jsonl"), long()).unwrap();
    for (flag, file, says) in [
        ("--csv", "head.csv", 1),
        ("--csv", "bad.csv", 6),
        ("--jsonl", "bad.jsonl", 7),
        ("--jsonl", "none.jsonl", 1),
    ] {
        for more in [&[][..], &["--json"]] {
            let mut command = callq(["enqueue", flag, &path(file)]);
            let ended = run(command.args(more).env("DATABASE_URL", rig.db.url()))
                .await
                .with_code(2);
            both_are_harmless(file, &ended);
            assert!(
                ended.stderr.lines().count() >= if more.is_empty() { says } else { 1 },
                "{ended}"
            );
        }
    }
}

/// Escaping is for people: what a program reads is what stands in the row.
#[tokio::test]
async fn programs_read_the_text_as_it_is() {
    let rig = Rig::new().await;
    insert(&rig, APP, "").await;
    let on = |arguments: &[&str]| {
        let mut command = callq(arguments.iter().copied());
        command.env("DATABASE_URL", rig.db.url());
        async move { run(&mut command).await.with_code(0) }
    };
    for arguments in [
        &["jobs", "export", "--json"][..],
        &["jobs", "list", "--json"],
    ] {
        let job: Value = serde_json::from_slice(&on(arguments).await.stdout).unwrap();
        assert_eq!(job["app"], APP);
        assert_eq!(job["idempotency_key"], HOSTILE);
        assert_eq!(job["metadata"][HOSTILE], HOSTILE.repeat(50));
    }
    let exported = on(&["jobs", "export", "--csv"]).await;
    let mut read = csv::Reader::from_reader(exported.stdout.as_slice());
    let place = |name: &str| -> usize {
        exported
            .text()
            .lines()
            .next()
            .unwrap()
            .split(',')
            .position(|n| n == name)
            .unwrap()
    };
    let row = read.records().next().unwrap().unwrap();
    assert_eq!(&row[place("app")], APP);
    assert_eq!(&row[place("idempotency_key")], HOSTILE);
    let callees: Vec<String> = serde_json::from_str(&row[place("callees")]).unwrap();
    assert_eq!(callees, [NAME, "jack"]);
}

/// The database's own words reach psql and every other client, so that they hold no hostile value either.
#[tokio::test]
async fn refusals_of_the_database_quote_without_the_effect() {
    let rig = Rig::new().await;
    for sql in [
        "INSERT INTO callq.jobs (robot_account, callees, media_type) VALUES ('bot', '{jack}', $1)",
        "INSERT INTO callq.jobs (robot_account, callees, on_doubt) VALUES ('bot', '{jack}', $1)",
        "INSERT INTO callq.jobs (robot_account, callees, room_id) VALUES ('bot', '{jack}', left($1, 30))",
        "INSERT INTO callq.jobs (robot_account, callees) VALUES ('bot', ARRAY[$1])",
        "INSERT INTO callq.jobs (robot_account, callees, app) VALUES ('bot', '{jack}', $1)",
        "SELECT callq.pause_app($1, 'x')",
    ] {
        let refused = sqlx::query(AssertSqlSafe(sql))
            .bind(long())
            .execute(rig.db.pool())
            .await;
        let refused = refused.expect_err(sql);
        let message = refused.as_database_error().unwrap().message();
        assert!(
            !message.contains(acts_on_a_terminal),
            "{sql}: {}",
            message.escape_debug()
        );
        assert!(message.len() < 500, "{sql}: {message}");
    }
}
