//! Faults that a test or a developer scripts: what goes wrong, for whom, and how often.

use serde::{Deserialize, Serialize};

use super::ingest::IngestCode;
use super::record::Seen;

/// How the commands that read records begin.
const RECORD_COMMANDS: &str = "get_record_by_";
/// How the actions of streams end, which are played and stopped while calls are made.
const INGEST_ACTIONS: &str = "StreamIngest";
/// The longest delay that can be scripted.
const MAX_DELAY_MS: u64 = 600_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Nothing but [`Fault::delayed_ms`]: the usual answer, late.
    Delay,
    /// A `FAIL` envelope with this `ErrorCode` (not 0).
    ErrorCode(i64),
    /// A reply of API 3.0 that refuses with this code, for an action of streams.
    IngestError(IngestCode),
    /// This HTTP status with a page of HTML, as a proxy on the way would answer.
    HttpStatus(u16),
    /// The connection is closed as soon as a request arrives on it, before a byte of it is read.
    /// It cannot be matched, delayed or ring, and it is not in the ledger, because nobody read it;
    /// `closed_unread` of the statistics counts it. Requests to `/sandbox/` are spared.
    CloseBeforeReading,
    /// The whole request is read, then the connection is closed.
    CloseAfterReading,
    /// HTTP 200 with a body that is not JSON.
    Garbage,
    /// The whole request is read and nothing is ever answered, until the client hangs up.
    Stall,
    /// HTTP 200 with the usual envelope, cut in the middle by the end of the connection.
    TruncatedBody,
    /// HTTP 307 to the same URL.
    Redirect,
    /// 60007 (of a stream: `RequestLimitExceeded`) for each matching request above this many in a
    /// sliding second; the others pass, and [`Fault::times`] counts only those refused.
    ThrottleAbove(u32),
}

/// Which requests a fault is for; a pattern that is `None` matches all.
///
/// A pattern is the exact text, or the beginning of it followed by `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Only {
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callee: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    robot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
}

/// A scripted fault. Built here in process, or read from the JSON of `POST /sandbox/faults`:
///
/// ```json
/// {"fault": {"error_code": 60008}, "match": {"callee": "jack", "robot": "r-*", "room": "1"},
///  "times": 3, "delay_ms": 50, "rings": true}
/// ```
///
/// `match` may also name a `command`, as in `get_call_info`. `fault` alone is required: one of
/// `"delay"`, `{"error_code": N}`, `{"ingest_error": "CODE"}`, `{"http_status": N}`,
/// `"close_before_reading"`, `"close_after_reading"`, `"garbage"`, `"stall"`, `"truncated_body"`,
/// `"redirect"`, `{"throttle_above": N}`, see [`FaultKind`]. The other keys are the methods of this
/// type: what `match` leaves out matches all (`*` at the end stands for any ending), no `times` is
/// until cleared, and `rings` is whether the request is worked on before its answer is spoilt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(rename = "fault")]
    pub(super) kind: FaultKind,
    #[serde(rename = "match", default)]
    only: Only,
    #[serde(default)]
    pub(super) times: Option<u32>,
    #[serde(default)]
    pub(super) delay_ms: u64,
    #[serde(default)]
    rings: Option<bool>,
}

/// Why a fault cannot be scripted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fault cannot be scripted: {0}")]
pub struct FaultError(&'static str);

impl Fault {
    /// A fault for every request until it is cleared.
    ///
    /// Unless told otherwise, a fault that loses the answer (delay, close after reading, garbage,
    /// stall, truncated body) lets the phone ring, and the others do not.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            only: Only::default(),
            times: None,
            delay_ms: 0,
            rings: None,
        }
    }

    /// Only for requests of this command, as in `get_call_info`. A fault that names none meets all
    /// but the reading of records and the actions of streams: whoever follows calls does that all
    /// the time, and would use up what is meant for calls.
    #[must_use]
    pub fn for_command(mut self, command: &str) -> Self {
        self.only.command = Some(command.to_owned());
        self
    }

    /// Only for requests with this callee among the others; `*` at the end matches any ending.
    #[must_use]
    pub fn for_callee(mut self, callee: &str) -> Self {
        self.only.callee = Some(callee.to_owned());
        self
    }

    /// Only for requests of this robot; `*` at the end matches any ending.
    #[must_use]
    pub fn for_robot(mut self, robot: &str) -> Self {
        self.only.robot = Some(robot.to_owned());
        self
    }

    /// Only for requests with this room; `*` at the end matches any ending.
    #[must_use]
    pub fn for_room(mut self, room: &str) -> Self {
        self.only.room = Some(room.to_owned());
        self
    }

    /// Only for the next `times` matching requests (at least 1); then it clears itself.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Waits this long after reading before the answer, at most 10 minutes.
    #[must_use]
    pub fn delayed_ms(mut self, delay_ms: u64) -> Self {
        self.delay_ms = delay_ms;
        self
    }

    /// The request is verified and rings as usual; only its answer is spoilt.
    #[must_use]
    pub fn that_rings(mut self) -> Self {
        self.rings = Some(true);
        self
    }

    /// The request is read and recorded, and nobody is rung.
    #[must_use]
    pub fn that_rings_nobody(mut self) -> Self {
        self.rings = Some(false);
        self
    }

    /// Whether the request is worked on before its answer is spoilt.
    pub(super) fn rings(&self) -> bool {
        self.rings.unwrap_or(match self.kind {
            FaultKind::Delay
            | FaultKind::CloseAfterReading
            | FaultKind::Garbage
            | FaultKind::Stall
            | FaultKind::TruncatedBody => true,
            FaultKind::ErrorCode(_)
            | FaultKind::IngestError(_)
            | FaultKind::HttpStatus(_)
            | FaultKind::CloseBeforeReading
            | FaultKind::Redirect
            | FaultKind::ThrottleAbove(_) => false,
        })
    }

    /// Whether it makes sense.
    pub(super) fn check(&self) -> Result<(), FaultError> {
        let error = |sentence| Err(FaultError(sentence));
        if self.times == Some(0) {
            return error("times must be at least 1");
        }
        if self.delay_ms > MAX_DELAY_MS {
            return error("delay_ms must be at most 600000");
        }
        match self.kind {
            FaultKind::Delay if self.delay_ms == 0 => error("delay needs delay_ms"),
            FaultKind::Delay if self.rings == Some(false) => {
                error("delay changes only when the answer comes, so it rings as usual")
            }
            FaultKind::ErrorCode(_) if self.is_of_ingest() => {
                error("error_code is of calls: streams take ingest_error")
            }
            FaultKind::IngestError(_) if !self.is_of_ingest() => {
                error("ingest_error needs a command of streams, as in StartStreamIngest")
            }
            FaultKind::ErrorCode(0) => error("error_code must not be 0"),
            FaultKind::HttpStatus(status) if !(200..=599).contains(&status) => {
                error("http_status must be from 200 to 599")
            }
            FaultKind::CloseBeforeReading
                if self.only != Only::default() || self.delay_ms > 0 || self.rings.is_some() =>
            {
                error("close_before_reading reads nothing, so it takes only times")
            }
            FaultKind::ThrottleAbove(_) if self.rings == Some(true) => {
                error("throttle_above refuses, so it cannot ring")
            }
            _ => Ok(()),
        }
    }

    /// Whether it is for an action of streams.
    fn is_of_ingest(&self) -> bool {
        let command = self.only.command.as_deref();
        command.is_some_and(|name| name.ends_with(INGEST_ACTIONS))
    }

    /// Whether this request is meant.
    pub(super) fn matches(&self, seen: &Seen) -> bool {
        let Only {
            command,
            callee,
            robot: of_robot,
            room: in_room,
        } = &self.only;
        let room = seen.room_id.as_deref();
        let is_named_only =
            seen.command.starts_with(RECORD_COMMANDS) || seen.command.ends_with(INGEST_ACTIONS);
        command
            .as_ref()
            .map_or(!is_named_only, |pattern| fits(pattern, &seen.command))
            && callee
                .as_ref()
                .is_none_or(|pattern| seen.callees.iter().any(|name| fits(pattern, name)))
            && of_robot
                .as_ref()
                .is_none_or(|pattern| fits(pattern, &seen.robot))
            && in_room
                .as_ref()
                .is_none_or(|pattern| room.is_some_and(|name| fits(pattern, name)))
    }
}

pub(super) fn fits(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |beginning| name.starts_with(beginning))
}
