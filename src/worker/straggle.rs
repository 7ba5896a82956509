//! Looking for the records that did not come with those of everybody: of calls that lasted longer
//! than windows overlap.
//!
//! Where windows are of the ends of calls there are few, and each is asked for by its `CallId`.
//! Where they are of beginnings, every long call is one of them. Then those that began together are
//! read in a window of their beginnings, unless that would be more requests.

use std::collections::BTreeMap;
use std::time::Duration;

use super::follow::{News, learn};
use super::sweep::{Fault, LOOK_AGAIN_MAX, Sweeper};
use super::weigh::weigh;
use crate::store::{DueCall, OpenCall};

/// After how long a call's record is asked for again, doubled each time up to the longest.
const LOOK_AGAIN: Duration = Duration::from_mins(5);

/// The most calls that are asked for one by one in a round.
const ALONE_MAX: usize = 100;

/// How often calls are looked for together. Whom that does not find is then asked for by itself,
/// whatever a clock has done.
const TOGETHER_LOOKS: i32 = 3;

impl Sweeper {
    /// Asks for the records of calls that did not come with the others.
    pub(super) async fn stragglers(&mut self, due: Vec<DueCall>) -> Result<(), Fault> {
        if due.is_empty() {
            return Ok(());
        }
        // Nobody of whom more is to be learnt.
        let is_over = |call: &OpenCall| weigh(call, Vec::new(), None).is_some_and(|s| s.closes);
        let calls = self.read_calls(&due).await?;
        let (over, calls): (Vec<_>, Vec<_>) = calls.into_iter().partition(is_over);
        let over = News {
            attempts: over
                .iter()
                .map(|call| (call.job_id, call.attempt))
                .collect(),
            ..News::default()
        };
        learn(&self.ctx, &self.app, over).await?;
        let alone = match self.of_ends {
            Some(false) => self.read_together(calls).await?,
            _ => calls,
        };
        self.read_alone(&alone).await
    }

    /// Reads the windows in which calls began, one between each two marks of Tencent's clock;
    /// returns those for which that is not worth it.
    async fn read_together(&mut self, calls: Vec<OpenCall>) -> Result<Vec<OpenCall>, Fault> {
        let mut alone = Vec::new();
        let mut together: BTreeMap<(i64, i64), Vec<OpenCall>> = BTreeMap::new();
        for call in calls {
            match (call.began_from, call.began_until) {
                (Some(from), Some(until)) if call.looks < TOGETHER_LOOKS => {
                    together.entry((from, until)).or_default().push(call);
                }
                _ => alone.push(call),
            }
        }
        for ((from, until), calls) in together {
            match self.read_between(from, until, calls.len()).await {
                Ok(true) => {
                    let asked: Vec<DueCall> = calls.iter().map(DueCall::from).collect();
                    let open = self.read_calls(&asked).await?;
                    self.put_off(&open.iter().map(later).collect::<Vec<_>>())
                        .await?;
                }
                Ok(false) | Err(Fault::Unread(_)) => alone.extend(calls),
                Err(fault) => return Err(fault),
            }
        }
        Ok(alone)
    }

    /// Reads one window, unless that takes more requests than it has calls that are looked for.
    async fn read_between(&mut self, from: i64, until: i64, calls: usize) -> Result<bool, Fault> {
        let (span, records) = self.pages.begin(from, until).await?;
        let is_worth_it = (span.pages() as usize) < calls;
        if is_worth_it {
            self.read_on(span, records).await?;
        }
        Ok(is_worth_it)
    }

    /// Asks for each by its `CallId`; what is too much for one round stays due.
    async fn read_alone(&mut self, calls: &[OpenCall]) -> Result<(), Fault> {
        let (mut open, mut unread) = (Vec::new(), Ok(()));
        let mut news = News::default();
        for call in calls.iter().take(ALONE_MAX) {
            let Some(call_id) = &call.call_id else {
                continue;
            };
            match self.pages.of_call(call_id).await {
                Ok(Some(record)) => news.records.push(record),
                Ok(None) => open.push(later(call)),
                Err(why) => {
                    // It may be this call's alone: the others come first the next time.
                    open.push(later(call));
                    unread = Err(why.into());
                    break;
                }
            }
        }
        learn(&self.ctx, &self.app, news).await?;
        self.put_off(&open).await?;
        unread
    }
}

/// When a call is looked for again.
fn later(call: &OpenCall) -> (i64, i32, Duration) {
    let doubled = LOOK_AGAIN * (1 << call.looks.clamp(0, 10));
    (call.job_id, call.attempt, doubled.min(LOOK_AGAIN_MAX))
}
