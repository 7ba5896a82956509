//! Duty: hints from the database, and whether they still arrive.
//!
//! A hint only saves waiting for the poll. But a listener whose connection was cut without a word,
//! or that sits behind a pooler, hears nothing and looks as if there were nothing to hear; so it
//! must hear its own ping, and it is said when it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::context::Context;
use crate::store::{Heard, Listener};

/// How often the listener is pinged.
const PING_EVERY: Duration = Duration::from_secs(10);

/// A ping that is not heard for so long is lost.
const PING_LOST_AFTER: Duration = Duration::from_secs(5);

/// How long until a failed connection is tried again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// Listens and pings until the context is stopped.
pub(super) async fn run(ctx: Arc<Context>) {
    let heard = Arc::new(Ear::default());
    let mut deaf = false;
    let mut listener = ctx.tasks.spawn(hear(Arc::clone(&ctx), Arc::clone(&heard)));
    let mut number: u64 = 0;
    while ctx.sleep_or_stop(PING_EVERY).await {
        number += 1;
        let ping = format!("{} {number}", ctx.name);
        let answered = ctx.store.ping(&ping).await.is_ok()
            && timeout(PING_LOST_AFTER, heard.wait_for(number))
                .await
                .is_ok();
        ctx.metrics.deaf(i64::from(!answered));
        ctx.deaf.store(!answered, Ordering::Relaxed);
        if answered && deaf {
            tracing::info!("notifications arrive again");
        } else if !answered && !deaf {
            tracing::warn!(
                poll_interval_ms = u64::try_from(ctx.poll_interval.as_millis()).unwrap_or(u64::MAX),
                "notifications do not arrive: new jobs and pauses are found by polling. A pooler \
                 in \
                 transaction mode does that, or a lost connection"
            );
        }
        deaf = !answered;
        if deaf {
            listener.abort();
            listener = ctx.tasks.spawn(hear(Arc::clone(&ctx), Arc::clone(&heard)));
        }
    }
    listener.abort();
}

/// The number of the last ping that was heard.
#[derive(Default)]
struct Ear {
    number: AtomicU64,
    changed: tokio::sync::Notify,
}

impl Ear {
    async fn wait_for(&self, number: u64) {
        loop {
            let changed = self.changed.notified();
            if self.number.load(Ordering::Acquire) >= number {
                return;
            }
            changed.await;
        }
    }
}

/// Passes on what is heard; connects anew when the connection is lost.
async fn hear(ctx: Arc<Context>, ear: Arc<Ear>) {
    loop {
        match Listener::connect(&ctx.store).await {
            Err(error) => tracing::debug!(%error, "could not listen for notifications"),
            Ok(mut listener) => {
                // Whatever was told before this moment was missed.
                ctx.wake.news();
                ctx.pauses.refresh_soon();
                ctx.schedules_changed.notify_one();
                while let Ok(heard) = listener.hear().await {
                    pass_on(&ctx, &ear, heard);
                }
            }
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

fn pass_on(ctx: &Context, ear: &Ear, heard: Heard) {
    match heard {
        Heard::Jobs => ctx.wake.news(),
        Heard::Pauses => {
            ctx.store.look_at_history_soon();
            ctx.pauses.refresh_soon();
            ctx.wake.news();
        }
        Heard::Schedules => ctx.schedules_changed.notify_one(),
        Heard::Callbacks => ctx.callbacks_came(),
        Heard::Calls => ctx.calls_to_end(),
        Heard::Reconnected => {
            ctx.wake.news();
            ctx.schedules_changed.notify_one();
            ctx.callbacks_came();
            ctx.calls_to_end();
            ctx.pauses.refresh_soon();
        }
        Heard::Ping(payload) => {
            let own = payload.strip_prefix(ctx.name.as_str()).map(str::trim_start);
            if let Some(number) = own.and_then(|n| n.parse().ok()) {
                ear.number.store(number, Ordering::Release);
                ear.changed.notify_waiters();
            }
        }
    }
}
