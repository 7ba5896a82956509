//! `callq jobs export`

use std::collections::HashMap;
use std::io::{IsTerminal as _, stdout};

use clap::Args;
use serde_json::value::RawValue;

use super::filter::Filter;
use crate::call::harmless;
use crate::cli::{Failure, print};
use crate::store::{ListedJob, Store};

const EXAMPLES: &str = "Examples:\n  \
    callq jobs export --csv --app clinic --since 2030-01-01T00:00:00Z > clinic.csv\n  \
    callq jobs export --json --state failed | jq .error_code";

/// How many jobs are in memory at once.
const PAGE: u32 = 1000;

/// The columns of CSV, in the order of the table.
const COLUMNS: [&str; 32] = [
    "id",
    "app",
    "state",
    "reason",
    "reason_detail",
    "robot_account",
    "callees",
    "media_type",
    "room_id",
    "run_at",
    "due_at",
    "expires_at",
    "priority",
    "attempt",
    "attempts_used",
    "max_attempts",
    "on_doubt",
    "idempotency_key",
    "metadata",
    "created_at",
    "cancel_requested_at",
    "call_id",
    "callee_results",
    "error_code",
    "error_info",
    "request_id",
    "sent_at",
    "placed_at",
    "finished_at",
    "schedule_id",
    "schedule",
    "nominal_at",
];

/// All jobs by a filter, as CSV or JSON lines.
///
/// Newest first. Read page by page: needs little memory, and each job is as it was when its page
/// was read. Jobs inserted meanwhile are left out. Times are UTC; in CSV, lists and objects are
/// JSON. user_data and offline_push are never shown.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Export {
    #[command(flatten)]
    filter: Filter,

    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Format {
    /// Comma-separated values with a header line, as in RFC 4180
    #[arg(long)]
    csv: bool,

    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

impl Export {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        if self.format.csv {
            print::line(&COLUMNS.join(","))?;
        }
        let mut walk = store.walk_jobs(self.filter.to_store(&[]), None).await?;
        loop {
            let page = store.next_jobs(&mut walk, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            let lines: Result<Vec<String>, _> =
                page.iter().map(|job| self.format.line(job)).collect();
            print::data(&lines?.join("\n"))?;
        }
    }
}

impl Format {
    fn line(&self, job: &ListedJob) -> serde_json::Result<String> {
        if self.json {
            return print::json_text(job);
        }
        let job = serde_json::to_string(job)?;
        let job: HashMap<&str, &RawValue> = serde_json::from_str(&job)?;
        let fields: Result<Vec<String>, _> =
            COLUMNS.iter().map(|column| field(job[column])).collect();
        Ok(fields?.join(","))
    }
}

/// A field of CSV; quoted if it must be. What a terminal would obey is escaped if one reads. A list
/// or an object stays as it is: the database holds numbers that no other program can.
fn field(json: &RawValue) -> serde_json::Result<String> {
    let text = match json.get() {
        "null" => return Ok(String::new()),
        text if text.starts_with('"') => serde_json::from_str(text)?,
        other => other.to_owned(),
    };
    let text = if stdout().is_terminal() {
        harmless(&text)
    } else {
        text
    };
    // An empty text is told from NULL, as PostgreSQL's COPY does.
    Ok(
        if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        },
    )
}
