//! What is told: one number, what it is of, and its unit.

use std::fs;

use serde::Serialize;

use super::BenchError;
use super::ground::Ground;

/// One measured number.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// The part of the bench, as on the command line.
    pub part: &'static str,
    /// Under what conditions, as in `2 workers`; empty for those of the part.
    pub case: String,
    /// What was measured.
    pub what: &'static str,
    /// The number; not finite if there was nothing to measure.
    pub value: f64,
    /// Its unit, as in `calls/s`; empty for a plain number.
    pub unit: &'static str,
}

/// Figures of one case of a part.
#[derive(Debug)]
pub(super) struct Sheet {
    part: &'static str,
    case: String,
    pub(super) figures: Vec<Figure>,
}

impl Sheet {
    pub(super) fn new(part: &'static str, case: impl Into<String>) -> Self {
        Self {
            part,
            case: case.into(),
            figures: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, what: &'static str, value: f64, unit: &'static str) {
        self.figures.push(Figure {
            part: self.part,
            case: self.case.clone(),
            what,
            value,
            unit,
        });
    }

    /// Nothing where the server or the system does not let it be measured.
    pub(super) fn note_if(&mut self, what: &'static str, value: Option<f64>, unit: &'static str) {
        if let Some(value) = value {
            self.note(what, value, unit);
        }
    }
}

/// On what was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// callq's version.
    pub callq: &'static str,
    /// PostgreSQL's version.
    pub postgresql: String,
    /// The processor's name, if the system tells it.
    pub processor: Option<String>,
    /// Processors that this process may use.
    pub cores: usize,
    /// Processes that wanted a processor at the beginning, on average over a minute: what else the
    /// machine had to do.
    pub load: Option<f64>,
    /// Whether it is an optimised build; the figures of another say nothing.
    pub optimised: bool,
}

impl Machine {
    /// Looks at it.
    ///
    /// # Errors
    /// If the database cannot be asked for its version.
    pub async fn look(ground: &Ground) -> Result<Self, BenchError> {
        let trial = ground.trial().await?;
        let (_, postgresql) = trial.server().await?;
        trial.end().await?;
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let named = cpus.lines().find(|line| line.starts_with("model name"));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Ok(Self {
            callq: env!("CARGO_PKG_VERSION"),
            postgresql,
            processor: named
                .and_then(|line| line.split_once(": "))
                .map(|(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: load.split(' ').next().and_then(|load| load.parse().ok()),
            optimised: !cfg!(debug_assertions),
        })
    }
}
