//! What the worker stands on: a schema that lets it work, and sessions that are its own.
//!
//! Both are made sure of before it starts, and both can be taken away under it: by a migration that
//! shuts its version out, and by a pooler that is told to give sessions away between transactions.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::context::Context;
use crate::store::{Program, Schema, StoreError};

/// How often the schema is asked: one row.
const EVERY: Duration = Duration::from_secs(1);

/// Says on which schema the worker starts, if that is not its own.
pub(super) fn tell(schema: Schema) {
    if let Schema::Next { found } = schema {
        tracing::info!(
            schema_version = found,
            "the schema callq is newer than this program, and lets it work"
        );
    }
}

/// Returns why the worker must not go on, once that is so. A database that gives no answer is no
/// reason: what cannot be done without it is not done.
pub(super) async fn lost(ctx: &Context, program: &Program, began_on: Schema) -> StoreError {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = began_on;
    loop {
        ticks.tick().await;
        let looked = ctx.store.check_schema_for(program).await;
        let looked = match looked {
            Ok(schema) if ctx.health.session_lost.swap(false, Ordering::SeqCst) => {
                let refused = ctx.store.refuse_transaction_pooler().await;
                refused.map(|()| schema)
            }
            looked => looked,
        };
        match looked {
            Ok(schema) if schema == known => {}
            Ok(schema) => {
                tell(schema);
                known = schema;
            }
            Err(error @ (StoreError::Schema(_) | StoreError::Pooler)) => return error,
            Err(error) => ctx.health.failed(&error),
        }
    }
}
