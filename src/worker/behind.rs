//! What lies before the place where claims read from: jobs that came back, were inserted late, or
//! were locked when a claim passed them.
//!
//! Claims read on from the last job they took. Everything before it is looked through beside them,
//! once a second and whenever there is news, and they begin again at what is found there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{self, Receiver, error::TryRecvError};

use super::context::Context;
use crate::store::{Behind, Lows, StoreError};

/// How often everything is looked through where nothing is new.
const EVERY: Duration = Duration::from_secs(1);

/// A look that takes longer than this is dear. While somebody holds a snapshot it meets every job
/// that has left the queue since: 0.2 s for 700,000.
const DEAR: Duration = Duration::from_millis(50);

/// A dear look is followed by a rest that is longer by this, so that it takes a tenth of the time
/// at most,
const REST: u32 = 10;

/// but by none longer than this: what came back from long before waits for it.
const REST_MAX: Duration = Duration::from_secs(10);

/// What is looked through in such a rest when there is news. A transaction that committed after a
/// later one is found there.
const NEAR: Duration = Duration::from_secs(2);

/// How much is looked through.
#[derive(Clone, Copy)]
enum Reach {
    /// Everything.
    Far = 0,
    /// [`NEAR`].
    Near = 1,
}

/// The looks of one claim loop.
#[derive(Default)]
pub(super) struct Looks {
    under_way: Option<Receiver<Look>>,
    /// When each reach may be looked through again.
    next: [Option<Instant>; 2],
    /// When everything was last looked through.
    last: Option<Instant>,
}

/// How one ended.
struct Look {
    reach: Reach,
    took: Duration,
    found: Result<Vec<Behind>, StoreError>,
}

impl Looks {
    /// What the last look found, once it has ended.
    ///
    /// # Errors
    /// If the database did not answer; it is looked again.
    pub(super) fn found(&mut self) -> Result<Vec<Behind>, StoreError> {
        let Some(under_way) = &mut self.under_way else {
            return Ok(Vec::new());
        };
        match under_way.try_recv() {
            Ok(look) => {
                self.under_way = None;
                self.next[look.reach as usize] = Some(Instant::now() + rest_after(look.took));
                look.found
            }
            Err(TryRecvError::Empty) => Ok(Vec::new()),
            Err(TryRecvError::Closed) => {
                self.under_way = None;
                tracing::error!("a fault in callq: a look before the last claim did not end");
                Ok(Vec::new())
            }
        }
    }

    /// Looks before these places, if it is time to; wakes the claim loop if something is there, or
    /// if there was news meanwhile.
    pub(super) fn look(&mut self, ctx: &Arc<Context>, lows: &HashMap<String, Lows>) {
        let now = Instant::now();
        if self.under_way.is_some() || lows.is_empty() {
            return;
        }
        let rested = |reach: Reach| self.next[reach as usize].is_none_or(|next| next <= now);
        let reach = if rested(Reach::Far) {
            let is_time = self.last.is_none_or(|last| now >= last + EVERY);
            (ctx.wake.take_news() || is_time).then_some(Reach::Far)
        } else if rested(Reach::Near) {
            ctx.wake.take_news().then_some(Reach::Near)
        } else {
            None
        };
        let Some(reach) = reach else { return };
        if matches!(reach, Reach::Far) {
            self.last = Some(now);
        }
        let lows = lows.iter().map(|(app, lows)| (app.clone(), *lows));
        let lows: Vec<_> = lows.collect();
        let (ended, under_way) = oneshot::channel();
        self.under_way = Some(under_way);
        let ctx = Arc::clone(ctx);
        ctx.tasks.clone().spawn(async move {
            let since = match reach {
                Reach::Far => None,
                Reach::Near => Some(NEAR),
            };
            let found = ctx.store.behind(&lows, since).await;
            let is_there = found.as_ref().is_ok_and(|found| !found.is_empty());
            let took = now.elapsed();
            // Nobody is there to hear it when the worker stops.
            let _ = ended.send(Look { reach, took, found });
            if is_there || ctx.wake.has_news() {
                ctx.wake.again();
            }
        });
    }
}

/// How long a look of this length is not repeated.
fn rest_after(took: Duration) -> Duration {
    if took < DEAR {
        return Duration::ZERO;
    }
    (took * REST).min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dear_look_is_not_repeated_at_once_and_a_cheap_one_may_be() {
        let rest = |ms| rest_after(Duration::from_millis(ms));
        assert_eq!(rest(49), Duration::ZERO);
        assert_eq!(rest(100), Duration::from_secs(1));
        assert_eq!(rest(10_000), REST_MAX);
    }
}
