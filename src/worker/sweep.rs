//! Duty: reads the records of calls, one worker for each app, by a lease.
//!
//! Records come in windows of Tencent's time, each about once. What does not come that way is
//! looked for alone: the record of a call that lasted longer than windows overlap (`straggle`), and
//! the proof that a doubt led to no call (`prove`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::app::App;
use super::context::Context;
use super::follow::{News, learn};
use super::pages::{Pages, Span, Unread};
use crate::call::Record;
use crate::store::{DueCall, Followed, OpenCall, StoreError, Sweep, SweepLease};
use crate::tencent::{RECORD_AFTER_S, RECORDS_KEPT_S};

/// How often records are read.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// How often that is done while no call waits for its record: so that what is read next is not
/// long, and that it is known what Tencent's clock said before a call.
const EVERY_IDLE: Duration = Duration::from_mins(1);

/// How long the right to read them lasts without being renewed.
const LEASE: Duration = Duration::from_secs(30);

/// When it is renewed while much is read.
const RENEW_AFTER: Duration = Duration::from_secs(10);

/// A window ends so long before Tencent's present: a record is there 5 s after the end of its call.
pub(super) const LAG_S: i64 = RECORD_AFTER_S + 3;

/// The longest window, in seconds, and how long it may grow while windows are empty.
const WINDOW_S: i64 = 600;
const WINDOW_MAX_S: i64 = 86_400;

/// By how much windows overlap if they are of the ends of calls.
const OVERLAP_S: i64 = 5;

/// By how much they do as long as that is not known, or if they are of beginnings: most calls that
/// nobody answers are shorter.
const OVERLAP_UNKNOWN_S: i64 = 90;

/// Windows that are not of ends are read again and again; they are made longer for it.
const WINDOW_UNKNOWN_MIN_S: i64 = 30;

/// Where reading begins: so long before the oldest call that is followed.
const BEFORE_OLDEST_S: i64 = 120;

/// How often a window is read whose records change meanwhile. Whatever is missed is looked for
/// alone.
const READS_MAX: u32 = 3;

/// The most calls that are looked for alone in one round.
const DUE_MAX: usize = 2000;

/// The longest wait until a call's record is asked for again.
pub(super) const LOOK_AGAIN_MAX: Duration = Duration::from_hours(6);

/// The longest wait after Tencent did not answer.
const AWAY_MAX: Duration = Duration::from_mins(1);

/// Why a round ended early.
pub(super) enum Fault {
    Store(StoreError),
    Unread(Unread),
    /// Another worker reads now.
    NotMine,
    /// No call waits for its record: Tencent is not asked yet.
    NothingToLearn,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Unread> for Fault {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

/// Reads the records of an app until the context is stopped.
pub(super) async fn run(ctx: Arc<Context>, app: Arc<App>) {
    let mut sweeper = Sweeper {
        pages: Pages::new(Arc::clone(&app)),
        ctx: Arc::clone(&ctx),
        app: Arc::clone(&app),
        read_until: None,
        of_ends: None,
        renewed: Instant::now(),
        read_at: None,
        failures: 0,
    };
    // Workers that were started together do not all ask at once.
    let mut pause = Duration::from_millis(fastrand::u64(..500));
    while ctx.sleep_or_stop(pause).await {
        // A round can take long, and what it leaves undone is done by the next.
        pause = tokio::select! {
            wait = sweeper.round() => wait,
            () = ctx.stop.cancelled() => break,
        };
    }
    if app.follows.swap(false, Ordering::Relaxed)
        && let Err(error) = ctx.store.leave_sweep(&ctx.name, &app.name).await
    {
        tracing::debug!(%error, "could not leave the call records to another worker at once");
    }
}

pub(super) struct Sweeper {
    pub ctx: Arc<Context>,
    pub app: Arc<App>,
    pub pages: Pages,
    /// Up to which second of Tencent's clock records are read.
    read_until: Option<i64>,
    /// Whether a window is one of the ends of calls; `None`: that is not known yet.
    pub of_ends: Option<bool>,
    renewed: Instant,
    /// When windows were last read.
    read_at: Option<Instant>,
    failures: u32,
}

impl Sweeper {
    /// One round; returns how long to wait for the next.
    async fn round(&mut self) -> Duration {
        if !self.ctx.store.history_is_open() {
            return EVERY;
        }
        let mut sweep = Sweep::default();
        match self.read(&mut sweep).await {
            Ok(()) => self.recovered(),
            Err(Fault::NotMine) => {
                self.app.follows.store(false, Ordering::Relaxed);
                self.ctx.metrics.sweeping(&self.app.name, 0);
                return EVERY;
            }
            Err(Fault::NothingToLearn) => {
                self.recovered();
                return EVERY;
            }
            Err(Fault::Store(error)) => {
                self.ctx.health.failed(&error);
                return EVERY;
            }
            Err(Fault::Unread(Unread(why))) => {
                self.failed(&why);
                sweep.failure = Some(why);
            }
        }
        sweep.read_until_unix = self.read_until;
        if let Some((unix, asked, _)) = self.pages.date {
            sweep.tencent_unix = Some(unix);
            sweep.asked_ago = asked.elapsed();
        }
        let swept = self.ctx.store.swept(&self.app.name, &self.ctx.name, &sweep);
        if let Err(error) = swept.await {
            self.ctx.health.failed(&error);
        }
        let away = Duration::from_secs(1 << self.failures.min(6)).min(AWAY_MAX);
        if self.failures > 0 {
            away.max(EVERY)
        } else {
            EVERY
        }
    }

    fn recovered(&mut self) {
        if self.failures > 0 {
            tracing::info!(app = self.app.name, "call records are read again");
        }
        self.failures = 0;
        self.ctx.metrics.sweeping(&self.app.name, 1);
    }

    fn failed(&mut self, why: &str) {
        if self.failures == 0 {
            tracing::warn!(
                app = self.app.name,
                why,
                "call records could not be read: what became of calls is known later"
            );
        }
        self.failures = self.failures.saturating_add(1);
        self.ctx.metrics.sweeping(&self.app.name, 0);
    }

    async fn read(&mut self, sweep: &mut Sweep) -> Result<(), Fault> {
        let lease = self.lease().await?;
        let is_fresh = |read: Instant| read.elapsed() < EVERY_IDLE;
        if !lease.waits && self.read_at.is_some_and(is_fresh) {
            return Err(Fault::NothingToLearn);
        }
        // Read before Tencent is asked for the time: no request of these can leave after that.
        let due = self.ctx.store.calls_due(&self.app.name, DUE_MAX).await?;
        let listed = self.windows(lease).await;
        sweep.read_until_unix = self.read_until;
        if !matches!(listed, Ok(()) | Err(Fault::Unread(_))) {
            return listed;
        }
        let (named, doubts): (Vec<DueCall>, Vec<DueCall>) =
            due.into_iter().partition(|call| call.call_id.is_some());
        if listed.is_ok() {
            self.read_at = Some(Instant::now());
        }
        // What cannot be listed may be had by itself, and whatever keeps the record of one call
        // from being read concerns no doubt.
        let read = self.stragglers(named).await;
        self.doubts(doubts).await?;
        listed.and(read)
    }

    /// Takes or keeps the right to read.
    async fn lease(&mut self) -> Result<SweepLease, Fault> {
        let asked = Instant::now();
        let (app, worker) = (&self.app.name, &self.ctx.name);
        let lease = self.ctx.store.lease_sweep(app, worker, LEASE).await?;
        let lease = lease.ok_or(Fault::NotMine)?;
        self.renewed = asked;
        self.pages.signed_at = (lease.now_unix, asked);
        if !self.app.follows.swap(true, Ordering::Relaxed) {
            // Another worker may have read further.
            self.read_until = None;
            self.app.hints.notify_one();
        }
        self.read_until = self.read_until.max(lease.read_until_unix);
        Ok(lease)
    }

    /// Keeps the right to read while much is read.
    pub(super) async fn renew(&mut self) -> Result<(), Fault> {
        if self.renewed.elapsed() > RENEW_AFTER {
            self.lease().await?;
        }
        Ok(())
    }

    /// Reads what has come since the last round.
    async fn windows(&mut self, lease: SweepLease) -> Result<(), Fault> {
        // What Tencent's clock said in the last round: whatever was over by then has its reply
        // written, unless the database is away.
        let now = match self.pages.date {
            Some((unix, _, _)) => unix,
            None => self.ask_date(lease.now_unix).await?,
        };
        let said_at = self.pages.date;
        let oldest = lease.oldest_open.map_or(0, |age| {
            i64::try_from(age.as_secs()).unwrap_or(i64::MAX) + BEFORE_OLDEST_S
        });
        let begin = now.saturating_sub(oldest).max(now - RECORDS_KEPT_S);
        let mut until = self.read_until.unwrap_or(begin).max(now - RECORDS_KEPT_S);
        let target = now - LAG_S;
        let shortest = match self.of_ends {
            Some(true) => 1,
            // The first window is read at once, to learn what windows are of.
            None if self.read_at.is_none() => 1,
            _ => WINDOW_UNKNOWN_MIN_S,
        };
        let mut length = WINDOW_S;
        while target - until >= shortest {
            let overlap = match self.of_ends {
                Some(true) => OVERLAP_S,
                _ => OVERLAP_UNKNOWN_S,
            };
            let to = target.min(until + length);
            for _ in 0..READS_MAX {
                let (records, complete) = self.window(until - overlap, to).await?;
                let is_empty = records == 0;
                length = if is_empty { length * 2 } else { WINDOW_S }.min(WINDOW_MAX_S);
                if complete {
                    break;
                }
            }
            until = to;
            self.read_until = Some(until);
        }
        self.read_until = Some(until);
        if self.pages.date == said_at {
            // For the next round.
            self.ask_date(lease.now_unix).await?;
        }
        Ok(())
    }

    /// Tencent's time, from an answer that is of no other use.
    async fn ask_date(&mut self, now: i64) -> Result<i64, Fault> {
        self.window(now - 1, now).await?;
        let date = self.pages.date.map(|(unix, _, _)| unix);
        Ok(date.ok_or_else(|| Unread("no answer has a date".to_owned()))?)
    }

    /// Reads one window and passes on what is in it; returns how many records, and whether they are
    /// all.
    async fn window(&mut self, from: i64, to: i64) -> Result<(usize, bool), Fault> {
        let (span, records) = self.pages.begin(from, to).await?;
        self.read_on(span, records).await
    }

    /// The same with a window of which the first page was read.
    pub(super) async fn read_on(
        &mut self,
        mut span: Span,
        mut records: Vec<Record>,
    ) -> Result<(usize, bool), Fault> {
        let (from, to) = span.bounds();
        let (mut sample, mut count) = (None, 0);
        loop {
            count += records.len();
            for record in &records {
                match (record.started_at_s, record.ended_at_s) {
                    (Some(began), _) if began < from => self.of_ends = Some(true),
                    (_, Some(ended)) if ended > to => self.of_ends = Some(false),
                    (Some(began), Some(ended)) if ended - began > 2 => {
                        sample = Some((began, ended));
                    }
                    _ => {}
                }
            }
            self.pass_on(records).await?;
            match self.pages.next(&mut span).await? {
                Some(more) => records = more,
                None => break,
            }
            self.renew().await?;
        }
        if let (None, Some(sample)) = (self.of_ends, sample) {
            self.find_out(sample).await?;
        }
        Ok((count, self.pages.is_complete(&span).await?))
    }

    /// Whether windows are of ends: then one around the end of a call has it.
    async fn find_out(&mut self, (began, ended): (i64, i64)) -> Result<(), Fault> {
        let (mut span, mut records) = self.pages.begin(ended - 1, ended).await?;
        let mut of_ends = false;
        loop {
            let before = |record: &Record| record.started_at_s.is_some_and(|at| at < ended - 1);
            of_ends |= records.iter().any(before);
            match self.pages.next(&mut span).await? {
                Some(more) => records = more,
                None => break,
            }
        }
        tracing::debug!(app = self.app.name, began, of_ends, "what windows are of");
        self.of_ends = Some(of_ends);
        Ok(())
    }

    pub(super) async fn pass_on(&self, records: Vec<Record>) -> Result<(), Fault> {
        if !records.is_empty() {
            let news = News {
                records,
                ..News::default()
            };
            learn(&self.ctx, &self.app, news).await?;
        }
        Ok(())
    }

    pub(super) async fn put_off(&self, later: &[(i64, i32, Duration)]) -> Result<(), Fault> {
        if !later.is_empty() {
            self.ctx.store.look_later(later).await?;
        }
        Ok(())
    }

    pub(super) async fn read_calls(&self, due: &[DueCall]) -> Result<Vec<OpenCall>, Fault> {
        let which = Followed {
            attempts: due.iter().map(|c| (c.job_id, c.attempt)).collect(),
            ..Followed::default()
        };
        Ok(self.ctx.store.open_calls(&self.app.name, &which).await?)
    }
}

impl From<&OpenCall> for DueCall {
    fn from(call: &OpenCall) -> Self {
        Self {
            job_id: call.job_id,
            attempt: call.attempt,
            call_id: call.call_id.clone(),
        }
    }
}
