//! One served app: its client, and what this worker has learnt about it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::circuit::Circuit;
use super::probe::Pass;
use crate::call::{AppHealth, JobDefaults};
use crate::tencent::{IngestClient, TencentClient, UserSigs};

/// A job that is refused for its account is taken for the one at fault if another job of the app
/// was accepted so recently.
const PROVEN_FOR: Duration = Duration::from_mins(1);

/// After so many refusals without an accepted call between them it is the app, whatever was
/// accepted before.
const REFUSED_IN_A_ROW_MAX: u32 = 5;

/// A refused `UserSig` that was made afresh so recently is not the fault.
const FRESH_FOR: Duration = Duration::from_mins(1);

/// How often an accepted call is told to the database.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// How long Tencent is not asked after it said that it was asked too often (70050): "wait for at
/// least a minute".
pub(super) const BACK_OFF: Duration = Duration::from_mins(1);

/// An app as this worker sees it.
pub(super) struct App {
    pub name: String,
    pub client: TencentClient,
    pub calls_per_second: Option<f64>,
    pub circuit: Circuit,
    /// Whether one job may find out if the paused app works again.
    pub pass: Pass,
    /// Whether something is being told to the database about this app. One thing at a time: a row
    /// that somebody has locked must not take every connection.
    pub telling: AtomicBool,
    /// Told when Tencent refuses what the app signs with: a new one may be there.
    pub refused: Notify,
    /// Told when callbacks came.
    pub hints: Notify,
    /// Told when a call is to be ended.
    pub ends: Notify,
    /// Plays media, if this worker has the app's CAM key.
    pub ingest: Option<Arc<IngestClient>>,
    /// Told when Tencent refuses what its media is signed with.
    pub media_refused: Notify,
    /// Told when there may be something to do about media.
    pub media: Notify,
    /// What its jobs have that give none of their own.
    pub defaults: JobDefaults,
    /// Whether this worker is the one that follows the app's calls.
    pub follows: AtomicBool,
    seen: Mutex<Seen>,
    /// How many pauses of this app are being written.
    pausing: AtomicUsize,
}

/// A pause that is being written: until it is, this worker sends nothing more of the app, though
/// the database does not know yet.
pub(super) struct Pausing(Arc<App>);

impl Drop for Pausing {
    fn drop(&mut self) {
        self.0.pausing.fetch_sub(1, Ordering::SeqCst);
    }
}

/// When what happened last.
#[derive(Default)]
struct Seen {
    accepted: Option<Instant>,
    noted: Option<Instant>,
    renewed: Option<Instant>,
    backed_off: Option<Instant>,
    refused_in_a_row: u32,
}

impl App {
    pub(super) fn new(
        name: String,
        client: TencentClient,
        ingest: Option<IngestClient>,
        calls_per_second: Option<f64>,
        defaults: JobDefaults,
    ) -> Self {
        let circuit = Circuit::default();
        Self {
            name,
            client,
            calls_per_second,
            circuit,
            pass: Pass::default(),
            telling: AtomicBool::new(false),
            refused: Notify::new(),
            hints: Notify::new(),
            ends: Notify::new(),
            ingest: ingest.map(Arc::new),
            media_refused: Notify::new(),
            media: Notify::new(),
            defaults,
            follows: AtomicBool::new(false),
            seen: Mutex::default(),
            pausing: AtomicUsize::new(0),
        }
    }

    /// The app is about to be paused, until what is returned is dropped.
    pub(super) fn about_to_pause(self: &Arc<Self>) -> Pausing {
        self.pausing.fetch_add(1, Ordering::SeqCst);
        Pausing(Arc::clone(self))
    }

    /// Whether a pause of this app is being written.
    pub(super) fn is_about_to_pause(&self) -> bool {
        self.pausing.load(Ordering::SeqCst) > 0
    }

    /// Whether this worker has what it takes to supply media for the app's calls.
    pub(super) fn can_stream(&self) -> bool {
        self.ingest.is_some()
    }

    /// The name of the credentials that the next request is signed with.
    pub(super) fn fingerprint(&self) -> String {
        self.client.user_sigs().fingerprint()
    }

    /// Signs with other credentials from now on. What was accepted or refused before says nothing
    /// of these, and a request under way that is refused was signed with the old ones.
    pub(super) fn sign_with(&self, user_sigs: UserSigs) {
        self.client.set_user_sigs(user_sigs);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen {
            renewed: Some(Instant::now()),
            backed_off: seen.backed_off,
            ..Seen::default()
        };
    }

    /// Takes note of an accepted call; true if the database should be told.
    pub(super) fn accepted(&self, now: Instant) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.accepted = Some(now);
        seen.refused_in_a_row = 0;
        let due = seen
            .noted
            .is_none_or(|at| now.duration_since(at) >= NOTE_EVERY);
        if due {
            seen.noted = Some(now);
        }
        due
    }

    /// Takes note that Tencent was asked too often.
    pub(super) fn back_off(&self, now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.backed_off = Some(now);
    }

    /// Whether it is too early to ask Tencent again.
    pub(super) fn backs_off(&self, now: Instant) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.backed_off
            .is_some_and(|at| now.duration_since(at) < BACK_OFF)
    }

    /// What speaks for the app when a request that was sent at `sent` is refused for its
    /// credentials. If a fresh `UserSig` may help, the kept one is forgotten here, so that the next
    /// request makes one.
    pub(super) fn health(&self, sent: Instant, now: Instant) -> AppHealth {
        self.refused.notify_one();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.refused_in_a_row = seen.refused_in_a_row.saturating_add(1);
        let within = |at: Option<Instant>, span| at.is_some_and(|at| now.duration_since(at) < span);
        if seen.renewed.is_some_and(|renewed| sent < renewed) {
            // It carried the old one, as did all that were under way.
            return AppHealth::SigMayBeStale;
        }
        if !within(seen.renewed, FRESH_FOR) && self.client.user_sigs().invalidate() {
            seen.renewed = Some(now);
            return AppHealth::SigMayBeStale;
        }
        if within(seen.accepted, PROVEN_FOR) && seen.refused_in_a_row <= REFUSED_IN_A_ROW_MAX {
            return AppHealth::Proven;
        }
        AppHealth::Unproven
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tencent::{Credential, Host, Settings};

    fn user_sigs(key: &str) -> UserSigs {
        let key = Credential::SecretKey(key.into());
        UserSigs::new(1_400_000_000, "administrator", key).expect("it is complete")
    }

    #[test]
    fn what_was_accepted_before_says_nothing_of_other_credentials() {
        let client = TencentClient::new(Settings {
            host: Host::new("http://127.0.0.1:9").expect("a sandbox's"),
            user_sigs: user_sigs("old"),
            request_timeout: Duration::from_secs(8),
            https_proxy: None,
        });
        let client = client.expect("these settings serve");
        let app = App::new("default".into(), client, None, None, JobDefaults::default());
        let (sent, old) = (Instant::now(), app.fingerprint());
        app.accepted(sent);
        app.sign_with(user_sigs("new"));
        assert_ne!(app.fingerprint(), old);
        // Under way meanwhile, with the old one.
        assert_eq!(app.health(sent, Instant::now()), AppHealth::SigMayBeStale);
        // With the new one: not the job's own fault, since nothing was accepted with it.
        let now = Instant::now();
        assert_eq!(app.health(now, now), AppHealth::Unproven);
    }
}
