//! Duty: what nobody reports on. Any worker does it for all apps, whether it serves them or not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use crate::store::{StoreError, Walk};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// A round that takes long is followed by a pause that is longer by this, so that it takes a
/// twentieth of the time at most: while somebody holds a snapshot it meets what has left the queue
/// since.
const REST: u32 = 19;

/// The longest pause, after a round of three seconds: some two million calls under one snapshot.
const REST_MAX: Duration = Duration::from_mins(1);

/// How many steps of the walk over due jobs one round takes at most: a waiting backlog of 100,000
/// is walked in 20 s.
const STEPS: usize = 10;

/// Rescues until the context is stopped.
pub(super) async fn run(ctx: Arc<Context>) {
    let mut walk = Walk::default();
    // Workers that were started together do not all look at once.
    let mut pause = EVERY.mul_f64(fastrand::f64());
    while ctx.sleep_or_stop(pause).await {
        pause = EVERY;
        let began = Instant::now();
        if !ctx.store.history_is_open() {
            continue;
        }
        // Each for itself: what keeps one from its work must not keep the others from theirs.
        for done in [
            lapse(&ctx).await,
            settle(&ctx).await,
            expire(&ctx, &mut walk).await,
            refuse(&ctx).await,
        ] {
            if let Err(error) = done {
                ctx.health.failed(&error);
            }
        }
        pause = pause.max((began.elapsed() * REST).min(REST_MAX));
    }
}

async fn lapse(ctx: &Context) -> Result<(), StoreError> {
    for job in ctx.store.lapse().await? {
        ctx.metrics.verdict(&job.app, "in_doubt", "lease_lapsed");
        tracing::warn!(
            job.id = job.job_id,
            job.attempt = job.attempt,
            job.app = job.app,
            "the lease lapsed: the request may have been sent, the job is in doubt"
        );
    }
    Ok(())
}

async fn settle(ctx: &Context) -> Result<(), StoreError> {
    for job in ctx.store.settle().await? {
        tracing::warn!(
            job.id = job.job_id,
            job.app = job.app,
            job.state = job.state,
            "a doubt was settled by the job's policy"
        );
        if job.state == "scheduled" {
            ctx.wake.news();
        }
    }
    Ok(())
}

async fn expire(ctx: &Context, walk: &mut Walk) -> Result<(), StoreError> {
    let mut expired = 0;
    for _ in 0..STEPS {
        let (ended, next) = ctx.store.expire(walk).await?;
        expired += ended;
        let at_the_end = next.is_none();
        *walk = next.unwrap_or_default();
        if at_the_end {
            break;
        }
    }
    if expired > 0 {
        tracing::warn!(jobs = expired, "the deadline of waiting jobs has passed");
    }
    Ok(())
}

async fn refuse(ctx: &Context) -> Result<(), StoreError> {
    let refused = ctx.store.refuse().await?;
    if refused > 0 {
        tracing::warn!(
            jobs = refused,
            "jobs of no priority or no time that exists have failed"
        );
    }
    Ok(())
}
