//! Duty: permits first, then the claim. Every claimed job is placed at once.
//!
//! The loop sleeps until the next job is due, a token is there, a slot is free, a notification
//! comes or the poll interval is over, whichever is first; and it does not sleep at all while there
//! is a backlog, a free slot and pace left.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::app::App;
use super::behind::Looks;
use super::circuit::Passage;
use super::context::Context;
use super::pauses::Probing;
use super::place::{self, Order};
use super::{probe, tokens};
use crate::store::{Ask, ClaimOrder, Claims, Grant, Lows};

/// The most jobs of one claim.
const BATCH_MAX: usize = 500;

/// With a backlog and no token left, the worker waits for the tokens of so long a time: at 180
/// calls/s about four, so that not every call pays for a grant and a claim of its own.
const PACE_QUANTUM: Duration = Duration::from_millis(20);

/// With a backlog, the worker waits for so long until half of its slots are free, so that answers
/// that come one by one do not lead to claims one by one. It is little beside a call: Tencent
/// answers in some hundred milliseconds.
const GATHER: Duration = Duration::from_millis(5);

/// How long the loop waits after the database could not answer.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// How long the loop waits when jobs are due and none could be had: somebody has their rows locked.
const LOCKED_AGAIN: Duration = Duration::from_millis(200);

/// What the loop does next.
enum Next {
    Again,
    SleepUntil(Instant),
}

/// What the free slots are used for.
struct Shares {
    orders: Vec<ClaimOrder>,
    /// The apps that are claimed for to find out whether they work again.
    probing: Vec<String>,
    /// Whether there were more jobs and tokens than slots: what did not fit goes with the next.
    cut: bool,
}

/// Who asks about a paused app now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Ours,
    /// Somebody else's, or nobody's yet.
    Others,
}

/// Runs until the context is stopped.
pub(super) async fn run(ctx: Arc<Context>) {
    let mut claimer = Claimer {
        ctx,
        lows: HashMap::new(),
        looks: Looks::default(),
        gathers: false,
        turn: 0,
    };
    while !claimer.ctx.stop.is_cancelled() {
        match claimer.step().await {
            Next::Again => {}
            Next::SleepUntil(at) => {
                tokio::select! {
                    () = tokio::time::sleep_until(at.into()) => {}
                    () = claimer.ctx.wake.notified() => {}
                    () = claimer.ctx.stop.cancelled() => {}
                }
            }
        }
    }
}

struct Claimer {
    ctx: Arc<Context>,
    /// Where each app's queue is read from; see [`Lows`].
    lows: HashMap<String, Lows>,
    /// What lies before that.
    looks: Looks,
    /// Whether the last claim left a backlog, and slots have not been gathered since.
    gathers: bool,
    /// Which app is asked first, so that none always finds the slots taken.
    turn: usize,
}

impl Claimer {
    async fn step(&mut self) -> Next {
        let now = Instant::now();
        if !self.ctx.store.history_is_open() {
            // Opening it brings news.
            return Next::SleepUntil(now + self.ctx.poll_interval);
        }
        let mut free = self.ctx.room_for_claims(1);
        if free == 0 {
            return Next::SleepUntil(now + self.ctx.poll_interval);
        }
        if std::mem::take(&mut self.gathers) {
            let half = self.ctx.concurrency.div_ceil(2).min(BATCH_MAX);
            free = self.ctx.room_for_claims(half);
            if free < half {
                return Next::SleepUntil(now + GATHER);
            }
        }
        let free = free.min(BATCH_MAX);
        self.look_behind();

        let (asks, shut_until) = self.asks(now, free);
        let mut wake_at = now + self.ctx.poll_interval;
        if let Some(at) = shut_until {
            wake_at = wake_at.min(at);
        }
        if asks.is_empty() {
            return Next::SleepUntil(wake_at);
        }
        let asked = Instant::now();
        let grants = match self.ctx.store.grant(&asks).await {
            Ok(grants) => grants,
            Err(error) => {
                self.ctx.health.failed(&error);
                return Next::SleepUntil(Instant::now() + AFTER_ERROR);
            }
        };
        self.ctx.health.succeeded();
        let answered = Instant::now();
        for grant in &grants {
            wake_at = wake_at.min(wake_for(grant, answered));
        }

        let Shares {
            orders,
            probing,
            cut,
        } = self.share_out(&asks, &grants, free).await;
        if orders.is_empty() {
            return Next::SleepUntil(wake_at);
        }
        let found = self.claim(&orders, &grants, &probing, asked).await;
        // A claim that found nothing although jobs are due met rows that somebody else has locked;
        // trying again at once would spin. What it did find may have more behind it.
        let slots = |app: &str| {
            asks.iter()
                .find(|a| a.app == app)
                .map_or(usize::MAX, |a| a.slots)
        };
        // Where tokens were short, the next one is waited for.
        let more = |grant: &Grant| grant.due.min(grant.granted) >= slots(&grant.app);
        if found == 0 {
            wake_at = wake_at.min(Instant::now() + LOCKED_AGAIN);
        }
        if found > 0 && (cut || grants.iter().any(more)) {
            self.gathers = true;
            Next::Again
        } else {
            Next::SleepUntil(wake_at)
        }
    }

    /// Begins again at what was found before the last claims, and looks on.
    fn look_behind(&mut self) {
        match self.looks.found() {
            Ok(behind) => {
                for job in behind {
                    if let Some(lows) = self.lows.get_mut(&job.app) {
                        lows.lower(job.place);
                    }
                }
            }
            Err(error) => self.ctx.health.failed(&error),
        }
        self.looks.look(&self.ctx, &self.lows);
    }

    /// One question per app that may be claimed for, and when the next shut circuit is tried.
    fn asks(&mut self, now: Instant, free: usize) -> (Vec<Ask>, Option<Instant>) {
        let apps = &self.ctx.apps;
        let mut asks = Vec::with_capacity(apps.len());
        let mut shut_until: Option<Instant> = None;
        self.turn = (self.turn + 1) % apps.len();
        for app in apps[self.turn..].iter().chain(&apps[..self.turn]) {
            if app.is_about_to_pause() {
                continue;
            }
            let slots = match app.circuit.passage(now) {
                Passage::Free => free,
                Passage::Probe => 1,
                Passage::Shut(at) => {
                    shut_until = Some(shut_until.map_or(at, |s| s.min(at)));
                    continue;
                }
            };
            asks.push(Ask {
                app: app.name.clone(),
                slots,
                fingerprint: app.fingerprint(),
                kind: app.client.host().kind().as_str(),
                lows: self.lows.get(&app.name).copied().unwrap_or_default(),
            });
        }
        (asks, shut_until)
    }

    /// Turns grants into orders that fit the free slots, in the order of the questions; what does
    /// not fit is given back. A grant to probe a paused app leads to a question, and the pass that
    /// this may bring to an order for one job.
    async fn share_out(&self, asks: &[Ask], grants: &[Grant], free: usize) -> Shares {
        let mut left = free;
        let mut orders = Vec::new();
        let mut probing = Vec::new();
        let mut unused = Vec::new();
        let mut cut = false;
        for ask in asks {
            let Some(grant) = grants.iter().find(|grant| grant.app == ask.app) else {
                continue;
            };
            let mut granted = grant.granted.min(left);
            let probed = grant.probing || grant.paused;
            if !probed && self.paused_meanwhile(&ask.app) {
                // The grant was made before it.
                granted = 0;
            }
            if probed {
                // Its token is kept for the job that may follow.
                let turn = if grant.granted > 0 {
                    Turn::Ours
                } else {
                    Turn::Others
                };
                granted = self.probe(&ask.app, turn, left);
                probing.extend((granted > 0).then(|| ask.app.clone()));
            } else if grant.granted > granted {
                let back = tokens::number(grant.granted - granted);
                unused.push((ask.app.clone(), back));
                cut |= left <= granted;
            }
            left -= granted;
            if granted > 0 {
                orders.push(ClaimOrder {
                    app: ask.app.clone(),
                    granted,
                    lows: ask.lows,
                    can_stream: self.app(&ask.app).is_some_and(|app| app.can_stream()),
                });
            }
        }
        self.ctx.correct_tokens(&unused).await;
        Shares {
            orders,
            probing,
            cut,
        }
    }

    /// Whether the app is about to be paused, or was paused since the grant.
    fn paused_meanwhile(&self, name: &str) -> bool {
        self.app(name)
            .is_some_and(|app| place::held(&self.ctx, &app, Probing::No))
    }

    /// Asks about a paused app if it is this worker's turn, and returns how many jobs may go.
    fn probe(&self, name: &str, turn: Turn, left: usize) -> usize {
        let Some(app) = self.app(name) else { return 0 };
        if turn == Turn::Ours {
            probe::ask(&self.ctx, &app);
        }
        usize::from(left > 0 && app.pass.take(Instant::now()))
    }

    /// Claims and sends off; returns how many jobs were found, expired ones included.
    async fn claim(
        &mut self,
        orders: &[ClaimOrder],
        grants: &[Grant],
        probing: &[String],
        asked: Instant,
    ) -> usize {
        let total = orders.iter().map(|o| o.granted).sum();
        let Some((slots, rooms)) = self.ctx.take_room(total) else {
            return 0;
        };
        let claim_token = Uuid::new_v4();
        let began = Instant::now();
        let claim = self
            .ctx
            .store
            .claim(orders, claim_token, &self.ctx.name, self.ctx.lease);
        let claims = match claim.await {
            Ok(claims) => claims,
            Err(error) => {
                self.ctx.health.failed(&error);
                self.ctx.give_back_later(claim_token, began);
                return 0;
            }
        };
        let found = claims.jobs.len() + claims.ended.len();
        self.raise_lows(&claims);
        for (app, state, reason) in &claims.ended {
            self.ctx.metrics.verdict(app, state, reason);
        }
        let idle = asked.elapsed();
        let corrections = corrections(orders, grants, &claims, idle);
        if idle < tokens::KEEP {
            self.dispatch(claims, probing, claim_token, began, slots, rooms);
            self.ctx.correct_tokens(&corrections).await;
            return found;
        }
        // Nothing is sent before. If the database does not answer, it is not known what is owed.
        let Some(debt) = self.ctx.correct_tokens(&corrections).await else {
            self.ctx.give_back_later(claim_token, began);
            return 0;
        };
        self.ctx.sleep_or_stop(debt).await;
        self.dispatch(claims, probing, claim_token, began, slots, rooms);
        found
    }

    /// Every claimed job becomes a task at once; none waits in memory, but for a debt of tokens.
    fn dispatch(
        &self,
        claims: Claims,
        probing: &[String],
        claim_token: Uuid,
        began: Instant,
        mut slots: OwnedSemaphorePermit,
        mut rooms: OwnedSemaphorePermit,
    ) {
        if !claims.jobs.is_empty() {
            self.ctx.metrics.claimed(claims.jobs.len());
        }
        for job in claims.jobs {
            let app = self.app(&job.app);
            let (Some(app), Some(slot), Some(room)) = (app, slots.split(1), rooms.split(1)) else {
                debug_assert!(
                    false,
                    "a claim brings no more jobs than were ordered, of known apps"
                );
                continue;
            };
            let probing = if probing.contains(&job.app) {
                Probing::Yes
            } else {
                Probing::No
            };
            if matches!(app.circuit.passage(began), Passage::Probe) {
                app.circuit.probing(Instant::now());
            }
            let order = Order {
                job,
                app,
                claim_token,
                epoch: claims.epoch,
                began,
                probing,
                slot,
                room,
            };
            self.ctx
                .tasks
                .spawn(place::place(Arc::clone(&self.ctx), order));
        }
    }

    fn app(&self, name: &str) -> Option<Arc<App>> {
        self.ctx.apps.iter().find(|a| a.name == name).cloned()
    }

    /// The next claim reads each level on from the last job that this one took.
    fn raise_lows(&mut self, claims: &Claims) {
        for job in &claims.jobs {
            let lows = self.lows.entry(job.app.clone()).or_default();
            lows.raise(job.place());
        }
    }
}

/// When the loop should look at this app again, from the answer to its question.
fn wake_for(grant: &Grant, now: Instant) -> Instant {
    let far = now + Duration::from_hours(1);
    let next_due = grant.next_due.map_or(far, |d| now + d);
    let next_token = match grant.next_token {
        None => far,
        Some(token) if grant.due - grant.granted.min(grant.due) > 1 => {
            now + token.max(PACE_QUANTUM)
        }
        Some(token) => now + token,
    };
    next_due.min(next_token)
}

/// What each app's bucket is owed after a claim.
fn corrections(
    orders: &[ClaimOrder],
    grants: &[Grant],
    claims: &Claims,
    idle: Duration,
) -> Vec<(String, f64)> {
    let correction = |order: &ClaimOrder| {
        let grant = grants.iter().find(|grant| grant.app == order.app)?;
        let used = claims.jobs.iter().filter(|job| job.app == order.app);
        let tokens = tokens::correction(grant, order.granted, used.count(), idle)?;
        Some((order.app.clone(), tokens))
    };
    orders.iter().filter_map(correction).collect()
}
