//! `callq schedules`

mod apply;
mod backfill;
mod change;
mod fields;
mod find;
mod firings;
pub(super) mod health;
mod list;
mod plan;
mod preview;
mod show;
mod timetable;

use clap::{Args, Subcommand};

use super::Failure;
use super::settings::ConfigFile;
use crate::store::Store;

const EXAMPLES: &str = "Examples:\n  \
    callq schedules preview '0 9 * * MON-FRI' --tz Europe/Berlin\n  \
    callq schedules apply jobs/ --dry-run\n  \
    callq schedules show morning-meds";

/// Recurring calls: apply the files of jobs/, look at schedules, pause them, try them out.
///
/// A schedule makes an ordinary job for each of its times. Files describe schedules, one each;
/// docs/schedules.md has every key. `callq jobs` means the jobs that come of them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Schedules {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Preview(preview::Preview),
    Apply(apply::Apply),
    List(list::List),
    Show(show::Show),
    Pause(change::Pause),
    Resume(change::Resume),
    RunNow(change::RunNow),
    SkipNext(change::SkipNext),
    Remove(change::Remove),
    Backfill(backfill::Backfill),
}

impl Schedules {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        // What is wrong with an expression or a file is told without a database.
        let files = match &self.command {
            Command::Preview(preview) => return preview.run(),
            Command::Apply(apply) => apply.files()?,
            _ => Vec::new(),
        };
        let url = config.database_url()?;
        let store = Store::connect(url.expose(), 1).await?;
        store.check_schema().await?;
        match self.command {
            Command::Preview(_) => Ok(()),
            Command::Apply(apply) => apply.run(&files, &store).await,
            Command::List(list) => list.run(&store).await,
            Command::Show(show) => show.run(&store).await,
            Command::Pause(pause) => pause.run(&store).await,
            Command::Resume(resume) => resume.run(&store).await,
            Command::RunNow(run) => run.run(&store).await,
            Command::SkipNext(skip) => skip.run(&store).await,
            Command::Remove(remove) => remove.run(&store).await,
            Command::Backfill(backfill) => backfill.run(&store).await,
        }
    }
}
