//! Duty: tells the database which apps are served, so that people can see a job that nobody serves.

use std::sync::Arc;
use std::time::Duration;

use super::app::App;
use super::context::Context;
use crate::store::{ServeRefused, Served, Store, StoreError};

/// How often it is said; 20 s of silence mean that nobody serves the app.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Says it until the context is stopped.
pub(super) async fn run(ctx: Arc<Context>) {
    while ctx.sleep_or_stop(SAID_EVERY).await {
        for app in &ctx.apps {
            match serve(&ctx.store, app).await {
                Ok(Ok(())) => {}
                Ok(Err(ServeRefused)) => tracing::error!(app = app.name, "{}", refusal(app)),
                Err(error) => ctx.health.failed(&error),
            }
        }
    }
}

/// Says that `app` is served.
pub(super) async fn serve(
    store: &Store,
    app: &App,
) -> Result<Result<(), ServeRefused>, StoreError> {
    let host = app.client.host();
    let served = Served {
        app: app.name.clone(),
        sdk_app_id: app.client.user_sigs().sdk_app_id(),
        kind: host.kind().as_str(),
        host: host.to_string(),
        calls_per_second: app.calls_per_second,
        defaults: app.defaults.clone(),
    };
    store.serve(&served).await
}

/// Why a worker does not claim an app's jobs, in one sentence.
pub(super) fn refusal(app: &App) -> String {
    let host = app.client.host();
    format!(
        "app {:?} is not served: this database has it as an app of the other kind, and the host \
         {host} \
         is {}; a {} worker would mark real jobs wrongly. Use another app name or another database",
        app.name,
        host.kind().as_str(),
        host.kind().as_str(),
    )
}
