//! What a worker counts of media.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::call::readable;

/// Seconds from when an answer is known; what is promised is 0.3 s.
const START_S: [f64; 11] = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 1.5, 3.0, 10.0, 60.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfApp {
    app: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ending {
    app: String,
    reason: String,
}

/// The metrics of media.
pub(super) struct MediaMetrics {
    starts: Family<OfApp, Histogram>,
    ended: Family<Ending, Counter>,
    paused: Family<OfApp, Gauge<i64, AtomicI64>>,
}

impl MediaMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let starts =
            Family::new_with_constructor((|| Histogram::new(START_S)) as fn() -> Histogram);
        registry.register_with_unit(
            "media_start",
            "From when it was known that somebody had answered until media was known to run",
            Unit::Seconds,
            starts.clone(),
        );
        let ended = Family::default();
        registry.register(
            "media_ended",
            "Calls whose media this worker saw end, by reason; one to alert on, but for \
             media_stopped and media_unanswered",
            ended.clone(),
        );
        let paused = Family::default();
        registry.register(
            "media_paused",
            "1 while media of an app is not started: Tencent refuses its CAM key or package",
            paused.clone(),
        );
        Self {
            starts,
            ended,
            paused,
        }
    }

    /// Makes the series of an app that is served.
    pub(super) fn serve(&self, app: &str) {
        drop(self.starts.get_or_create(&of(app)));
        drop(self.paused.get_or_create(&of(app)));
        for reason in ["media_stopped", "media_too_late"] {
            drop(self.ended.get_or_create(&ending(app, reason)));
        }
    }

    pub(super) fn started(&self, app: &str, took: Duration) {
        let starts = self.starts.get_or_create(&of(app));
        starts.observe(took.as_secs_f64());
    }

    pub(super) fn ended(&self, app: &str, reason: &str) {
        self.ended.get_or_create(&ending(app, reason)).inc();
    }

    /// As the database said just now.
    pub(super) fn paused(&self, app: &str, paused: bool) {
        self.paused.get_or_create(&of(app)).set(i64::from(paused));
    }
}

fn of(app: &str) -> OfApp {
    OfApp { app: readable(app) }
}

fn ending(app: &str, reason: &str) -> Ending {
    Ending {
        app: readable(app),
        reason: reason.to_owned(),
    }
}
