//! Duty: ends calls that somebody cancelled or that last too long; by the worker that reads the
//! app's records.
//!
//! `end_call` may be sent again whatever came of it. A call is asked to end until Tencent says that
//! it is over, or its record came; whether the phone rang is never concluded from that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use super::app::App;
use super::context::Context;
use crate::call::Answer;
use crate::store::{EndAsked, EndDue, Ended, StoreError};
use crate::tencent::{Command, Judgement, judge};

/// How often calls to end are looked for without a notification.
const POLL: Duration = Duration::from_secs(1);

/// The most calls of one look.
const DUE_MAX: usize = 100;

/// How many requests are under way at once, and the time between two of one look: 50 a second at
/// most, of the 200 that Tencent takes.
const AT_ONCE: usize = 8;
const APART: Duration = Duration::from_millis(20);

/// After Tencent did as it was asked, it is asked once more whether the call is over; likewise
/// after it could not answer. Doubled each time up to the longest.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_MAX: Duration = Duration::from_mins(5);

/// Ends calls of an app until the context is stopped, while this worker reads its records.
pub(super) async fn run(ctx: Arc<Context>, app: Arc<App>) {
    while !ctx.stop.is_cancelled() {
        let more = if app.follows.load(Ordering::Relaxed) && ctx.store.history_is_open() {
            let ended = tokio::select! {
                ended = end_due(&ctx, &app) => ended,
                () = ctx.stop.cancelled() => return,
            };
            ended.unwrap_or_else(|error| {
                ctx.health.failed(&error);
                false
            })
        } else {
            false
        };
        if more {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = app.ends.notified() => {}
            () = ctx.stop.cancelled() => {}
        }
    }
}

/// Ends what is due; true if there may be more.
async fn end_due(ctx: &Context, app: &Arc<App>) -> Result<bool, StoreError> {
    let due = ctx.store.calls_to_end(&app.name, DUE_MAX).await?;
    if due.is_empty() {
        return Ok(false);
    }
    let more = due.len() == DUE_MAX;
    let (mut under_way, mut asked) = (JoinSet::new(), Vec::new());
    for call in due {
        tokio::time::sleep(APART).await;
        if under_way.len() >= AT_ONCE {
            // One that panicked stays as it was, and is asked to end again.
            asked.extend(under_way.join_next().await.and_then(Result::ok));
        }
        under_way.spawn(end(Arc::clone(app), call));
    }
    while let Some(done) = under_way.join_next().await {
        asked.extend(done.ok());
    }
    ctx.store.end_asked(&asked).await?;
    app.media.notify_one();
    Ok(more)
}

async fn end(app: Arc<App>, call: EndDue) -> EndAsked {
    let asking = app
        .client
        .end_call(&call.call_id, fastrand::u32(..), call.now_unix);
    let answer = asking.await;
    let judgement = judge(Command::EndCall, &answer);
    let is_over = matches!(&answer, Answer::Reply(reply) if reply.error_code != 0);
    let doubled = AGAIN * (1 << call.asked.clamp(0, 10));
    let (again, done) = match judgement {
        // Over since an earlier request, as far as anybody can tell.
        Judgement::Done if is_over && call.asked > 0 => (None, Ended::ByUs),
        Judgement::Done if is_over => (None, Ended::NotByUs),
        Judgement::Done => (Some(doubled.min(AGAIN_MAX)), Ended::ByUs),
        Judgement::TryAgain => (Some(doubled.min(AGAIN_MAX)), Ended::NotByUs),
        _ => (Some(AGAIN_MAX), Ended::NotByUs),
    };
    tracing::info!(
        job.id = call.job_id,
        job.attempt = call.attempt,
        app = app.name,
        ?judgement,
        is_over,
        "a call was asked to end"
    );
    EndAsked {
        job_id: call.job_id,
        attempt: call.attempt,
        again,
        done,
    }
}
