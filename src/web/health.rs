//! `/livez`, `/readyz` and `/metrics`.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

/// What is asked when somebody asks.
pub struct Probes {
    /// Whether the process does what it is for, that is, whether the database answers.
    pub ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// The metrics, in Prometheus' text format.
    #[allow(
        clippy::type_complexity,
        reason = "a boxed async function has no shorter name"
    )]
    pub metrics: Box<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync>,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes").finish_non_exhaustive()
    }
}

/// The paths of probes.
///
/// - `/livez`: 200 while the process can answer at all.
/// - `/readyz`: 200 while the process works, otherwise 503.
/// - `/metrics`: the metrics.
pub(super) fn routes(probes: Probes) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(probes))
}

/// Answers probes alone, until `stop` completes.
///
/// # Errors
/// If the listener breaks.
pub async fn serve(
    listener: TcpListener,
    probes: Probes,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, routes(probes))
        .with_graceful_shutdown(stop)
        .await
}

async fn readyz(State(probes): State<Arc<Probes>>) -> impl IntoResponse {
    if (probes.ready)() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database does not answer\n",
        )
    }
}

async fn metrics(State(probes): State<Arc<Probes>>) -> impl IntoResponse {
    let text = (probes.metrics)().await;
    (
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        text,
    )
}
