//! What a shell gets of callq: completions, manual pages, and usage errors.

use std::fs;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::readme::help::commands;
use crate::support::program::{callq, run};

#[tokio::test]
async fn every_shell_gets_a_script_that_knows_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = run(&mut callq(["completions", shell])).await.with_code(0);
        let script = ended.text();
        for words in commands() {
            for word in words {
                assert!(script.contains(&word), "{shell} does not complete {word}");
            }
        }
        assert!(script.contains("on-doubt"), "{shell} knows no flags");
    }
}

#[tokio::test]
async fn the_script_for_bash_completes_in_bash() {
    let ended = run(&mut callq(["completions", "bash"])).await.with_code(0);
    let mut bash = Command::new("bash");
    bash.stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut bash = bash.arg("-s").spawn().expect("bash is on this machine");
    let script = format!(
        "{}\nCOMP_WORDS=(callq jobs resch); COMP_CWORD=2\n_callq callq resch jobs\necho \"[${{COMPREPLY[*]}}]\"\n",
        ended.text()
    );
    let mut stdin = bash.stdin.take().expect("it is piped");
    stdin
        .write_all(script.as_bytes())
        .await
        .expect("bash reads");
    drop(stdin);
    let output = bash.wait_with_output().await.expect("bash ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "[reschedule]");
}

#[tokio::test]
async fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a UTF-8 path");
    let ended = run(&mut callq(["man", "--dir", path])).await.with_code(0);
    let all = commands();
    let written = format!("wrote {} pages into {path}\n", all.len());
    assert_eq!(ended.text(), written);
    for words in all {
        let name = [&["callq".to_owned()], &words[..]].concat().join("-");
        let page = fs::read_to_string(folder.path().join(format!("{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}.1: {error}"));
        assert!(page.contains(".TH "), "{name}.1 is no manual page");
    }
}

#[tokio::test]
async fn a_manual_page_goes_to_stdout_without_a_folder() {
    let ended = run(&mut callq(["man"])).await.with_code(0);
    assert!(ended.text().contains(".TH callq 1"), "{ended}");
}

#[tokio::test]
async fn manual_pages_for_a_folder_that_is_not_there_end_with_1() {
    let ended = run(&mut callq(["man", "--dir", "/nonexistent/man1"]))
        .await
        .with_code(1);
    let says = "callq: could not write manual pages into /nonexistent/man1: ";
    assert!(ended.stderr.starts_with(says), "{ended}");
}

#[tokio::test]
async fn a_wrong_word_is_told_with_the_nearest_right_one() {
    let cases = [
        (
            &["jobs", "lst"][..],
            "callq: unrecognized subcommand 'lst'",
            "'list'",
        ),
        (
            &["worker", "--concurency", "5"],
            "callq: unexpected argument '--concurency' found",
            "'--concurrency'",
        ),
        (
            &["jobs", "list", "--state", "faild"],
            "callq: invalid value 'faild' for '--state <STATE>'",
            "'failed'",
        ),
    ];
    for (arguments, fault, meant) in cases {
        let ended = run(&mut callq(arguments.iter().copied()))
            .await
            .with_code(2);
        assert!(ended.stderr.starts_with(fault), "{ended}");
        let hint = ended.stderr.lines().find(|line| line.starts_with("hint: "));
        assert!(hint.is_some_and(|hint| hint.contains(meant)), "{ended}");
        assert!(ended.stdout.is_empty(), "{ended}");
    }
}
