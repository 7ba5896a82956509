//! Which callees Tencent knows: `account_check`, a hundred at a time and no faster than it allows.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, stdin};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Failure;
use super::database::Known;
use super::finding::Finding;
use crate::call::{Answer, Class, UserId, readable};
use crate::tencent::{ACCOUNTS_MAX, Standing, TencentClient, classify};

const CHECK: &str = "callees";

/// The most callees of one check.
const CALLEES_MAX: usize = 1_000_000;

/// The most bytes of the file: as many lines of the longest ids.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// 50 requests a second; Tencent allows 100 (IM 34956), and others may be asking too.
const REQUEST_EVERY: Duration = Duration::from_millis(20);

/// How long to wait after a throttle, and how often.
const THROTTLED_WAIT: Duration = Duration::from_secs(1);
const THROTTLED_MAX: u32 = 10;

/// The ids in a file, one per line, each once; `-` is stdin. Empty lines are left out.
pub(super) fn read(path: &Path) -> Result<Vec<String>, Failure> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    let input: Box<dyn Read> = if is_stdin {
        Box::new(stdin())
    } else {
        let file = File::open(path).with_context(|| format!("cannot open {name}"));
        Box::new(file.map_err(Failure::Cannot)?)
    };
    let mut ids = Vec::new();
    let mut seen = HashSet::new();
    let mut bytes = 0;
    let lines = BufReader::new(input.take(FILE_BYTES_MAX + 1)).lines();
    for (number, line) in (1_u32..).zip(lines) {
        let fault =
            |what: String| Failure::Cannot(anyhow::anyhow!("{name}, line {number}: {what}"));
        let line = line.map_err(|error| fault(format!("cannot be read: {error}")))?;
        bytes += line.len() as u64 + 1;
        if ids.len() >= CALLEES_MAX || bytes > FILE_BYTES_MAX {
            return Err(fault(format!(
                "too much: must be at most {CALLEES_MAX} callees in 64 MiB; split the file"
            )));
        }
        let id = line.trim_start_matches('\u{feff}').trim();
        if id.is_empty() {
            continue;
        }
        UserId::new(id).map_err(|error| fault(error.to_string()))?;
        if seen.insert(id.to_owned()) {
            ids.push(id.to_owned());
        }
    }
    if ids.is_empty() {
        let fault = anyhow::anyhow!("{name} holds no callee: must be one id per line");
        return Err(Failure::Cannot(fault));
    }
    Ok(ids)
}

/// What became of all questions together.
#[derive(Default)]
struct Counted {
    imported: usize,
    missing: Vec<String>,
    unknown: Vec<(String, String)>,
}

/// Asks for all of them.
pub(super) async fn look(client: &TencentClient, ids: &[String], known: &Known) -> Finding {
    let mut ticks = interval(REQUEST_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut counted = Counted::default();
    for ids in ids.chunks(ACCOUNTS_MAX) {
        ticks.tick().await;
        if let Err(why) = ask(client, ids, known, &mut counted).await {
            let done = counted.imported + counted.missing.len() + counted.unknown.len();
            return Finding::could_not(
                CHECK,
                format!("could not ask for all, {done} were: {why}"),
                "try again later",
            )
            .of_accounts(counted.missing);
        }
    }
    told(&counted)
}

async fn ask(
    client: &TencentClient,
    ids: &[String],
    known: &Known,
    counted: &mut Counted,
) -> Result<(), String> {
    for _ in 0..=THROTTLED_MAX {
        let check = client.account_check(ids, fastrand::u32(..), known.now_unix());
        let check = check.await;
        match (classify(&check.answer), &check.answer) {
            (Class::Accepted, _) => {
                for id in ids {
                    let account = check.accounts.iter().find(|account| account.user_id == *id);
                    match account.map(|account| &account.standing) {
                        Some(Standing::Imported) => counted.imported += 1,
                        Some(Standing::NotImported) => counted.missing.push(id.clone()),
                        Some(Standing::Unknown(why)) => {
                            counted.unknown.push((id.clone(), why.clone()));
                        }
                        None => counted
                            .unknown
                            .push((id.clone(), "no answer for it".to_owned())),
                    }
                }
                return Ok(());
            }
            (Class::Throttled, _) => sleep(THROTTLED_WAIT).await,
            (_, Answer::Reply(reply)) => {
                return Err(format!("{} {}", reply.error_code, reply.error_info));
            }
            (_, Answer::NotSent { detail, .. } | Answer::Unknown { detail, .. }) => {
                return Err(detail.clone());
            }
        }
    }
    Err("Tencent throttles the questions".to_owned())
}

fn told(counted: &Counted) -> Finding {
    let (missing, unknown) = (counted.missing.len(), counted.unknown.len());
    let total = counted.imported + missing + unknown;
    let unknown_ids = counted.unknown.iter().map(|(id, _)| id);
    let accounts: Vec<String> = counted
        .missing
        .iter()
        .chain(unknown_ids)
        .map(|id| readable(id))
        .collect();
    let not_looked_up = counted.unknown.first().map(|(_, why)| {
        format!(
            "{unknown} of {total} could not be looked up: {}",
            readable(why)
        )
    });
    match (missing, not_looked_up) {
        (0, None) => Finding::ok(CHECK, format!("all {total} are imported")),
        (0, Some(says)) => Finding::could_not(CHECK, says, "try again later").of_accounts(accounts),
        (_, not_looked_up) => {
            let says = format!(
                "{missing} of {total} are not imported, so that calls to them are refused{}",
                not_looked_up.map_or_else(String::new, |says| format!("; the last {says}")),
            );
            let fix = "import them (account_import), or let them log in once";
            Finding::cannot(CHECK, says, fix).of_accounts(accounts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_not_looked_up_is_told_beside_the_missing() {
        let counted = Counted {
            imported: 2,
            missing: vec!["ann".to_owned()],
            unknown: vec![("bob".to_owned(), "no answer for it".to_owned())],
        };
        let line = told(&counted).line(super::super::finding::Style::Json);
        for words in [
            "1 of 4 are not imported",
            "the last 1 of 4 could not be looked up: no answer for it",
            "[\"ann\",\"bob\"]",
        ] {
            assert!(line.contains(words), "{words}: {line}");
        }
    }
}
