//! The way from a file into one transaction: a thread reads and parses, this task inserts.

use std::io;
use std::thread;

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::lines::{Each, Lines};
use crate::store::{Import, JobLine, Refused, StoreError};

/// How many jobs are inserted with one statement. More make it no faster, and a refused batch is
/// tried job by job.
const BATCH_JOBS: usize = 1000;

/// Or how many bytes of input.
const BATCH_BYTES: u64 = 4 << 20;

/// How many batches are parsed ahead of the database.
const BATCHES_AHEAD: usize = 2;

/// Some lines of the input.
#[derive(Default)]
pub(super) struct Batch {
    jobs: Vec<JobLine>,
    bad: Vec<Refused>,
    lines: u64,
    /// How much of the input was read by its end.
    bytes: u64,
}

impl Batch {
    pub(super) fn one_job(jobs: Vec<JobLine>) -> Self {
        Self {
            jobs,
            lines: 1,
            ..Self::default()
        }
    }
}

/// What came of it so far.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) inserted: u64,
    pub(super) already_there: u64,
    pub(super) bad: u64,
    /// The smallest and the largest id.
    pub(super) ids: Option<(i64, i64)>,
}

/// Why an import ended early; nothing is inserted.
pub(super) enum Stopped {
    Input(io::Error),
    Store(StoreError),
}

/// Reads `lines` on a thread of its own, since a pipe may keep a reader waiting for ever. The
/// process ends without waiting for it.
pub(super) fn read(
    mut lines: Lines,
    defaults: JobLine,
    each: Each,
) -> io::Result<Receiver<io::Result<Batch>>> {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    thread::Builder::new()
        .name("callq-read".to_owned())
        .spawn(move || {
            if let Err(error) = send_all(&mut lines, &defaults, each, &sender) {
                // Nobody listens any more if this fails.
                drop(sender.blocking_send(Err(error)));
            }
        })?;
    Ok(receiver)
}

fn send_all(
    lines: &mut Lines,
    defaults: &JobLine,
    each: Each,
    sender: &Sender<io::Result<Batch>>,
) -> io::Result<()> {
    let mut batch = Batch::default();
    let mut sent_bytes = 0;
    while let Some(line) = lines.next(defaults, each)? {
        batch.lines += 1;
        match line {
            Ok(jobs) => batch.jobs.extend(jobs),
            Err(refused) => batch.bad.push(refused),
        }
        batch.bytes = lines.bytes();
        let full = batch.jobs.len() + batch.bad.len() >= BATCH_JOBS;
        if full || batch.bytes - sent_bytes >= BATCH_BYTES {
            sent_bytes = batch.bytes;
            if sender
                .blocking_send(Ok(std::mem::take(&mut batch)))
                .is_err()
            {
                return Ok(());
            }
        }
    }
    drop(sender.blocking_send(Ok(batch)));
    Ok(())
}

/// Inserts all batches without committing, and tells of each: the totals so far and the bad lines
/// of this batch in the order of their numbers.
pub(super) async fn insert(
    import: &mut Import,
    batches: &mut Receiver<io::Result<Batch>>,
    mut tell: impl FnMut(&Totals, Vec<Refused>),
) -> Result<Totals, Stopped> {
    let mut totals = Totals::default();
    while let Some(batch) = batches.recv().await {
        let batch = batch.map_err(Stopped::Input)?;
        let bad = add(import, batch, &mut totals)
            .await
            .map_err(Stopped::Store)?;
        tell(&totals, bad);
    }
    Ok(totals)
}

/// Inserts one batch and returns its bad lines.
pub(super) async fn add(
    import: &mut Import,
    batch: Batch,
    totals: &mut Totals,
) -> Result<Vec<Refused>, StoreError> {
    let Batch {
        jobs,
        mut bad,
        lines,
        bytes,
    } = batch;
    let added = import.add(&jobs).await?;
    bad.extend(added.refused);
    bad.sort_by_key(|refused| refused.line);
    totals.lines += lines;
    totals.bytes = totals.bytes.max(bytes);
    totals.inserted += added.ids.len() as u64;
    totals.already_there += added.already_there as u64;
    totals.bad += bad.len() as u64;
    let (low, high) = (added.ids.iter().min(), added.ids.iter().max());
    if let (Some(&low), Some(&high)) = (low, high) {
        let (first, last) = totals.ids.unwrap_or((low, high));
        totals.ids = Some((first.min(low), last.max(high)));
    }
    Ok(bad)
}
