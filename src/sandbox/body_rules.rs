//! Reading a body, and the rules of that of `start_call_by_robot`, checked on its JSON.
//!
//! Documented (74505, 34385, 51015): the fields, their types, `Timeout`, `UserData`, `MediaType`,
//! `RoomIdType`, what a room and a user id may look like. Assumption: that every breach is 101002
//! (a body that is no JSON at all is 60003), that a bare number is accepted as `RoomId` of type 1
//! only, that a `RoomId` needs its type, and the wider of the two documented alphabets for ids.
//! Unknown fields are ignored.

use serde_json::{Map, Value};

use super::push_rules;
use super::refusal::Refusal;

/// Documented limit of the whole body (80002).
const MAX_BODY_BYTES: usize = 12 * 1024;
/// Documented limits of `Timeout`, in milliseconds.
const TIMEOUT_MS: std::ops::RangeInclusive<i64> = 10_000..=600_000;
/// Documented limit of `UserData`, in bytes.
const MAX_USER_DATA_BYTES: usize = 1000;
/// Documented limit of a user id, in bytes.
const MAX_ACCOUNT_BYTES: usize = 32;
/// Documented limit of a string room, in bytes.
const MAX_ROOM_BYTES: usize = 64;
/// What a string room may hold beside letters and digits.
const ROOM_SIGNS: &str = " !#$%&()+-:;<=.>?@[]^_{}|~,";
/// Documented limits of a digital room.
const DIGITAL_ROOM: std::ops::RangeInclusive<i64> = 1..=2_147_483_647;

/// A body as it was read: JSON or not.
pub(super) enum Body {
    Empty,
    TooLarge,
    NotJson,
    Json(Value),
}

impl Body {
    /// Reads the bytes. A body over the limit is not looked into, whatever it holds.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        if bytes.len() > MAX_BODY_BYTES {
            return Self::TooLarge;
        }
        serde_json::from_slice(bytes).map_or(Self::NotJson, Self::Json)
    }

    /// The fields, if it is a JSON object.
    pub(super) fn object(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Json(Value::Object(fields)) => Some(fields),
            _ => None,
        }
    }

    /// The fields, or why there are none.
    pub(super) fn fields(&self) -> Result<&Map<String, Value>, Refusal> {
        match self {
            Self::Empty => return Err(Refusal::because(60_003, "the body is empty")),
            Self::TooLarge => return Err(Refusal::documented(80_002)),
            Self::NotJson => return Err(Refusal::documented(60_003)),
            Self::Json(_) => {}
        }
        self.object()
            .ok_or_else(|| Refusal::field("body", "must be a JSON object"))
    }
}

/// Whether every field of a call keeps its rule.
pub(super) fn check_call(body: &Map<String, Value>) -> Result<(), Refusal> {
    check_accounts(body)?;
    check_timeout(body)?;
    check_user_data(body)?;
    check_call_info(body)?;
    body.get("OfflinePushInfo")
        .map_or(Ok(()), push_rules::check)
}

fn check_accounts(body: &Map<String, Value>) -> Result<(), Refusal> {
    if !body.get("Robot_Account").is_some_and(is_account) {
        return Err(Refusal::field(
            "Robot_Account",
            "must be a user id of 1 to 32 bytes",
        ));
    }
    match body.get("CalleeList_Account").and_then(Value::as_array) {
        Some(callees) if !callees.is_empty() && callees.iter().all(is_account) => Ok(()),
        _ => Err(Refusal::field(
            "CalleeList_Account",
            "must be an array of one or more user ids",
        )),
    }
}

fn is_account(value: &Value) -> bool {
    value.as_str().is_some_and(|account| {
        (1..=MAX_ACCOUNT_BYTES).contains(&account.len())
            && account.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
    })
}

fn check_timeout(body: &Map<String, Value>) -> Result<(), Refusal> {
    match body.get("Timeout").and_then(Value::as_i64) {
        Some(timeout_ms) if TIMEOUT_MS.contains(&timeout_ms) => Ok(()),
        _ => Err(Refusal::field(
            "Timeout",
            "must be an integer from 10000 to 600000",
        )),
    }
}

fn check_user_data(body: &Map<String, Value>) -> Result<(), Refusal> {
    match body.get("UserData") {
        None => Ok(()),
        Some(Value::String(data)) if data.len() <= MAX_USER_DATA_BYTES => Ok(()),
        Some(_) => Err(Refusal::field(
            "UserData",
            "must be a string of at most 1000 bytes",
        )),
    }
}

fn check_call_info(body: &Map<String, Value>) -> Result<(), Refusal> {
    let call_info = body
        .get("CallInfo")
        .and_then(Value::as_object)
        .ok_or_else(|| Refusal::field("CallInfo", "must be an object"))?;
    if !matches!(
        call_info.get("MediaType").and_then(Value::as_str),
        Some("Video" | "Audio")
    ) {
        return Err(Refusal::field(
            "CallInfo.MediaType",
            "must be \"Video\" or \"Audio\"",
        ));
    }
    let room = call_info.get("RoomId");
    match (room, call_info.get("RoomIdType").map(Value::as_i64)) {
        (None, None | Some(Some(1 | 2))) => Ok(()),
        (Some(room), Some(Some(1))) => check_digital_room(room),
        (Some(room), Some(Some(2))) => check_string_room(room),
        _ => Err(Refusal::field(
            "CallInfo.RoomIdType",
            "must be 1 (digits) or 2 (string)",
        )),
    }
}

fn check_digital_room(room: &Value) -> Result<(), Refusal> {
    let number = match room {
        Value::String(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok()
        }
        _ => room.as_i64(),
    };
    match number {
        Some(number) if DIGITAL_ROOM.contains(&number) => Ok(()),
        _ => Err(Refusal::field(
            "CallInfo.RoomId",
            "of type 1 must be from 1 to 2147483647",
        )),
    }
}

fn check_string_room(room: &Value) -> Result<(), Refusal> {
    let is_room = room.as_str().is_some_and(|room| {
        (1..=MAX_ROOM_BYTES).contains(&room.len())
            && room
                .chars()
                .all(|sign| sign.is_ascii_alphanumeric() || ROOM_SIGNS.contains(sign))
    });
    if is_room {
        Ok(())
    } else {
        Err(Refusal::field(
            "CallInfo.RoomId",
            "of type 2 must be a string of 1 to 64 bytes of letters, digits and ASCII signs",
        ))
    }
}
