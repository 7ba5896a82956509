//! The worker as a whole: starts the duties, and stops them in the right order.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::app::App;
use super::context::{Context, Limits};
use super::health::Health;
use super::metrics::Metrics;
use super::place::RECORDING_MARGIN;
use super::record::Recorder;
use super::rotate::{self, Rotating};
use super::{
    WorkerConfig, WorkerError, beat, claim, end, fire, follow, ground, history, listen, media,
    pauses, prune, record, rescue, serve, sweep,
};
use crate::store::{Program, Schema, Store, StoreError};

/// Connections of one worker for its small duties, beside those for claims, for results and for
/// notifications.
const CONNECTIONS: u32 = 6;

/// How long after the last request the recorder may take to write its last results.
const LAST_RESULTS: Duration = Duration::from_secs(10);

/// How long until a duty that panicked is begun anew.
const RESTART_AFTER: Duration = Duration::from_secs(5);

/// How long a worker that ends waits to be able to say so.
const LEAVING: Duration = Duration::from_secs(2);

/// A worker that is connected and may start.
pub struct Worker {
    ctx: Arc<Context>,
    program: Program,
    schema: Schema,
    rotating: Vec<Rotating>,
    results: tokio::sync::mpsc::UnboundedReceiver<record::Envelope>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("name", &self.ctx.name)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// Connects, checks the schema, and says which apps are served from now on. An app whose host
    /// is of the other kind (live or sandbox) than the database knows is left out, with an error
    /// logged.
    ///
    /// # Errors
    /// If the database cannot be reached or has another schema, the lease is too short for the
    /// request timeout, or no app is left to serve.
    pub async fn start(config: WorkerConfig) -> Result<Self, WorkerError> {
        Self::start_as(config, Program::this()).await
    }

    /// The same for a program that knows other schemas than this one, for tests of two versions at
    /// once.
    #[doc(hidden)]
    pub async fn start_as(config: WorkerConfig, program: Program) -> Result<Self, WorkerError> {
        check_lease(&config)?;
        let (store, schema) =
            Store::connect_watching(&config.database_url, CONNECTIONS, &program).await?;
        ground::tell(schema);
        let mut apps = Vec::new();
        let mut refusals = Vec::new();
        let login = config.database_url_again;
        let login = login.map(|again| Rotating::of_database(config.database_url, again));
        let mut rotating: Vec<Rotating> = login.into_iter().collect();
        for app in config.apps {
            let (again, cam_again) = (app.user_sigs_again, app.cam_again);
            let app = Arc::new(App::new(
                app.name,
                app.client,
                app.ingest,
                app.calls_per_second,
                app.defaults,
            ));
            if serve::serve(&store, &app).await?.is_ok() {
                rotating.extend(again.map(|again| Rotating::of_app(&app, again)));
                rotating.extend(cam_again.map(|again| Rotating::of_media(&app, again)));
                apps.push(app);
            } else {
                refusals.push(serve::refusal(&app));
            }
        }
        if apps.is_empty() {
            return Err(WorkerError::NothingToServe(refusals.join("; ")));
        }
        for refusal in refusals {
            tracing::error!("{refusal}");
        }
        let (recorder, results) = Recorder::new();
        let limits = Limits {
            concurrency: config.concurrency,
            lease: config.lease,
            poll_interval: config.poll_interval,
        };
        let ctx = Context::new(store, name(), apps, &limits, recorder);
        // Known before the first claim, so that nothing is sent into a pause.
        pauses::read(&ctx).await?;
        history::begin(&ctx).await?;
        Ok(Self {
            ctx: Arc::new(ctx),
            program,
            schema,
            rotating,
            results,
        })
    }

    /// Its name in `callq.attempts.worker`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.ctx.name
    }

    /// Its connections, for what is shown beside it.
    #[must_use]
    pub fn store(&self) -> Store {
        self.ctx.store.clone()
    }

    /// What it counts.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.ctx.metrics)
    }

    /// Whether it works.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.ctx.health)
    }

    /// Works until `stop` is cancelled; then claims nothing more, lets the requests under way
    /// finish, writes their results and returns. That takes at most the request timeout and 10 s.
    /// It stops by itself, cancelling `stop`, when it must not go on.
    ///
    /// # Errors
    /// If results could not be written in time, if the schema does not let it work any more, or if
    /// a pooler gives its sessions away.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        let Self {
            ctx,
            program,
            schema,
            rotating,
            results,
        } = self;
        tracing::info!(
            worker = ctx.name,
            apps = ctx
                .apps
                .iter()
                .map(|a| a.name.as_str())
                .collect::<Vec<_>>()
                .join(","),
            concurrency = ctx.concurrency,
            "the worker is started"
        );
        let no_more = CancellationToken::new();
        let recorder = record::run(Arc::clone(&ctx), results, no_more.clone(), LAST_RESULTS);
        let broken = CancellationToken::new();
        let recording = tokio::spawn(watched(&broken, recorder));
        let ended = CancellationToken::new();
        let beating = tokio::spawn(beat::run(Arc::clone(&ctx), ended.clone()));
        // To the end: the last results may need a new connection.
        for secret in rotating {
            tokio::spawn(rotate::run(Arc::clone(&ctx), secret, ended.clone()));
        }
        let duties = TaskTracker::new();
        duties.spawn(watched(&broken, pauses::run(Arc::clone(&ctx))));
        duties.spawn(watched(&broken, history::run(Arc::clone(&ctx))));
        duties.spawn(watched(&broken, listen::run(Arc::clone(&ctx))));
        duties.spawn(watched(&broken, serve::run(Arc::clone(&ctx))));
        duties.spawn(watched(&broken, rescue::run(Arc::clone(&ctx))));
        duties.spawn(watched(&broken, claim::run(Arc::clone(&ctx))));
        duties.spawn(watched(&broken, fire::run(Arc::clone(&ctx))));
        duties.spawn(watched(&broken, prune::run(Arc::clone(&ctx))));
        for app in &ctx.apps {
            duties.spawn(restarted(Arc::clone(&ctx), Arc::clone(app), sweep::run));
            duties.spawn(restarted(Arc::clone(&ctx), Arc::clone(app), follow::run));
            duties.spawn(restarted(Arc::clone(&ctx), Arc::clone(app), end::run));
            duties.spawn(restarted(Arc::clone(&ctx), Arc::clone(app), media::run));
        }
        duties.close();

        let whole = tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = broken.cancelled() => {
                // Whatever else waits for the end of this worker ends too.
                stop.cancel();
                // The answer to somebody else's statement can be more than the driver bears.
                let pooler = ctx.store.refuse_transaction_pooler().await;
                if let Err(why @ StoreError::Pooler) = pooler {
                    tracing::error!(%why, "this worker must not go on; it stops");
                    Err(why.into())
                } else {
                    tracing::error!("a fault in callq: a duty of this worker has ended; it stops");
                    Err(WorkerError::Broken)
                }
            }
            why = ground::lost(&ctx, &program, schema) => {
                tracing::error!(%why, "this worker must not go on; it stops");
                stop.cancel();
                Err(why.into())
            }
        };
        tracing::info!("stopping: requests under way are finished, nothing more is claimed");
        ctx.stop.cancel();
        ctx.beat_now.notify_one();
        duties.wait().await;
        ctx.tasks.close();
        ctx.tasks.wait().await;
        no_more.cancel();
        let unwritten = recording.await;
        ended.cancel();
        if timeout(LEAVING, beating).await.is_err() {
            tracing::debug!("the database is too slow to be told that the worker ends");
        }
        ctx.store.close().await;
        match unwritten {
            Ok(0) => whole?,
            Ok(results) => return Err(WorkerError::Unrecorded(results)),
            Err(_) => return whole.and(Err(WorkerError::Broken)),
        }
        tracing::info!("stopped; every result is written");
        Ok(())
    }
}

/// A duty, and word of its end. None ends before it is asked to: one that does has panicked, and a
/// worker that lived on without it would be silent.
fn watched<D: Future>(
    broken: &CancellationToken,
    duty: D,
) -> impl Future<Output = D::Output> + use<D> {
    let ended = broken.clone().drop_guard();
    async move {
        let _ended = ended;
        duty.await
    }
}

/// A duty that rings nobody: whatever is wrong with it is no reason to stop ringing. It ends with
/// the context, and is begun anew if it panics.
async fn restarted<D>(ctx: Arc<Context>, app: Arc<App>, duty: fn(Arc<Context>, Arc<App>) -> D)
where
    D: Future<Output = ()> + Send + 'static,
{
    while !ctx.stop.is_cancelled() {
        let done = tokio::spawn(duty(Arc::clone(&ctx), Arc::clone(&app))).await;
        if done.is_err() {
            tracing::error!(
                app = app.name,
                "a fault in callq: following calls, or their media, has ended, and is begun anew"
            );
            ctx.sleep_or_stop(RESTART_AFTER).await;
        }
    }
}

/// A lease must outlive the longest request and its recording, or a call could be claimed twice.
fn check_lease(config: &WorkerConfig) -> Result<(), WorkerError> {
    let request = config
        .apps
        .iter()
        .map(|a| a.client.request_timeout())
        .max()
        .unwrap_or_default();
    // Twice the margin: one is kept free before the request, the other is for the claim itself.
    let least = request + 2 * RECORDING_MARGIN;
    if config.lease < least {
        return Err(WorkerError::Lease {
            lease_ms: config.lease.as_millis(),
            request_ms: request.as_millis(),
            least_ms: least.as_millis(),
        });
    }
    Ok(())
}

/// Host, process and four random digits, so that a restarted worker never has an earlier one's
/// name.
fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "worker",
        host => host,
    };
    format!("{host}-{}-{:04x}", std::process::id(), fastrand::u16(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_duty_that_panics_is_missed() {
        let broken = CancellationToken::new();
        let duty = watched(&broken, async { panic!("on purpose") });
        let ended: Result<(), _> = tokio::spawn(duty).await;
        assert!(ended.is_err());
        assert!(broken.is_cancelled());
    }
}
