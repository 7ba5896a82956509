//! Storing callbacks, many with one statement: while one batch is on its way into the database, the
//! next one gathers. So a single callback waits for nobody, and a storm costs few commits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::admission::Refusal;
use super::metrics::Metrics;
use crate::store::{ReceivedCallback, Store, StoreError};

/// So many callbacks can wait at once; each is of a connection that waits for its answer.
pub(super) const WAITING_MAX: usize = 1024;

/// Callbacks per statement, at most 16 MiB of bodies.
const BATCH_MAX: usize = 256;

/// How long a callback waits to be stored. Tencent gives up after 2 s (IM 34354), and answering
/// before that tells it the truth.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How long a statement may take before its connection is given up.
pub(super) const STORE_WITHIN: Duration = Duration::from_secs(2);

/// How long a database that refused callbacks is not believed to be well without storing one.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// One callback that waits, and who waits for it.
struct Waiting {
    callback: ReceivedCallback,
    since: Instant,
    stored: oneshot::Sender<()>,
}

/// Whether the database takes callbacks.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The last batch, or the last look at the database, failed.
    away: AtomicBool,
    /// A batch is on its way.
    busy: AtomicBool,
    /// When a batch was refused last.
    refused_at: Mutex<Option<Instant>>,
}

impl Standing {
    pub(super) fn is_ready(&self) -> bool {
        !self.away.load(Ordering::SeqCst)
    }

    /// The database answers questions. It may refuse callbacks all the same, as with a full disk:
    /// for a while after it did, that says nothing.
    pub(super) fn looks_well(&self) {
        let refused_at = *self.refused_at.lock().expect("nothing panics with it");
        if refused_at.is_none_or(|at| at.elapsed() > REFUSED_FOR) {
            self.succeeded();
        }
    }

    /// A batch was not stored.
    fn refused(&self, error: &StoreError) {
        *self.refused_at.lock().expect("nothing panics with it") = Some(Instant::now());
        self.failed(error);
    }

    /// The database answered.
    fn succeeded(&self) {
        if self.away.swap(false, Ordering::SeqCst) {
            tracing::info!("the database answers again; callbacks are taken");
        }
    }

    /// It did not. Said once, until it answers again.
    pub(super) fn failed(&self, error: &StoreError) {
        if self.away.swap(true, Ordering::SeqCst) {
            tracing::debug!(%error, "the database does not answer");
        } else {
            tracing::error!(
                %error,
                "the database does not answer; callbacks are refused with 503 until it does"
            );
        }
    }

    /// Whether a callback that comes now would only wait behind one that already waits in vain.
    fn is_hopeless(&self) -> bool {
        self.away.load(Ordering::SeqCst) && self.busy.load(Ordering::SeqCst)
    }
}

/// The way in.
pub(super) struct Keeper {
    waiting: mpsc::Sender<Waiting>,
    standing: Arc<Standing>,
}

impl Keeper {
    /// Returns once the callback is stored.
    ///
    /// # Errors
    /// [`Refusal::Away`] within [`PATIENCE`] if it is not; at once if the database is known to be
    /// away. It may be stored all the same, and then is once if it comes again.
    pub(super) async fn keep(&self, callback: ReceivedCallback) -> Result<(), Refusal> {
        if self.standing.is_hopeless() {
            return Err(Refusal::Away);
        }
        let (stored, told) = oneshot::channel();
        let waiting = Waiting {
            callback,
            since: Instant::now(),
            stored,
        };
        self.waiting.try_send(waiting).map_err(|_| Refusal::Away)?;
        match timeout(PATIENCE, told).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Refusal::Away),
        }
    }
}

/// The other end: what takes batches into the database.
pub(super) struct Keeping {
    waiting: mpsc::Receiver<Waiting>,
    standing: Arc<Standing>,
    store: Store,
    metrics: Arc<Metrics>,
}

/// Both ends.
pub(super) fn keeper(
    store: Store,
    standing: Arc<Standing>,
    metrics: Arc<Metrics>,
) -> (Keeper, Keeping) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let keeping = Keeping {
        waiting: receiver,
        standing: Arc::clone(&standing),
        store,
        metrics,
    };
    let keeper = Keeper {
        waiting: sender,
        standing,
    };
    (keeper, keeping)
}

impl Keeping {
    /// Works until `closing` is cancelled and what waits by then is stored or refused.
    pub(super) async fn run(mut self, closing: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                biased;
                taken = self.waiting.recv_many(&mut batch, BATCH_MAX) => if taken == 0 {
                    return;
                },
                () = closing.cancelled(), if !self.waiting.is_closed() => self.waiting.close(),
            }
            if !batch.is_empty() {
                self.standing.busy.store(true, Ordering::SeqCst);
                self.store_batch(std::mem::take(&mut batch)).await;
                self.standing.busy.store(false, Ordering::SeqCst);
            }
        }
    }

    /// Whoever waits for what is not stored learns it when his end is dropped.
    async fn store_batch(&self, batch: Vec<Waiting>) {
        let began = Instant::now();
        let (callbacks, waiting): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|one| (one.callback, (one.since, one.stored)))
            .unzip();
        match self.store.receive(&callbacks, STORE_WITHIN).await {
            Ok(stored) => {
                self.standing.succeeded();
                let waits = waiting.iter().map(|(since, _)| since.elapsed());
                self.metrics
                    .kept(callbacks.len(), stored, began.elapsed(), waits);
                for (_, stored) in waiting {
                    // He may have lost his patience.
                    let _ = stored.send(());
                }
            }
            // None of them is to suffer for another one that the database refuses.
            Err(error) if error.is_about_the_data() => {
                for (callback, (_, told)) in callbacks.into_iter().zip(waiting) {
                    self.store_one(callback, told).await;
                }
            }
            Err(error) => self.standing.refused(&error),
        }
    }

    async fn store_one(&self, callback: ReceivedCallback, told: oneshot::Sender<()>) {
        let began = Instant::now();
        match self.store.receive(&[callback], STORE_WITHIN).await {
            Ok(stored) => {
                self.standing.succeeded();
                let waits = std::iter::empty();
                self.metrics.kept(1, stored, began.elapsed(), waits);
                let _ = told.send(());
            }
            Err(error) if error.is_about_the_data() => {
                tracing::error!(%error, "a callback cannot be stored, and is refused");
            }
            Err(error) => self.standing.refused(&error),
        }
    }
}
