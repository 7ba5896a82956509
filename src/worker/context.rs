//! What all duties of a worker share, and what wakes its claim loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::app::App;
use super::health::Health;
use super::metrics::Metrics;
use super::pauses::Pauses;
use super::record::Recorder;
use crate::store::{OpenCircuit, Store};

/// Results that may be unwritten at once, besides those of requests under way: some seconds of the
/// highest pace.
const UNRECORDED_MAX: usize = 1000;

/// How often a claim whose answer was lost is looked for.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(1);

/// How often that is done while the worker stops, and for how long: the database that lost the
/// answer may be away for a moment.
const GIVE_BACK_LAST_EVERY: Duration = Duration::from_millis(200);
const GIVE_BACK_LAST: Duration = Duration::from_secs(3);

/// What all duties share.
pub(super) struct Context {
    pub store: Store,
    pub name: String,
    pub apps: Vec<Arc<App>>,
    pub lease: Duration,
    pub poll_interval: Duration,
    pub pauses: Pauses,
    pub wake: Wake,
    /// A schedule was inserted, changed or resumed.
    pub schedules_changed: Notify,
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
    pub recorder: Recorder,
    /// When the worker started.
    pub began: Instant,
    /// How many requests it has under way at most.
    pub concurrency: usize,
    /// Whether notifications do not arrive.
    pub deaf: AtomicBool,
    /// Asks for the worker's row to be written now.
    pub beat_now: Notify,
    /// Requests under way, and small things that are done beside them.
    pub tasks: TaskTracker,
    /// Cancelled when no further job is to be claimed.
    pub stop: CancellationToken,
    slots: Arc<Semaphore>,
    rooms: Arc<Semaphore>,
}

/// The bounds a context is made with.
pub(super) struct Limits {
    pub concurrency: usize,
    pub lease: Duration,
    pub poll_interval: Duration,
}

impl Context {
    pub(super) fn new(
        store: Store,
        name: String,
        apps: Vec<Arc<App>>,
        limits: &Limits,
        recorder: Recorder,
    ) -> Self {
        let metrics = Metrics::default();
        for app in &apps {
            metrics.serve(&app.name);
        }
        Self {
            store,
            name,
            apps,
            lease: limits.lease,
            poll_interval: limits.poll_interval,
            pauses: Pauses::default(),
            wake: Wake::default(),
            schedules_changed: Notify::new(),
            health: Arc::new(Health::new(limits.poll_interval)),
            metrics: Arc::new(metrics),
            recorder,
            began: Instant::now(),
            concurrency: limits.concurrency,
            deaf: AtomicBool::new(false),
            beat_now: Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            slots: Arc::new(Semaphore::new(limits.concurrency)),
            rooms: Arc::new(Semaphore::new(limits.concurrency + UNRECORDED_MAX)),
        }
    }

    /// How many jobs there is room to claim. If there are fewer than `wanted`, the slot that makes
    /// them so many wakes the claim loop.
    pub(super) fn room_for_claims(&self, wanted: usize) -> usize {
        if self.room() < wanted {
            self.wake.wanted_slots.store(wanted, Ordering::SeqCst);
        }
        self.room()
    }

    fn room(&self) -> usize {
        let slots = self.slots.available_permits();
        slots.min(self.rooms.available_permits())
    }

    /// A slot or room has become free.
    pub(super) fn slot_freed(&self) {
        let wanted = self.wake.wanted_slots.load(Ordering::SeqCst);
        if wanted > 0
            && self.room() >= wanted
            && self.wake.wanted_slots.swap(0, Ordering::SeqCst) > 0
        {
            self.wake.notify.notify_one();
        }
    }

    /// Has whoever follows calls look at callbacks now.
    pub(super) fn callbacks_came(&self) {
        for app in &self.apps {
            app.hints.notify_one();
        }
    }

    /// Has whoever follows calls look at once whether one is to be ended.
    pub(super) fn calls_to_end(&self) {
        for app in &self.apps {
            app.ends.notify_one();
            app.media.notify_one();
        }
    }

    /// Takes room for so many jobs. Only the claim loop takes any, so what it saw is there.
    pub(super) fn take_room(
        &self,
        jobs: usize,
    ) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let jobs = u32::try_from(jobs).ok()?;
        let slots = Arc::clone(&self.slots).try_acquire_many_owned(jobs).ok()?;
        let rooms = Arc::clone(&self.rooms).try_acquire_many_owned(jobs).ok()?;
        Some((slots, rooms))
    }

    /// Sleeps; false if the worker is to stop.
    pub(super) async fn sleep_or_stop(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.stop.cancelled() => false,
        }
    }

    /// How many requests are under way.
    pub(super) fn in_flight(&self) -> usize {
        self.concurrency
            .saturating_sub(self.slots.available_permits())
    }

    /// How many results are there and not yet in the database.
    pub(super) fn unrecorded(&self) -> usize {
        let held = self.concurrency + UNRECORDED_MAX - self.rooms.available_permits();
        held.saturating_sub(self.in_flight())
    }

    /// The circuits that are open now.
    pub(super) fn circuits(&self) -> Vec<OpenCircuit> {
        let now = Instant::now();
        let open = |app: &Arc<App>| {
            let (open_for, next_try, failure) = app.circuit.open(now)?;
            Some(OpenCircuit {
                app: app.name.clone(),
                open_for,
                next_try,
                failure,
            })
        };
        self.apps.iter().filter_map(open).collect()
    }

    /// Tells of a circuit that has opened (1) or closed (0).
    pub(super) fn circuit_changed(&self, app: &App, open: i64) {
        self.metrics.circuit(&app.name, open);
        self.beat_now.notify_one();
    }

    /// Adds tokens to the buckets of apps, or takes them; says in how long the longest debt is
    /// paid, if it can be told.
    pub(super) async fn correct_tokens(&self, owed: &[(String, f64)]) -> Option<Duration> {
        if owed.is_empty() {
            return Some(Duration::ZERO);
        }
        let corrected = self.store.correct_tokens(owed).await;
        corrected
            .inspect_err(|error| tracing::debug!(%error, "could not correct the tokens"))
            .ok()
    }

    /// Gives a claim back whose answer was lost, trying until its lease is over: the statement may
    /// still be running when this starts. A worker that stops tries for a little longer.
    pub(super) fn give_back_later(self: &Arc<Self>, claim_token: Uuid, began: Instant) {
        let ctx = Arc::clone(self);
        self.tasks.spawn(async move {
            let until = began + ctx.lease;
            tokio::select! {
                () = ctx.give_back(claim_token, until, GIVE_BACK_EVERY) => return,
                () = ctx.stop.cancelled() => {}
            }
            let until = until.min(Instant::now() + GIVE_BACK_LAST);
            let last = ctx.give_back(claim_token, until, GIVE_BACK_LAST_EVERY);
            if tokio::time::timeout_at(until.into(), last).await.is_err() {
                tracing::debug!("a lost claim could not be given back before the worker stopped");
            }
        });
    }

    /// Tries until it has given a claim back, or until then.
    async fn give_back(&self, claim_token: Uuid, until: Instant, every: Duration) {
        while Instant::now() < until {
            match self.store.give_back(claim_token).await {
                Ok(0) => {}
                Ok(jobs) => {
                    tracing::warn!(
                        jobs,
                        "the answer to a claim was lost; its jobs are given back"
                    );
                    self.wake.news();
                    return;
                }
                Err(error) => self.health.failed(&error),
            }
            tokio::time::sleep(every).await;
        }
    }
}

/// What wakes the claim loop before its time.
#[derive(Default)]
pub(super) struct Wake {
    notify: Notify,
    /// Something may have changed anywhere in the queue, also before the last claim.
    news: AtomicBool,
    /// The loop waits until so many slots are free; 0: it does not.
    wanted_slots: AtomicUsize,
}

impl Wake {
    /// There may be new work, or work that has become possible.
    pub(super) fn news(&self) {
        self.news.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }

    /// Whether there was news since the last call.
    pub(super) fn take_news(&self) -> bool {
        self.news.swap(false, Ordering::SeqCst)
    }

    /// Whether there is news that nobody has taken.
    pub(super) fn has_news(&self) -> bool {
        self.news.load(Ordering::SeqCst)
    }

    /// There may be more to claim.
    pub(super) fn again(&self) {
        self.notify.notify_one();
    }

    /// Waits to be woken.
    pub(super) async fn notified(&self) {
        self.notify.notified().await;
    }
}
