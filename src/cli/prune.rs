//! `callq prune`

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::settings::ConfigFile;
use super::when::duration;
use super::{Failure, ask, print};
use crate::store::{Pruning, Store};

const EXAMPLES: &str = "Examples:\n  \
    callq prune --older-than 90d --dry-run\n  \
    callq prune --older-than 365d --yes\n\n\
    To have workers do it by themselves, as the owner of the schema:\n  \
    UPDATE callq.settings SET keep_finished_for = '1 year';";

/// Tencent keeps the records of calls for so long.
const LEAST: Duration = Duration::from_hours(7 * 24);

/// The least time from one page of 500 jobs to the next: 2,000 jobs a second, some 4 MB of
/// write-ahead log.
const PAGE_EVERY: Duration = Duration::from_millis(250);

/// Delete jobs that ended long ago, with their attempts, legs and idempotency keys.
///
/// Reports keep what they counted. A job that is open, whose outcome is still looked for, or of
/// whose chain a later one stays is never deleted. It goes in pages of 500 jobs, at most 2,000 a
/// second, skips what others have locked, and may be stopped at any time. With its row an
/// idempotency key is free again. Needs the login of the owner of the schema.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Prune {
    /// How long ago a job must have ended, at least 7d
    #[arg(long, value_name = "DURATION", value_parser = age)]
    older_than: Duration,

    /// Only count what would be deleted
    #[arg(long)]
    dry_run: bool,

    /// Do not ask first; needed where there is no terminal to ask on
    #[arg(long)]
    yes: bool,

    /// One JSON object with what was deleted, for programs
    #[arg(long)]
    json: bool,
}

fn age(text: &str) -> Result<Duration, String> {
    let age = duration(text)?;
    if age < LEAST {
        return Err("must be at least 7d, for which Tencent keeps the records of calls".to_owned());
    }
    Ok(age)
}

#[derive(Default)]
struct Total {
    jobs: i64,
    attempts: i64,
    legs: i64,
}

impl Prune {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        if !(self.dry_run || self.yes || ask::is_possible()) {
            let text = "there is no terminal to ask on before jobs are deleted";
            return Err(Failure::Cannot(anyhow::anyhow!(text))
                .hint("add --yes. With --dry-run it only counts what would be deleted"));
        }
        let url = config.database_url()?;
        let store = Store::connect(url.expose(), 1).await?;
        store.check_schema().await?;
        if self.dry_run || !self.yes {
            let counted = self.all(&store, Pruning::Counted).await?;
            if self.dry_run {
                return self.tell(&counted, "would delete");
            }
            let question = format!("delete {}?", said(&counted));
            if !ask::agreed(&question)? {
                print::note("nothing was changed");
                return Ok(());
            }
        }
        let done = self.all(&store, Pruning::Done).await?;
        self.tell(&done, "deleted")
    }

    /// From the first page to the last.
    async fn all(&self, store: &Store, mode: Pruning) -> Result<Total, Failure> {
        let (mut total, mut after) = (Total::default(), Some(0));
        while let Some(from) = after {
            let began = Instant::now();
            let page = store.prune(self.older_than, from, mode).await?;
            total.jobs += page.jobs;
            total.attempts += page.attempts;
            total.legs += page.legs;
            after = page.next;
            if mode == Pruning::Done && page.jobs > 0 {
                tokio::time::sleep(PAGE_EVERY.saturating_sub(began.elapsed())).await;
            }
        }
        Ok(total)
    }

    fn tell(&self, total: &Total, did: &str) -> Result<(), Failure> {
        if self.json {
            return print::json(&json!({
                "dry_run": self.dry_run,
                "jobs": total.jobs,
                "attempts": total.attempts,
                "legs": total.legs,
            }));
        }
        print::line(&format!("{did} {}", said(total)))
    }
}

fn said(total: &Total) -> String {
    let Total {
        jobs,
        attempts,
        legs,
    } = total;
    let of = |number: &i64, one: &str| match number {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    };
    format!(
        "{}, {} and {}",
        of(jobs, "job"),
        of(attempts, "attempt"),
        of(legs, "leg")
    )
}
