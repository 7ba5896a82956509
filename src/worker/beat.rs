//! Duty: tells the database how this worker stands, for people and for the reasons of jobs.
//!
//! Nothing rests on it: a worker that cannot tell works on, and one that tells nothing, as those of
//! an earlier version, takes part all the same.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::Context;
use crate::store::Beat;

/// How often it is told; four times that in silence means that the worker is gone.
const EVERY: Duration = Duration::from_secs(5);

/// Tells until `ended`, and then that the worker leaves.
pub(super) async fn run(ctx: Arc<Context>, ended: CancellationToken) {
    while !ended.is_cancelled() {
        if let Err(error) = ctx.store.beat(&beat(&ctx)).await {
            // Those who cannot work without the database say so.
            tracing::debug!(%error, "could not tell how the worker stands");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = ctx.beat_now.notified() => {}
            () = ended.cancelled() => {}
        }
    }
    let apps: Vec<String> = ctx.apps.iter().map(|app| app.name.clone()).collect();
    if let Err(error) = ctx.store.leave(&ctx.name, &apps).await {
        tracing::debug!(%error, "could not tell that the worker ends; it counts as gone in 20 s");
    }
}

fn beat(ctx: &Context) -> Beat {
    Beat {
        worker: ctx.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        up: ctx.began.elapsed(),
        apps: ctx.apps.iter().map(|app| app.name.clone()).collect(),
        concurrency: ctx.concurrency,
        in_flight: ctx.in_flight(),
        unrecorded: ctx.unrecorded(),
        deaf: ctx.deaf.load(Ordering::Relaxed),
        stopping: ctx.stop.is_cancelled(),
        circuits: ctx.circuits(),
    }
}
