//! The state of one sandbox behind one short lock: what is scripted, what was worked on, what was
//! entered in the ledger. A request is decided and entered in one step, so that the ledger's order
//! is the order of the decisions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, watch};

use super::config::{Clock, SandboxApp, SandboxConfig};
use super::envelope::Envelope;
use super::fault::{Fault, FaultError, FaultKind};
use super::ledger::Ledger;
use super::record::{Answered, Call, Query, Record, Seen};
use super::refusal::Refusal;
use super::script::{FaultId, Script, Waiting};
use super::work::{Done, Received, Workbench, Worked};

/// So many records may wait for a slow subscriber before it loses the oldest.
const EVENT_BUFFER: usize = 4096;

/// What the client gets.
pub(super) struct Reply {
    pub(super) delay: Duration,
    pub(super) form: Form,
}

/// The form of an answer, on the wire.
pub(super) enum Form {
    Envelope(Envelope),
    Truncated(Envelope),
    Html(u16),
    Garbage,
    Close,
    Stall,
    Redirect,
}

pub(super) struct Desk {
    apps: RwLock<HashMap<u64, SandboxApp>>,
    pub(super) clock: Clock,
    calls_per_second_limit: u32,
    book: Mutex<Book>,
    /// A copy of [`Script::closes_unread`], so that a read needs no lock while none is scripted.
    closes_unread: AtomicBool,
    started_at: Instant,
    changes: watch::Sender<u64>,
    events: broadcast::Sender<Arc<Record>>,
}

#[derive(Default)]
struct Book {
    ledger: Ledger,
    script: Script,
    workbench: Workbench,
}

impl Desk {
    pub(super) fn new(config: SandboxConfig) -> Self {
        Self {
            apps: RwLock::new(
                config
                    .apps
                    .into_iter()
                    .map(|app| (app.sdk_app_id, app))
                    .collect(),
            ),
            clock: config.clock,
            calls_per_second_limit: config.calls_per_second_limit,
            book: Mutex::default(),
            closes_unread: AtomicBool::new(false),
            started_at: Instant::now(),
            changes: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENT_BUFFER),
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

    /// Decides what a request is answered and enters it in the ledger.
    pub(super) fn receive(&self, received: Received) -> Reply {
        let mut held = self.book();
        let book = &mut *held;
        let monotonic_us = u64::try_from(self.started_at.elapsed().as_micros()).unwrap_or(u64::MAX);
        let seq = book.ledger.next_seq();
        let fault = book.script.take(&received.seen, monotonic_us);
        let worked = fault.as_ref().is_none_or(Fault::rings).then(|| {
            let limit = self.calls_per_second_limit;
            book.workbench
                .work(&received, seq, monotonic_us, limit, &book.ledger)
        });
        let decided = decide(fault.as_ref(), worked, seq);
        if received.is_query() {
            book.ledger.enter_query(query(received.seen, &decided.form));
        } else {
            let record = entry(received.seen, seq, monotonic_us, &decided);
            book.ledger.enter(Arc::clone(&record), decided.call);
            // Under the lock, so that subscribers see the ledger's order; nobody may be listening.
            let _ = self.events.send(record);
        }
        drop(held);
        self.tell_change();
        Reply {
            delay: Duration::from_millis(fault.map_or(0, |fault| fault.delay_ms)),
            form: decided.form,
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
        *book = Book::default();
        self.mirror_script(&book.script);
        drop(book);
        self.tell_change();
    }

    /// Looks at the ledger; nothing can be entered meanwhile.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.book().ledger)
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

struct Decided {
    form: Form,
    call: Option<Call>,
}

fn entry(seen: Seen, seq: u64, monotonic_us: u64, decided: &Decided) -> Arc<Record> {
    let call = decided.call.as_ref();
    Arc::new(Record {
        seq,
        received_at_us: chrono::Utc::now().timestamp_micros(),
        monotonic_us,
        command: seen.command,
        sdk_app_id: seen.sdk_app_id,
        random: seen.random,
        robot: seen.robot,
        callees: seen.callees,
        room_id: seen.room_id,
        room_id_type: seen.room_id_type,
        answered: decided.form.answered(),
        rang: call.is_some_and(Call::rang),
        call_id: call.map(|call| call.call_id),
    })
}

fn query(seen: Seen, form: &Form) -> Query {
    Query {
        received_at_us: chrono::Utc::now().timestamp_micros(),
        command: seen.command,
        sdk_app_id: seen.sdk_app_id,
        accounts: seen.callees,
        answered: form.answered(),
    }
}

/// Puts together what is scripted and what the work led to.
fn decide(fault: Option<&Fault>, worked: Option<Worked>, seq: u64) -> Decided {
    let worked = worked.unwrap_or(Worked {
        result: Err(Refusal::documented(101_001)),
        lost: None,
    });
    let (envelope, call) = match worked.result {
        Ok(Done::Started(call)) => (Envelope::started(&call), Some(call)),
        Ok(Done::Found(call)) => (Envelope::known(&call, seq), None),
        Ok(Done::Looked(user_ids)) => (Envelope::accounts(&user_ids, seq), None),
        Err(refusal) => (Envelope::refused(refusal, seq), None),
    };
    let kind = fault
        .map(|fault| fault.kind)
        .filter(|kind| *kind != FaultKind::Delay);
    let form = match kind.or(worked.lost) {
        None | Some(FaultKind::Delay) => Form::Envelope(envelope),
        Some(FaultKind::ErrorCode(code)) => {
            Form::Envelope(Envelope::refused(Refusal::documented(code), seq))
        }
        Some(FaultKind::ThrottleAbove(_)) => {
            Form::Envelope(Envelope::refused(Refusal::documented(60_007), seq))
        }
        Some(FaultKind::HttpStatus(status)) => Form::Html(status),
        Some(FaultKind::CloseBeforeReading | FaultKind::CloseAfterReading) => Form::Close,
        Some(FaultKind::Garbage) => Form::Garbage,
        Some(FaultKind::Stall) => Form::Stall,
        Some(FaultKind::TruncatedBody) => Form::Truncated(envelope),
        Some(FaultKind::Redirect) => Form::Redirect,
    };
    Decided { form, call }
}

impl Form {
    fn answered(&self) -> Answered {
        match self {
            Self::Envelope(envelope) => Answered::Code(envelope.error_code),
            Self::Truncated(_) => Answered::Truncated,
            Self::Html(status) => Answered::HttpStatus(*status),
            Self::Garbage => Answered::Garbage,
            Self::Close => Answered::Closed,
            Self::Stall => Answered::Stalled,
            Self::Redirect => Answered::Redirected,
        }
    }
}
