//! `callq schedules show NAME`

use chrono::{DateTime, Utc};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::fields::{self, Private};
use super::find::Which;
use super::firings::{self, Shown};
use super::list::{self, state};
use super::timetable::timetable;
use crate::call::readable;
use crate::cli::table::shown;
use crate::cli::when::time;
use crate::cli::{Failure, print};
use crate::config::duration_shown;
use crate::schedule::Timetable;
use crate::store::{FiringRow, ScheduleRow, SkippedRow, Store};

const EXAMPLES: &str = "Examples:\n  \
    callq schedules show morning-meds\n  \
    callq schedules show morning-meds --json | jq .next[0]";

/// So many firings to come, and so many of the past.
const FIRINGS: usize = 10;

/// So many notes on these are told.
const NOTES_TOLD_MAX: usize = 20;

/// Everything about a schedule: what it is, the next ten firings, the last ones, what was skipped.
///
/// The next firings are reckoned by this program, in the schedule's zone and in UTC, with what
/// changes of the clock do to them. user_data, offline_push and media_url are only
/// shown if asked for.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_field_names, reason = "the flag is called so")]
pub(super) struct Show {
    #[command(flatten)]
    which: Which,

    /// Show user_data, offline_push and media_url too
    #[arg(long)]
    show_user_data: bool,

    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let row = self.which.row(store).await?;
        let limit = i64::try_from(FIRINGS).expect("ten is small");
        let made = store.last_firings(row.id, limit).await?;
        let skipped = store.skipped_firings(row.id, limit).await?;
        let now = Utc::now();
        let private = Private::of_flag(self.show_user_data);
        let timetable = timetable(&row.definition, row.created_at);
        let next = timetable.as_ref().map(|t| firings::next(t, now, FIRINGS));
        let mut next = next.unwrap_or_default();
        let left_out = usize::try_from(row.skip_next).unwrap_or(0);
        for firing in next.iter_mut().take(left_out) {
            firing.note = Some("skipped, by skip-next".to_owned());
        }
        if self.json {
            let Value::Object(mut object) = list::json(&row, private) else {
                unreachable!("it is an object")
            };
            object.insert("next".to_owned(), json!(next));
            object.insert("firings".to_owned(), json!(made));
            object.insert("skipped".to_owned(), json!(skipped));
            return print::json(&object);
        }
        print::line(&facts(&row, private).to_string())?;
        match &timetable {
            Ok(timetable) => print_next(&row, timetable, &next, now)?,
            Err(fault) => print::line(&format!(
                "\nIt cannot ring: {}",
                readable(&fault.to_string())
            ))?,
        }
        if !made.is_empty() {
            print::line("\nLast firings:")?;
            print::line(&shown(&made_table(&made)))?;
        }
        if !skipped.is_empty() {
            print::line("\nNot fired:")?;
            print::line(&shown(&skipped_table(&skipped)))?;
        }
        Ok(())
    }
}

fn facts(row: &ScheduleRow, private: Private) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            table.add_row([name.to_owned(), value]);
        }
    };
    let (name, app) = (readable(&row.name), readable(&row.app));
    fact("schedule", format!("{name} of app {app}"));
    fact("state", state(row));
    let error = row.error_at.map(|at| format!("since {}", time(at)));
    fact("at fault", error.unwrap_or_default());
    let paused = row.paused_at.map(|at| {
        let by = readable(row.paused_by.as_deref().unwrap_or("somebody"));
        format!("since {} by {by}", time(at))
    });
    fact("paused", paused.unwrap_or_default());
    for (field, text) in fields::fields(&row.definition) {
        if fields::is_hidden(field, private) {
            continue;
        }
        let shown = text.shown();
        match (field, row.default_ttl) {
            ("ttl", Some(ttl)) if shown.is_empty() => {
                fact(field, format!("{} (the default here)", duration_shown(ttl)));
            }
            ("metadata", _) if shown == "{}" => {}
            _ => fact(field, shown),
        }
    }
    let given = [
        ("user_data", row.definition.user_data.is_some()),
        ("offline_push", row.definition.offline_push.is_some()),
        ("media_url", row.definition.media_url.is_some()),
    ];
    let unseen = given
        .into_iter()
        .filter(|(field, given)| *given && fields::is_hidden(field, private));
    let unseen: Vec<&str> = unseen.map(|(field, _)| field).collect();
    fact("not shown", unseen.join(", "));
    let by = readable(&row.created_by);
    fact("created", format!("{} by {by}", time(row.created_at)));
    if row.updated_at != row.created_at {
        fact("changed", time(row.updated_at));
    }
    fact(
        "zone data",
        row.zone_data.as_deref().map_or_else(String::new, readable),
    );
    table
}

/// The next firings, and why they may not ring.
fn print_next(
    row: &ScheduleRow,
    timetable: &Timetable,
    next: &[Shown],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if next.is_empty() {
        return print::line("\nIt does not ring any more.");
    }
    print::line("\nNext firings:")?;
    print::line(&shown(&firings::table(next, timetable.zone())))?;
    for note in firings::notes(timetable, next, now, NOTES_TOLD_MAX) {
        print::line(&note)?;
    }
    let name = readable(&row.name);
    if row.paused_at.is_some() {
        let app = match row.app.as_str() {
            "default" => String::new(),
            app => format!(" --app {}", readable(app)),
        };
        print::line(&format!(
            "It is paused: none of them rings before `callq schedules resume {name}{app}`."
        ))?;
    } else if !row.definition.enabled {
        print::line("enabled is false: none of them rings.")?;
    } else if row.error.is_some() && row.next_fire_at.is_none() {
        print::line("It is at fault: none of them rings before it is changed.")?;
    }
    Ok(())
}

fn made_table(made: &[FiringRow]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["for, local", "UTC", "job", "state", "reason", "sent_at"]);
    for firing in made {
        let local = firing.nominal_local.map(firings::local_shown);
        table.add_row([
            local.unwrap_or_default(),
            firing.nominal_at.map(time).unwrap_or_default(),
            firing.job_id.to_string(),
            firing.state.clone(),
            readable(firing.reason.as_deref().unwrap_or_default()),
            firing.sent_at.map(time).unwrap_or_default(),
        ]);
    }
    table
}

fn skipped_table(skipped: &[SkippedRow]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["from", "to", "firings", "reason", "why"]);
    for span in skipped {
        let sentence = span.sentence.as_deref().unwrap_or_default();
        let detail = span.detail.as_deref().map(readable);
        let detail = detail.map_or_else(String::new, |detail| format!(" ({detail})"));
        let last = (span.firings > 1).then(|| time(span.last_nominal_at));
        table.add_row([
            time(span.first_nominal_at),
            last.unwrap_or_default(),
            span.firings.to_string(),
            readable(&span.reason),
            format!("{sentence}{detail}"),
        ]);
    }
    table
}
