//! `callq schedules backfill NAME --from --to`

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use super::change::tell;
use super::find::Which;
use super::firings::Shown;
use super::timetable::timetable;
use crate::call::readable;
use crate::cli::table::shown;
use crate::cli::when::time;
use crate::cli::{Failure, print};
use crate::schedule::{Firing, Timetable};
use crate::store::{Backfill as Filled, ScheduleRow, Store};

const EXAMPLES: &str = "Examples:\n  \
    callq schedules backfill morning-meds --from 2026-11-20 --to 2026-11-21\n  \
    callq schedules backfill morning-meds --from 2026-11-20 --to 2026-11-21 --yes";

/// Make firings of the past that have no job: due now, each a call of its own.
///
/// Shows what it would make, and makes it only with --yes. A firing that has a job, whatever
/// became of it, is left alone. At most 1000 at once. Each rings as soon as the app's pace allows,
/// with the schedule's whole ttl from now.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Backfill {
    #[command(flatten)]
    which: Which,

    /// From here on: a date, a local time of the schedule or an instant
    #[arg(long, value_name = "TIME")]
    from: String,

    /// Up to here, itself included; a date means its end
    #[arg(long, value_name = "TIME")]
    to: String,

    /// Make them; without it they are only shown
    #[arg(long)]
    yes: bool,

    /// One JSON object per firing, for programs
    #[arg(long)]
    json: bool,
}

/// A firing, and the job that it has.
type Found = (Firing, Option<(i64, String)>);

impl Backfill {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let row = self.which.row(store).await?;
        let timetable = timetable(&row.definition, row.created_at);
        let timetable = timetable.map_err(|why| cannot(readable(&why.to_string())))?;
        let firings = self.firings(&row, &timetable)?;
        let keys: Vec<Filled> = firings.iter().map(filled).collect();
        let jobs = store.jobs_of_firings(row.id, &keys).await?;
        let found: Vec<Found> = firings.into_iter().zip(jobs).collect();
        let missing = found.iter().filter(|(_, job)| job.is_none());
        let missing: Vec<Filled> = missing.map(|(firing, _)| filled(firing)).collect();
        if !self.yes || missing.is_empty() {
            return self.show(&timetable, &found, missing.len());
        }
        let (app, name) = (self.which.app(), self.which.name());
        let made = store
            .backfill_schedule(app, name, row.revision, &missing)
            .await?;
        let made = match made {
            Ok(made) => made,
            Err(answer) => return tell(&self.which, store, answer, self.json).await,
        };
        for (at, job) in &made {
            if self.json {
                print::json(&json!({ "at": at, "job_id": job, "made": true }))?;
            } else {
                print::line(&format!("{}: job {job} is due now", time(*at)))?;
            }
        }
        Ok(())
    }

    /// The firings of the time that is asked for.
    fn firings(&self, row: &ScheduleRow, timetable: &Timetable) -> Result<Vec<Firing>, Failure> {
        let zone = timetable.zone();
        let named = |fault: String, key: &str, flag: &str| cannot(fault.replacen(key, flag, 1));
        let from = zone.start_at(&self.from);
        let from = from.map_err(|fault| named(fault.to_string(), "start_at", "--from"))?;
        let to = zone.end_at(&self.to);
        let to = to.map_err(|fault| named(fault.to_string(), "end_at", "--to"))?;
        if to < from {
            return Err(cannot("--to is before --from: must be after it".to_owned()));
        }
        // What lies behind is the workers' to make.
        let to = to.min(row.cursor_at).min(Utc::now());
        let after = from - TimeDelta::seconds(1);
        let count = timetable.count(after, to.max(after));
        if count > Store::BACKFILL_MAX as u64 {
            let most = Store::BACKFILL_MAX;
            return Err(cannot(format!(
                "there are {count} firings in that time: must be at most {most} at once"
            )));
        }
        Ok(timetable.firings(after, to).collect())
    }

    fn show(&self, timetable: &Timetable, found: &[Found], missing: usize) -> Result<(), Failure> {
        if self.json {
            return found.iter().try_for_each(|(firing, job)| {
                let id = job.as_ref().map(|(id, _)| id);
                print::json(&json!({ "at": firing.at, "job_id": id, "made": false }))
            });
        }
        if found.is_empty() {
            print::note("no firing lies in that time, as far as it is past");
            return Ok(());
        }
        print::line(&shown(&table(timetable, found)))?;
        print::line(&match missing {
            0 => "Every one of them has its job: there is nothing to make.".to_owned(),
            missing => {
                format!("{missing} would be made, due now. Nothing was changed: --yes makes them.")
            }
        })
    }
}

fn filled(firing: &Firing) -> Filled {
    Filled {
        nominal_at: firing.at,
        nominal_local: firing.local,
        nominal_fold: i16::from(firing.fold),
    }
}

fn table(timetable: &Timetable, found: &[Found]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([timetable.zone().name(), "UTC", "job"]);
    for (firing, job) in found {
        let shown = Shown::of(timetable, firing);
        let utc: DateTime<Utc> = firing.at;
        let job = match job {
            Some((id, state)) => format!("{id}, {}", readable(state)),
            None => "would be made".to_owned(),
        };
        let local = super::firings::local_shown(shown.local);
        table.add_row([format!("{local} {}", shown.offset), time(utc), job]);
    }
    table
}

fn cannot(text: String) -> Failure {
    Failure::Cannot(anyhow::Error::msg(text))
}
