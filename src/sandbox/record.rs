//! One request as the ledger keeps it, and one call that a request started.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::behaviour::PlannedOutcome;
use super::body_rules::Body;
use super::ingest::IngestCode;
use super::url_rules::Parameters;

/// The command of a good request.
const START_CALL: &str = "start_call_by_robot";
/// Names and rooms are kept up to this length; valid ones are far shorter.
const MAX_KEPT_BYTES: usize = 128;
/// As many characters of a name or a room are printed.
const MAX_SHOWN_CHARACTERS: usize = 64;

/// What a request says, read leniently, so that the ledger can show a refused one too.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) command: Cow<'static, str>,
    pub(super) sdk_app_id: Option<u64>,
    pub(super) random: Option<u32>,
    pub(super) robot: String,
    pub(super) callees: Vec<String>,
    pub(super) room_id: Option<String>,
    pub(super) room_id_type: Option<i64>,
    pub(super) media_type: Option<String>,
    pub(super) ring_timeout_ms: Option<u64>,
}

impl Seen {
    pub(super) fn of(path: &str, parameters: &Parameters<'_>, body: &Body) -> Self {
        let empty = Map::new();
        let fields = body.object().unwrap_or(&empty);
        let call_info = fields
            .get("CallInfo")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let listed = |name: &str| fields.get(name).and_then(Value::as_array);
        let called = listed("CalleeList_Account").into_iter().flatten();
        // Accounts that are only asked for are seen as callees, so that faults find them.
        let asked = listed("CheckItem").into_iter().flatten();
        let asked = asked.filter_map(|item| item.get("UserID"));
        let mut callees: Vec<String> = called.chain(asked).filter_map(text).collect();
        callees.shrink_to_fit();
        Self {
            command: command(path),
            sdk_app_id: parameters.sdk_app_id(),
            random: parameters.random(),
            robot: fields
                .get("Robot_Account")
                .and_then(text)
                .unwrap_or_default(),
            callees,
            room_id: call_info.get("RoomId").and_then(text),
            room_id_type: call_info.get("RoomIdType").and_then(Value::as_i64),
            media_type: call_info.get("MediaType").and_then(text),
            ring_timeout_ms: fields.get("Timeout").and_then(Value::as_u64),
        }
    }
}

impl Seen {
    /// A request about a stream.
    pub(super) fn of_ingest(
        action: &str,
        sdk_app_id: Option<u64>,
        robot: Option<String>,
        room_id: Option<String>,
    ) -> Self {
        let robot = robot.map(|robot| kept(&robot));
        Self {
            command: Cow::Owned(kept(action)),
            sdk_app_id,
            callees: robot.iter().cloned().collect(),
            robot: robot.unwrap_or_default(),
            room_id: room_id.map(|room| kept(&room)),
            ..Self::default()
        }
    }
}

/// The last part of the path. The usual one costs a ledger of a million entries nothing.
fn command(path: &str) -> Cow<'static, str> {
    match path.rsplit('/').next().unwrap_or_default() {
        START_CALL => Cow::Borrowed(START_CALL),
        other => Cow::Owned(kept(other)),
    }
}

/// A string, or a number as its text: a room may be either.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(kept(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn kept(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_KEPT_BYTES)].to_owned()
}

/// What a request was answered, or would have been if the client had waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// An envelope with this `ErrorCode`; 0 for a success of API 3.0 too.
    Code(i64),
    /// A reply of API 3.0 that refuses with this code.
    IngestError(IngestCode),
    /// A bare HTTP status with HTML.
    HttpStatus(u16),
    /// Nothing: the connection was closed.
    Closed,
    /// HTTP 200 and no JSON.
    Garbage,
    /// Nothing: the request hangs until the client gives up.
    Stalled,
    /// Half an envelope.
    Truncated,
    /// HTTP 307.
    Redirected,
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::IngestError(code) => f.write_str(code.as_str()),
            Self::HttpStatus(status) => write!(f, "http_{status}"),
            Self::Closed => f.write_str("closed"),
            Self::Garbage => f.write_str("garbage"),
            Self::Stalled => f.write_str("stalled"),
            Self::Truncated => f.write_str("truncated"),
            Self::Redirected => f.write_str("redirected"),
        }
    }
}

/// One request that was read completely. `UserData` and the push are not kept.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Its place in the ledger, from 1.
    pub seq: u64,
    /// When it had been read, in microseconds since the Unix epoch.
    pub received_at_us: i64,
    /// The same on a monotonic clock, in microseconds since the sandbox started; never decreases
    /// from one record to the next.
    pub monotonic_us: u64,
    /// The last part of the path: `start_call_by_robot`, unless the URL was wrong.
    pub command: Cow<'static, str>,
    /// `sdkappid`, if it was a number.
    pub sdk_app_id: Option<u64>,
    /// `random`, if it was a u32.
    pub random: Option<u32>,
    /// `Robot_Account`; empty if there was none.
    pub robot: String,
    /// `CalleeList_Account`; empty if there was none.
    pub callees: Vec<String>,
    /// `CallInfo.RoomId` as text.
    pub room_id: Option<String>,
    /// `CallInfo.RoomIdType`.
    pub room_id_type: Option<i64>,
    /// What it was answered.
    pub answered: Answered,
    /// Whether a phone rang, whatever was answered.
    pub rang: bool,
    /// The call it started.
    pub call_id: Option<Uuid>,
}

/// One request that was read completely and asked for something instead of ringing.
#[derive(Clone, Debug, Serialize)]
pub struct Query {
    /// When it had been read, in microseconds since the Unix epoch.
    pub received_at_us: i64,
    /// Its command, as in `get_call_info`.
    pub command: Cow<'static, str>,
    /// `sdkappid`, if it was a number.
    pub sdk_app_id: Option<u64>,
    /// The accounts that were asked for.
    pub accounts: Vec<String>,
    /// What it was answered.
    pub answered: Answered,
}

/// A call that was started, with what is to become of it.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// The `CallId` that was answered.
    pub call_id: Uuid,
    /// The request that started it, see [`Record::seq`].
    pub seq: u64,
    /// The app it belongs to.
    pub sdk_app_id: u64,
    /// `Robot_Account`.
    pub robot: String,
    /// Who was to be rung.
    pub callees: Vec<CalledParty>,
    /// `CallInfo.RoomId` as text.
    pub room_id: Option<String>,
    /// `CallInfo.RoomIdType`.
    pub room_id_type: Option<i64>,
    /// `CallInfo.MediaType`.
    pub media_type: String,
}

impl Call {
    /// Whether any phone rang.
    #[must_use]
    pub fn rang(&self) -> bool {
        self.callees.iter().any(|party| party.result_code == 0)
    }
}

/// One callee of a call.
#[derive(Clone, Debug, Serialize)]
pub struct CalledParty {
    /// `Callee_Account`.
    pub callee: String,
    /// `ResultCode`; 0 rings.
    pub result_code: i64,
    /// What comes of the ring unless `end_call` ends it; `None` if the phone does not ring.
    pub planned_outcome: Option<PlannedOutcome>,
}

/// One line for a terminal: time (UTC), answer, robot and callees, room, call id.
///
/// Control characters are escaped and long names are cut; no user data is in it.
#[must_use]
pub fn line(record: &Record) -> String {
    let time = chrono::DateTime::from_timestamp_micros(record.received_at_us)
        .map_or_else(String::new, |time| time.format("%H:%M:%S%.3f").to_string());
    let callees: Vec<String> = record.callees.iter().map(|callee| shown(callee)).collect();
    let mut line = format!(
        "{time}  {:<10} {} -> {}",
        record.answered.to_string(),
        shown(&record.robot),
        callees.join(", ")
    );
    if let Some(room) = &record.room_id {
        line.push_str("  room ");
        line.push_str(&shown(room));
    }
    if let Some(call_id) = record.call_id {
        line.push_str("  call ");
        line.push_str(&call_id.to_string());
    }
    line
}

fn shown(name: &str) -> String {
    let name: String = name.chars().take(MAX_SHOWN_CHARACTERS).collect();
    name.escape_debug().to_string()
}
