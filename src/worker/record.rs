//! Duty: results are written back in batches, and none is dropped.
//!
//! While the database is away a result is kept and tried again until it is written; each holds room
//! that claims need, so claiming stops by itself. A job whose row somebody else has locked is tried
//! again by itself and delays no other.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use crate::store::{AttemptState, Recorded, StoreError, WriteBack, Written};

/// The most results of one statement.
const BATCH_MAX: usize = 200;

/// How long a batch waits for company: half a call's round trip within a data centre, and far less
/// than anything that waits for the result.
const LINGER: Duration = Duration::from_millis(2);

/// How long until a locked row is tried again.
const LOCKED_AGAIN: Duration = Duration::from_millis(200);

/// The longest wait between tries while the database is away.
const AWAY_MAX: Duration = Duration::from_secs(2);

/// One result on its way.
pub(super) struct Envelope {
    pub write_back: WriteBack,
    pub app: String,
    /// The room that the request named, for a person who looks for the call.
    pub call_room: String,
    /// Whether the texts from outside have been dropped because the database refuses them.
    pub stripped: bool,
    /// Whether it was sent before, to no answer: then it may be written already.
    pub repeated: bool,
    /// Held until the result is written: it bounds how many can be unwritten.
    pub room: OwnedSemaphorePermit,
}

/// Where results are handed over.
#[derive(Clone)]
pub(super) struct Recorder {
    sender: mpsc::UnboundedSender<Envelope>,
}

impl Recorder {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Envelope>) {
        // Unbounded by itself; bounded by the room that every envelope holds.
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender }, receiver)
    }

    pub(super) fn hand_over(&self, envelope: Envelope) {
        let job_id = envelope.write_back.job_id;
        if self.sender.send(envelope).is_err() {
            tracing::error!(
                job.id = job_id,
                "the result came after the recorder had stopped; the job becomes in doubt"
            );
        }
    }
}

/// Writes until `no_more` is cancelled and everything is written; from then on the database may be
/// away for `patience`. Returns how many results are left unwritten.
pub(super) async fn run(
    ctx: Arc<Context>,
    mut results: mpsc::UnboundedReceiver<Envelope>,
    no_more: CancellationToken,
    patience: Duration,
) -> usize {
    let mut queue = Queue::default();
    let mut away = Duration::ZERO;
    let mut give_up_at: Option<Instant> = None;
    while queue.wait(&mut results, &no_more).await {
        if no_more.is_cancelled() {
            let at = *give_up_at.get_or_insert_with(|| Instant::now() + patience);
            if Instant::now() >= at {
                return queue.len() + results.len();
            }
        }
        let batch = queue.next_batch();
        if batch.is_empty() {
            continue;
        }
        let rows: Vec<&WriteBack> = batch.iter().map(|e| &e.write_back).collect();
        match ctx.store.record(&rows).await {
            Ok(recorded) => {
                if !away.is_zero() {
                    tracing::info!("results are written again");
                    away = Duration::ZERO;
                }
                queue.done(&ctx, batch, &recorded);
            }
            Err(error) if error.is_about_the_data() => queue.isolate(batch, &error),
            Err(error) => {
                if away.is_zero() {
                    tracing::error!(
                        %error, results = batch.len(),
                        "results could not be written; they are kept and tried again"
                    );
                }
                queue.put_back(batch);
                away = (away * 2).clamp(Duration::from_millis(50), AWAY_MAX);
                tokio::time::sleep(away).await;
            }
        }
    }
    0
}

/// What waits to be written.
#[derive(Default)]
struct Queue {
    ready: VecDeque<Envelope>,
    locked: Vec<Envelope>,
    locked_until: Option<Instant>,
    /// Results that the database refused in company: each is tried alone.
    alone: VecDeque<Envelope>,
}

impl Queue {
    fn len(&self) -> usize {
        self.ready.len() + self.locked.len() + self.alone.len()
    }

    /// Waits until there is something to write; false when nothing is left and nothing can come.
    async fn wait(
        &mut self,
        results: &mut mpsc::UnboundedReceiver<Envelope>,
        no_more: &CancellationToken,
    ) -> bool {
        let mut inbox = Vec::new();
        if no_more.is_cancelled() {
            results.close();
        }
        if self.ready.is_empty() && self.alone.is_empty() {
            match self.locked_until {
                None => tokio::select! {
                    received = results.recv_many(&mut inbox, BATCH_MAX) => {
                        if received == 0 {
                            return false;
                        }
                    }
                    () = no_more.cancelled(), if !results.is_closed() => return true,
                },
                Some(at) => tokio::select! {
                    _ = results.recv_many(&mut inbox, BATCH_MAX), if !results.is_closed() => {}
                    () = tokio::time::sleep_until(at.into()) => {}
                },
            }
            if !inbox.is_empty() && inbox.len() < BATCH_MAX {
                tokio::time::sleep(LINGER).await;
            }
        }
        self.ready.extend(inbox);
        while self.ready.len() < BATCH_MAX {
            match results.try_recv() {
                Ok(envelope) => self.ready.push_back(envelope),
                Err(_) => break,
            }
        }
        true
    }

    /// The next results to write together: no two of one job.
    fn next_batch(&mut self) -> Vec<Envelope> {
        if let Some(one) = self.alone.pop_front() {
            return vec![one];
        }
        if self.locked_until.is_some_and(|at| at <= Instant::now()) {
            self.locked_until = None;
            self.ready.extend(self.locked.drain(..));
        }
        let mut jobs = HashSet::new();
        let (batch, rest) = self
            .ready
            .drain(..)
            .partition::<Vec<_>, _>(|e| jobs.len() < BATCH_MAX && jobs.insert(e.write_back.job_id));
        self.ready.extend(rest);
        batch
    }

    fn put_back(&mut self, batch: Vec<Envelope>) {
        for mut envelope in batch.into_iter().rev() {
            envelope.repeated = true;
            self.ready.push_front(envelope);
        }
    }

    /// The database refused the values of a batch: one of them, which is found by trying each
    /// alone. One that is alone already is written without the texts that came from outside; one
    /// that is refused even so is kept and tried again like a locked one, so that it delays no
    /// other.
    fn isolate(&mut self, mut batch: Vec<Envelope>, error: &StoreError) {
        if let [one] = batch.as_mut_slice() {
            tracing::error!(
                job.id = one.write_back.job_id, %error, without_texts = one.stripped,
                "the database refuses the result; it is tried again without the reply's texts"
            );
            if one.stripped {
                self.wait_for_lock(batch);
                return;
            }
            one.write_back.strip_texts();
            one.stripped = true;
        }
        self.alone.extend(batch);
    }

    /// Keeps results aside for a while.
    fn wait_for_lock(&mut self, envelopes: Vec<Envelope>) {
        self.locked.extend(envelopes);
        self.locked_until
            .get_or_insert_with(|| Instant::now() + LOCKED_AGAIN);
    }

    fn done(&mut self, ctx: &Context, batch: Vec<Envelope>, recorded: &[Recorded]) {
        let mut written = 0;
        let mut back_in_queue = false;
        for envelope in batch {
            let of = |r: &&Recorded| r.job_id == envelope.write_back.job_id;
            let Some(row) = recorded.iter().find(of) else {
                debug_assert!(false, "the record statement answers for every result");
                continue;
            };
            if row.written == Written::Locked {
                self.wait_for_lock(vec![envelope]);
                continue;
            }
            written += 1;
            report(ctx, &envelope, row);
            back_in_queue |= row.state.as_deref() == Some("scheduled");
            drop(envelope.room);
        }
        ctx.metrics.recorded(written);
        ctx.slot_freed();
        if back_in_queue {
            // The claim loop may sleep past the new due time, of which no notification tells it.
            ctx.wake.news();
        }
    }
}

/// What a written result is worth telling.
fn report(ctx: &Context, envelope: &Envelope, row: &Recorded) {
    if let (Some(state), Some(reason)) = (&row.state, &row.reason) {
        ctx.metrics.verdict(&envelope.app, state, reason);
    }
    match row.written {
        Written::Yes | Written::Locked => {}
        Written::SecondRing => {
            ctx.metrics.second_ring();
            tracing::error!(
                job.id = row.job_id,
                job.attempt = row.attempt,
                "a late reply says that this attempt rang, and a newer attempt exists: the phone \
                 may \
                 have rung twice"
            );
        }
        Written::Forgotten => forgotten(ctx, envelope),
        Written::NoAttempt if envelope.repeated => tracing::debug!(
            job.id = row.job_id,
            job.attempt = row.attempt,
            "the result was written before, and the answer to that was lost"
        ),
        Written::NoAttempt => tracing::error!(
            job.id = row.job_id,
            job.attempt = row.attempt,
            "no attempt took the result: it has been answered before, or was given back"
        ),
    }
}

/// The database has lost the attempt: only this worker still knows of it.
fn forgotten(ctx: &Context, envelope: &Envelope) {
    let result = &envelope.write_back;
    let (job, attempt) = (result.job_id, result.attempt);
    if result.attempt_state == AttemptState::NotSent {
        tracing::warn!(
            job.id = job,
            job.attempt = attempt,
            "the database has forgotten an attempt whose request was not sent"
        );
        return;
    }
    ctx.metrics.result_forgotten();
    tracing::error!(
        job.id = job,
        job.attempt = attempt,
        job.app = envelope.app,
        call.room = envelope.call_room,
        call.id = result.call_id.as_deref(),
        verdict = result.transition.next.as_str(),
        "the database has forgotten an attempt whose phone may have rung: it has lost a part of \
         its history. Settle the job with `callq jobs resolve`"
    );
}
