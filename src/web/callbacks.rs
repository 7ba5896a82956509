//! `POST /callbacks/APP/SECRET`: from a request to its answer.
//!
//! Nothing is acknowledged that is not stored. What cannot be understood is stored too, with the
//! reason: Tencent would send it again in the same words.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http_body::Body as _;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::admission::{Admission, Refusal, Said};
use super::keep::Keeper;
use super::metrics::Metrics;
use crate::call::{CallbackEvent, Happened};
use crate::store::{BODY_BYTES_MAX, ReceivedCallback};
use crate::tencent::{CALLBACK_ACKNOWLEDGEMENT, read_callback};

/// How long a body is waited for. Tencent itself waits 2 s for the answer (IM 34354).
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// A body that is too long is read up to here and thrown away: who is answered while he still sends
/// may lose the answer with the connection.
const DRAINED_BYTES_MAX: usize = 1024 * 1024;

/// What is odd is logged so often at most, since anybody may cause it; all of it is counted.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// What takes callbacks.
pub(super) struct Desk {
    pub(super) admission: Admission,
    pub(super) keeper: Keeper,
    pub(super) metrics: Arc<Metrics>,
    /// When something odd was logged last.
    pub(super) told_at: Mutex<Option<Instant>>,
}

/// The paths of callbacks; every other is answered as one with a wrong secret.
pub(super) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/callbacks/{app}/{secret}", any(take))
        // Whoever puts a query behind a path may put a slash before it.
        .route("/callbacks/{app}/{secret}/", any(take))
        .fallback(nowhere)
        .with_state(desk)
}

async fn nowhere(State(desk): State<Arc<Desk>>) -> Response {
    desk.refuse(Refusal::NotFound)
}

async fn take(
    State(desk): State<Arc<Desk>>,
    path: Result<Path<(String, String)>, PathRejection>,
    method: Method,
    RawQuery(query): RawQuery,
    body: Body,
) -> Response {
    let Ok(Path((app, secret))) = path else {
        return desk.refuse(Refusal::NotFound);
    };
    if !desk.admission.knows(&app, &secret) {
        return desk.refuse(Refusal::NotFound);
    }
    if method != Method::POST {
        return desk.refuse(Refusal::Method);
    }
    match desk.callback(app, &query.unwrap_or_default(), body).await {
        Ok(()) => (
            [(header::CONTENT_TYPE, "application/json")],
            CALLBACK_ACKNOWLEDGEMENT,
        )
            .into_response(),
        Err(refusal) => desk.refuse(refusal),
    }
}

impl Desk {
    fn refuse(&self, refusal: Refusal) -> Response {
        self.metrics.refused(refusal);
        let status = refusal.status();
        let text = status.canonical_reason().unwrap_or_default();
        let mut answer = (status, format!("{text}\n")).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let after = axum::http::HeaderValue::from_static("1");
            answer.headers_mut().insert(header::RETRY_AFTER, after);
        }
        answer
    }

    fn now_and_then(&self, tell: impl FnOnce()) {
        let mut told_at = self.told_at.lock().expect("nothing panics with it");
        if told_at.is_none_or(|at| at.elapsed() > TELL_EVERY) {
            *told_at = Some(Instant::now());
            drop(told_at);
            tell();
        }
    }

    /// Stores a callback of an app whose secret was right.
    async fn callback(&self, app: String, query: &str, body: Body) -> Result<(), Refusal> {
        let now = chrono::Utc::now().timestamp();
        let said = self.admission.admit(&app, query, now).inspect_err(|why| {
            let reason = why.word();
            self.now_and_then(|| {
                tracing::warn!(app, reason, "a callback with the right secret was refused");
            });
        })?;
        let body = read(body).await?;
        let callback = understood(app, &said, body);
        self.metrics.received(&callback, said.names_app);
        if let Some(fault) = &callback.fault {
            self.now_and_then(|| {
                let app = &callback.app;
                tracing::warn!(app, fault, "a callback is stored that was not understood");
            });
        }
        self.keeper.keep(callback).await
    }
}

/// The whole body, if it is not too long and comes in time.
async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let read = timeout(BODY_WITHIN, read_all(body)).await;
    read.unwrap_or(Err(Refusal::TooSlow))
}

async fn read_all(mut body: Body) -> Result<Vec<u8>, Refusal> {
    if body.size_hint().lower() > DRAINED_BYTES_MAX as u64 {
        return Err(Refusal::TooLong);
    }
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Refusal::Incomplete)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        if length <= BODY_BYTES_MAX {
            bytes.extend_from_slice(&data);
        } else if length > DRAINED_BYTES_MAX {
            break;
        }
    }
    if length > BODY_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    Ok(bytes)
}

/// A callback as it is stored, with what is understood of it.
fn understood(app: String, said: &Said, body: Vec<u8>) -> ReceivedCallback {
    let command = said.command.as_deref();
    let digest = Sha256::new()
        .chain_update(command.unwrap_or_default())
        .chain_update([0])
        .chain_update(&body);
    let kept = ReceivedCallback {
        app,
        command: None,
        call_id: None,
        room_id: None,
        event_at_ms: None,
        digest: digest.finalize().into(),
        fault: None,
        body: Vec::new(),
    };
    match read_callback(command, &body) {
        Ok(event) => ReceivedCallback {
            command: Some(event.command().as_str()),
            room_id: room_id(&event),
            call_id: Some(event.call_id),
            event_at_ms: event.event_at_ms,
            body,
            ..kept
        },
        Err(fault) => ReceivedCallback {
            fault: Some(fault.to_string()),
            body,
            ..kept
        },
    }
}

fn room_id(event: &CallbackEvent) -> Option<String> {
    match &event.happened {
        Happened::Started { room_id, .. } => room_id.clone(),
        Happened::Ended(record) => record.room_id.clone(),
        Happened::MemberChanged { .. } => None,
    }
}
