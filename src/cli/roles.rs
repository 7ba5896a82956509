//! `callq roles`

use clap::{Args, Subcommand};

use super::{Failure, print};
use crate::store;

const EXAMPLES: &str = "Examples:\n  \
    callq roles sql | psql \"$ADMIN_DATABASE_URL\"\n  \
    callq roles sql    # then, for each login: GRANT callq_worker TO worker_1";

/// The database roles of producers, workers, receivers of callbacks and reports.
///
/// callq_enqueue inserts jobs, reads them and uses the verbs: callq enqueue, jobs, apps and status.
/// callq_worker does what callq worker does, callq_web what callq web does. callq_report reads the
/// views, without user_data.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Roles {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Sql(Sql),
}

/// Print the SQL that makes the roles and gives them their rights.
///
/// For whoever may make roles, where the login of callq migrate may not. Safe to run again and
/// again. Needs no database to be printed.
#[derive(Debug, Args)]
struct Sql {}

impl Roles {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Sql(Sql {}) => print::line(store::roles_sql().trim_end()),
        }
    }
}
