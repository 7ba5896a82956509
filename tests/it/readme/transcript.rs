//! The transcript of the README's first screen: its own statements, run by a real psql.

use std::process::Stdio;
use std::time::Duration;

use callq::dev::Stack;
use callq::dev::postgres::StartOptions;
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::process::Command;
use tokio::time::timeout;

use super::README;

/// psql's prompts in the database of `callq dev`.
const PROMPTS: [&str; 2] = ["postgres=# ", "postgres-# "];

const PATIENCE: Duration = Duration::from_mins(1);

/// Tells the listeners of `ended` about each job that is finished.
const TELL: &str = "
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_notify('ended', NEW.id::text); RETURN NULL; END $$;
    CREATE TRIGGER tell AFTER UPDATE OF state ON callq.jobs FOR EACH ROW
        WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION tell();";

/// The statements of a transcript, with their prompts as they stand there.
fn statements(transcript: &str) -> Vec<String> {
    let mut statements: Vec<String> = Vec::new();
    for line in transcript.lines() {
        if line.starts_with(PROMPTS[0]) {
            statements.push(line.to_owned());
        } else if line.starts_with(PROMPTS[1]) {
            let open = statements.last_mut().expect("a statement goes on");
            open.push('\n');
            open.push_str(line);
        }
    }
    statements
}

/// What psql prints for a statement.
async fn psql(url: &str, statement: &str) -> String {
    let lines = statement.lines().map(|line| &line[PROMPTS[0].len()..]);
    let sql = lines.collect::<Vec<_>>().join("\n");
    let mut command = Command::new("psql");
    command
        .args(["-X", "-d", url, "-c", &sql])
        .env("PGCLIENTENCODING", "UTF8");
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .await
        .expect("psql is installed");
    assert!(output.status.success(), "psql refused: {sql}");
    String::from_utf8(output.stdout).expect("psql prints UTF-8")
}

/// The same whenever it was run: ids of calls and numbers become signs.
fn essence(transcript: &str) -> String {
    let sign = |word: &str| {
        let number = |c: char| c.is_ascii_digit();
        match word {
            _ if word.len() == 36 && word.matches('-').count() == 4 => "UUID".to_owned(),
            _ if !word.is_empty() && word.chars().all(number) => "N".to_owned(),
            _ => word.to_owned(),
        }
    };
    let line = |line: &str| {
        line.split_whitespace()
            .map(sign)
            .collect::<Vec<_>>()
            .join(" ")
    };
    transcript.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_transcript_is_what_psql_prints() {
    let stack = Stack::start(StartOptions::throwaway())
        .await
        .expect("the stack starts");
    let url = stack.url();
    let mut connection = PgConnection::connect(&url).await.expect("it connects");
    sqlx::raw_sql(AssertSqlSafe(TELL))
        .execute(&mut connection)
        .await
        .expect("a trigger");
    let mut ended = PgListener::connect(&url).await.expect("it connects");
    ended.listen("ended").await.expect("it listens");

    let kept = statements(&README.part("transcript"));
    assert!(kept.len() >= 2, "an INSERT and a SELECT: {kept:?}");
    let mut fresh = String::from("```\n");
    for statement in &kept {
        let printed = psql(&url, statement).await;
        fresh.extend([statement, "\n", printed.trim_end(), "\n"]);
        if statement.contains("INSERT INTO") {
            let came = timeout(PATIENCE, ended.recv()).await;
            came.expect("the job ends").expect("the connection lives");
        }
    }
    fresh.push_str("```");
    assert!(
        fresh.contains(" placed ") && fresh.contains(" accepted "),
        "{fresh}"
    );
    README.keep("transcript", &fresh, essence);
    drop(connection);
    drop(ended);
    stack.stop().await.expect("it stops");
}
