//! Tencent's side of the wire: reads a request whole, has it decided, and answers in that form.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use http_body::Frame;
use serde::Serialize;

use super::body_rules::Body as Written;
use super::command::{Asked, Command};
use super::connection::HangUp;
use super::decision::{Form, Reply};
use super::desk::Desk;
use super::ingest;
use super::record::Seen;
use super::url_rules::{self, Parameters};
use super::work::Received;

/// Nobody's request is this long; what lies beyond is not read.
const MAX_READ_BYTES: usize = 1024 * 1024;

/// What a proxy on the way would say.
const HTML: &str = "<html><head><title>error</title></head><body>\
    <center><h1>error</h1></center><hr><center>sandbox</center></body></html>\r\n";

/// Answers everything outside `/sandbox/`.
pub(super) async fn answer(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(hang_up): ConnectInfo<HangUp>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    // A client that went away before its request was read whole was not heard.
    let Some(body) = read(body).await else {
        return nothing(&hang_up);
    };
    if ingest::is_meant(&head) {
        let reply = ingest::answer(&desk, &head, &body);
        // Signatures of API 3.0 are judged by the clock, so it is what their answers are dated by.
        let date_ms = desk.time.unix_seconds().saturating_mul(1000);
        return respond(reply, date_ms, &hang_up, &head.uri).await;
    }
    let body = Written::parse(&body);
    let parameters = Parameters::parse(head.uri.query().unwrap_or_default());
    let command = Command::of(head.uri.path());
    let reply = desk.receive(Received {
        command,
        seen: Seen::of(head.uri.path(), &parameters, &body),
        caller: url_rules::check_target(&head.method, head.uri.path()).and_then(|()| {
            url_rules::check_caller(&parameters, &desk.apps(), desk.time.unix_seconds())
        }),
        // Of a path that is no command nothing but the path is looked at.
        asked: command.map_or(Ok(Asked::Call), |command| command.read(&body)),
    });
    respond(reply, desk.time.now_ms(), &hang_up, &head.uri).await
}

/// The answer on the wire, when its time has come.
async fn respond<E: Serialize>(
    reply: Reply<E>,
    date_ms: i64,
    hang_up: &HangUp,
    uri: &Uri,
) -> Response {
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    match reply.form {
        Form::Envelope(envelope) => dated(json(Body::from(text(&envelope))), date_ms),
        Form::Truncated(envelope) => dated(truncated(&text(&envelope)), date_ms),
        Form::Html(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            (status, Html(HTML)).into_response()
        }
        Form::Garbage => json(Body::from("{\"ErrorCode\": 0, this is not JSON")),
        Form::Close => nothing(hang_up),
        // Ends when the client hangs up or the sandbox shuts down: either drops this future.
        Form::Stall => std::future::pending().await,
        Form::Redirect => redirect(uri),
    }
}

/// The whole body, or its first [`MAX_READ_BYTES`]; `None` if the client did not send all of it.
async fn read(mut body: Body) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    while whole.len() < MAX_READ_BYTES {
        match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            None => break,
            Some(Ok(frame)) => whole.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Some(Err(_)) => return None,
        }
    }
    Some(whole)
}

fn text(envelope: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(envelope).expect("an envelope of strings and numbers is JSON")
}

fn json(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// With the sandbox's time as its date, which is Tencent's clock to a client.
fn dated(mut response: Response, now_ms: i64) -> Response {
    let date = chrono::DateTime::from_timestamp_millis(now_ms);
    let date = date.map(|date| date.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    let date = date.and_then(|date| HeaderValue::try_from(date).ok());
    if let Some(date) = date {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// Hangs up; the response is never written, because the connection refuses to.
fn nothing(hang_up: &HangUp) -> Response {
    hang_up.now();
    StatusCode::NO_CONTENT.into_response()
}

fn redirect(uri: &Uri) -> Response {
    let location = uri
        .path_and_query()
        .map_or_else(String::new, ToString::to_string);
    (
        StatusCode::TEMPORARY_REDIRECT,
        [(header::LOCATION, location)],
    )
        .into_response()
}

/// Promises the whole text and ends the connection after half of it.
fn truncated(text: &[u8]) -> Response {
    let half = Bytes::copy_from_slice(&text[..text.len() / 2]);
    let mut response = json(Body::new(Half::Unsent(half)));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, text.len().into());
    response
}

/// A body that breaks off.
enum Half {
    Unsent(Bytes),
    Sent,
    Flushed,
}

impl HttpBody for Half {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let half = self.get_mut();
        match std::mem::replace(half, Self::Flushed) {
            Self::Unsent(bytes) => {
                *half = Self::Sent;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            // One more turn: hyper flushes what it has while a body is not ready.
            Self::Sent => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Flushed => Poll::Ready(Some(Err("scripted to break off"))),
        }
    }
}
