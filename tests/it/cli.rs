//! The command line with the real program: exit codes, texts, signals.

mod apps;
mod bench;
mod callbacks;
mod check;
mod enqueue;
mod jobs;
mod sandbox;
mod schedules;
mod shell;
mod status;
mod worker;

use std::fmt::Write as _;

use tokio::process::Command;

use crate::support::Database;
use crate::support::program::{Ended, callq, run};

/// An app's environment that is complete; its host is a sandbox that nobody started.
const APP: [(&str, &str); 4] = [
    ("CALLQ_SDK_APP_ID", "1400000000"),
    ("CALLQ_ADMIN_ACCOUNT", "administrator"),
    ("CALLQ_SECRET_KEY", callq::sandbox::SANDBOX_SECRET_KEY),
    ("CALLQ_HOST", "http://127.0.0.1:9"),
];

/// Runs a command on this database to its end.
async fn callq_on(database: &Database, arguments: &[&str]) -> Ended {
    let mut command = callq(arguments.iter().copied());
    run(command.env("DATABASE_URL", database.url())).await
}

/// Runs SQL that is written in a test.
async fn sql(database: &Database, sql: &str) {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(database.pool())
        .await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Each line of stdout as JSON.
fn json_lines(ended: &Ended) -> Vec<serde_json::Value> {
    let read = |line: &str| serde_json::from_str(line).expect("each line is JSON");
    ended.text().lines().map(read).collect()
}

/// How many rows of a table a plan looked at, and by which indexes.
fn rows_read(plan: &serde_json::Value, table: &str, indexes: &mut Vec<String>) -> f64 {
    indexes.extend(plan["Index Name"].as_str().map(str::to_owned));
    let children = plan["Plans"].as_array().into_iter().flatten();
    let below: f64 = children.map(|child| rows_read(child, table, indexes)).sum();
    if plan["Relation Name"] != table {
        return below;
    }
    let number = |name: &str| plan[name].as_f64().unwrap_or(0.0);
    let each = number("Actual Rows") + number("Rows Removed by Filter");
    below + each * number("Actual Loops")
}

/// Every command that works on the database at `DATABASE_URL`.
fn commands_with_a_database() -> [Command; 9] {
    let mut worker = callq(["worker"]);
    worker.envs(APP);
    [
        callq(["migrate"]),
        callq(["enqueue", "--robot-account", "bot", "--callee", "jack"]),
        callq(["jobs", "show", "1"]),
        callq(["jobs", "list"]),
        callq(["jobs", "cancel", "1"]),
        callq(["apps", "list"]),
        callq(["schedules", "list"]),
        callq(["status"]),
        worker,
    ]
}

/// One line that begins as all our errors do, and perhaps one that says what to do.
#[track_caller]
fn is_one_sentence(ended: &Ended) {
    assert!(ended.stderr.starts_with("callq: "), "{ended}");
    let mut further = ended.stderr.lines().skip(1);
    assert!(
        further.next().is_none_or(|line| line.starts_with("hint: ")),
        "{ended}"
    );
    assert_eq!(further.next(), None, "{ended}");
    assert!(ended.stdout.is_empty(), "{ended}");
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_2() {
    let wrong: [&[&str]; 24] = [
        &[],
        &["jobs"],
        &["ring"],
        &["migrate", "--now"],
        &["jobs", "show", "seven"],
        &["jobs", "list", "--limit", "0"],
        &["jobs", "export"],
        &["jobs", "reschedule", "1"],
        &["jobs", "reschedule", "1", "--by", "1h", "--run-at", "now"],
        &["jobs", "resolve", "1", "--placed", "--failed"],
        &["apps", "pause", "default"],
        &["apps", "pause", "default", "--all", "--reason", "x"],
        &["apps", "resume"],
        &["schedules"],
        &["schedules", "apply"],
        &["schedules", "apply", "jobs", "--dry-run", "--yes"],
        &["schedules", "backfill", "meds", "--from", "2026-01-01"],
        &["worker", "--concurrency", "0"],
        &["sandbox", "--listen", "0.0.0.0:7080"],
        &["sandbox", "--speed", "0"],
        &["sandbox", "--callbacks-lost", "1.1"],
        &["callbacks", "set"],
        &["callbacks", "set", "ftp://example.com/"],
        &["dev", "--exec"],
    ];
    for arguments in wrong {
        let ended = run(&mut callq(arguments.iter().copied())).await;
        assert_eq!(ended.code(), 2, "{arguments:?}: {ended}");
    }
}

#[tokio::test]
async fn a_missing_database_url_ends_with_2_and_is_named() {
    for mut command in commands_with_a_database() {
        let ended = run(&mut command).await.with_code(2);
        is_one_sentence(&ended);
        let says = "callq: DATABASE_URL is not set: must be ";
        assert!(ended.stderr.starts_with(says), "{ended}");
    }
}

#[tokio::test]
async fn a_wrong_database_url_ends_with_2_and_is_not_repeated() {
    for url in [
        "hunter2",
        "mysql://me:hunter2@host/db",
        "postgres://me:hunter2@:x/",
    ] {
        for mut command in commands_with_a_database() {
            let ended = run(command.env("DATABASE_URL", url)).await.with_code(2);
            is_one_sentence(&ended);
            assert!(
                ended.stderr.contains("postgres://user@host/database"),
                "{ended}"
            );
            assert!(!ended.stderr.contains("hunter2"), "{ended}");
        }
    }
}

#[tokio::test]
async fn an_unreachable_database_ends_with_1_and_the_place_is_named() {
    for mut command in commands_with_a_database() {
        command.env(
            "DATABASE_URL",
            "postgres:///db?host=/nonexistent&user=me&password=hunter2",
        );
        let ended = run(&mut command).await.with_code(1);
        is_one_sentence(&ended);
        let says = "callq: could not connect to the database at /nonexistent, see DATABASE_URL: ";
        assert!(ended.stderr.starts_with(says), "{ended}");
        assert!(!ended.stderr.contains("hunter2"), "{ended}");
        let causes = ended.stderr.matches("No such file").count();
        assert_eq!(causes, 1, "the cause is said once: {ended}");
    }
}

#[tokio::test]
async fn a_database_without_the_schema_ends_with_1_and_the_way_out() {
    let database = Database::empty().await;
    for mut command in commands_with_a_database().into_iter().skip(1) {
        let ended = run(command.env("DATABASE_URL", database.url())).await;
        let ended = ended.with_code(1);
        is_one_sentence(&ended);
        assert!(
            ended.stderr.ends_with("\nhint: run `callq migrate`\n"),
            "{ended}"
        );
    }
}

#[tokio::test]
async fn every_command_explains_itself() {
    let mut left = vec![(Vec::<String>::new(), callq::cli::definition())];
    let mut explained = 0;
    while let Some((path, command)) = left.pop() {
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        let ended = run(&mut callq(arguments)).await.with_code(0);
        let about = command.get_about().expect("a command says what it does");
        // Wrapped at the width of the terminal, so a few words must do.
        let beginning: String = about.to_string().chars().take(30).collect();
        assert!(ended.text().contains(&beginning), "{path:?}: {ended}");
        assert!(ended.stderr.is_empty(), "{ended}");
        explained += 1;
        for sub in command.get_subcommands() {
            let path = [&path[..], &[sub.get_name().to_owned()]].concat();
            left.push((path, sub.clone()));
        }
    }
    assert!(explained >= 20, "callq, its commands and theirs");
}

#[tokio::test]
async fn migrating_twice_changes_nothing_the_second_time() {
    let database = Database::empty().await;
    let mut said = String::new();
    for _ in 0..2 {
        let mut command = callq(["migrate"]);
        let ended = run(command.env("DATABASE_URL", database.url())).await;
        write!(said, "{}", ended.with_code(0).text()).expect("a String takes all");
    }
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("applied "), "{said}");
    assert!(
        lines[1].starts_with("the schema callq is up to date"),
        "{said}"
    );
}

#[tokio::test]
async fn two_processes_may_migrate_at_once() {
    let database = Database::empty().await;
    let migrate = || async {
        let mut command = callq(["migrate"]);
        run(command.env("DATABASE_URL", database.url())).await
    };
    let (one, other) = tokio::join!(migrate(), migrate());
    one.with_code(0);
    other.with_code(0);
    let mut show = callq(["jobs", "show", "1"]);
    let ended = run(show.env("DATABASE_URL", database.url())).await;
    assert_eq!(
        ended.with_code(3).stderr,
        "callq: there is no job 1\nhint: `callq jobs list` shows jobs\n"
    );
}
