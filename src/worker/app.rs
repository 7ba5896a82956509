//! One served app: its client, and what this worker has learnt about it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::circuit::Circuit;
use crate::call::AppHealth;
use crate::tencent::TencentClient;

/// A job that is refused for its account is taken for the one at fault if another job of the app
/// was accepted so recently.
const PROVEN_FOR: Duration = Duration::from_mins(1);

/// A refused `UserSig` that was made afresh so recently is not the fault.
const FRESH_FOR: Duration = Duration::from_mins(1);

/// How often an accepted call is told to the database.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// An app as this worker sees it.
pub(super) struct App {
    pub name: String,
    pub client: TencentClient,
    pub fingerprint: String,
    pub calls_per_second: Option<f64>,
    pub circuit: Circuit,
    seen: Mutex<Seen>,
}

/// When what happened last.
#[derive(Default)]
struct Seen {
    accepted: Option<Instant>,
    noted: Option<Instant>,
    renewed: Option<Instant>,
}

impl App {
    pub(super) fn new(name: String, client: TencentClient, calls_per_second: Option<f64>) -> Self {
        let fingerprint = client.user_sigs().fingerprint();
        let circuit = Circuit::default();
        Self {
            name,
            client,
            fingerprint,
            calls_per_second,
            circuit,
            seen: Mutex::default(),
        }
    }

    /// Takes note of an accepted call; true if the database should be told.
    pub(super) fn accepted(&self, now: Instant) -> bool {
        let mut seen = self
            .seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.accepted = Some(now);
        let due = seen
            .noted
            .is_none_or(|at| now.duration_since(at) >= NOTE_EVERY);
        if due {
            seen.noted = Some(now);
        }
        due
    }

    /// What speaks for the app when one of its requests is refused for its credentials. If a fresh
    /// `UserSig` may help, the kept one is forgotten here, so that the next request makes one.
    pub(super) fn health(&self, now: Instant) -> AppHealth {
        let mut seen = self
            .seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let within = |at: Option<Instant>, span| at.is_some_and(|at| now.duration_since(at) < span);
        if within(seen.accepted, PROVEN_FOR) {
            return AppHealth::Proven;
        }
        if !within(seen.renewed, FRESH_FOR) && self.client.user_sigs().invalidate() {
            seen.renewed = Some(now);
            return AppHealth::SigMayBeStale;
        }
        AppHealth::Unproven
    }
}
