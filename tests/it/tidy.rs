//! The house rules that can be read off the tracked files: which way imports point, who may use
//! what, how long things are, and words that must not be there.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use callq::call::Reason;

use crate::support::Database;

/// A tracked file: its path in the repository, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|e| e == extension)
    }

    /// Each line that is no comment, with its number.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(n, line)| (n + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The top module of a file in `src/`, as in `store`.
    fn module(&self) -> Option<&str> {
        let inner = self.path.strip_prefix("src/")?;
        Some(inner.split(['/', '.']).next().unwrap_or(inner))
    }

    /// The other modules of this crate that its code names.
    fn uses(&self) -> HashSet<String> {
        let code: Vec<&str> = self.code().map(|(_, line)| line).collect();
        let code = code.join("\n");
        let mut used = HashSet::new();
        for rest in code.split("crate::").skip(1) {
            match rest.strip_prefix('{') {
                Some(list) => used.extend(heads(list)),
                None => used.extend(heads(rest).into_iter().take(1)),
            }
        }
        used
    }
}

/// The first names of a list such as `store::{A, B}, call}`, whose own braces do not count.
fn heads(list: &str) -> Vec<String> {
    let (mut depth, mut heads, mut head) = (0, Vec::new(), String::new());
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' | ';' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(std::mem::take(&mut head)),
            _ if depth == 0 => head.push(c),
            _ => {}
        }
    }
    heads.push(head);
    let name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    heads
        .iter()
        .map(|head| head.trim_start().chars().take_while(name).collect())
        .collect()
}

/// Every tracked text file, and every new one that is not ignored.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])
    .current_dir(root);
    let listed = match git.output() {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).expect("names"),
        // An unpacked archive has no index; its folders are then the next best list.
        _ => ["src", "tests", "migrations", "docs", "scripts"]
            .iter()
            .flat_map(|folder| below(root, &root.join(folder)))
            .chain(["README.md", "CHANGELOG.md", "demo", "test", "Cargo.toml"].map(String::from))
            .collect::<Vec<_>>()
            .join("\0"),
    };
    let read = |path: &str| {
        let text = fs::read_to_string(root.join(path)).ok()?;
        let path = path.to_owned();
        Some(Source { path, text })
    };
    let sources: Vec<_> = listed.split('\0').filter_map(read).collect();
    assert!(
        sources.len() > 100,
        "only {} files were found",
        sources.len()
    );
    sources
}

fn below(root: &Path, folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        let path = folder.strip_prefix(root).expect("it is below");
        return vec![path.display().to_string()];
    };
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    paths.flat_map(|path| below(root, &path)).collect()
}

/// The faults of all files, or the test fails for want of anything to look at.
#[track_caller]
fn none(faults: impl IntoIterator<Item = String>) {
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The lines of code in files that `forbidden` picks which hold one of `words`.
#[track_caller]
fn words_only_elsewhere(words: &[&str], forbidden: impl Fn(&Source) -> bool) {
    let sources = sources();
    let allowed = |s: &Source| s.is_rust() && !forbidden(s);
    let used = sources.iter().filter(|s| allowed(s)).any(|s| {
        let mut code = s.code();
        code.any(|(_, line)| words.iter().any(|word| holds(line, word)))
    });
    assert!(used, "{words:?} is used nowhere: the rule is out of date");
    none(
        sources
            .iter()
            .filter(|s| s.is_rust() && forbidden(s))
            .flat_map(|source| {
                let lines = source.code();
                let found = lines.filter(|(_, line)| words.iter().any(|word| holds(line, word)));
                found
                    .map(|(n, line)| format!("{}:{n}: {}", source.path, line.trim()))
                    .collect::<Vec<_>>()
            }),
    );
}

/// Whether `word` is in `line`, and not as the end of a longer one.
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
    })
}

/// Who may import whom in `src/`, as in lib.rs.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("lib", &[]),
    (
        "cli",
        &[
            "config", "bench", "dev", "worker", "web", "sandbox", "store", "tencent", "call",
            "schedule",
        ],
    ),
    ("bench", &["dev", "store", "tencent", "call"]),
    ("config", &["tencent", "call", "schedule"]),
    (
        "dev",
        &[
            "worker", "web", "sandbox", "store", "tencent", "call", "schedule",
        ],
    ),
    ("worker", &["store", "tencent", "call", "schedule"]),
    ("web", &["store", "tencent", "call"]),
    ("sandbox", &[]),
    ("store", &["call", "schedule"]),
    ("tencent", &["call", "schedule"]),
    ("call", &[]),
    ("schedule", &[]),
];

#[test]
fn arrows_between_modules_point_down() {
    let sources = sources();
    none(sources.iter().filter_map(|source| {
        let module = source.module()?;
        let allowed = ARROWS.iter().find(|(name, _)| *name == module);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{module} has no place in ARROWS"));
        let modules = ARROWS.iter().map(|(name, _)| *name);
        let used = source.uses();
        let wrong: Vec<_> = modules
            .filter(|m| *m != module && used.contains(*m) && !allowed.contains(m))
            .collect();
        (!wrong.is_empty()).then(|| format!("{} must not use {wrong:?}", source.path))
    }));
}

#[test]
fn no_module_is_reached_through_super() {
    // `super::super::store` would slip through the arrows.
    let sources = sources();
    none(
        sources
            .iter()
            .filter(|s| s.module().is_some())
            .flat_map(|source| {
                let inner = source.path.trim_end_matches("/mod.rs");
                let depth = inner.split('/').count() - 1;
                let tests = source
                    .text
                    .lines()
                    .position(|line| line.starts_with("mod tests"));
                let far = source.code().filter(move |(n, line)| {
                    let depth = depth + usize::from(tests.is_some_and(|tests| *n > tests));
                    line.contains(&"super::".repeat(depth))
                });
                far.map(|(n, _)| format!("{}:{n}", source.path))
                    .collect::<Vec<_>>()
            }),
    );
}

#[test]
fn only_store_speaks_to_the_database() {
    words_only_elsewhere(&["sqlx::", "sqlx!"], |s| {
        s.module().is_some() && s.module() != Some("store")
    });
}

#[test]
fn only_tencent_speaks_http_as_a_client() {
    words_only_elsewhere(&["reqwest::", "hyper::"], |s| {
        s.module().is_some() && s.module() != Some("tencent")
    });
}

#[test]
fn only_one_file_knows_the_crate_of_the_backoff() {
    words_only_elsewhere(
        &["backoff::backoff", "backoff::Exp", "backoff::{Exp"],
        |s| s.module().is_some() && s.path != "src/call/backoff.rs",
    );
}

#[test]
fn only_one_file_knows_the_crate_of_cron_and_one_that_of_zones() {
    for (words, file) in [
        (["cron::"], "src/schedule/calendar.rs"),
        (["jiff::"], "src/schedule/zone.rs"),
    ] {
        words_only_elsewhere(&words, |s| s.module().is_some() && s.path != file);
    }
}

/// Files that read the environment, each with its reason.
const READ_THE_ENVIRONMENT: [&str; 2] = [
    // Where binaries and homes are; a test describes a machine with it.
    "src/dev/postgres/places.rs",
    // To keep the PG... variables of the shell from the private server.
    "src/dev/postgres/binaries.rs",
];

#[test]
fn only_config_reads_the_environment() {
    let reads = ["std::env::", "env::var", "use std::env", "env::vars_os"];
    words_only_elsewhere(&reads, |s| {
        let is_src = s.module().is_some_and(|module| module != "config");
        is_src && !READ_THE_ENVIRONMENT.contains(&s.path.as_str())
    });
}

#[test]
fn only_cli_prints() {
    words_only_elsewhere(
        &["println!", "eprintln!", "print!", "eprint!", "stdout()"],
        |s| s.module().is_some_and(|module| module != "cli"),
    );
}

/// A promise that is not looked at is none: where a part is missing, the test fails and says which.
#[test]
fn no_test_leaves_itself_out() {
    none(
        sources()
            .iter()
            .filter(|s| s.path.starts_with("tests/it/") && s.path != "tests/it/tidy.rs")
            .flat_map(|source| {
                let skips = |line: &str| {
                    let line = line.to_ascii_lowercase();
                    // What is ignored is run by another test, or at another size by one of make's targets.
                    let ignored = line.contains("#[ignore")
                        && !line.contains("run by another test")
                        && !line.contains(": make ");
                    // Schedules skip firings too; a test that skips itself prints it.
                    let prints = line.contains("print!(") || line.contains("println!(");
                    ignored || (prints && line.contains("\"skip"))
                };
                let lines = source.text.lines().enumerate();
                let found = lines.filter(|(_, line)| skips(line));
                found
                    .map(|(n, line)| format!("{}:{}: {line}", source.path, n + 1))
                    .collect::<Vec<_>>()
            }),
    );
}

#[test]
fn store_never_begins_a_transaction() {
    none(
        sources()
            .iter()
            .filter(|s| s.module() == Some("store"))
            .flat_map(|source| {
                let begins = |line: &str| {
                    let line = line.to_ascii_lowercase();
                    line.contains(".begin(")
                        || line.trim() == "begin;"
                        || line.contains("begin_with(")
                };
                let found = source.code().filter(|(_, line)| begins(line));
                found
                    .map(|(n, line)| format!("{}:{n}: {line}", source.path))
                    .collect::<Vec<_>>()
            }),
    );
}

/// The same for a file's tests and what they test together.
const FILE_LINES_MAX: usize = 500;

/// A table of cases is one purpose however long it is.
const TEST_FILE_LINES_MAX: usize = 800;

#[test]
fn no_rust_file_is_too_long() {
    none(
        sources()
            .iter()
            .filter(|s| s.is_rust())
            .filter_map(|source| {
                let lines = source.text.lines().count();
                let most = if source.path.starts_with("tests/") {
                    TEST_FILE_LINES_MAX
                } else {
                    FILE_LINES_MAX
                };
                (lines > most).then(|| format!("{}: {lines} lines", source.path))
            }),
    );
}

const COLUMNS_MAX: usize = 100;

/// In tests and measurements, where a statement or a table's row reads better whole.
const TEST_COLUMNS_MAX: usize = 190;

#[test]
fn no_rust_line_is_too_long() {
    none(sources().iter().filter(|s| s.is_rust()).flat_map(|source| {
        let most = if ["tests/", "benches/"]
            .iter()
            .any(|f| source.path.starts_with(f))
        {
            TEST_COLUMNS_MAX
        } else {
            COLUMNS_MAX
        };
        let lines = source.text.lines().enumerate();
        let long = lines.filter(|(_, line)| line.chars().count() > most);
        long.map(|(n, _)| format!("{}:{}", source.path, n + 1))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn every_statement_says_what_it_is_for() {
    let sources = sources();
    let statements = sources.iter().filter(|s| {
        let ours = s.path.starts_with("src/store/") || s.path.starts_with("migrations/");
        ours && s.has_extension("sql")
    });
    none(
        statements
            .filter(|s| !s.text.starts_with("-- "))
            .map(|s| s.path.clone()),
    );
}

#[test]
fn every_rust_file_says_what_it_is_for() {
    let sources = sources();
    let silent = sources
        .iter()
        .filter(|s| s.is_rust() && !s.text.starts_with("//! "));
    none(silent.map(|source| source.path.clone()));
}

/// Words that must be nowhere; each in two halves, so that this file does not hold them.
const FORBIDDEN: [(&str, &str); 10] = [
    ("exactly", " once"),
    ("exactly", "-once"),
    ("FIX", "ME"),
    ("TO", "DO"),
    ("XX", "X"),
    // Paths of one machine.
    ("/root", "/."),
    ("/wo", "rk/"),
    ("/tmp/", "wt-"),
    // Where packages come from is the business of whoever builds.
    ("artifact", "ory"),
    ("goproxy", "."),
];

#[test]
fn no_file_holds_a_forbidden_word() {
    let sources = sources();
    // Codes such as 2xxxx are no marks; the lock file names the one registry there is.
    let looked_at = sources.iter().filter(|s| s.path != "Cargo.lock");
    none(looked_at.flat_map(|source| {
        let found = FORBIDDEN.iter().filter(|(one, other)| {
            let word = format!("{one}{other}");
            let text = &source.text;
            if one.chars().all(char::is_uppercase) {
                text.split(|c: char| !c.is_alphanumeric())
                    .any(|w| w == word)
            } else {
                text.to_lowercase().replace('\n', " ").contains(&word)
            }
        });
        found
            .map(|(one, other)| format!("{}: {one}{other}", source.path))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn packages_come_from_the_public_registry_alone() {
    let sources = sources();
    let lock = sources
        .iter()
        .find(|s| s.path == "Cargo.lock")
        .expect("it is tracked");
    let from = lock
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("source = "));
    let from: HashSet<&str> = from.collect();
    assert_eq!(
        from,
        ["\"registry+https://github.com/rust-lang/crates.io-index\""].into()
    );
}

/// The words that `sql` gives to a job as its reason: literals after `reason =`, up to the end of
/// the column's expression, and the answers of the function that tells why a job expired.
fn reasons_in(sql: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    let code: Vec<&str> = sql
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect();
    let code = code.join("\n");
    let expressions = code.match_indices("reason = ").filter_map(|(at, word)| {
        let before = code[..at].chars().next_back();
        let rest = &code[at + word.len()..];
        // `pause_reason = ` is another column, `r.reason = ` a comparison.
        before
            .is_none_or(char::is_whitespace)
            .then(|| rest.split(",\n").next().unwrap_or(rest))
    });
    for expression in expressions {
        let mut parts = expression.split('\'');
        let mut before = parts.next().unwrap_or("");
        while let (Some(word), Some(after)) = (parts.next(), parts.next()) {
            let given = ["THEN ", "ELSE ", ""].iter().any(|w| match *w {
                "" => before.trim().is_empty(),
                w => before.ends_with(w),
            });
            if given {
                found.insert(word.to_owned());
            }
            before = after;
        }
    }
    found
}

#[tokio::test]
async fn every_reason_that_is_given_is_explained_in_the_database() {
    let database = Database::new().await;
    let explained = sqlx::query_scalar("SELECT reason FROM callq.reasons");
    let explained: Vec<String> = explained
        .fetch_all(database.pool())
        .await
        .expect("the database answers");
    let explained: HashSet<String> = explained.into_iter().collect();

    let mut given: HashSet<String> = Reason::ALL.iter().map(|r| r.as_str().to_owned()).collect();
    let from_rust = given.len();
    for source in sources().iter().filter(|s| s.has_extension("sql")) {
        given.extend(reasons_in(&source.text));
        // The reasons that functions of the database and the record statement compute.
        for word in [
            "late_reply",
            "cancelled_by_user",
            "cancel_too_late",
            "ring_deadline",
            "ring_schedule_stopped",
            "media_refused",
            "media_room_unknown",
            "media_stopped",
        ] {
            let branches = ["THEN", "ELSE"].map(|how| format!("{how} '{word}'"));
            if branches.iter().any(|branch| source.text.contains(branch)) {
                given.insert(word.to_owned());
            }
        }
        // The reasons of firings that are taken back, and what callq.skip_missed_firings is for.
        for word in [
            "superseded",
            "schedule_paused",
            "schedule_removed",
            "schedule_at_fault",
            "firing_forgotten",
        ] {
            if source.text.contains(&format!("'{word}')"))
                || source.text.contains(&format!("('{word}', "))
            {
                given.insert(word.to_owned());
            }
        }
        for rest in source.text.split("'expired_").skip(1) {
            let end = rest.split('\'').next().expect("a first part");
            given.insert(format!("expired_{end}"));
        }
    }
    assert!(
        given.len() > from_rust + 4,
        "SQL gives reasons too: {given:?}"
    );
    let mut missing: Vec<_> = given.difference(&explained).collect();
    missing.sort();
    assert!(missing.is_empty(), "callq.reasons lacks {missing:?}");
    let mut unused: Vec<_> = explained.difference(&given).collect();
    unused.sort();
    assert!(unused.is_empty(), "nothing gives {unused:?}");
}
