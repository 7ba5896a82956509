//! `callq web`

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::settings::{ConfigFile, help};
use super::{Failure, logging, signals};
use crate::config::settings::WEB_LISTEN;
use crate::config::{CallbackAppConfig, WebConfig};
use crate::web::{CallbackApp, Receiver, ReceiverConfig};

const EXAMPLES: &str = "Examples:\n  \
    callq web\n  \
    callq web --config /etc/callq/callq.toml --listen 127.0.0.1:9465\n  \
    callq callbacks set     # tells Tencent where it is; see docs/operating.md";

/// Take Tencent's callbacks and store them, until SIGTERM or SIGINT.
///
/// A callback comes to /callbacks/APP/SECRET by POST, is stored in callq.callbacks, and then
/// acknowledged. Takes those of every app that has a callbacks_secret_file, or
/// CALLQ_CALLBACKS_SECRET for the app that the environment describes; of an app's other settings it
/// needs sdk_app_id alone. Logs as the worker's log_format says. Speaks plain HTTP: put a reverse
/// proxy with a certificate before it. Any number may share a database, whose login needs no more
/// than the role callq_web. On the first signal what was read is stored and answered; a second one
/// stops at once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Web {
    /// Take the callbacks of this app of the configuration alone; may be given several times
    #[arg(long = "app", value_name = "NAME")]
    apps: Vec<String>,

    #[arg(long, value_name = "ADDR", allow_hyphen_values = true, help = help(&WEB_LISTEN))]
    listen: Option<String>,
}

impl Web {
    pub(super) async fn run(self, file: &ConfigFile) -> Result<(), Failure> {
        let sources = file.sources_with(&WEB_LISTEN, self.listen.as_deref());
        let WebConfig {
            database_url,
            listen,
            log,
            log_format,
            apps,
        } = sources.web(&self.apps)?;
        logging::init(log_format, &log);
        let stop = signals::stop_on_signal()?;
        let started = Receiver::start(ReceiverConfig {
            database_url: database_url.expose().to_owned(),
            listen,
            apps: apps.into_iter().map(app).collect(),
        });
        let receiver = tokio::select! {
            started = started => started?,
            // Nothing was taken yet.
            () = stop.cancelled() => return Ok(()),
        };
        tracing::info!(
            "taking callbacks on http://{}, with /livez, /readyz and /metrics",
            receiver.address()
        );
        // Waited for: at a quick stop the runtime would end before the task has said so.
        let telling = tokio::spawn(tell_the_service_manager(stop.clone()));
        let ended = receiver.run(stop.clone()).await;
        stop.cancel();
        telling.await?;
        Ok(ended?)
    }
}

fn app(app: CallbackAppConfig) -> CallbackApp {
    CallbackApp {
        name: app.name,
        sdk_app_id: app.sdk_app_id,
        secret: app.secret,
        token: app.token,
    }
}

/// READY=1 now, STOPPING=1 at the end; nothing where nobody listens.
async fn tell_the_service_manager(stop: CancellationToken) {
    let tell = |state| {
        if let Err(error) = sd_notify::notify(&[state]) {
            tracing::debug!(%error, "could not notify the service manager");
        }
    };
    tell(sd_notify::NotifyState::Ready);
    stop.cancelled().await;
    tell(sd_notify::NotifyState::Stopping);
}
