//! `docs/commands.md`, the help text of every command, so that no change of one goes unseen.

use std::fmt::Write as _;

use super::pages::Page;
use crate::support::program::{callq, run};

const HEAD: &str = "# The command line

The help texts of callq and all its commands, as `callq COMMAND --help` prints them. Made by
`tests/it/readme/help.rs`. `callq man` makes manual pages of them, `callq completions` what a shell
completes.
";

/// Every command by its words, callq itself first, in the order of the help.
pub(crate) fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
        found.push(path.to_vec());
        for sub in command.get_subcommands() {
            let path = [path, &[sub.get_name().to_owned()]].concat();
            walk(sub, &path, found);
        }
    }
    let mut found = Vec::new();
    walk(&callq::cli::definition(), &[], &mut found);
    found
}

#[test]
fn no_command_loses_the_long_help_of_its_struct() {
    for words in commands().iter().filter(|words| !words.is_empty()) {
        let mut command = callq::cli::definition();
        for word in words {
            command = command
                .find_subcommand(word)
                .expect("it was listed")
                .clone();
        }
        assert!(
            command.get_long_about().is_some(),
            "callq {}",
            words.join(" ")
        );
    }
}

#[tokio::test]
async fn the_page_of_commands_holds_every_help_text() {
    let mut page = HEAD.to_owned();
    for words in commands() {
        let arguments = words.iter().map(String::as_str).chain(["--help"]);
        let ended = run(&mut callq(arguments)).await.with_code(0);
        let title = [&["callq".to_owned()], &words[..]].concat().join(" ");
        let text = ended.text();
        let lines = text.lines().map(str::trim_end).collect::<Vec<_>>();
        let text = lines.join("\n");
        write!(page, "\n## {title}\n\n```text\n{}\n```\n", text.trim_end())
            .expect("a String takes all");
    }
    Page("docs/commands.md").keep_all(&page);
}
