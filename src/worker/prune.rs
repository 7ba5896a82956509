//! Duty: what is old is deleted, and changes of counts are folded. Any worker does it for all apps;
//! the database keeps the pace, so that more workers do not delete faster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use crate::store::StoreError;

/// How often counts are folded. Reports are exact in between, and short tables are read faster.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// Folds and prunes until the context is stopped.
pub(super) async fn run(ctx: Arc<Context>) {
    let mut prune_at = Instant::now();
    // Workers that were started together do not all come at once.
    let mut pause = FOLD_EVERY.mul_f64(fastrand::f64());
    while ctx.sleep_or_stop(pause).await {
        pause = FOLD_EVERY;
        if !ctx.store.history_is_open() {
            continue;
        }
        match ctx.store.fold_counts().await {
            Ok(true) => pause = Duration::ZERO,
            Ok(false) => {}
            Err(error) => ctx.health.failed(&error),
        }
        if Instant::now() < prune_at {
            pause = pause.min(prune_at - Instant::now());
            continue;
        }
        match prune(&ctx).await {
            Ok(wait) => {
                prune_at = Instant::now() + wait;
                pause = pause.min(wait);
            }
            Err(error) => ctx.health.failed(&error),
        }
    }
}

/// Deletes a page, if it is time; says when to ask again.
async fn prune(ctx: &Context) -> Result<Duration, StoreError> {
    let skipped = ctx.store.prune_skipped_firings().await?;
    if skipped > 0 {
        tracing::debug!(rows = skipped, "old records of firings were deleted");
    }
    let done = ctx.store.prune_step().await?;
    if done.jobs > 0 {
        tracing::debug!(
            jobs = done.jobs,
            attempts = done.attempts,
            legs = done.legs,
            "finished jobs were deleted, as callq.settings.keep_finished_for says"
        );
    }
    if done.events + done.callbacks > 0 {
        tracing::debug!(
            events = done.events,
            callbacks = done.callbacks,
            "old events and callbacks were deleted"
        );
    }
    Ok(done.wait)
}
