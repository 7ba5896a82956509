//! `callq schedules apply`

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, stdout};
use std::path::PathBuf;

use chrono::Utc;
use clap::Args;

use super::fields::Private;
use super::plan::{Plan, Prune};
use crate::call::readable;
use crate::cli::{Failure, ask, print};
use crate::config;
use crate::config::schedules::{ScheduleFile, read_schedules};
use crate::store::{Applied, MadeAhead, ScheduleRow, Store};

const EXAMPLES: &str = "Examples:\n  \
    callq schedules apply jobs/ --dry-run\n  \
    callq schedules apply jobs/\n  \
    callq schedules apply jobs/ --prune --yes    # in a deployment\n\n\
    Exit codes: 0 applied or nothing to do, 2 a file or the command line is wrong, or a schedule \
    was changed meanwhile: nothing is applied; 4 with --dry-run: something would change.";

/// The exit code of `--dry-run` if something would change.
const WOULD_CHANGE: u8 = 4;

/// More schedules than this in an app are too many to compare.
const SCHEDULES_MAX: usize = 200_000;

/// Make the schedules of the database as the files say.
///
/// Shows a plan first: what is created, changed (each field, old -> new), unchanged and, with
/// --prune, removed; and asks. All of it is applied at once or nothing is, and nothing if somebody
/// changed one of the schedules after the plan was made. All mistakes of all files are told at
/// once, and nothing is applied then. A pause outlasts it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Apply {
    /// Files, or folders whose .toml files are meant
    #[arg(required = true, value_name = "DIR_OR_FILE")]
    paths: Vec<PathBuf>,

    /// Show the plan and change nothing; ends with 4 if something would change
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,

    /// Also remove schedules that no file describes, of the apps that the files name
    #[arg(long)]
    prune: bool,

    /// Do not ask; needed where there is no terminal to ask on
    #[arg(long)]
    yes: bool,

    /// Let calls ring that a changed schedule made ahead, a minute before their time
    #[arg(long)]
    keep_firings: bool,

    /// Show user_data, offline_push and media_url where they differ
    #[arg(long)]
    show_user_data: bool,

    /// One JSON object per schedule, for programs
    #[arg(long)]
    json: bool,
}

impl Apply {
    /// Reads the files. Needs no database.
    pub(super) fn files(&self) -> Result<Vec<ScheduleFile>, Failure> {
        let files = read_schedules(&self.paths).map_err(|mistakes| {
            // Each is a line, and a sentence of its own.
            mistakes.to_string().lines().for_each(print::note);
            print::hint("nothing was applied; docs/schedules.md has every key");
            Failure::Exit(2)
        })?;
        if !self.dry_run && !self.yes && !ask::is_possible() {
            let text = "there is no terminal to ask on before schedules are changed";
            let way_out = "add --yes, or --dry-run to see what would change";
            return Err(Failure::Cannot(anyhow::anyhow!(text)).hint(way_out));
        }
        Ok(files)
    }

    pub(super) async fn run(self, files: &[ScheduleFile], store: &Store) -> Result<(), Failure> {
        let prune = if self.prune {
            Prune::Remove
        } else {
            Prune::Keep
        };
        let rows = there(store, files, prune).await?;
        let private = Private::of_flag(self.show_user_data);
        let plan = Plan::new(files, &rows, prune, private, Utc::now());
        let items = plan.items();
        if !self.json {
            show(&plan)?;
        }
        if self.dry_run || items.is_empty() {
            self.tell(&plan, false)?;
            return if items.is_empty() {
                Ok(())
            } else {
                Err(Failure::Exit(WOULD_CHANGE))
            };
        }
        if !self.yes && !agreed(&plan)? {
            print::note("nothing was changed");
            return self.tell(&plan, false);
        }
        let made_ahead = if self.keep_firings {
            MadeAhead::Keep
        } else {
            MadeAhead::Withdraw
        };
        match store.apply_schedules(&items, made_ahead).await? {
            Applied::All(done) => {
                if !self.json {
                    print::line(&format!("{} applied", done.len()))?;
                }
                self.tell(&plan, true)
            }
            Applied::Refused(why) => {
                let text = format!("nothing was applied: {}", readable(&why));
                Err(Failure::Cannot(anyhow::anyhow!(text)))
            }
            Applied::Busy => {
                let text = "nothing was applied: another session holds a schedule all the time";
                Err(Failure::CouldNot(anyhow::anyhow!(text)).hint("try again"))
            }
        }
    }

    /// For programs.
    fn tell(&self, plan: &Plan, applied: bool) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let mut steps = plan.steps.iter();
        steps.try_for_each(|step| print::json(&step.json(applied)))
    }
}

/// The schedules that the plan is about.
async fn there(
    store: &Store,
    files: &[ScheduleFile],
    prune: Prune,
) -> Result<Vec<ScheduleRow>, Failure> {
    let apps: BTreeSet<&str> = files.iter().map(|file| file.app.as_str()).collect();
    let mut rows = Vec::new();
    for app in apps {
        let of_app = files.iter().filter(|file| file.app == app);
        let names: Vec<String> = of_app.map(|file| file.name.clone()).collect();
        let names = (prune == Prune::Keep).then_some(names.as_slice());
        let mut after = String::new();
        loop {
            let page = store
                .schedules(Some(app), names, Some((app, &after)))
                .await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.name);
            rows.extend(page);
            if rows.len() > SCHEDULES_MAX {
                let text = format!("there are more than {SCHEDULES_MAX} schedules to compare");
                return Err(Failure::Cannot(anyhow::anyhow!(text)).hint("leave --prune out"));
            }
        }
    }
    Ok(rows)
}

fn show(plan: &Plan) -> Result<(), Failure> {
    let coloured = stdout().is_terminal() && !config::no_color(&config::Process);
    for line in plan.lines(coloured) {
        // The colours are ours; every value in it was made harmless.
        print::data(&line)?;
    }
    print::line(&match plan.summary().as_str() {
        "" => "nothing to apply".to_owned(),
        summary => format!("{summary}."),
    })
}

/// Asks; everything but a yes is a no.
fn agreed(plan: &Plan) -> Result<bool, Failure> {
    ask::agreed(&format!("apply this plan ({})?", plan.summary()))
}

/// Refuses to change something unasked where nobody can be asked.
pub(super) fn must_ask(yes: bool, what: &str) -> Result<(), Failure> {
    if yes || ask::is_possible() {
        return Ok(());
    }
    let text = format!("there is no terminal to ask on before {what}");
    Err(Failure::Cannot(anyhow::anyhow!(text)).hint("add --yes"))
}
