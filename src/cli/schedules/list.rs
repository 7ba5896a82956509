//! `callq schedules list`

use chrono::SecondsFormat;
use clap::{Args, value_parser};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::fields::{self, Private};
use super::firings::local_shown;
use crate::call::readable;
use crate::cli::table::shown;
use crate::cli::{Failure, print};
use crate::schedule::Zone;
use crate::store::{ScheduleRow, Store};

const EXAMPLES: &str = "Examples:\n  \
    callq schedules list\n  \
    callq schedules list --app clinic --json | jq 'select(.error)'";

/// Every schedule: when it rings, when next, and what keeps it from ringing.
///
/// The next time is the one that is still to come, as a worker reckoned it. user_data and
/// offline_push are never shown.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// Those of this app alone
    #[arg(long, value_name = "APP")]
    app: Option<String>,

    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 200,
        value_parser = value_parser!(u32).range(1..=100_000))]
    limit: u32,

    /// One JSON object per schedule, for programs
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let limit = self.limit as usize;
        let mut rows: Vec<ScheduleRow> = Vec::new();
        while rows.len() <= limit {
            let after = rows.last().map(|row| (row.app.as_str(), row.name.as_str()));
            let page = store.schedules(self.app.as_deref(), None, after).await?;
            if page.is_empty() {
                break;
            }
            rows.extend(page);
        }
        let is_cut = rows.len() > limit;
        rows.truncate(limit);
        if self.json {
            return rows
                .iter()
                .try_for_each(|row| print::json(&json(row, Private::Hidden)));
        }
        if rows.is_empty() {
            print::note("there is no schedule; `callq schedules apply jobs/` makes some");
            return Ok(());
        }
        print::line(&shown(&table(&rows)))?;
        if is_cut {
            print::note("there are more: raise --limit, or name an --app");
        }
        Ok(())
    }
}

fn table(rows: &[ScheduleRow]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "app",
        "name",
        "rings",
        "time zone",
        "next, local",
        "next, UTC",
        "state",
    ]);
    for row in rows {
        let next = row.next_at;
        let zone = Zone::find(&row.definition.tz).ok();
        let local = next.zip(zone).map(|(at, zone)| local_shown(zone.local(at)));
        let utc = next.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        table.add_row([
            readable(&row.app),
            readable(&row.name),
            fields::rings(&row.definition),
            readable(&row.definition.tz),
            local.unwrap_or_default(),
            utc.unwrap_or_default(),
            state(row),
        ]);
    }
    table
}

/// How it stands, in a word or with what is wrong.
pub(super) fn state(row: &ScheduleRow) -> String {
    if let Some(error) = &row.error {
        return format!("at fault: {}", readable(error));
    }
    if row.paused_at.is_some() {
        let reason = row.pause_reason.as_deref().unwrap_or_default();
        return format!("paused: {}", readable(reason));
    }
    if !row.definition.enabled {
        return "disabled".to_owned();
    }
    if row.unchecked {
        return "not looked at by a worker yet".to_owned();
    }
    if row.next_at.is_none() && row.next_fire_at.is_none() {
        return "does not ring any more".to_owned();
    }
    match row.skip_next {
        0 => "ok".to_owned(),
        1 => "ok, the next is skipped".to_owned(),
        more => format!("ok, the next {more} are skipped"),
    }
}

/// A schedule for programs.
pub(super) fn json(row: &ScheduleRow, private: Private) -> Value {
    let mut object = serde_json::Map::new();
    object.insert("app".to_owned(), json!(row.app));
    object.insert("name".to_owned(), json!(row.name));
    object.append(&mut fields::json(&row.definition, private));
    let Value::Object(mut own) = json!({
        "id": row.id,
        "revision": row.revision,
        "state": state(row),
        "next_at": row.next_at,
        "upcoming": row.upcoming,
        "skip_next": row.skip_next,
        "last_nominal_at": row.last_nominal_at,
        "default_ttl": row.default_ttl.map(crate::config::duration_shown),
        "zone_data": row.zone_data,
        "error": row.error,
        "error_at": row.error_at,
        "paused_at": row.paused_at,
        "pause_reason": row.pause_reason,
        "paused_by": row.paused_by,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "updated_at": row.updated_at,
    }) else {
        unreachable!("it is written as an object")
    };
    object.append(&mut own);
    Value::Object(object)
}
