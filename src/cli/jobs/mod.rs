//! `callq jobs`

mod show;

use clap::{Args, Subcommand};

use super::Failure;
use crate::config;
use crate::store::Store;

/// Look at jobs, the rows of callq.jobs.
#[derive(Debug, Args)]
pub(super) struct Jobs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything about one job: every attempt, what holds it, the next step
    Show(show::Show),
}

impl Jobs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let url = config::database_url(&config::Process)?;
        let store = Store::connect(&url, 1).await?;
        store.check_schema().await?;
        match self.command {
            Command::Show(show) => show.run(&store).await,
        }
    }
}
