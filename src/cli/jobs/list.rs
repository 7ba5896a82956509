//! `callq jobs list`

use clap::{Args, value_parser};
use comfy_table::{ContentArrangement, Table, presets};

use super::filter::{Filter, id};
use super::show::made_by;
use crate::call::readable;
use crate::cli::table::shown;
use crate::cli::when::time;
use crate::cli::{Failure, print};
use crate::store::{ListedJob, Store};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    callq jobs list --state failed,expired --since '2h ago'\n  \
    callq jobs list --app clinic --metadata visit=4711 --json\n  \
    callq jobs list --limit 200 --after 81234    # those older than job 81234";

/// More callees than this are counted, not named.
const CALLEES_NAMED: usize = 3;

/// Jobs by a filter, newest first.
///
/// Times are UTC. user_data and offline_push are never shown.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    #[command(flatten)]
    filter: Filter,

    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = value_parser!(u32).range(1..=10_000))]
    limit: u32,

    /// Go on after the job with this id, the last one of the page before
    #[arg(long, value_name = "ID", value_parser = id)]
    after: Option<i64>,

    /// One JSON object per line, for programs
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let filter = self.filter.to_store(&[]);
        let mut walk = store.walk_jobs(filter, self.after).await?;
        let limit = self.limit as usize;
        let mut jobs = Vec::new();
        // One more than is shown tells whether there are more.
        while jobs.len() <= limit {
            let left = u32::try_from(limit + 1 - jobs.len()).unwrap_or(u32::MAX);
            let page = store.next_jobs(&mut walk, left).await?;
            if page.is_empty() {
                break;
            }
            jobs.extend(page);
        }
        let is_cut = jobs.len() > limit;
        jobs.truncate(limit);
        if self.json {
            for job in &jobs {
                print::json(job)?;
            }
            return Ok(());
        }
        if jobs.is_empty() {
            print::note("no job matches");
            return Ok(());
        }
        print::line(&shown(&table(&jobs)))?;
        if let Some(last) = jobs.last().filter(|_| is_cut) {
            print::note(&format!("there are more: add --after {}", last.id));
        }
        Ok(())
    }
}

fn table(jobs: &[ListedJob]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let mut header = vec![
        "id", "app", "state", "reason", "run_at", "late", "callees", "attempts",
    ];
    // Who has no schedules needs no columns for them.
    let of_schedules = jobs.iter().any(|job| job.schedule_id.is_some());
    if of_schedules {
        header.extend(["schedule", "nominal_at"]);
    }
    table.set_header(header);
    for job in jobs {
        let late = job.sent_at.map(|sent| sent - job.due_at);
        let mut row = vec![
            job.id.to_string(),
            readable(&job.app),
            job.state.clone(),
            readable(job.reason.as_deref().unwrap_or("")),
            time(job.run_at),
            late.map_or_else(String::new, |late| {
                format!("{} ms", late.num_milliseconds())
            }),
            callees(&job.callees),
            job.attempt.to_string(),
        ];
        if of_schedules {
            let schedule = made_by(job.schedule_id, job.schedule.as_deref());
            row.push(schedule.unwrap_or_default());
            row.push(job.nominal_at.map(time).unwrap_or_default());
        }
        table.add_row(row);
    }
    table
}

fn callees(all: &[String]) -> String {
    let named: Vec<String> = all
        .iter()
        .take(CALLEES_NAMED)
        .map(|c| readable(c))
        .collect();
    match all.len().saturating_sub(CALLEES_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
