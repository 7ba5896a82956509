//! Duty: asks Tencent, by a command that rings nobody, whether a paused app is worth a job again.
//!
//! The grant says when it is time, and to one worker alone: 60 s after the pause began, then at
//! growing intervals of at most 5 minutes. A question that is not refused gives the app a pass: the
//! claim loop then takes one job, whose acceptance ends the pause. Each pass takes another job,
//! because one that is refused goes behind the others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::app::App;
use super::circuit::Passage;
use super::context::Context;
use super::tell;
use crate::call::{Answer, Class, Probed, probed};
use crate::tencent::{NO_CALL_ID, classify};

/// How long a pass holds; shorter than the wait for the next question, which another worker may be
/// the one to ask.
const PASS_HOLDS: Duration = Duration::from_secs(30);

/// The right to send one job of a paused app.
#[derive(Default)]
pub(super) struct Pass(Mutex<Option<Instant>>);

impl Pass {
    /// Takes the pass, if there is one that still holds.
    pub(super) fn take(&self, now: Instant) -> bool {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        until.is_some_and(|until| now < until)
    }

    fn give(&self, now: Instant) {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(now + PASS_HOLDS);
    }
}

/// Asks beside the flow: nothing waits for the answer.
pub(super) fn ask(ctx: &Arc<Context>, app: &Arc<App>) {
    let now = Instant::now();
    if app.backs_off(now) {
        return;
    }
    if matches!(app.circuit.passage(now), Passage::Probe) {
        app.circuit.probing(now);
    }
    let (ctx, app) = (Arc::clone(ctx), Arc::clone(app));
    ctx.tasks.clone().spawn(async move {
        let signed_at = match ctx.store.unix_time().await {
            Ok(seconds) => seconds,
            Err(error) => return ctx.health.failed(&error),
        };
        // Whatever is wrong with the one that was refused, a fresh one may mend it.
        app.client.user_sigs().invalidate();
        let random = fastrand::u32(..);
        let asking = app.client.get_call_info(NO_CALL_ID, random, signed_at);
        let answer = asking.await.answer;
        heard(&ctx, &app, &answer).await;
    });
}

async fn heard(ctx: &Arc<Context>, app: &Arc<App>, answer: &Answer) {
    let now = Instant::now();
    let class = classify(answer);
    tell::tell_circuit(ctx, app, answer, now);
    let detail = tell::detail(answer);
    match probed(class, answer) {
        Probed::WorthAJob => {
            tracing::info!(
                app = app.name,
                detail,
                "Tencent answers for the paused app: one job finds out whether calls are accepted"
            );
            app.pass.give(now);
            ctx.wake.news();
        }
        Probed::Refused => {
            tracing::warn!(
                app = app.name,
                detail,
                "Tencent still refuses the paused app"
            );
            if class == Class::AppBackOff {
                app.back_off(now);
                if let Err(error) = tell::put_off_probe(ctx, app).await {
                    ctx.health.failed(&error);
                }
            }
        }
        Probed::NoAnswer => tracing::warn!(
            app = app.name,
            detail,
            "no answer tells whether the paused app works again"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_for_one_job_and_does_not_hold_for_ever() {
        let (pass, now) = (Pass::default(), Instant::now());
        assert!(!pass.take(now));
        pass.give(now);
        assert!(pass.take(now));
        assert!(!pass.take(now));
        pass.give(now);
        assert!(!pass.take(now + PASS_HOLDS));
    }
}
