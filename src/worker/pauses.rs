//! Duty: what is paused now, known within a second, so that it can be checked before each request.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;

use super::context::Context;
use crate::call::readable;
use crate::store::{PauseState, StoreError};

/// How often the pauses are read when no notification tells of them: a pause is in force within a
/// second, the time to read it included.
const REFRESH_EVERY: Duration = Duration::from_millis(500);

/// Whether a job finds out if a paused app works again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probing {
    Yes,
    No,
}

/// The pauses, as they were last read.
#[derive(Default)]
pub(super) struct Pauses {
    state: RwLock<PauseState>,
    soon: Notify,
}

impl Pauses {
    /// Whether a call of this app must not be sent with these credentials. A probe ignores the
    /// pause that it is to lift, and no other.
    pub(super) fn hold(&self, app: &str, fingerprint: &str, probing: Probing) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match probing {
            Probing::No => state.holds(app, fingerprint),
            Probing::Yes => state.held_by_a_person(app),
        }
    }

    /// Whether the app is paused for anybody.
    pub(super) fn mention(&self, app: &str) -> bool {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .apps
            .contains_key(app)
    }

    /// Asks for the pauses to be read now.
    pub(super) fn refresh_soon(&self) {
        self.soon.notify_one();
    }

    fn set(&self, state: PauseState) -> bool {
        let mut held = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *held != state;
        *held = state;
        changed
    }
}

/// Reads the pauses once; to be done before anything is claimed.
pub(super) async fn read(ctx: &Context) -> Result<(), StoreError> {
    let state = ctx.store.pauses().await?;
    if ctx.pauses.set(state.clone()) {
        tell(&state);
        ctx.wake.news();
    }
    Ok(())
}

/// Reads the pauses until the context is stopped.
pub(super) async fn run(ctx: Arc<Context>) {
    loop {
        match read(&ctx).await {
            Ok(()) => ctx.health.succeeded(),
            Err(error) => ctx.health.failed(&error),
        }
        tokio::select! {
            () = tokio::time::sleep(REFRESH_EVERY) => {}
            () = ctx.pauses.soon.notified() => {}
            () = ctx.stop.cancelled() => return,
        }
    }
}

fn tell(state: &PauseState) {
    if let Some(reason) = &state.all {
        tracing::warn!(reason = readable(reason), "everything is paused");
    }
    for (app, paused) in &state.apps {
        tracing::warn!(
            app = readable(app),
            reason = readable(&paused.reason),
            "the app is paused"
        );
    }
    if state.all.is_none() && state.apps.is_empty() {
        tracing::info!("nothing is paused");
    }
}
