//! `callq worker`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::settings::{ConfigFile, WorkerFlags};
use super::{Failure, logging, signals};
use crate::config::{
    AppConfig, CamKeyFile, Config, CredentialFile, DatabaseUrlFile, WorkerSettings,
};
use crate::store::{PauseState, Store};
use crate::tencent::{CamCredential, ClientError, IngestClient, Settings, TencentClient, UserSigs};
use crate::web::{self, Probes};
use crate::worker::{self, Health, Metrics, ReadAgain, WorkerApp, WorkerConfig, WorkerError};

const EXAMPLES: &str = "Examples:\n  \
    callq worker --listen 127.0.0.1:9464\n  \
    callq worker --config /etc/callq/callq.toml --app clinic --app pharmacy\n  \
    callq config show     # what this would obey, and where each value comes from";

/// How long a probe that is being answered may hold up the end of the process. Somebody who sent
/// half a question, or reads no answer, would hold it up for ever.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Claim due jobs and place their calls, until SIGTERM or SIGINT.
///
/// The database and the apps come from callq.toml, or from the environment: DATABASE_URL,
/// CALLQ_SDK_APP_ID, CALLQ_ADMIN_ACCOUNT, CALLQ_SECRET_KEY_FILE, CALLQ_HOST. A flag wins over the
/// environment, that over the file. Any number of workers may share a queue. On the first signal
/// the requests under way are finished and recorded; a second one stops at once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Worker {
    /// Serve only this app of the configuration; may be given several times
    #[arg(long = "app", value_name = "NAME")]
    apps: Vec<String>,

    #[command(flatten)]
    flags: WorkerFlags,
}

impl Worker {
    pub(super) async fn run(self, file: &ConfigFile) -> Result<(), Failure> {
        let config = file.sources(&self.flags).config(&self.apps)?;
        logging::init(config.worker.log_format, &config.log);
        let WorkerSettings {
            concurrency,
            poll_interval,
            lease,
            listen: address,
            ..
        } = config.worker;
        let database_url = config.database_url.expose().to_owned();
        let database_url_again = config.database_url_file.clone().map(database_url_again);
        let apps = worker_apps(config)?;
        let stop = signals::stop_on_signal()?;
        let started = worker::Worker::start(WorkerConfig {
            database_url,
            database_url_again,
            apps,
            concurrency,
            poll_interval,
            lease,
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
        let serving = match address {
            None => None,
            Some(address) => Some(listen(address, &worker, stop.clone()).await?),
        };
        // Waited for: at a quick stop the runtime would end before the task has said so.
        let telling = tokio::spawn(tell_the_service_manager(worker.health(), stop.clone()));
        let result = worker.run(stop).await;
        telling.await?;
        result?;
        if let Some(serving) = serving
            && let Ok(served) = timeout(LAST_ANSWERS, serving).await
        {
            served??;
        }
        Ok(())
    }
}

fn worker_apps(config: Config) -> Result<Vec<WorkerApp>, Failure> {
    let (request_timeout, https_proxy) = (config.worker.request_timeout, config.https_proxy);
    let worker_app = |app: AppConfig| {
        let ingest = app.ingest.as_ref().map(|ingest| {
            let sdk_app_id = app.user_sigs.sdk_app_id();
            IngestClient::new(ingest.settings(sdk_app_id, request_timeout, https_proxy.clone()))
        });
        let cam_again = app.ingest.and_then(|ingest| ingest.credential_file);
        let client = TencentClient::new(Settings {
            host: app.host,
            user_sigs: app.user_sigs,
            request_timeout,
            https_proxy: https_proxy.clone(),
        })?;
        Ok(WorkerApp {
            name: app.name,
            client,
            ingest: ingest.transpose()?,
            cam_again: cam_again.map(cam_key_again),
            user_sigs_again: app.credential_file.map(user_sigs_again),
            calls_per_second: app.calls_per_second,
            defaults: app.defaults,
        })
    };
    let apps: Result<_, ClientError> = config.apps.into_iter().map(worker_app).collect();
    apps.map_err(|error| Failure::Cannot(error.into()))
}

/// Read again while the worker runs, so that a new secret needs no restart.
fn database_url_again(file: DatabaseUrlFile) -> ReadAgain<String> {
    Arc::new(move || {
        let url = file.database_url().map_err(|error| error.to_string())?;
        Ok(url.expose().to_owned())
    })
}

fn user_sigs_again(file: CredentialFile) -> ReadAgain<UserSigs> {
    Arc::new(move || file.user_sigs().map_err(|error| error.to_string()))
}

fn cam_key_again(file: CamKeyFile) -> ReadAgain<CamCredential> {
    Arc::new(move || file.credential().map_err(|error| error.to_string()))
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
    let at_fault = store.schedules_at_fault().await;
    match (store.gauges().await, store.pauses().await, at_fault) {
        (Ok(gauges), Ok(pauses), Ok(at_fault)) => metrics.render(&gauges, &pauses, at_fault),
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
            tracing::debug!(%error, "could not measure the queue");
            metrics.render(&[], &PauseState::default(), 0)
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
