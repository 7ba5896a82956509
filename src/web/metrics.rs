//! What a receiver of callbacks counts, in Prometheus' text format.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::admission::Refusal;
use crate::call::readable;
use crate::store::ReceivedCallback;

/// Seconds; Tencent gives up after 2 s.
const STORE_S: [f64; 11] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0,
];

/// Callbacks per statement.
const BATCH: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 256.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AppLabel {
    app: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CommandLabels {
    app: String,
    command: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// All of a receiver's metrics.
pub(super) struct Metrics {
    registry: Registry,
    received: Family<CommandLabels, Counter>,
    unnamed: Family<AppLabel, Counter>,
    stored: Counter,
    doubled: Counter,
    refused: Family<ReasonLabel, Counter>,
    batch: Histogram,
    store: Histogram,
    wait: Histogram,
    ready: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("callq");
        let received = Family::default();
        registry.register(
            "callbacks_received",
            "Callbacks that were let in, by app and command; not_understood: see their fault",
            received.clone(),
        );
        let unnamed = Family::default();
        registry.register(
            "callbacks_without_sdk_app_id",
            "Of these, those whose URL names no SdkAppid",
            unnamed.clone(),
        );
        let (stored, doubled) = (Counter::default(), Counter::default());
        registry.register(
            "callbacks_stored",
            "Callbacks that were stored",
            stored.clone(),
        );
        registry.register(
            "callbacks_doubled",
            "Callbacks that were there already, and are stored once",
            doubled.clone(),
        );
        let refused = Family::<ReasonLabel, Counter>::default();
        registry.register(
            "callbacks_refused",
            "Requests that were not acknowledged; alert on database",
            refused.clone(),
        );
        for refusal in Refusal::ALL {
            // At 0 from the beginning, or the first one would be no increase.
            drop(refused.get_or_create(&ReasonLabel {
                reason: refusal.word(),
            }));
        }
        let batch = Histogram::new(BATCH);
        registry.register("callbacks_batch", "Callbacks per statement", batch.clone());
        let store = Histogram::new(STORE_S);
        registry.register_with_unit(
            "callbacks_store",
            "How long a statement took",
            Unit::Seconds,
            store.clone(),
        );
        let wait = Histogram::new(STORE_S);
        registry.register_with_unit(
            "callbacks_wait",
            "From the whole request to its being stored",
            Unit::Seconds,
            wait.clone(),
        );
        let ready = Gauge::default();
        registry.register("web_ready", "1 while the database answers", ready.clone());
        Self {
            registry,
            received,
            unnamed,
            stored,
            doubled,
            refused,
            batch,
            store,
            wait,
            ready,
        }
    }
}

impl Metrics {
    /// One was let in.
    pub(super) fn received(&self, callback: &ReceivedCallback, names_app: bool) {
        let app = readable(&callback.app);
        if !names_app {
            let unnamed = AppLabel { app: app.clone() };
            self.unnamed.get_or_create(&unnamed).inc();
        }
        let command = callback.command.unwrap_or("not_understood");
        let labels = CommandLabels { app, command };
        self.received.get_or_create(&labels).inc();
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        let reason = refusal.word();
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A statement has stored so many of a batch; the others were there already.
    pub(super) fn kept(
        &self,
        batch: usize,
        stored: u64,
        took: Duration,
        waits: impl Iterator<Item = Duration>,
    ) {
        let batch = u64::try_from(batch).unwrap_or(u64::MAX);
        self.stored.inc_by(stored);
        self.doubled.inc_by(batch.saturating_sub(stored));
        self.batch
            .observe(f64::from(u32::try_from(batch).unwrap_or(u32::MAX)));
        self.store.observe(took.as_secs_f64());
        waits.for_each(|wait| self.wait.observe(wait.as_secs_f64()));
    }

    /// Everything as text.
    pub(super) fn render(&self, is_ready: bool) -> String {
        self.ready.set(i64::from(is_ready));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
