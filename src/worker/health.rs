//! Whether a worker works.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::store::{ConnectFault, StoreError};

/// Whether the worker works: it does while the database answers.
#[derive(Debug)]
pub struct Health {
    began: Instant,
    stale_after: Duration,
    /// Milliseconds from `began` to the last good answer, and one more; 0: none yet.
    answered_at_ms: AtomicU64,
    failing: AtomicBool,
    first: Notify,
    /// Told when the database refuses the login: a new password may be there.
    pub(super) login_refused: Notify,
    /// A session seemed to be another's: a pooler may give them away now.
    pub(super) session_lost: AtomicBool,
}

impl Health {
    /// A worker is not ready when the database has not answered for three poll intervals and 5 s.
    pub(super) fn new(poll_interval: Duration) -> Self {
        Self {
            began: Instant::now(),
            stale_after: poll_interval * 3 + Duration::from_secs(5),
            answered_at_ms: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            first: Notify::new(),
            login_refused: Notify::new(),
            session_lost: AtomicBool::new(false),
        }
    }

    /// Whether the claim loop has had an answer recently.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let at = self.answered_at_ms.load(Ordering::SeqCst);
        at > 0 && self.began.elapsed() < Duration::from_millis(at) + self.stale_after
    }

    /// Waits until the worker is ready for the first time.
    pub async fn ready(&self) {
        loop {
            let first = self.first.notified();
            if self.is_ready() {
                return;
            }
            first.await;
        }
    }

    /// The database answered.
    pub(super) fn succeeded(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.answered_at_ms
            .store(ms.saturating_add(1), Ordering::SeqCst);
        self.first.notify_waiters();
        if self.failing.swap(false, Ordering::SeqCst) {
            tracing::info!("the database answers again");
        }
    }

    /// The database did not answer. Said once, until it answers again.
    pub(super) fn failed(&self, error: &StoreError) {
        if matches!(error, StoreError::HistoryUnsure) {
            // Told by the duty that watches it.
            return;
        }
        if ConnectFault::of(error).is_of_the_login() {
            self.login_refused.notify_one();
        }
        if error.is_about_the_session() {
            self.session_lost.store(true, Ordering::SeqCst);
        }
        if self.failing.swap(true, Ordering::SeqCst) {
            tracing::debug!(%error, "the database does not answer");
        } else {
            tracing::error!(
                %error,
                "the database does not answer; nothing is claimed until it does"
            );
        }
    }
}
