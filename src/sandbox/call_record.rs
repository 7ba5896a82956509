//! A call as Tencent tells it: its record, its state while it lives, and the bodies of callbacks.
//!
//! The quirks are those of Tencent's own pages: accounts of digits are bare numbers in callbacks
//! (the sample of 68941), the callees of a record include the caller (68940), `RoomIdType` is a
//! string in a list of records (68931), the medium is `CallMediaType` in one sample (68941), and
//! what a member did is spelled as in the comment of 69215's sample or as in its table.

use serde_json::{Value, json};

use super::behaviour::PlannedOutcome;
use super::life::{Act, Moment};
use super::switchboard::Entry;

/// How a word is to be spelled that a page spells in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    OfTheSample,
    OfTheTable,
}

/// `CallRecord` (68930, 68940).
pub(super) fn record(entry: &Entry) -> Value {
    let Entry { call, life, .. } = entry;
    let mut callees: Vec<&str> = call.callees.iter().map(|c| c.callee.as_str()).collect();
    callees.push(&call.robot);
    json!({
        "CallId": call.call_id,
        "Caller_Account": call.robot,
        "MediaType": call.media_type,
        "CallType": call_type(entry),
        "StartTime": life.started_ms.div_euclid(1000),
        "EndTime": life.ends_ms.div_euclid(1000),
        "AcceptTime": life.accepted_ms().map_or(0, |ms| ms.div_euclid(1000)),
        "CallResult": result(entry),
        "CalleeList_Account": callees,
        "RoomId": call.room_id.clone().unwrap_or_default(),
        "RoomIdType": call.room_id_type.unwrap_or(0),
    })
}

/// An element of `CallRecordList` (68931).
pub(super) fn listed_record(entry: &Entry) -> Value {
    let mut record = record(entry);
    let room_id_type = entry.call.room_id_type.unwrap_or(0);
    record["RoomIdType"] = Value::from(room_id_type.to_string());
    record
}

/// `CallType`.
pub(super) fn call_type(entry: &Entry) -> &'static str {
    match entry.life.legs.len() {
        0 | 1 => "SingleCall",
        _ => "MultiCall",
    }
}

/// `CallResult`.
pub(super) fn result(entry: &Entry) -> &'static str {
    match entry.life.result() {
        PlannedOutcome::Answered => "NormalEnd",
        PlannedOutcome::Declined => "Reject",
        PlannedOutcome::Busy => "CallBusy",
        PlannedOutcome::NoAnswer => "NotAnswer",
        PlannedOutcome::Cancelled => "Cancel",
        PlannedOutcome::Interrupted => "Interrupt",
        PlannedOutcome::Unreachable => "Offline",
    }
}

/// The `CallbackCommand` of a moment.
pub(super) fn command(moment: Moment) -> &'static str {
    match moment {
        Moment::Started => "Call.CallbackAfterStartCall",
        Moment::Changed(..) => "Call.CallbackAfterMemberChanged",
        Moment::Ended => "Call.CallbackAfterEndCall",
    }
}

/// The body of the callback about a moment (68940, 68941, 69215).
pub(super) fn callback(entry: &Entry, moment: Moment, at_ms: i64, spelling: Spelling) -> Value {
    let call = &entry.call;
    let mut body = match moment {
        Moment::Started => json!({
            "CallInfo": {
                "CallId": call.call_id,
                "CallMediaType": call.media_type,
                "ChatGroupId": "",
                "RoomId": call.room_id.clone().unwrap_or_default(),
                "RoomIdType": call.room_id_type.unwrap_or(0),
            },
            "UserList": users(entry, at_ms),
        }),
        Moment::Changed(callee, act) => json!({
            "CallId": call.call_id,
            "UserList": users(entry, at_ms),
            "ChangedUserList": [{
                "User_Account": account(&entry.life.legs[callee].callee),
                "ActionType": action(act, spelling),
            }],
        }),
        Moment::Ended => {
            let mut record = record(entry);
            record["Caller_Account"] = account(&call.robot);
            if let Some(callees) = record["CalleeList_Account"].as_array_mut() {
                for callee in callees {
                    *callee = account(callee.as_str().unwrap_or_default());
                }
            }
            json!({ "CallRecord": record })
        }
    };
    body["CallbackCommand"] = Value::from(command(moment));
    body["EventTime"] = Value::from(at_ms);
    body
}

/// The robot and everybody who rings or talks.
fn users(entry: &Entry, now_ms: i64) -> Vec<Value> {
    let legs = entry.life.legs.iter();
    let here = legs.filter_map(|leg| {
        let status = status(leg.rings(now_ms), leg.talks(now_ms))?;
        Some(json!({ "User_Account": account(&leg.callee), "Status": status }))
    });
    let robot = json!({ "User_Account": account(&entry.call.robot), "Status": "Calling" });
    std::iter::once(robot).chain(here).collect()
}

/// `Status`; none for who is not on the call any more.
pub(super) fn status(rings: bool, talks: bool) -> Option<&'static str> {
    match (rings, talks) {
        (true, _) => Some("Waiting"),
        (_, true) => Some("Calling"),
        _ => None,
    }
}

fn action(act: Act, spelling: Spelling) -> &'static str {
    let (sample, table) = match act {
        Act::Answer => ("Answer", "Accept"),
        Act::HangUp => ("Hangup", "Hang Up"),
        Act::Reject => ("Reject", "Reject"),
        Act::NotAnswer => ("NotAnswer", "NotAnswer"),
        Act::Offline => ("Offline", "Offline"),
        Act::CancelInvite => ("Cancel_Invite", "Canncel_Invite"),
    };
    match spelling {
        Spelling::OfTheSample => sample,
        Spelling::OfTheTable => table,
    }
}

/// An account of digits as a bare number, where it stays the same.
fn account(name: &str) -> Value {
    let number = name.parse::<u64>().ok();
    match number.filter(|number| number.to_string() == name) {
        Some(number) => Value::from(number),
        None => Value::from(name),
    }
}
