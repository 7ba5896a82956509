//! `callq worker`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, value_parser};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::logging::{self, LogFormat};
use super::{Failure, signals};
use crate::config::{self, AppConfig};
use crate::store::{PauseState, Store};
use crate::tencent::{Settings, TencentClient};
use crate::web::{self, Probes};
use crate::worker::{self, Health, Metrics, WorkerApp, WorkerConfig, WorkerError};

/// Claim due jobs and place their calls, until SIGTERM or SIGINT.
///
/// The database and the app come from the environment: DATABASE_URL, CALLQ_SDK_APP_ID,
/// CALLQ_ADMIN_ACCOUNT, CALLQ_SECRET_KEY (or CALLQ_SECRET_KEY_FILE), CALLQ_HOST. Any number
/// of workers may share a queue. On the first signal the requests under way are finished and
/// recorded; a second one stops at once.
#[derive(Debug, Args)]
pub(super) struct Worker {
    /// How many requests are under way at once
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = value_parser!(u16).range(1..=2000))]
    concurrency: u16,

    /// How long to sleep at most when no notification comes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000,
        value_parser = value_parser!(u64).range(10..=60_000))]
    poll_interval_ms: u64,

    /// How long a claimed job may take until it is in doubt, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 30_000,
        value_parser = value_parser!(u64).range(2_100..=600_000))]
    lease_ms: u64,

    /// How long to wait for Tencent's reply, in milliseconds; Tencent's own limit is 3000
    #[arg(long, value_name = "MS", default_value_t = 8000,
        value_parser = value_parser!(u64).range(100..=60_000))]
    request_timeout_ms: u64,

    /// Serve /livez, /readyz and /metrics here, as in 127.0.0.1:9464
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// How log lines look
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

impl Worker {
    pub(super) async fn run(self) -> Result<(), Failure> {
        logging::init(self.log_format, "info,sqlx=error")?;
        let database_url = config::database_url(&config::Process)?;
        let app = config::app(&config::Process)?;
        let app = worker_app(app, Duration::from_millis(self.request_timeout_ms))?;
        let stop = signals::stop_on_signal()?;
        let started = worker::Worker::start(WorkerConfig {
            database_url,
            apps: vec![app],
            concurrency: usize::from(self.concurrency),
            poll_interval: Duration::from_millis(self.poll_interval_ms),
            lease: Duration::from_millis(self.lease_ms),
        });
        let started = tokio::select! {
            started = started => started,
            // Nothing was claimed yet.
            () = stop.cancelled() => return Ok(()),
        };
        let worker = match started {
            Ok(worker) => worker,
            Err(error @ (WorkerError::Lease { .. } | WorkerError::NothingToServe(_))) => {
                return Err(Failure::Cannot(error.into()));
            }
            Err(error) => return Err(error.into()),
        };
        let serving = match self.listen {
            None => None,
            Some(address) => Some(listen(address, &worker, stop.clone()).await?),
        };
        // Waited for: at a quick stop the runtime would end before the task has said so.
        let telling = tokio::spawn(tell_the_service_manager(worker.health(), stop.clone()));
        let result = worker.run(stop).await;
        telling.await?;
        result?;
        if let Some(serving) = serving {
            serving.await??;
        }
        Ok(())
    }
}

fn worker_app(app: AppConfig, request_timeout: Duration) -> Result<WorkerApp, Failure> {
    let client = TencentClient::new(Settings {
        host: app.host,
        user_sigs: app.user_sigs,
        request_timeout,
        https_proxy: None,
    })
    .map_err(|error| Failure::Cannot(error.into()))?;
    Ok(WorkerApp {
        name: app.name,
        client,
        calls_per_second: app.calls_per_second,
    })
}

async fn listen(
    address: SocketAddr,
    worker: &worker::Worker,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("could not listen on {address}"))?;
    let local = listener.local_addr()?;
    tracing::info!("serving http://{local}/livez, /readyz and /metrics");
    let health = worker.health();
    let (store, metrics) = (worker.store(), worker.metrics());
    let probes = Probes {
        ready: Box::new(move || health.is_ready()),
        metrics: Box::new(move || Box::pin(render(store.clone(), Arc::clone(&metrics)))),
    };
    Ok(tokio::spawn(web::serve(listener, probes, async move {
        stop.cancelled().await;
    })))
}

/// The metrics, with the queue's depth as it is now; without it while the database is away.
async fn render(store: Store, metrics: Arc<Metrics>) -> String {
    match (store.gauges().await, store.pauses().await) {
        (Ok(gauges), Ok(pauses)) => metrics.render(&gauges, &pauses),
        (Err(error), _) | (_, Err(error)) => {
            tracing::debug!(%error, "could not measure the queue");
            metrics.render(&[], &PauseState::default())
        }
    }
}

/// READY=1 once jobs are claimed, STOPPING=1 when that ends; nothing where nobody listens.
async fn tell_the_service_manager(health: Arc<Health>, stop: CancellationToken) {
    let tell = |state| {
        if let Err(error) = sd_notify::notify(&[state]) {
            tracing::debug!(%error, "could not notify the service manager");
        }
    };
    tokio::select! {
        () = health.ready() => tell(sd_notify::NotifyState::Ready),
        () = stop.cancelled() => {}
    }
    stop.cancelled().await;
    tell(sd_notify::NotifyState::Stopping);
}
