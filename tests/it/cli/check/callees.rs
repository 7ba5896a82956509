//! `callq check --callees`: who was not imported.

use std::fmt::Write as _;

use callq::sandbox::{Fault, FaultKind, Sandbox, SandboxConfig};
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::process::Command;

use super::super::APP;
use super::Checked;
use crate::support::program::{callq, run};

/// A check of the callees in a file.
fn of_callees(file: &NamedTempFile, host: &str) -> Command {
    let path = file.path().to_str().unwrap();
    let mut command = callq(["check", "--json", "--callees", path]);
    let nowhere = "postgres:///callq?host=/nonexistent&user=me";
    command
        .envs(APP)
        .env("DATABASE_URL", nowhere)
        .env("CALLQ_HOST", host);
    command
}

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[tokio::test]
async fn callees_are_asked_for_in_hundreds_and_the_missing_are_listed() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let mut text = "\u{feff}missing-first\r\n\r\n".to_owned();
    for n in 0..240 {
        writeln!(text, "jack-{n}").unwrap();
    }
    text += "missing-last\nmissing-last\n";
    let checked = Checked::of(&mut of_callees(&file(&text), &sandbox.url())).await;
    let line = checked.line("callees");
    assert_eq!(line["level"], "fail");
    assert_eq!(line["accounts"], json!(["missing-first", "missing-last"]));
    assert!(
        line["says"]
            .as_str()
            .unwrap()
            .starts_with("2 of 242 are not imported"),
        "{line}"
    );
    let ledger = sandbox.ledger();
    let asked: Vec<_> = ledger
        .queries()
        .iter()
        .filter(|q| q.command == "account_check")
        .map(|q| q.accounts.len())
        .collect();
    assert_eq!(asked, [100, 100, 42]);
    assert_eq!(ledger.stats().requests, 0);
    assert_eq!(checked.ended.code(), 2);
}

#[tokio::test]
async fn imported_callees_are_fine_and_a_throttle_is_waited_out() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let throttle = Fault::new(FaultKind::ErrorCode(60_007))
        .for_command("account_check")
        .times(1);
    sandbox.script(throttle).unwrap();
    let checked = Checked::of(&mut of_callees(&file("ann\nbob\n"), &sandbox.url())).await;
    assert_eq!(checked.level("callees"), "ok", "{}", checked.ended);
}

#[tokio::test]
async fn callees_are_not_asked_for_where_the_app_is_refused() {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let ids = file("ann\n");
    let mut command = of_callees(&ids, &sandbox.url());
    let checked = Checked::of(command.env("CALLQ_SECRET_KEY", "wrong")).await;
    assert_eq!(checked.level("callees"), "skip");
    assert_eq!(sandbox.ledger().stats().queries, 1);
}

#[tokio::test]
async fn a_file_of_callees_with_a_fault_ends_with_2_before_anything_is_asked() {
    let long = "x".repeat(33);
    for (text, words) in [
        ("ann\n\n".to_owned() + &long, "line 3: "),
        ("\n".to_owned(), "holds no callee"),
    ] {
        let ended = run(&mut of_callees(&file(&text), "http://127.0.0.1:9"))
            .await
            .with_code(2);
        assert!(
            ended.stderr.contains(words) && ended.stdout.is_empty(),
            "{ended}"
        );
    }
    let mut command = callq(["check", "--callees", "/nonexistent"]);
    let ended = run(&mut command).await.with_code(2);
    assert!(ended.stderr.contains("cannot open /nonexistent"), "{ended}");
}
