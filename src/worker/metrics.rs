//! What a worker counts, in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::media_metrics::MediaMetrics;
use crate::call::{Reason, readable};
use crate::store;

/// Seconds; from a millisecond, where lateness should be, to the minutes of an outage.
const LATENESS_S: [f64; 14] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0,
];

/// Seconds; Tencent's own time limit is 3 s.
const REPLY_S: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 8.0];

/// Jobs or results per statement.
const BATCH: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AppLabel {
    app: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DepthLabels {
    app: String,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabels {
    app: String,
    state: String,
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FiringLabel {
    became: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CodeLabels {
    app: String,
    code: String,
}

/// All of a worker's metrics.
pub struct Metrics {
    registry: Registry,
    depth: Family<DepthLabels, Gauge<i64, AtomicI64>>,
    oldest_due: Family<AppLabel, Gauge<f64, AtomicU64>>,
    paused: Family<AppLabel, Gauge<i64, AtomicI64>>,
    circuit: Family<AppLabel, Gauge<i64, AtomicI64>>,
    in_flight: Gauge<i64, AtomicI64>,
    unrecorded: Gauge<i64, AtomicI64>,
    lateness: Family<AppLabel, Histogram>,
    replies: Family<CodeLabels, Histogram>,
    results: Family<ResultLabels, Counter>,
    second_rings: Counter,
    claim_batch: Histogram,
    record_batch: Histogram,
    deaf: Gauge<i64, AtomicI64>,
    history_unsure: Gauge<i64, AtomicI64>,
    results_forgotten: Counter,
    firings: Family<FiringLabel, Counter>,
    at_fault: Gauge<i64, AtomicI64>,
    completed: Family<AppLabel, Counter>,
    sweeping: Family<AppLabel, Gauge<i64, AtomicI64>>,
    media: MediaMetrics,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("callq");
        let depth = Family::default();
        registry.register(
            "jobs",
            "Open jobs by app and state (due, dialing, in_doubt), counted up to 100000",
            depth.clone(),
        );
        let oldest_due = Family::default();
        registry.register_with_unit(
            "oldest_due",
            "How long the oldest due job has been due; the one to alert on",
            Unit::Seconds,
            oldest_due.clone(),
        );
        let paused = Family::default();
        registry.register("app_paused", "1 while an app is paused", paused.clone());
        let circuit = Family::default();
        registry.register(
            "circuit_open",
            "1 while this worker cannot reach the app's host and tries it with one job at a time",
            circuit.clone(),
        );
        let in_flight = gauge(
            &mut registry,
            "requests_in_flight",
            "Requests of this worker now",
        );
        let unrecorded = gauge(
            &mut registry,
            "results_unrecorded",
            "Results of this worker that are not in the database yet",
        );
        let lateness =
            Family::new_with_constructor((|| Histogram::new(LATENESS_S)) as fn() -> Histogram);
        registry.register_with_unit(
            "lateness",
            "From due_at until the request was handed to the network",
            Unit::Seconds,
            lateness.clone(),
        );
        let replies =
            Family::new_with_constructor((|| Histogram::new(REPLY_S)) as fn() -> Histogram);
        registry.register_with_unit(
            "tencent_reply",
            "From request to reply, by ErrorCode; none: no readable reply, not_sent: no request",
            Unit::Seconds,
            replies.clone(),
        );
        let results = Family::default();
        registry.register(
            "results",
            "Verdicts written, by the job's new state and reason",
            results.clone(),
        );
        let second_rings = counter(
            &mut registry,
            "second_rings",
            "Attempts accepted although a newer attempt of their job existed",
        );
        let claim_batch = Histogram::new(BATCH);
        registry.register("claim_batch_jobs", "Jobs per claim", claim_batch.clone());
        let record_batch = Histogram::new(BATCH);
        registry.register(
            "record_batch_results",
            "Results per record",
            record_batch.clone(),
        );
        let deaf = gauge(
            &mut registry,
            "listener_deaf",
            "1 while notifications do not arrive and only the poll finds work",
        );
        let (history_unsure, results_forgotten) = of_history(&mut registry);
        let (firings, at_fault) = of_schedules(&mut registry);
        let (completed, sweeping) = of_outcomes(&mut registry);
        let media = MediaMetrics::new(&mut registry);
        Self {
            registry,
            depth,
            oldest_due,
            paused,
            circuit,
            in_flight,
            unrecorded,
            lateness,
            replies,
            results,
            second_rings,
            claim_batch,
            record_batch,
            deaf,
            history_unsure,
            results_forgotten,
            firings,
            at_fault,
            completed,
            sweeping,
            media,
        }
    }
}

impl Metrics {
    /// Everything as text. `gauges`, `pauses` and how many schedules are at fault are what the
    /// database said just now.
    #[must_use]
    pub fn render(
        &self,
        gauges: &[store::Gauge],
        pauses: &store::PauseState,
        schedules_at_fault: i64,
    ) -> String {
        self.at_fault.set(schedules_at_fault);
        self.depth.clear();
        self.oldest_due.clear();
        self.paused.clear();
        for gauge in gauges {
            let states = [
                ("due", gauge.due),
                ("dialing", gauge.dialing),
                ("in_doubt", gauge.in_doubt),
            ];
            for (state, jobs) in states {
                let labels = DepthLabels {
                    app: readable(&gauge.app),
                    state,
                };
                self.depth.get_or_create(&labels).set(jobs);
            }
            let label = AppLabel {
                app: readable(&gauge.app),
            };
            self.oldest_due
                .get_or_create(&label)
                .set(gauge.oldest_due.as_secs_f64());
            let held = pauses.all.is_some() || pauses.apps.contains_key(&gauge.app);
            self.paused.get_or_create(&label).set(i64::from(held));
            self.media.paused(&gauge.app, gauge.is_media_paused);
        }
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            // Writing to a String cannot fail; if it did, a scraper should see that, not silence.
            let _ = writeln!(text, "# could not encode: {error}");
        }
        text
    }

    /// Makes the series of an app that is served, so that an alert on their absence means
    /// something.
    pub(super) fn serve(&self, app: &str) {
        let label = AppLabel { app: readable(app) };
        drop(self.lateness.get_or_create(&label));
        drop(self.circuit.get_or_create(&label));
        drop(self.completed.get_or_create(&label));
        drop(self.sweeping.get_or_create(&label));
        self.media.serve(app);
        for (state, reason) in [
            ("placed", Reason::Accepted),
            ("failed", Reason::Refused),
            ("in_doubt", Reason::ReplyUnknown),
        ] {
            let labels = ResultLabels {
                app: readable(app),
                state: state.to_owned(),
                reason: reason.as_str().to_owned(),
            };
            drop(self.results.get_or_create(&labels));
        }
        let labels = CodeLabels {
            app: readable(app),
            code: "0".to_owned(),
        };
        drop(self.replies.get_or_create(&labels));
    }

    pub(super) fn claimed(&self, jobs: usize) {
        self.claim_batch.observe(float(jobs));
        self.in_flight.inc_by(int(jobs));
        self.unrecorded.inc_by(int(jobs));
    }

    pub(super) fn sent(&self, app: &str, late: Duration) {
        let label = AppLabel { app: readable(app) };
        self.lateness
            .get_or_create(&label)
            .observe(late.as_secs_f64());
    }

    pub(super) fn answered(&self, app: &str, code: String, took: Duration) {
        let labels = CodeLabels {
            app: readable(app),
            code,
        };
        self.replies
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    pub(super) fn landed(&self) {
        self.in_flight.dec();
    }

    pub(super) fn recorded(&self, results: usize) {
        self.record_batch.observe(float(results));
        self.unrecorded.dec_by(int(results));
    }

    pub(super) fn verdict(&self, app: &str, state: &str, reason: &str) {
        let labels = ResultLabels {
            app: readable(app),
            state: state.to_owned(),
            reason: reason.to_owned(),
        };
        self.results.get_or_create(&labels).inc();
    }

    pub(super) fn second_ring(&self) {
        self.second_rings.inc();
    }

    pub(super) fn circuit(&self, app: &str, open: i64) {
        let label = AppLabel {
            app: app.to_owned(),
        };
        self.circuit.get_or_create(&label).set(open);
    }

    pub(super) fn history_unsure(&self, unsure: i64) {
        self.history_unsure.set(unsure);
    }

    pub(super) fn result_forgotten(&self) {
        self.results_forgotten.inc();
    }

    pub(super) fn firings_made(&self, firings: u64) {
        let label = FiringLabel { became: "made" };
        self.firings.get_or_create(&label).inc_by(firings);
    }

    pub(super) fn firings_skipped(&self, firings: u64) {
        let label = FiringLabel { became: "skipped" };
        self.firings.get_or_create(&label).inc_by(firings);
    }

    /// What became of a call is known.
    pub(super) fn completed(&self, app: &str) {
        let label = AppLabel { app: readable(app) };
        self.completed.get_or_create(&label).inc();
    }

    /// Whether this worker reads the app's call records, and can.
    pub(super) fn sweeping(&self, app: &str, sweeping: i64) {
        let label = AppLabel { app: readable(app) };
        self.sweeping.get_or_create(&label).set(sweeping);
    }

    /// Media runs, so long after it was known that somebody had answered.
    pub(super) fn media_started(&self, app: &str, took: Duration) {
        self.media.started(app, took);
    }

    /// Media of a call has ended, or was not started.
    pub(super) fn media_ended(&self, app: &str, reason: &str) {
        self.media.ended(app, reason);
    }

    pub(super) fn deaf(&self, deaf: i64) {
        self.deaf.set(deaf);
    }
}

/// A gauge without labels.
fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge<i64, AtomicI64> {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

/// A counter without labels.
fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

/// What a database that has forgotten something costs.
fn of_history(registry: &mut Registry) -> (Gauge<i64, AtomicI64>, Counter) {
    let history_unsure = gauge(
        registry,
        "history_unsure",
        "1 while nothing is claimed because the database may have lost a part of its history",
    );
    let results_forgotten = counter(
        registry,
        "results_forgotten",
        "Results whose attempt the database has forgotten",
    );
    (history_unsure, results_forgotten)
}

/// What is counted of schedules: firings by what became of them, and schedules at fault.
fn of_schedules(registry: &mut Registry) -> (Family<FiringLabel, Counter>, Gauge<i64, AtomicI64>) {
    let firings = Family::<FiringLabel, Counter>::default();
    registry.register(
        "firings",
        "Firings of schedules that this worker made into jobs, or told as skipped",
        firings.clone(),
    );
    for became in ["made", "skipped"] {
        drop(firings.get_or_create(&FiringLabel { became }));
    }
    let at_fault = Gauge::default();
    registry.register(
        "schedules_at_fault",
        "Schedules that do not ring as they are, see callq.schedules.error; one to alert on",
        at_fault.clone(),
    );
    (firings, at_fault)
}

/// Calls whose outcome is known, and whether records are read.
#[allow(
    clippy::type_complexity,
    reason = "two families of the same label have no shorter name"
)]
fn of_outcomes(
    registry: &mut Registry,
) -> (
    Family<AppLabel, Counter>,
    Family<AppLabel, Gauge<i64, AtomicI64>>,
) {
    let completed = Family::default();
    registry.register(
        "completed",
        "Calls of which this worker settled what became of them",
        completed.clone(),
    );
    let sweeping = Family::default();
    registry.register(
        "reads_records",
        "1 while this worker reads the app's call records, and can; alert if no worker does",
        sweeping.clone(),
    );
    (completed, sweeping)
}

fn int(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn float(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
