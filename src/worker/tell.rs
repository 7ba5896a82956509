//! What an answer tells of the app, beyond its job: the circuit, the pace, the pause.
//!
//! What is told to the database is told beside the flow; no result waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::App;
use super::context::Context;
use crate::call::{Answer, Class, Reason, Transition};

/// A paused app is tried again after this, then at growing intervals.
const PROBE_AFTER: Duration = Duration::from_mins(1);

/// An app whose quota is used up is tried again after this.
const PROBE_QUOTA_AFTER: Duration = Duration::from_mins(5);

/// What the answer tells of the app, beyond its job.
pub(super) fn tell(
    ctx: &Arc<Context>,
    app: &Arc<App>,
    class: Class,
    answer: &Answer,
    verdict: &Transition,
    now: Instant,
) {
    if let Answer::NotSent {
        unreachable: true,
        detail,
    } = answer
    {
        if app.circuit.failed(now) {
            tracing::warn!(
                app = app.name,
                detail,
                "Tencent's host cannot be reached: one job at a time finds out when it is back"
            );
        }
    } else if app.circuit.reached() {
        tracing::info!(app = app.name, "Tencent's host is reached again");
    }
    match (class, verdict.reason) {
        (Class::Accepted, _) => {
            let was_paused = ctx.pauses.mention(&app.name);
            if app.accepted(now) || was_paused {
                note_success(ctx, app);
            }
        }
        (Class::Throttled, _) => slow_down(ctx, app),
        (_, Reason::AppFault) => pause_app(ctx, app, "app_fault", answer, PROBE_AFTER),
        (_, Reason::QuotaUsed) => pause_app(ctx, app, "quota_used", answer, PROBE_QUOTA_AFTER),
        _ => {}
    }
}

/// Notes an accepted call, beside the flow: nothing waits for it.
fn note_success(ctx: &Arc<Context>, app: &Arc<App>) {
    let (ctx, app) = (Arc::clone(ctx), Arc::clone(app));
    ctx.tasks.clone().spawn(async move {
        match ctx.store.note_success(&app.name).await {
            Ok(true) => {
                tracing::info!(
                    app = app.name,
                    "a call was accepted: the app's pause is lifted"
                );
                ctx.pauses.refresh_soon();
            }
            Ok(false) => {}
            Err(error) => ctx.health.failed(&error),
        }
    });
}

/// Slows an app down that was throttled.
fn slow_down(ctx: &Arc<Context>, app: &Arc<App>) {
    let (ctx, app) = (Arc::clone(ctx), Arc::clone(app));
    ctx.tasks.clone().spawn(async move {
        if let Err(error) = ctx.store.slow_down(&app.name).await {
            ctx.health.failed(&error);
        }
    });
}

/// Pauses an app whose fault concerns all its calls.
fn pause_app(
    ctx: &Arc<Context>,
    app: &Arc<App>,
    reason: &'static str,
    answer: &Answer,
    probe_after: Duration,
) {
    let detail = match answer {
        Answer::Reply(reply) => format!("{} {}", reply.error_code, reply.error_info),
        Answer::NotSent { detail, .. } | Answer::Unknown { detail, .. } => detail.clone(),
    };
    let (ctx, app) = (Arc::clone(ctx), Arc::clone(app));
    ctx.tasks.clone().spawn(async move {
        let paused = ctx.store.pause_faulty_app(
            &app.name,
            reason,
            &detail,
            &ctx.name,
            &app.fingerprint,
            probe_after,
        );
        match paused.await {
            Ok(true) => {
                tracing::error!(
                    app = app.name,
                    detail,
                    "Tencent refuses the app, not the call: the app is paused; mend its settings, \
                     then SELECT callq.resume_app('{}')",
                    app.name
                );
                ctx.pauses.refresh_soon();
            }
            Ok(false) => {}
            Err(error) => ctx.health.failed(&error),
        }
    });
}
