//! What the verbs share: which jobs, the question before many, and the account of what they said.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use super::filter::{self, Filter, id};
use crate::call::readable;
use crate::cli::when::time;
use crate::cli::{Failure, ask, print};
use crate::store::{Answer, Move, Store, StoreError, Verdict};

/// More jobs than this at once are refused: a filter that wide is likely a mistake, and their ids
/// are kept in memory.
const MANY_MAX: usize = 100_000;

/// How many ids are read at once.
const PAGE: u32 = 1000;

/// How many refusals of a filter's jobs are told one by one.
const REFUSALS_TOLD: usize = 20;

/// Which jobs, and how to tell of them.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// The job's id, or several
    #[arg(value_name = "ID", value_parser = id)]
    ids: Vec<i64>,

    #[command(flatten)]
    filter: Filter,

    /// Do not ask before many jobs are changed; needed where there is no terminal to ask on
    #[arg(long)]
    yes: bool,

    /// One JSON object per job, for programs
    #[arg(long)]
    json: bool,
}

/// What is done to each job.
#[derive(Debug)]
pub(super) enum Verb {
    Cancel,
    Retry { ttl: Option<std::time::Duration> },
    Reschedule(Move),
    Resolve(Verdict),
}

impl Verb {
    fn name(&self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry { .. } => "retry",
            Self::Reschedule(_) => "reschedule",
            Self::Resolve(_) => "resolve",
        }
    }

    /// What a filter without `--state` means: the states in which the verb does something, but for
    /// those that somebody chose on purpose. Nobody wants their cancelled calls to ring after all
    /// because an app's failed ones are retried.
    fn states(&self) -> &'static [&'static str] {
        match self {
            Self::Cancel => &["scheduled", "dialing", "in_doubt"],
            Self::Retry { .. } => &["failed", "expired"],
            Self::Reschedule(_) => &["scheduled"],
            Self::Resolve(_) => &["in_doubt"],
        }
    }

    async fn on(&self, store: &Store, id: i64) -> Result<Answer, StoreError> {
        match self {
            Self::Cancel => store.cancel_job(id).await,
            Self::Retry { ttl } => store.retry_job(id, *ttl).await,
            Self::Reschedule(to) => store.reschedule_job(id, *to).await,
            Self::Resolve(verdict) => store.resolve_job(id, verdict).await,
        }
    }
}

impl Target {
    /// Whether the jobs are named, not found by a filter.
    pub(super) fn is_one_job(&self) -> bool {
        self.ids.len() == 1
    }

    /// Does it to each job, one by one: what one refuses does not stop the others, and neither does
    /// an account that cannot be written.
    pub(super) async fn each(self, store: &Store, verb: &Verb) -> Result<(), Failure> {
        let is_filter = self.ids.is_empty();
        let ids = if is_filter {
            match self.found(store, verb).await? {
                Some(ids) => ids,
                None => return Ok(()),
            }
        } else if self.filter.is_empty() {
            self.ids
        } else {
            return cannot("give ids or a filter, not both".to_owned());
        };
        let mut account = Account {
            each: !is_filter,
            json: self.json,
            ..Account::default()
        };
        // Whoever asked for it may not read the account of it: that leaves no job undone.
        let mut unread = None;
        for (done, id) in ids.iter().enumerate() {
            match verb.on(store, *id).await {
                Ok(answer) => {
                    if let Err(failure) = account.note(*id, answer) {
                        unread.get_or_insert(failure);
                    }
                }
                Err(error) => {
                    let _told_below = account.sum_up();
                    let left = ids.len() - done;
                    let left = match left {
                        1 => format!("job {id} was not done"),
                        _ => format!("job {id} and those after it, {left} in all, were not done"),
                    };
                    return Err(Failure::from(anyhow::Error::from(error).context(left)));
                }
            }
        }
        if let Err(failure) = account.sum_up() {
            unread.get_or_insert(failure);
        }
        unread.map_or_else(|| account.verdict(), Err)
    }

    /// The ids of the jobs that match, if the person agrees.
    async fn found(&self, store: &Store, verb: &Verb) -> Result<Option<Vec<i64>>, Failure> {
        let name = verb.name();
        if self.filter.is_empty() {
            let flags = filter::FLAGS;
            return cannot(format!(
                "{name} which jobs? Give an id, or at least one of {flags}"
            ));
        }
        if !self.yes && !ask::is_possible() {
            let text = "there is no terminal to ask on before many jobs are changed";
            let states = verb.states().join(",");
            return Err(Failure::Cannot(anyhow::anyhow!(text)).hint(format!(
                "add --yes. `callq jobs list --state {states}` with the same filter shows them"
            )));
        }
        let filter = self.filter.to_store(verb.states());
        let mut walk = store.walk_jobs(filter, None).await?;
        let mut ids = Vec::new();
        loop {
            let page = store.next_jobs(&mut walk, PAGE).await?;
            if page.is_empty() {
                break;
            }
            ids.extend(page.iter().map(|job| job.id));
            if ids.len() > MANY_MAX {
                return cannot(format!(
                    "more than {MANY_MAX} jobs match: narrow the filter, as with --until"
                ));
            }
        }
        // The oldest first, as they would ring.
        ids.reverse();
        match ids.len() {
            0 => {
                print::note("no job matches");
                Ok(None)
            }
            _ if self.yes || agreed(name, &ids)? => Ok(Some(ids)),
            _ => {
                print::note("nothing was changed");
                Ok(None)
            }
        }
    }
}

/// Asks about so many jobs.
fn agreed(name: &str, ids: &[i64]) -> Result<bool, Failure> {
    let jobs = match ids {
        [id] => format!("1 job ({id})"),
        [first, .., last] => format!("{} jobs ({first} to {last})", ids.len()),
        [] => return Ok(false),
    };
    ask::agreed(&format!("{name} {jobs}?"))
}

fn cannot<T>(text: String) -> Result<T, Failure> {
    Err(Failure::Cannot(anyhow::anyhow!(text)))
}

/// What the jobs said so far.
#[derive(Debug, Default)]
struct Account {
    /// Whether every job's word is told, not only how many said it.
    each: bool,
    json: bool,
    words: BTreeMap<String, usize>,
    refused: usize,
    missing: usize,
    busy: usize,
}

impl Account {
    fn note(&mut self, id: i64, answer: Answer) -> Result<(), Failure> {
        let (word, shown) = match answer {
            Answer::Word(word) => (word.clone(), word),
            Answer::RunsAt(at) => ("rescheduled".to_owned(), format!("rings at {}", time(at))),
            Answer::NoSuchJob => {
                self.missing += 1;
                return self.refuse(id, &format!("there is no job {id}"));
            }
            Answer::Refused(why) => {
                self.refused += 1;
                return self.refuse(id, &readable(&why));
            }
            Answer::Busy => {
                self.busy += 1;
                return self.refuse(
                    id,
                    &format!("job {id} is held by another session all the time: try again"),
                );
            }
        };
        *self.words.entry(word.clone()).or_default() += 1;
        if self.json {
            print::json(&json!({ "id": id, "answer": word }))?;
        } else if self.each {
            print::line(&format!("job {id}: {shown}"))?;
        }
        Ok(())
    }

    fn refuse(&self, id: i64, why: &str) -> Result<(), Failure> {
        if self.json {
            return print::json(&json!({ "id": id, "refused": why }));
        }
        let told = self.refused + self.missing + self.busy;
        if self.each || told <= REFUSALS_TOLD {
            print::note(why);
        }
        Ok(())
    }

    /// How many said what, where not each was told.
    fn sum_up(&self) -> Result<(), Failure> {
        if self.each || self.json {
            return Ok(());
        }
        for (word, jobs) in &self.words {
            print::line(&format!("{word}: {jobs}"))?;
        }
        let refused = self.refused + self.missing + self.busy;
        if refused > 0 {
            print::line(&format!("refused: {refused}"))?;
        }
        Ok(())
    }

    /// What is worst decides the exit code; it has been told.
    fn verdict(&self) -> Result<(), Failure> {
        match self {
            Self { refused: 1.., .. } => Err(Failure::Exit(2)),
            Self { missing: 1.., .. } => Err(Failure::Exit(3)),
            Self { busy: 1.., .. } => Err(Failure::Exit(1)),
            _ => Ok(()),
        }
    }
}
