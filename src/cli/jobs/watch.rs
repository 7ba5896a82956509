//! `callq jobs watch ID`

use std::time::Duration;

use chrono::Utc;
use clap::Args;

use super::filter::id;
use super::show::no_such_job;
use crate::call::readable;
use crate::cli::when::time;
use crate::cli::{Failure, print};
use crate::store::{JobRow, Store};

const EXAMPLES: &str = "Examples:\n  \
    callq jobs watch 4711\n  \
    callq jobs watch 4711 --json | jq -r .state";

/// Between two looks at the row: the schema tells nobody of a job's changes.
const POLL: Duration = Duration::from_millis(250);

/// Print each change of a job until it ends.
///
/// A job in doubt has not ended. Ends with 0 however the job did. Looks four times a second, so a
/// state that lasted less may be missed; callq jobs show has every attempt.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Watch {
    /// The job's id
    #[arg(value_parser = id)]
    id: i64,

    /// One JSON object per change, for programs
    #[arg(long)]
    json: bool,
}

impl Watch {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let mut told = None;
        loop {
            let Some(job) = store.job(self.id).await? else {
                return Err(match told {
                    None => no_such_job(self.id),
                    Some(_) => Failure::NoSuchThing(format!("job {} was deleted", self.id)),
                });
            };
            let seen = line(&job);
            if told.as_ref() != Some(&seen) {
                if self.json {
                    print::json(&job)?;
                } else {
                    print::line(&format!("{}  {seen}", time(Utc::now())))?;
                }
                told = Some(seen);
            }
            if !matches!(job.state.as_str(), "scheduled" | "dialing" | "in_doubt") {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn line(job: &JobRow) -> String {
    let mut parts = vec![job.state.clone()];
    if job.attempt > 0 {
        parts.push(format!("attempt {}", job.attempt));
    }
    match (job.state.as_str(), job.next_at) {
        ("scheduled", Some(at)) => parts.push(format!("next request at {}", time(at))),
        ("dialing", Some(at)) => parts.push(format!("in doubt at {} without reply", time(at))),
        ("in_doubt", Some(at)) if job.reason.as_deref() == Some("history_lost") => {
            parts.push(format!("unresolved at {}", time(at)));
        }
        ("in_doubt", Some(at)) => {
            parts.push(format!("on_doubt = {} at {}", job.on_doubt, time(at)));
        }
        _ => {}
    }
    if let Some(reason) = &job.reason {
        let sentence = job.sentence.as_deref().unwrap_or("");
        parts.push(format!("{reason}: {sentence}"));
    }
    if let Some(detail) = &job.reason_detail {
        parts.push(readable(detail));
    }
    if let Some(call_id) = &job.call_id {
        parts.push(format!("CallId {}", readable(call_id)));
    }
    if job.cancel_requested_at.is_some() {
        parts.push("a cancel was asked for".to_owned());
    }
    if let Some(pause) = &job.app_pause {
        parts.push(format!("paused: {}", readable(pause)));
    }
    parts.join("; ")
}
