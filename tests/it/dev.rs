//! `callq dev` and `callq demo` with the real program.

use std::fs;
use std::path::PathBuf;

use callq::dev::postgres::{DataDir, Places};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::child::{ProcessEnd, open_folder};
use crate::support::look_again;
use crate::support::program::{Program, callq, run};

/// A shell as it stands on the machine of somebody who works on production. Nothing of it may
/// matter: no client may follow it, and nothing may be read from or written to what it names.
const PRODUCTION: [(&str, &str); 13] = [
    (
        "DATABASE_URL",
        "postgres://admin:hunter2@db.invalid:5433/production",
    ),
    ("PGHOST", "db.invalid"),
    ("PGHOSTADDR", "192.0.2.1"),
    ("PGPORT", "5433"),
    ("PGUSER", "admin"),
    ("PGPASSWORD", "hunter2"),
    ("PGDATABASE", "production"),
    ("PGSSLMODE", "require"),
    ("PGSERVICE", "production"),
    ("PGTARGETSESSIONATTRS", "standby"),
    ("PGOPTIONS", "-c default_transaction_read_only=on"),
    ("CALLQ_HOST", "china"),
    ("CALLQ_SECRET_KEY", "hunter2"),
];

/// A project's folder, and the data that `callq dev` keeps for it.
struct Project {
    folder: TempDir,
    data: PathBuf,
}

impl Project {
    fn new() -> Self {
        let folder = open_folder();
        let places = Places {
            state_home: Some(folder.path().join("state")),
            ..Places::from_env()
        };
        let DataDir::Kept(data) = DataDir::of_project(folder.path(), &places) else {
            panic!("the data of a project are kept");
        };
        Self { folder, data }
    }

    fn dev(&self, arguments: &[&str]) -> Command {
        let mut command = callq(["dev"]);
        command.args(arguments).current_dir(self.folder.path());
        command.env("XDG_STATE_HOME", self.folder.path().join("state"));
        command
    }

    /// The process of its server.
    fn server(&self) -> ProcessEnd {
        let file = fs::read_to_string(self.data.join("data/postmaster.pid"));
        let pid = file.expect("a server runs");
        let pid = pid.lines().next().and_then(|pid| pid.parse().ok());
        ProcessEnd::of(pid.expect("a process id"))
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // Run as root they are not in the folder.
        let _never_made = fs::remove_dir_all(&self.data);
    }
}

/// Starts `callq dev`; returns it with a connection to its database.
async fn started(command: &mut Command) -> (Program, PgConnection) {
    let mut dev = Program::start(command);
    let printed = dev.prints("Calls, as they happen:").await;
    let url = printed
        .split('\'')
        .find(|word| word.starts_with("postgres:"));
    let url = url.expect("a line that connects");
    let connection = PgConnection::connect(url).await;
    (dev, connection.expect("the line connects"))
}

const LATER: &str = "INSERT INTO callq.jobs (robot_account, callees, run_at)
    VALUES ('reminder-bot', '{later}', now() + interval '1 day')";

async fn jobs(connection: &mut PgConnection) -> i64 {
    let counted = sqlx::query_scalar("SELECT count(*) FROM callq.jobs");
    counted.fetch_one(connection).await.expect("it answers")
}

#[tokio::test]
async fn the_commands_stdout_is_left_alone_byte_for_byte() {
    let script = r"printf 'a\000\377\r\n'; printf no-newline; echo err >&2";
    let mut command = callq(["dev", "--exec", "sh", "-c", script]);
    let ended = run(command.env("CALLQ_LOG", "trace")).await.with_code(0);
    assert_eq!(ended.stdout, b"a\0\xff\r\nno-newline");
    assert!(ended.stderr.contains("err\n"), "{ended}");
}

#[tokio::test]
async fn the_commands_exit_code_is_passed_on() {
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 128 + 9)] {
        let ended = run(&mut callq(["dev", "--exec", "sh", "-c", script])).await;
        assert_eq!(ended.code(), code, "{script}: {ended}");
    }
}

#[tokio::test]
async fn a_command_that_is_not_there_ends_with_1_and_is_named() {
    let ended = run(&mut callq(["dev", "--exec", "no-such-program"])).await;
    let ended = ended.with_code(1);
    let says = "callq: could not run no-such-program: ";
    assert!(ended.stderr.starts_with(says), "{ended}");
}

#[tokio::test]
async fn the_commands_flags_are_not_ours() {
    let flags = ["--help", "-V", "--fresh", "--exec", "--", "-h", "worker"];
    let mut command = callq(["dev", "--exec", "printf", "%s\\n"]);
    let ended = run(command.args(flags)).await.with_code(0);
    assert_eq!(ended.text().lines().collect::<Vec<_>>(), flags);
}

#[tokio::test]
async fn a_signal_is_passed_on_and_the_commands_code_with_it() {
    let script = "trap 'exit 7' TERM; echo ready; while :; do :; done";
    let mut dev = Program::start(&mut callq(["dev", "--exec", "sh", "-c", script]));
    dev.prints("ready").await;
    dev.signal(libc::SIGTERM);
    dev.end().await.with_code(7);
}

#[tokio::test]
async fn the_commands_database_is_private_whatever_the_shell_says() {
    let script = r#"psql -XqAt "$DATABASE_URL" -c "$1" && env | grep ^PG; exit 0"#;
    let insert = format!("{LATER} RETURNING session_user || ' ' || inet_server_addr() IS NULL");
    let mut command = callq(["dev", "--exec", "sh", "-c", script, "sh", &insert]);
    let ended = run(command.envs(PRODUCTION)).await.with_code(0);
    assert_eq!(ended.text(), "t\n", "{ended}");
}

#[tokio::test]
async fn the_commands_app_is_the_sandboxs_whatever_the_shell_says() {
    let mut command = callq(["dev", "--exec", env!("CARGO_BIN_EXE_callq"), "check"]);
    let ended = run(command.envs(PRODUCTION)).await.with_code(0);
    for says in [
        "ok    configuration             read from the environment; apps: default",
        "ok    default: UserSig ",
    ] {
        assert!(ended.text().contains(says), "{says}: {ended}");
    }
}

#[tokio::test]
async fn dev_shows_calls_as_they_happen_whatever_the_shell_says() {
    let project = Project::new();
    let mut command = project.dev(&[]);
    let (mut dev, mut connection) = started(command.envs(PRODUCTION)).await;
    let printed = dev.prints("Connect:").await;
    assert!(
        printed.contains("env -u PGDATABASE -u PGHOST "),
        "{printed}"
    );
    let now = "INSERT INTO callq.jobs (robot_account, callees) VALUES ('bot', '{jack}')";
    sqlx::query(now)
        .execute(&mut connection)
        .await
        .expect("it is taken");
    dev.prints("bot -> jack").await;
    // What the sandbox calls back with is taken too.
    let began = "SELECT EXISTS (SELECT FROM callq.callbacks WHERE command = 'Call.CallbackAfterStartCall' AND app = 'default')";
    while !sqlx::query_scalar::<_, bool>(began)
        .fetch_one(&mut connection)
        .await
        .expect("it answers")
    {
        look_again().await;
    }
    dev.signal(libc::SIGINT);
    let ended = dev.end().await.with_code(0);
    assert!(!ended.text().contains("hunter2"), "{ended}");
}

#[tokio::test]
async fn dev_stops_on_a_signal_without_a_trace_and_keeps_its_data() {
    let project = Project::new();
    for (run_before, signal) in [(0, libc::SIGINT), (1, libc::SIGTERM)] {
        let (dev, mut connection) = started(&mut project.dev(&[])).await;
        assert_eq!(jobs(&mut connection).await, run_before);
        sqlx::query(LATER)
            .execute(&mut connection)
            .await
            .expect("it is taken");
        let server = project.server();
        dev.signal(signal);
        let ended = dev.end().await.with_code(0);
        // What the server was doing, sqlx's complaints included, is nobody's news.
        let news = "callq: starting a private PostgreSQL, a sandbox in Tencent's place, and a \
                    worker\n";
        assert_eq!(ended.stderr, news);
        server.wait();
        assert!(!project.data.join("data/postmaster.pid").exists());
    }
    let (dev, mut connection) = started(&mut project.dev(&["--fresh"])).await;
    assert_eq!(jobs(&mut connection).await, 0);
    dev.signal(libc::SIGTERM);
    dev.end().await.with_code(0);
}

#[tokio::test]
async fn what_a_newer_callq_has_kept_serves_dev_as_long_as_it_lets_it() {
    let project = Project::new();
    let (dev, mut connection) = started(&mut project.dev(&[])).await;
    let newer = "UPDATE callq.meta SET schema_version = schema_version + 1";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    dev.signal(libc::SIGTERM);
    dev.end().await.with_code(0);
    let (dev, mut connection) = started(&mut project.dev(&[])).await;
    let later = "UPDATE callq.meta SET min_binary_version = '99.0.0'";
    sqlx::query(later).execute(&mut connection).await.unwrap();
    // The one that runs, and one that starts.
    for ended in [dev.end().await, run(&mut project.dev(&[])).await] {
        let says = " and needs callq 99.0.0 or newer, and this is ";
        assert!(ended.with_code(1).stderr.contains(says));
    }
}

#[tokio::test]
async fn a_second_dev_in_one_folder_is_refused_and_harms_nothing() {
    let project = Project::new();
    let (dev, mut connection) = started(&mut project.dev(&[])).await;
    for arguments in [&[][..], &["--fresh"]] {
        let ended = run(&mut project.dev(arguments)).await.with_code(1);
        let says = "callq: another `callq dev` is running on the data in ";
        let last = ended.stderr.lines().last().expect("a sentence");
        assert!(last.starts_with(says), "{ended}");
        assert!(
            last.ends_with(": stop it first, or use its database"),
            "{ended}"
        );
    }
    sqlx::query(LATER)
        .execute(&mut connection)
        .await
        .expect("it still works");
    dev.signal(libc::SIGINT);
    dev.end().await.with_code(0);
}

#[tokio::test]
async fn the_demo_shows_every_change_of_state_within_20_seconds() {
    let mut command = callq(["demo"]);
    let ended = run(command.envs(PRODUCTION)).await.with_code(0);
    let text = ended.text();
    let changes = |job: u32| -> Vec<String> {
        let of_job = format!("  job {job}: ");
        let lines = text.lines().filter_map(|line| line.split_once(&of_job));
        lines.map(|(_, change)| change.to_owned()).collect()
    };
    for job in 1..=4 {
        assert_eq!(
            changes(job),
            ["scheduled", "dialing, attempt 1", "placed (accepted)"]
        );
    }
    let throttled = [
        "scheduled",
        "dialing, attempt 1",
        "scheduled (ErrorCode 60007, too many REST requests)",
        "dialing, attempt 2",
        "placed (accepted)",
    ];
    assert_eq!(changes(5), throttled);
    let times = text.lines().filter_map(|line| line.split_once(" s  job "));
    let times: Vec<f64> = times
        .map(|(at, _)| at.trim().parse().expect("seconds"))
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times.last().is_some_and(|last| *last < 20.0), "{times:?}");
    assert!(ended.stderr.is_empty(), "{ended}");
}
