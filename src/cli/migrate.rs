//! `callq migrate`

use clap::Args;

use super::settings::ConfigFile;
use super::{Failure, print};
use crate::store::{ROLES, Roles};
use crate::worker;

/// Bring the schema callq of the database up to date.
///
/// Safe to run at any time and by several at once. Nothing outside the schema is touched, but for
/// the roles callq_enqueue, callq_worker and callq_report, which are made if this login may; callq
/// roles sql prints the SQL for somebody who may.
#[derive(Debug, Args)]
pub(super) struct Migrate {}

impl Migrate {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        let url = config.database_url()?;
        let migrated = worker::migrate(url.expose()).await?;
        let total = migrated.total;
        print::line(&match migrated.applied {
            0 => format!("the schema callq is up to date ({total} migrations)"),
            n => format!("applied {n} of {total} migrations to the schema callq"),
        })?;
        if migrated.roles == Roles::Missing {
            print::note(&format!(
                "this login may not make the roles {}; `callq roles sql` prints the SQL for \
                 somebody who may",
                ROLES.join(", ")
            ));
        }
        Ok(())
    }
}
