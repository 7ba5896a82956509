//! The state of one sandbox behind one short lock: what is scripted, what was worked on, what was
//! entered in the ledger. A request is decided and entered in one step, so that the ledger's order
//! is the order of the decisions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, broadcast, watch};

use super::behaviour::{CalleeScript, CalleeScriptError};
use super::config::{SandboxApp, SandboxConfig};
use super::decision::{Form, Reply, decide, decide_ingest, entry, query};
use super::envelope::Envelope;
use super::fault::{Fault, FaultError};
use super::ingest::{self, IngestEvents, IngestTally, IngestTask, Replied, Tasks};
use super::ledger::Ledger;
use super::mailbox::{CallbackFaults, CallbackStats, Delivery, Mailbox};
use super::record::{Answered, Record};
use super::record_rules::RecordSpan;
use super::script::{FaultId, Script, Waiting};
use super::tally::{LegReport, Tally};
use super::time::Time;
use super::work::{Now, Received, Workbench};

/// So many records may wait for a slow subscriber before it loses the oldest.
const EVENT_BUFFER: usize = 4096;

pub(super) struct Desk {
    apps: RwLock<HashMap<u64, SandboxApp>>,
    pub(super) time: Time,
    calls_per_second_limit: u32,
    callback_url: Option<String>,
    callback_faults: CallbackFaults,
    record_span: RecordSpan,
    ingest_events: Option<IngestEvents>,
    book: Mutex<Book>,
    /// A copy of [`Script::closes_unread`], so that a read needs no lock while none is scripted.
    closes_unread: AtomicBool,
    /// Wakes the courier: something may be due sooner than it thinks.
    news: Notify,
    changes: watch::Sender<u64>,
    events: broadcast::Sender<Arc<Record>>,
}

#[derive(Default)]
struct Book {
    ledger: Ledger,
    script: Script,
    workbench: Workbench,
    tasks: Tasks,
}

impl Desk {
    pub(super) fn new(config: SandboxConfig) -> Self {
        let desk = Self {
            apps: RwLock::new(
                config
                    .apps
                    .into_iter()
                    .map(|app| (app.sdk_app_id, app))
                    .collect(),
            ),
            time: Time::new(config.clock, config.speed),
            calls_per_second_limit: config.calls_per_second_limit,
            callback_url: config.callback_url,
            callback_faults: config.callback_faults,
            record_span: config.record_span,
            ingest_events: config.ingest_events,
            book: Mutex::default(),
            closes_unread: AtomicBool::new(false),
            news: Notify::new(),
            changes: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENT_BUFFER),
        };
        *desk.book() = desk.fresh_book();
        desk
    }

    /// What nothing has happened to yet.
    fn fresh_book(&self) -> Book {
        let apps: Vec<u64> = self.apps().keys().copied().collect();
        let url = self.callback_url.as_deref();
        let mailbox = Mailbox::new(apps.into_iter(), url, self.callback_faults);
        Book {
            workbench: Workbench::new(mailbox, self.record_span),
            ..Book::default()
        }
    }

    /// The apps whose requests are accepted.
    pub(super) fn apps(&self) -> RwLockReadGuard<'_, HashMap<u64, SandboxApp>> {
        self.apps.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts, of this app, only what is signed with this key from now on; false: no such app.
    pub(super) fn set_secret_key(&self, sdk_app_id: u64, secret_key: &str) -> bool {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        let app = apps.get_mut(&sdk_app_id);
        app.map(|app| secret_key.clone_into(&mut app.secret_key))
            .is_some()
    }

    /// Accepts, of this app, only what this CAM key signs from now on; false: no such app.
    pub(super) fn set_cam_key(&self, sdk_app_id: u64, secret_id: &str, secret_key: &str) -> bool {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        let Some(app) = apps.get_mut(&sdk_app_id) else {
            return false;
        };
        secret_id.clone_into(&mut app.cam_secret_id);
        secret_key.clone_into(&mut app.cam_secret_key);
        true
    }

    /// Decides what a request is answered and enters it in the ledger.
    pub(super) fn receive(&self, received: Received) -> Reply<Envelope> {
        let mut held = self.book();
        let book = &mut *held;
        let now = self.now();
        let seq = book.ledger.next_seq();
        let fault = book.script.take(&received.seen, now.monotonic_us);
        let worked = fault.as_ref().is_none_or(Fault::rings).then(|| {
            let limit = self.calls_per_second_limit;
            book.workbench.work(&received, seq, now, limit)
        });
        let decided = decide(fault.as_ref(), worked, seq);
        if received.is_query() {
            let answered = decided.answered();
            book.ledger.enter_query(query(received.seen, answered));
        } else {
            let record = entry(received.seen, seq, now.monotonic_us, &decided);
            let call = decided.call.map(|(call, life)| {
                let is_replied = matches!(decided.form, Form::Envelope(_));
                let switchboard = &mut book.workbench.switchboard;
                switchboard.begin(Arc::clone(&call), life, is_replied);
                call
            });
            book.ledger.enter(Arc::clone(&record), call);
            // Under the lock, so that subscribers see the ledger's order; nobody may be listening.
            let _ = self.events.send(record);
        }
        drop(held);
        self.news.notify_one();
        self.tell_change();
        Reply {
            delay: Duration::from_millis(fault.map_or(0, |fault| fault.delay_ms)),
            form: decided.form,
        }
    }

    /// The same for a request about a stream.
    pub(super) fn receive_ingest(&self, received: &ingest::Received) -> Reply<Replied> {
        let mut held = self.book();
        // In this order: what holds the book may look at the apps, never the other way.
        let apps = self.apps();
        let book = &mut *held;
        let now = self.now();
        let fault = book.script.take(&received.seen, now.monotonic_us);
        let works = fault.as_ref().is_none_or(Fault::rings);
        let replied = works.then(|| {
            let (switchboard, unix_s) = (&book.workbench.switchboard, self.time.unix_seconds());
            book.tasks.work(received, &apps, switchboard, now, unix_s)
        });
        let form = decide_ingest(fault.as_ref(), replied);
        let answered = form.answered(|replied| match replied.code {
            Some(code) => Answered::IngestError(code),
            None => Answered::Code(0),
        });
        book.ledger
            .enter_query(query(received.seen.clone(), answered));
        drop(apps);
        drop(held);
        self.news.notify_one();
        self.tell_change();
        Reply {
            delay: Duration::from_millis(fault.map_or(0, |fault| fault.delay_ms)),
            form,
        }
    }

    fn now(&self) -> Now {
        Now {
            monotonic_us: self.time.monotonic_us(),
            ms: self.time.now_ms(),
        }
    }

    /// Whether the connection on which a request has arrived is to be closed unread.
    pub(super) fn closes_unread(&self) -> bool {
        if !self.closes_unread.load(Ordering::Acquire) {
            return false;
        }
        let mut book = self.book();
        let closes = book.script.take_close_unread();
        if closes {
            book.ledger.count_closed_unread();
            self.mirror_script(&book.script);
            drop(book);
            self.tell_change();
        }
        closes
    }

    /// Whether [`Desk::closes_unread`] is worth asking.
    pub(super) fn may_close_unread(&self) -> bool {
        self.closes_unread.load(Ordering::Acquire)
    }

    pub(super) fn script(&self, fault: Fault) -> Result<FaultId, FaultError> {
        fault.check()?;
        Ok(self.with_script(|script| script.add(fault)))
    }

    pub(super) fn scripted(&self) -> Vec<Waiting> {
        self.book().script.list()
    }

    pub(super) fn remove_fault(&self, id: FaultId) -> bool {
        self.with_script(|script| script.remove(id))
    }

    pub(super) fn clear_faults(&self) {
        self.with_script(Script::clear);
    }

    /// Forgets everything but the configuration.
    pub(super) fn reset(&self) {
        let mut book = self.book();
        *book = self.fresh_book();
        self.mirror_script(&book.script);
        drop(book);
        self.tell_change();
    }

    /// Looks at the ledger; nothing can be entered meanwhile.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.book().ledger)
    }

    /// Adds what callees do whose name begins so.
    pub(super) fn script_callee(&self, script: CalleeScript) -> Result<(), CalleeScriptError> {
        self.book().workbench.scripts.add(script)
    }

    pub(super) fn callee_scripts(&self) -> Vec<CalleeScript> {
        self.book().workbench.scripts.list().to_vec()
    }

    pub(super) fn clear_callee_scripts(&self) {
        self.book().workbench.scripts.clear();
    }

    /// Moves the sandbox's time forward.
    pub(super) fn advance(&self, by: Duration) {
        self.time.advance(by);
        self.news.notify_one();
        self.tell_change();
    }

    /// What became of all callees by now.
    pub(super) fn tally(&self) -> Tally {
        let book = self.book();
        book.workbench.switchboard.tally(self.time.now_ms())
    }

    /// What became of streams.
    pub(super) fn ingest_tally(&self) -> IngestTally {
        let book = self.book();
        let switchboard = &book.workbench.switchboard;
        book.tasks.tally(switchboard, self.time.now_ms())
    }

    /// A page of streams.
    pub(super) fn ingest_tasks<T>(
        &self,
        page: impl FnOnce(&mut dyn Iterator<Item = IngestTask>) -> T,
    ) -> T {
        let book = self.book();
        let switchboard = &book.workbench.switchboard;
        page(&mut book.tasks.list(switchboard, self.time.now_ms()))
    }

    /// What became of callbacks.
    pub(super) fn callback_stats(&self) -> CallbackStats {
        self.book().workbench.mailbox.stats()
    }

    /// A page of what became of each callee.
    pub(super) fn legs<T>(&self, page: impl FnOnce(&mut dyn Iterator<Item = LegReport>) -> T) -> T {
        let book = self.book();
        let now_ms = self.time.now_ms();
        let entries = book.workbench.switchboard.entries();
        page(&mut entries.flat_map(|entry| LegReport::of(entry, now_ms)))
    }

    /// Resolves when something may be due sooner than before.
    pub(super) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    /// Takes a callback that is to be delivered now.
    pub(super) fn take_delivery(&self) -> Option<Delivery> {
        let mut held = self.book();
        let book = &mut *held;
        let Workbench {
            switchboard,
            mailbox,
            ..
        } = &mut book.workbench;
        let now_ms = self.time.now_ms();
        let mut has_changed = false;
        while let Some((at_ms, moment, entry)) = switchboard.take_moment(now_ms) {
            mailbox.tell(entry, moment, at_ms);
            has_changed = true;
        }
        while let Some(told) = book.tasks.take_event(now_ms) {
            if let Some(events) = &self.ingest_events {
                mailbox.tell_of_stream(&told, events);
                has_changed = true;
            }
        }
        let delivery = mailbox.take(now_ms);
        drop(held);
        if has_changed {
            self.tell_change();
        }
        delivery
    }

    /// How long it is until something is to be told or delivered; `None` if that is up to others.
    pub(super) fn until_next(&self) -> Option<Duration> {
        let book = self.book();
        let moment = book.workbench.switchboard.next_moment_ms();
        let delivery = book.workbench.mailbox.next_ms();
        let event = book.tasks.next_event_ms();
        let next = moment.into_iter().chain(delivery).chain(event).min()?;
        self.time.until(next)
    }

    /// What became of a callback that was taken.
    pub(super) fn delivered(&self, delivery: Delivery, is_acknowledged: bool) {
        let mut held = self.book();
        let workbench = &mut held.workbench;
        if is_acknowledged {
            if let Some(told) = workbench.mailbox.arrived(&delivery) {
                workbench.switchboard.told(told);
            }
        } else {
            workbench.mailbox.failed(delivery, self.time.now_ms());
        }
        drop(held);
        self.news.notify_one();
        self.tell_change();
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Arc<Record>> {
        self.events.subscribe()
    }

    fn with_script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        let mut book = self.book();
        let result = change(&mut book.script);
        self.mirror_script(&book.script);
        result
    }

    fn mirror_script(&self, script: &Script) {
        self.closes_unread
            .store(script.closes_unread(), Ordering::Release);
    }

    fn tell_change(&self) {
        self.changes
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// A test's predicate may panic while it looks; the ledger itself is never left half written.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
