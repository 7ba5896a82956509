//! Duty: deleting old records of firings that were not made. Nothing else that callq writes is
//! deleted by it.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use crate::store::Store;

/// How often it looks.
const EVERY: Duration = Duration::from_hours(1);

/// How soon it looks again if there was more than one step may delete: by that much slower than
/// the claim, which it must not be felt in, and 3.6 million records in an hour.
const AGAIN: Duration = Duration::from_secs(1);

/// Deletes until the context is stopped.
pub(super) async fn run(ctx: Arc<Context>) {
    // Workers that were started together do not all look at once.
    let mut pause = AGAIN.mul_f64(fastrand::f64());
    while ctx.sleep_or_stop(pause).await {
        pause = EVERY;
        if !ctx.store.history_is_open() {
            continue;
        }
        match ctx.store.prune_skipped_firings().await {
            Ok(deleted) => {
                if deleted > 0 {
                    tracing::debug!(rows = deleted, "old records of firings are deleted");
                }
                if deleted >= Store::SKIPPED_STEP {
                    pause = AGAIN;
                }
            }
            Err(error) => tracing::debug!(%error, "old records of firings could not be deleted"),
        }
    }
}
