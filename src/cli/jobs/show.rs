//! `callq jobs show ID`

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::filter::id;
use super::live::Live;
use crate::call::readable;
use crate::cli::demo::callees;
use crate::cli::settings::ConfigFile;
use crate::cli::table::shown;
use crate::cli::when::time;
use crate::cli::{Failure, print};
use crate::store::{AttemptRow, JobRow, Store};

const EXAMPLES: &str = "Examples:\n  \
    callq jobs show 4711\n  \
    callq jobs show 4711 --live\n  \
    callq jobs show 4711 --json | jq .attempts";

/// Everything about one job: every attempt, what holds it, the next step.
///
/// Times are UTC. user_data and offline_push are never shown, only whether they are there.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Show {
    /// The job's id
    #[arg(value_parser = id)]
    id: i64,

    /// Also ask Tencent who rings and who talks now; needs the app's configuration
    #[arg(long)]
    live: bool,

    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

/// There is no row with this id.
pub(super) fn no_such_job(id: i64) -> Failure {
    Failure::NoSuchThing(format!("there is no job {id}")).hint("`callq jobs list` shows jobs")
}

/// For programs.
#[derive(Serialize)]
struct Shown {
    job: JobRow,
    attempts: Vec<AttemptRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Live>,
}

impl Show {
    pub(in crate::cli) async fn run(
        self,
        store: &Store,
        config: &ConfigFile,
    ) -> Result<(), Failure> {
        let Some(job) = store.job(self.id).await? else {
            return Err(no_such_job(self.id));
        };
        let attempts = store.attempts(self.id).await?;
        let live = if self.live {
            Some(Live::ask(config, &job).await?)
        } else {
            None
        };
        if self.json {
            return print::json(&Shown {
                job,
                attempts,
                live,
            });
        }
        print::line(&facts(&job).to_string())?;
        if attempts.is_empty() {
            print::line("No attempt yet.")?;
        } else {
            print::line(&shown(&history(&attempts)))?;
        }
        if let Some(live) = live {
            print::line(&live.to_string())?;
        }
        next(&job).iter().try_for_each(|line| print::line(line))
    }
}

/// The schedule that made a job: its name, or its number if it is gone.
pub(super) fn made_by(id: Option<i64>, name: Option<&str>) -> Option<String> {
    let gone = id.map(|id| format!("{id}, removed since"));
    name.map(readable).or(gone)
}

/// Which of the private columns are given.
fn unseen(job: &JobRow) -> String {
    let unseen: Vec<&str> = [
        ("user_data", job.has_user_data),
        ("offline_push", job.has_offline_push),
        ("media_url", job.has_media_url),
    ]
    .into_iter()
    .filter_map(|(name, there)| there.then_some(name))
    .collect();
    unseen.join(", ")
}

fn facts(job: &JobRow) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            table.add_row([name.to_owned(), value]);
        }
    };
    let text = |t: &Option<String>| t.as_deref().map(readable);
    row(
        "job",
        Some(format!("{} of app {}", job.id, readable(&job.app))),
    );
    row(
        "schedule",
        made_by(job.schedule_id, job.schedule.as_deref()),
    );
    row("nominal_at", job.nominal_at.map(time));
    row("state", Some(job.state.clone()));
    row(
        "reason",
        job.reason.as_ref().map(|r| match &job.sentence {
            Some(sentence) => format!("{r}: {sentence}"),
            None => r.clone(),
        }),
    );
    row("detail", text(&job.reason_detail));
    row("outcome", job.outcome.clone());
    let root = job
        .root_id
        .map(|root| format!("ring {} of job {root}", job.ring_no));
    row("follow-up", root);
    row("robot_account", Some(readable(&job.robot_account)));
    row("callees", Some(readable(&job.callees.join(", "))));
    row("media_type", Some(job.media_type.clone()));
    row("room_id", text(&job.room_id));
    row("run_at", Some(time(job.run_at)));
    row(
        "due_at",
        Some(time(job.due_at)).filter(|_| job.due_at != job.run_at),
    );
    row(
        "expires_at",
        Some(job.expires_at.map_or_else(|| "never".to_owned(), time)),
    );
    row("priority", Some(job.priority.to_string()));
    row(
        "attempts",
        Some(format!(
            "{}; {} of at most {} count",
            job.attempt, job.attempts_used, job.max_attempts
        )),
    );
    row("on_doubt", Some(job.on_doubt.clone()));
    let policy = job
        .ring_policy
        .as_ref()
        .map(|policy| readable(&policy.to_string()));
    row("ring_policy", policy);
    let seconds = job.max_call_seconds;
    row("max_call_seconds", seconds.map(|s| s.to_string()));
    let options = job.media_options.as_ref();
    row("media_options", options.map(|o| readable(&o.to_string())));
    row("idempotency_key", text(&job.idempotency_key));
    row(
        "metadata",
        Some(readable(job.metadata.get())).filter(|m| m != "{}"),
    );
    row("not shown", Some(unseen(job)));
    row("cancel requested", job.cancel_requested_at.map(time));
    row("call_id", text(&job.call_id));
    row("callee results", job.callee_results.as_ref().map(callees));
    row(
        "error",
        job.error_code.filter(|c| *c != 0).map(|code| {
            format!(
                "{code} {}",
                readable(job.error_info.as_deref().unwrap_or(""))
            )
        }),
    );
    row("request_id", text(&job.request_id));
    row("sent_at", job.sent_at.map(time));
    row("placed_at", job.placed_at.map(time));
    row("finished_at", job.finished_at.map(time));
    row(
        "inserted",
        Some(format!(
            "{} by {}",
            time(job.created_at),
            readable(&job.inserted_by)
        )),
    );
    table
}

fn history(attempts: &[AttemptRow]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "#",
        "state",
        "claimed_at",
        "late",
        "class",
        "answer",
        "room",
        "worker",
    ]);
    for attempt in attempts {
        let answer = match attempt.error_code {
            Some(0) => attempt
                .call_id
                .as_deref()
                .map_or_else(|| "OK".to_owned(), readable),
            Some(code) => format!(
                "{code} {}",
                attempt
                    .meaning
                    .clone()
                    .unwrap_or_else(|| { readable(attempt.error_info.as_deref().unwrap_or("")) })
            ),
            None => readable(attempt.detail.as_deref().unwrap_or("")),
        };
        let class = attempt.class.clone().unwrap_or_default();
        table.add_row([
            attempt.attempt.to_string(),
            attempt.state.clone(),
            time(attempt.claimed_at),
            attempt
                .late_ms
                .map_or_else(String::new, |ms| format!("{ms:.1} ms")),
            if attempt.second_ring {
                format!("{class}, a second ring")
            } else {
                class
            },
            answer,
            readable(&attempt.room_id),
            readable(&attempt.worker),
        ]);
    }
    table
}

/// What holds the job and what comes next.
fn next(job: &JobRow) -> Vec<String> {
    let mut lines = Vec::new();
    let open = matches!(job.state.as_str(), "scheduled" | "dialing" | "in_doubt");
    if open && let Some(pause) = &job.app_pause {
        lines.push(format!("The app is paused: {}.", readable(pause)));
    }
    match (job.app_served_at, job.app_unserved_since) {
        (None, _) if open => {
            lines.push(format!(
                "No worker has ever served the app {}.",
                readable(&job.app)
            ));
        }
        (_, Some(at)) if open => {
            lines.push(format!("No worker has served the app since {}.", time(at)));
        }
        _ => {}
    }
    match (job.state.as_str(), job.next_at) {
        ("scheduled", Some(at)) => lines.push(format!("Next: a request at {}.", time(at))),
        ("dialing", Some(at)) => {
            lines.push(format!("Next: the reply, or in doubt at {}.", time(at)));
        }
        ("in_doubt", Some(at)) if job.reason.as_deref() == Some("history_lost") => {
            lines.push(format!(
                "Next: unresolved at {}, if nobody settles it.",
                time(at)
            ));
        }
        ("in_doubt", Some(at)) => {
            lines.push(format!(
                "Next: on_doubt = {} is applied at {}.",
                job.on_doubt,
                time(at)
            ));
        }
        _ => {}
    }
    if let Some(step) = &job.next_step {
        lines.push(format!("What to do: {step}"));
    }
    lines
}
