//! Duty: media of calls. Whoever answers is to hear something at once, and what was started is to
//! be stopped when the call is over: a robot that is left in a room is billed.
//!
//! What is due stands in the rows (`callq.streams`), so every worker that has the app's CAM key
//! takes a share, and what one of them leaves undone is taken up by another. This file paces and
//! takes up; `stream` sends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::app::App;
use super::context::Context;
use super::stream;
use crate::store::{Look, StoreError, StreamDuty, StreamEnded, StreamGrant, StreamPace};

/// How often it is looked whether something is due, without a word of it.
const POLL: Duration = Duration::from_secs(1);

/// How often it is looked which calls are over, at most.
const LOOK_APART: Duration = Duration::from_millis(250);

/// The shortest sleep while there is more to do: what is due meanwhile goes together.
const PAUSE: Duration = Duration::from_millis(50);

/// How often calls that ring are asked about, a second: some of the 200 that Tencent takes are left
/// for others who ask.
const ASKS_PER_SECOND: f64 = 150.0;
const ASKS_BURST: f64 = 30.0;

/// Starts, and stops, a second: with the burst no more than the 20 that Tencent takes in any
/// second.
const INGESTS_PER_SECOND: f64 = 15.0;
const INGESTS_BURST: f64 = 5.0;

/// How many questions, and how many starts and stops, a worker has under way at most.
const ASKS_MAX: usize = 64;
const INGESTS_MAX: usize = 32;

/// Beyond the request's own time, before another worker takes up what this one has begun.
const LEASE_MARGIN: Duration = Duration::from_secs(2);

/// What this worker has under way of one app.
struct Slots {
    asks: Arc<Semaphore>,
    ingests: Arc<Semaphore>,
}

/// Serves media of an app until the context is stopped, if this worker has the app's CAM key.
pub(super) async fn run(ctx: Arc<Context>, app: Arc<App>) {
    if !app.can_stream() {
        ctx.stop.cancelled().await;
        return;
    }
    let slots = Slots {
        asks: Arc::new(Semaphore::new(ASKS_MAX)),
        ingests: Arc::new(Semaphore::new(INGESTS_MAX)),
    };
    let mut looked: Option<Instant> = None;
    while !ctx.stop.is_cancelled() {
        let wait = if ctx.store.history_is_open() {
            let step = step(&ctx, &app, &slots, &mut looked).await;
            step.unwrap_or_else(|error| {
                ctx.health.failed(&error);
                POLL
            })
        } else {
            POLL
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = app.media.notified() => {}
            () = ctx.stop.cancelled() => {}
        }
    }
}

/// Does what is due now; returns how long to sleep.
async fn step(
    ctx: &Arc<Context>,
    app: &Arc<App>,
    slots: &Slots,
    looked: &mut Option<Instant>,
) -> Result<Duration, StoreError> {
    if looked.is_none_or(|at| at.elapsed() >= LOOK_APART) {
        let ended = ctx.store.hear_of_streams(&app.name, &[], Look::AtAll);
        tell(ctx, app, ended.await?);
        *looked = Some(Instant::now());
    }
    let paces = paces(slots);
    let grant = ctx.store.grant_streams(&app.name, &paces).await?;
    let next = grant.next.map_or(POLL, |next| next.clamp(PAUSE, POLL));
    if grant.asks + grant.starts + grant.stops == 0 {
        return Ok(next);
    }
    take(ctx, app, slots, grant).await?;
    // As many as there was room for: there may be more.
    let full = |given: i32, pace: &StreamPace| usize::try_from(given).is_ok_and(|n| n >= pace.most);
    let given = [grant.asks, grant.starts, grant.stops];
    let more = given
        .iter()
        .zip(&paces)
        .any(|(given, pace)| full(*given, pace));
    Ok(if more { PAUSE } else { next })
}

fn paces(slots: &Slots) -> [StreamPace; 3] {
    let pace = |request, per_second, burst, most| StreamPace {
        request,
        per_second,
        burst,
        most,
    };
    let (asks, ingests) = (
        slots.asks.available_permits(),
        slots.ingests.available_permits(),
    );
    [
        pace("ask", ASKS_PER_SECOND, ASKS_BURST, asks),
        pace("start", INGESTS_PER_SECOND, INGESTS_BURST, ingests / 2),
        pace("stop", INGESTS_PER_SECOND, INGESTS_BURST, ingests / 2),
    ]
}

async fn take(
    ctx: &Arc<Context>,
    app: &Arc<App>,
    slots: &Slots,
    grant: StreamGrant,
) -> Result<(), StoreError> {
    let lease = app.client.request_timeout() + LEASE_MARGIN;
    let taken = ctx.store.take_streams(&app.name, grant, lease).await?;
    tell(ctx, app, taken.given_up);
    for due in taken.due {
        let slots = match due.duty {
            StreamDuty::Ask => &slots.asks,
            StreamDuty::Start | StreamDuty::Stop => &slots.ingests,
        };
        // Only this loop takes any, so there is one; without one it is taken up again.
        let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
            continue;
        };
        let (ctx, app) = (Arc::clone(ctx), Arc::clone(app));
        // To the end, even if the worker stops: a start must not be left in doubt.
        ctx.tasks.clone().spawn(async move {
            stream::serve(&ctx, &app, due).await;
            drop(slot);
        });
    }
    Ok(())
}

/// Counts media that has ended without an answer of Tencent's, and says what may still run.
pub(super) fn tell(ctx: &Context, app: &App, ended: Vec<StreamEnded>) {
    for (job_id, attempt, reason) in ended {
        ctx.metrics.media_ended(&app.name, &reason);
        if ["media_lost", "media_not_stopped"].contains(&reason.as_str()) {
            tracing::error!(
                job.id = job_id,
                job.attempt = attempt,
                app = app.name,
                reason,
                "media of a call may still run, and nothing more can be done about it"
            );
        }
    }
}
