//! Duty: watches whether the database still has everything that workers wrote into it.
//!
//! A failover that lost commits, or a restored backup, brings back jobs whose phones have rung.
//! Until it is known that nothing was lost, or a person has run `callq recover`, this worker claims
//! nothing and settles nothing; what was under way is finished and recorded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use crate::call::readable;
use crate::store::{Standing, StoreError};

/// How often it looks, and while it waits, asks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often it writes down that it is there: what may be lost unseen with a worker that dies
/// together with its database is younger than this.
const ATTEST_EVERY: Duration = Duration::from_secs(5);

/// How often it says again what it waits for.
const REMIND_EVERY: Duration = Duration::from_mins(1);

/// Asks for the first time; to be done before anything is claimed.
pub(super) async fn begin(ctx: &Context) -> Result<(), StoreError> {
    let standing = ctx.store.attest(&ctx.name, ctx.began.elapsed()).await?;
    if standing == Standing::Shut {
        tell(ctx).await;
    }
    Ok(())
}

/// Watches until the context is stopped.
pub(super) async fn run(ctx: Arc<Context>) {
    let mut attested_at = Instant::now();
    let mut number = ctx.store.history_no();
    let mut told_at = (!ctx.store.history_is_open()).then(Instant::now);
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = ctx.store.history_wants_a_look() => {}
            () = ctx.stop.cancelled() => return,
        }
        let is_open = ctx.store.history_is_open();
        let mut standing = if is_open && attested_at.elapsed() < ATTEST_EVERY {
            ctx.store.look_at_history().await
        } else {
            Ok(Standing::Shut)
        };
        if matches!(standing, Ok(Standing::Shut)) {
            standing = ctx.store.attest(&ctx.name, ctx.began.elapsed()).await;
            attested_at = Instant::now();
        }
        match standing {
            Err(error) => ctx.health.failed(&error),
            Ok(Standing::Open) => {
                let now = ctx.store.history_no();
                if told_at.take().is_some() || now != number {
                    number = now;
                    ctx.metrics.history_unsure(0);
                    tracing::info!(
                        history = number,
                        "workers go by this history of the database: jobs are claimed"
                    );
                }
                if !is_open {
                    ctx.wake.news();
                }
            }
            Ok(Standing::Shut) => {
                if told_at.is_none_or(|at| at.elapsed() >= REMIND_EVERY) {
                    told_at = Some(Instant::now());
                    tell(&ctx).await;
                }
            }
        }
    }
}

/// Says why nothing is claimed.
async fn tell(ctx: &Context) {
    ctx.metrics.history_unsure(1);
    match ctx.store.waiting().await {
        Ok(waiting) if waiting.is_accepted() => {
            tracing::warn!("this worker's word on the database's history is still awaited");
        }
        Ok(waiting) => tracing::error!(
            hint = readable(&waiting.next_step),
            "nothing is claimed: {}",
            readable(&waiting.says)
        ),
        Err(error) => tracing::error!(
            %error,
            "nothing is claimed: the database may have lost a part of its history"
        ),
    }
}
