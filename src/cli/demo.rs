//! `callq demo`

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};

use super::table::shown;
use super::{Failure, logging, print};
use crate::call::readable;
use crate::dev;
use crate::store::JobRow;

/// Watch five calls go from INSERT to result; rings nobody, takes seconds, needs no set-up.
///
/// Starts a private PostgreSQL from the programs on this machine, a sandbox in Tencent's place and
/// a worker, and leaves nothing behind. Never reads DATABASE_URL.
#[derive(Debug, Args)]
pub(super) struct Demo {}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::init_for_trying("error")?;
        // It runs to its end even if nobody reads any more: it is short, and cleans up.
        let jobs = dev::demo(|line| drop(print::line(line))).await?;
        print::line(&format!("\n{}", shown(&table(&jobs))))?;
        print::line(
            "placed: Tencent (here, the sandbox) accepted the call and rings. Whether somebody \
             answers, as busy-ed does not, is read from its record some seconds after the call.",
        )
    }
}

fn table(jobs: &[(&str, JobRow)]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "id",
        "what",
        "state",
        "attempts",
        "late by",
        "callee: result code",
        "call_id",
    ]);
    for (about, job) in jobs {
        let late = job
            .sent_at
            .and_then(|sent| (sent - job.due_at).num_microseconds());
        table.add_row([
            job.id.to_string(),
            (*about).to_owned(),
            job.state.clone(),
            job.attempt.to_string(),
            late.map_or_else(String::new, milliseconds),
            job.callee_results
                .as_ref()
                .map_or_else(String::new, callees),
            readable(job.call_id.as_deref().unwrap_or("")),
        ]);
    }
    table
}

#[allow(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn milliseconds(us: i64) -> String {
    format!("{:.1} ms", us as f64 / 1000.0)
}

/// `jack: 0, rose: 5`, each callee with its result code.
pub(super) fn callees(results: &serde_json::Value) -> String {
    let Some(items) = results.as_array() else {
        return readable(&results.to_string());
    };
    let one = |item: &serde_json::Value| {
        let callee = item["Callee_Account"].as_str().unwrap_or("?");
        format!(
            "{}: {}",
            readable(callee),
            readable(&item["ResultCode"].to_string())
        )
    };
    readable(&items.iter().map(one).collect::<Vec<_>>().join(", "))
}
