//! `callq jobs`

mod change;
mod export;
mod filter;
mod list;
mod live;
mod many;
mod show;
mod watch;

use clap::{Args, Subcommand};

use super::Failure;
use super::settings::ConfigFile;
use crate::store::Store;

const EXAMPLES: &str = "Examples:\n  \
    callq jobs list --state in_doubt\n  \
    callq jobs show 4711\n  \
    callq jobs cancel --metadata visit=4711";

/// Look at jobs, the rows of callq.jobs, and change them.
///
/// list, show, watch and export read. cancel, retry, reschedule and resolve change jobs, given by
/// their ids or by a filter, which is counted and asked about first.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Jobs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Show(show::Show),
    Watch(watch::Watch),
    Cancel(change::Cancel),
    Retry(change::Retry),
    Reschedule(change::Reschedule),
    Resolve(change::Resolve),
    Export(export::Export),
}

impl Jobs {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        let url = config.database_url()?;
        let store = Store::connect(url.expose(), 1).await?;
        store.check_schema().await?;
        match self.command {
            Command::List(list) => list.run(&store).await,
            Command::Show(show) => show.run(&store, config).await,
            Command::Watch(watch) => watch.run(&store).await,
            Command::Cancel(cancel) => cancel.run(&store).await,
            Command::Retry(retry) => retry.run(&store).await,
            Command::Reschedule(reschedule) => reschedule.run(&store).await,
            Command::Resolve(resolve) => resolve.run(&store).await,
            Command::Export(export) => export.run(&store).await,
        }
    }
}
