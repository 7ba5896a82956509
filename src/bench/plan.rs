//! What is measured, and how much of it.

use std::time::Duration;

use super::ground::Ground;
use super::{BenchError, Figure, burst, latency, limit, scale, throughput};

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// How fast what is due is placed, and what that costs.
    Throughput,
    /// The statements alone, HTTP alone, and the share of what they allow together.
    Limit,
    /// From due to the wire, and from INSERT to the wire.
    Latency,
    /// The same with ever more rows for the future and of the past.
    Backlog,
    /// While somebody holds a snapshot.
    Snapshot,
    /// Many jobs due at one instant, at the pace of one app.
    Burst,
    /// Memory with many requests under way.
    Memory,
    /// Several workers.
    Workers,
    /// Several apps.
    Apps,
}

impl Part {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 9] = [
        Self::Throughput,
        Self::Limit,
        Self::Latency,
        Self::Backlog,
        Self::Snapshot,
        Self::Burst,
        Self::Memory,
        Self::Workers,
        Self::Apps,
    ];

    /// Its name on the command line and in figures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Limit => "limit",
            Self::Latency => "latency",
            Self::Backlog => "backlog",
            Self::Snapshot => "snapshot",
            Self::Burst => "burst",
            Self::Memory => "memory",
            Self::Workers => "workers",
            Self::Apps => "apps",
        }
    }
}

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which parts.
    pub parts: Vec<Part>,
    /// Jobs of each drain.
    pub jobs: usize,
    /// Requests that a worker has under way at once.
    pub concurrency: usize,
    /// Sizes of the backlog: so many jobs for the future, and so many that ended.
    pub backlogs: Vec<u32>,
    /// How long a snapshot is held.
    pub held: Duration,
    /// Jobs of the burst.
    pub burst: usize,
    /// How long calls are placed at 200 a second to see how late they are.
    pub latency: Duration,
    /// Numbers of workers.
    pub workers: Vec<usize>,
    /// Numbers of apps.
    pub apps: Vec<usize>,
}

impl Plan {
    /// Measures, part after part.
    ///
    /// # Errors
    /// If a part cannot be measured; what was told before holds.
    pub async fn run(&self, ground: &Ground) -> Result<Vec<Figure>, BenchError> {
        let mut figures = Vec::new();
        for part in &self.parts {
            figures.extend(match part {
                Part::Throughput => throughput::throughput(ground, self).await?,
                Part::Limit => limit::limit(ground, self).await?,
                Part::Latency => latency::latency(ground, self).await?,
                Part::Backlog => scale::backlog(ground, self).await?,
                Part::Snapshot => scale::snapshot(ground, self).await?,
                Part::Burst => burst::burst(ground, self).await?,
                Part::Memory => throughput::memory(ground, self).await?,
                Part::Workers => throughput::workers(ground, self).await?,
                Part::Apps => throughput::apps(ground, self).await?,
            });
        }
        Ok(figures)
    }
}
