//! Tencent's side of the wire: what is posted to `/` with `X-TC-Action`.

use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde_json::{Map, Value};

use super::code::IngestCode;
use super::signature;
use super::wanted::Action;
use super::work::{Received, Replied};
use crate::sandbox::decision::Reply;
use crate::sandbox::desk::Desk;
use crate::sandbox::record::Seen;

/// The version of the API (57835).
const VERSION: &str = "2019-07-22";

/// Whether a request is for API 3.0.
pub(in crate::sandbox) fn is_meant(head: &Parts) -> bool {
    head.uri.path() == "/" && head.headers.contains_key("x-tc-action")
}

/// Has a request decided that was read whole.
pub(in crate::sandbox) fn answer(desk: &Desk, head: &Parts, body: &[u8]) -> Reply<Replied> {
    let account = {
        let apps = desk.apps();
        signature::verify(head, body, apps.values(), desk.time.unix_seconds())
    };
    let header = |name| text(&head.headers, name);
    let action = Action::of(header("x-tc-action"));
    let offered = match (action, header("x-tc-version"), header("x-tc-region")) {
        (_, version, _) if version != VERSION => Err(IngestCode::NO_SUCH_VERSION),
        (None, ..) => Err(IngestCode::INVALID_ACTION),
        (_, _, "") => Err(IngestCode::MISSING_REGION),
        (Some(action), _, region) if action.is_offered_in(region) => Ok(action),
        _ => Err(IngestCode::UNSUPPORTED_REGION),
    };
    desk.receive_ingest(&Received {
        seen: seen(header("x-tc-action"), body),
        account,
        action: offered,
        wanted: offered.and_then(|action| action.read(body)),
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// What faults are matched against, and the list of requests keeps: the robot as an account too.
fn seen(action: &str, body: &[u8]) -> Seen {
    let body: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let robot = text("UserId");
    Seen::of_ingest(
        action,
        body.get("SdkAppId").and_then(Value::as_u64),
        robot,
        text("RoomId"),
    )
}
