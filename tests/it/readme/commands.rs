//! Commands and statements that the documents show exist.

use std::fs;
use std::path::Path;

use clap::Command;
use sqlx::AssertSqlSafe;

use crate::support::Database;

/// Each document with its text: the README, the changelog and all of `docs/`.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).expect("there are documents");
    let docs = docs.map(|entry| entry.expect("it can be listed").path());
    [root.join("README.md"), root.join("CHANGELOG.md")]
        .into_iter()
        .chain(docs)
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a document is text");
            (path.display().to_string(), text)
        })
        .collect()
}

/// The content of all code blocks of one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks
        .map(|rest| rest.split("```").next().expect("a block"))
        .collect()
}

/// Fails unless `words`, which come after `callq`, name subcommands and flags that exist.
fn check(words: &[&str], place: &str) {
    let mut command: Command = callq::cli::definition();
    for (n, word) in words.iter().enumerate() {
        if let Some(flag) = word.strip_prefix("--") {
            let flag = flag.split('=').next().expect("a name");
            let known = command.get_arguments().any(|a| a.get_long() == Some(flag));
            assert!(
                known || flag == "help",
                "{place}: callq {} has no --{flag}",
                words.join(" ")
            );
            if flag == "exec" {
                return;
            }
        } else if let Some(sub) = command.find_subcommand(word) {
            command = sub.clone();
        } else {
            assert!(n > 0, "{place}: callq has no command {word}");
        }
    }
}

#[test]
fn commands_in_code_blocks_exist() {
    let mut checked = 0;
    for (place, text) in documents() {
        for block in blocks(&text, "sh") {
            for line in block.replace("\\\n", " ").lines() {
                let line = line.split(" #").next().expect("a first part");
                let words: Vec<&str> = line.split_whitespace().collect();
                if let Some(at) = words.iter().position(|word| *word == "callq") {
                    check(&words[at + 1..], &place);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 5, "only {checked} commands were found");
}

#[test]
fn commands_in_the_text_exist() {
    let mut checked = 0;
    for (place, text) in documents() {
        for span in text.split('`').skip(1).step_by(2) {
            let mut words = span.split_whitespace();
            if words.next() == Some("callq") {
                let words: Vec<&str> = words.collect();
                if words
                    .first()
                    .is_some_and(|w| w.starts_with(|c: char| c.is_lowercase()))
                {
                    check(&words, &place);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 5, "only {checked} commands were found");
}

#[tokio::test]
async fn statements_in_code_blocks_are_understood_by_the_database() {
    let database = Database::new().await;
    let mut checked = 0;
    for (place, text) in documents() {
        for block in blocks(&text, "sql") {
            for statement in block.split(";\n").filter(|s| !s.trim().is_empty()) {
                let statement = statement.trim_end().trim_end_matches(';');
                // Names, types and rights are looked at; nothing is done.
                let prepare = AssertSqlSafe(format!("PREPARE it AS {statement}; DEALLOCATE it"));
                let prepared = sqlx::raw_sql(prepare).execute(database.pool()).await;
                prepared.unwrap_or_else(|error| panic!("{place}: {statement}: {error}"));
                checked += 1;
            }
        }
    }
    assert!(checked > 3, "only {checked} statements were found");
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (place, text) in documents() {
        let folder = Path::new(&place).parent().expect("a file is in a folder");
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().expect("a first part");
            let elsewhere = file.is_empty() || file.contains("://");
            assert!(elsewhere || folder.join(file).exists(), "{place}: {target}");
        }
    }
}
