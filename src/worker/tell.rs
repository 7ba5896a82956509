//! What an answer tells of the app, beyond its job: the circuit, the pace, the pause.
//!
//! What is told to the database is told beside the flow; no result waits for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::app::{App, BACK_OFF};
use super::context::Context;
use super::pauses;
use crate::call::{Answer, Class, Reason, Transition};
use crate::store::StoreError;

/// A paused app is asked about after this, then at growing intervals.
const PROBE_AFTER: Duration = Duration::from_mins(1);

/// An app whose quota is used up is asked about after this.
const PROBE_QUOTA_AFTER: Duration = Duration::from_mins(5);

/// What the answer tells of the app, beyond its job; `signer` is the fingerprint of the credentials
/// that the request was signed with.
pub(super) fn tell(
    ctx: &Arc<Context>,
    app: &Arc<App>,
    signer: &str,
    class: Class,
    answer: &Answer,
    verdict: &Transition,
    now: Instant,
) {
    tell_circuit(ctx, app, answer, now);
    match (class, verdict.reason) {
        (Class::Accepted, _) => {
            let was_paused = ctx.pauses.mention(&app.name);
            if app.accepted(now) || was_paused {
                tell_database(ctx, app, note_success);
            }
        }
        (Class::Throttled, _) => tell_database(ctx, app, slow_down),
        // Whatever was wrong with credentials that are replaced meanwhile.
        (_, Reason::AppFault) if app.fingerprint() != signer => {}
        (_, Reason::AppFault) => {
            app.refused.notify_one();
            let (signer, pausing) = (signer.to_owned(), app.about_to_pause());
            let detail = detail(answer);
            if class == Class::AppBackOff {
                app.back_off(now);
            }
            tell_database(ctx, app, move |ctx, app| async move {
                let paused = pause_app(&ctx, &app, &signer, "app_fault", detail, PROBE_AFTER);
                paused.await?;
                drop(pausing);
                match class {
                    Class::AppBackOff => put_off_probe(&ctx, &app).await,
                    _ => Ok(()),
                }
            });
        }
        (_, Reason::QuotaUsed) => {
            let (detail, signer) = (detail(answer), signer.to_owned());
            let pausing = app.about_to_pause();
            tell_database(ctx, app, |ctx, app| async move {
                let wait = PROBE_QUOTA_AFTER;
                let paused = pause_app(&ctx, &app, &signer, "quota_used", detail, wait).await;
                drop(pausing);
                paused
            });
        }
        _ => {}
    }
}

/// What the answer tells of the host, whatever was asked.
pub(super) fn tell_circuit(ctx: &Arc<Context>, app: &App, answer: &Answer, now: Instant) {
    if let Answer::NotSent {
        unreachable: true,
        detail,
    } = answer
    {
        if app.circuit.failed(now, detail) {
            ctx.circuit_changed(app, 1);
            tracing::warn!(
                app = app.name,
                detail,
                "Tencent's host cannot be reached: one job at a time finds out when it is back"
            );
        }
    } else if app.circuit.reached() {
        ctx.circuit_changed(app, 0);
        tracing::info!(app = app.name, "Tencent's host is reached again");
    }
}

/// Tells the database something about an app, beside the flow: no result waits for it. What comes
/// while something else is being told is left out; it will come again, as long as it is true.
fn tell_database<F>(
    ctx: &Arc<Context>,
    app: &Arc<App>,
    tell: impl FnOnce(Arc<Context>, Arc<App>) -> F,
) where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    if app.telling.swap(true, Ordering::SeqCst) {
        return;
    }
    let telling = tell(Arc::clone(ctx), Arc::clone(app));
    let (ctx, app) = (Arc::clone(ctx), Arc::clone(app));
    ctx.tasks.clone().spawn(async move {
        if let Err(error) = telling.await {
            ctx.health.failed(&error);
        }
        app.telling.store(false, Ordering::SeqCst);
    });
}

async fn note_success(ctx: Arc<Context>, app: Arc<App>) -> Result<(), StoreError> {
    if ctx.store.note_success(&app.name).await? {
        tracing::info!(
            app = app.name,
            "a call was accepted: the app's pause is lifted"
        );
        ctx.pauses.refresh_soon();
    }
    Ok(())
}

async fn slow_down(ctx: Arc<Context>, app: Arc<App>) -> Result<(), StoreError> {
    ctx.store.slow_down(&app.name).await
}

/// Nobody asks about the app for a while: asking too soon prolongs the refusal (70050).
pub(super) async fn put_off_probe(ctx: &Context, app: &App) -> Result<(), StoreError> {
    ctx.store.put_off_probe(&app.name, BACK_OFF).await
}

/// Pauses an app whose fault concerns all its calls.
async fn pause_app(
    ctx: &Context,
    app: &App,
    signer: &str,
    reason: &'static str,
    detail: String,
    probe_after: Duration,
) -> Result<(), StoreError> {
    let paused =
        ctx.store
            .pause_faulty_app(&app.name, reason, &detail, &ctx.name, signer, probe_after);
    if paused.await? {
        tracing::error!(
            app = app.name,
            detail,
            "Tencent refuses the app, not the call: the app is paused; mend its settings, then \
             SELECT callq.resume_app('{}')",
            app.name
        );
    }
    // Read here, whoever wrote it: from now on the pause itself holds every request back.
    pauses::read(ctx).await
}

/// The code and text that a pause is told with.
pub(super) fn detail(answer: &Answer) -> String {
    match answer {
        Answer::Reply(reply) => format!("{} {}", reply.error_code, reply.error_info),
        Answer::NotSent { detail, .. } | Answer::Unknown { detail, .. } => detail.clone(),
    }
}
