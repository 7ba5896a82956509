//! `callq jobs`

mod change;
mod export;
mod filter;
mod list;
mod many;
mod show;
mod watch;

use clap::{Args, Subcommand};

use super::Failure;
use super::settings::ConfigFile;
use crate::store::Store;

/// Look at jobs, the rows of callq.jobs, and change them.
#[derive(Debug, Args)]
pub(super) struct Jobs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Jobs by a filter, newest first
    List(list::List),
    /// Everything about one job: every attempt, what holds it, the next step
    Show(show::Show),
    /// Print each change of a job until it ends
    Watch(watch::Watch),
    /// Keep jobs from ringing
    Cancel(change::Cancel),
    /// Make jobs that rang nobody due now
    Retry(change::Retry),
    /// Move scheduled jobs to another time
    Reschedule(change::Reschedule),
    /// Settle jobs in doubt by what you know
    Resolve(change::Resolve),
    /// All jobs by a filter, as CSV or JSON lines
    Export(export::Export),
}

impl Jobs {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        let url = config.database_url()?;
        let store = Store::connect(url.expose(), 1).await?;
        store.check_schema().await?;
        match self.command {
            Command::List(list) => list.run(&store).await,
            Command::Show(show) => show.run(&store).await,
            Command::Watch(watch) => watch.run(&store).await,
            Command::Cancel(cancel) => cancel.run(&store).await,
            Command::Retry(retry) => retry.run(&store).await,
            Command::Reschedule(reschedule) => reschedule.run(&store).await,
            Command::Resolve(resolve) => resolve.run(&store).await,
            Command::Export(export) => export.run(&store).await,
        }
    }
}
