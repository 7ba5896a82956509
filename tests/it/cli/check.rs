//! `callq check`: every fault is told apart, with what to do and an exit code.

mod app;
mod callees;
mod database;
mod media;

use serde_json::Value;
use tokio::process::Command;

use super::{APP, json_lines};
use crate::support::Database;
use crate::support::program::{Ended, callq, run};
use crate::support::terminal::Terminal;

/// What the check said of everything, as programs read it.
struct Checked {
    ended: Ended,
    lines: Vec<Value>,
}

impl Checked {
    async fn of(command: &mut Command) -> Self {
        let ended = run(command).await;
        let lines = json_lines(&ended);
        assert!(ended.stderr.is_empty(), "{ended}");
        Self { ended, lines }
    }

    /// The line of one check.
    #[track_caller]
    fn line(&self, check: &str) -> &Value {
        let found: Vec<_> = self
            .lines
            .iter()
            .filter(|line| line["check"] == check)
            .collect();
        assert_eq!(found.len(), 1, "{check}: {}", self.ended);
        found[0]
    }

    #[track_caller]
    fn level(&self, check: &str) -> &str {
        self.line(check)["level"].as_str().unwrap()
    }

    /// Fails unless this check fails with these words, everything after it up to `last` was left
    /// out, and the exit code is this.
    #[track_caller]
    fn fails(&self, check: &str, words: &str, last: &str, code: i32) {
        let line = self.line(check);
        assert_eq!(line["level"], "fail", "{}", self.ended);
        assert!(line["says"].as_str().unwrap().contains(words), "{line}");
        assert!(!line["fix"].as_str().unwrap().is_empty(), "{line}");
        let at = |check: &str| {
            self.lines
                .iter()
                .position(|line| line["check"] == check)
                .unwrap()
        };
        for left in &self.lines[at(check) + 1..=at(last)] {
            assert_eq!(left["level"], "skip", "{}", self.ended);
        }
        assert_eq!(self.ended.code(), code, "{}", self.ended);
    }
}

/// The check with a complete environment: this database, and the app at `host`.
fn check(database_url: &str, host: &str) -> Command {
    let mut command = callq(["check", "--json"]);
    command
        .envs(APP)
        .env("DATABASE_URL", database_url)
        .env("CALLQ_HOST", host);
    command
}

#[tokio::test]
async fn a_check_without_any_configuration_names_what_is_missing() {
    let ended = run(&mut callq(["check"])).await.with_code(2);
    let text = ended.text();
    for says in [
        "fail  configuration             there is no app to serve; set CALLQ_SDK_APP_ID, ",
        "fail  configuration             DATABASE_URL is not set; must be ",
        "skip  schema ",
    ] {
        assert!(text.contains(says), "{says}: {ended}");
    }
}

#[tokio::test]
async fn an_app_that_is_not_configured_is_told() {
    let mut command = callq(["check", "--app", "clinic"]);
    let ended = run(command.envs(APP)).await.with_code(2);
    let says = "--app is clinic, which is not configured; must be default";
    assert!(ended.text().contains(says), "{ended}");
}

#[tokio::test]
async fn a_terminal_gets_colours() {
    let database = Database::new().await;
    let terminal = Terminal {
        columns: 100,
        typed: "",
    };
    let (code, shown) = terminal.run(&database, &["check"]).await;
    assert_eq!(code, 2, "{shown}");
    assert!(
        shown.contains("\x1b[31mfail\x1b[0m  configuration"),
        "{shown}"
    );
    assert!(shown.contains("\x1b[32mok  \x1b[0m  schema"), "{shown}");
}

#[tokio::test]
async fn a_pipe_gets_no_colours_and_one_line_for_each_check() {
    let database = Database::new().await;
    let mut command = callq(["check"]);
    let ended = run(command.envs(APP).env("DATABASE_URL", database.url())).await;
    let text = ended.text();
    assert!(!text.contains('\x1b'), "{ended}");
    let words = ["ok    ", "warn  ", "fail  ", "skip  "];
    for line in text.lines() {
        assert!(words.iter().any(|word| line.starts_with(word)), "{line}");
    }
    assert!(text.contains("fail  default: TCP "), "{ended}");
}
