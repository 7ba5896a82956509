//! The measurement that most parts are made of: workers drain what is due.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::BenchError;
use super::ground::{Ground, Reading, UNPACED, Used, until};
use super::hand::Orders;
use super::percentile::{number, whole};
use super::usage::Usage;
use crate::store::{Fill, Tally, Trial};

/// No drain takes longer; the slowest on record did 100 jobs a second.
const PATIENCE: Duration = Duration::from_mins(30);

/// What is drained, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    pub(super) jobs: usize,
    pub(super) workers: usize,
    pub(super) concurrency: usize,
    /// For how many apps the jobs are.
    pub(super) apps: usize,
    /// How long each request is answered after.
    pub(super) answered_after: Duration,
}

/// How that went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drained {
    pub(super) jobs: f64,
    pub(super) calls_per_s: f64,
    pub(super) recorded_per_s: f64,
    pub(super) used: Used,
    /// Of all workers together; the memory is that of the largest.
    pub(super) workers: Option<Usage>,
    pub(super) duplicates: usize,
    pub(super) tally: Tally,
}

impl Drain {
    /// Fills the trial and drains it.
    pub(super) async fn run(self, ground: &Ground, trial: &Trial) -> Result<Drained, BenchError> {
        let jobs = i64::try_from(self.jobs).unwrap_or(i64::MAX);
        let fill = Fill {
            jobs,
            first_s: -1.0,
            every_s: 0.0,
            apps: self.apps,
        };
        let first = trial.fill(fill).await?;
        trial.settle().await?;
        ground.answerer.begin(self.answered_after);
        let before = Reading::of(trial).await?;

        let orders = Orders {
            apps: self.apps,
            ..ground.orders(trial, self.concurrency, UNPACED)
        };
        let hands = (0..self.workers).map(|_| ground.hire(&orders));
        let mut hands = hands.collect::<Result<Vec<_>, _>>()?;
        let came = async || Ok(ground.answerer.count() >= self.jobs);
        until(&mut hands, PATIENCE, came).await?;
        until(&mut hands, PATIENCE, async || Ok(!trial.is_busy().await?)).await?;
        let end = Instant::now();

        let usages: Option<Vec<Usage>> = hands.iter().map(super::hand::Hand::usage).collect();
        for hand in hands {
            hand.stop().await?;
        }
        let used = before.used_since(trial).await?;
        let arrivals = ground.answerer.arrivals();
        let (Some(first_call), Some(last_call)) = (arrivals.first(), arrivals.last()) else {
            return Err(BenchError::Broken);
        };
        let calls_s = last_call.at.duration_since(first_call.at).as_secs_f64();
        let all_s = end.duration_since(first_call.at).as_secs_f64();
        let different: HashSet<i64> = arrivals.iter().map(|a| a.job).collect();
        Ok(Drained {
            jobs: number(self.jobs),
            calls_per_s: number(self.jobs) / calls_s,
            recorded_per_s: number(self.jobs) / all_s,
            used,
            workers: usages.map(|usages| Usage {
                cpu_s: usages.iter().map(|usage| usage.cpu_s).sum(),
                peak_bytes: usages.iter().map(|u| u.peak_bytes).fold(0.0, f64::max),
            }),
            duplicates: arrivals.len() - different.len(),
            tally: trial.tally(first).await?,
        })
    }
}

impl Drained {
    pub(super) fn commits_per_call(&self) -> f64 {
        whole(self.used.commits) / self.jobs
    }

    pub(super) fn wal_per_call(&self) -> f64 {
        whole(self.used.wal_bytes) / self.jobs
    }

    pub(super) fn server_us_per_call(&self) -> Option<f64> {
        Some(self.used.server_cpu_s? / self.jobs * 1e6)
    }

    pub(super) fn workers_us_per_call(&self) -> Option<f64> {
        Some(self.workers?.cpu_s / self.jobs * 1e6)
    }

    /// Jobs that are not placed, and requests beyond one for each job.
    pub(super) fn missing_and_extra(&self) -> (f64, f64) {
        let extra = number(self.duplicates) + whole(self.tally.extra_attempts);
        (self.jobs - whole(self.tally.placed), extra)
    }
}
