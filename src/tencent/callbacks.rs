//! Reading the bodies of callbacks (68940, 68941, 69215): lenient in every word, and never a panic,
//! because anybody may send them.

use serde_json::Value;

use super::lenient::{Fields, plain};
use super::records::{record, users};
use crate::call::{CallbackCommand, CallbackEvent, Happened, MemberAction, MemberChange, readable};

/// What every callback is answered, with HTTP 200. Tencent does not look at it.
pub const CALLBACK_ACKNOWLEDGEMENT: &str = r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}"#;

/// Why a body is no callback of a call. Its text quotes no more than a command's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// No JSON object.
    #[error("the body is not a JSON object")]
    NotJson,
    /// A callback of something else, as of Chat on the same URL.
    #[error("the command {0} is not one of a call's")]
    OtherCommand(String),
    /// Neither the URL nor the body says what it tells.
    #[error("nothing says which callback it is")]
    NoCommand,
    /// It names no call.
    #[error("it has no CallId")]
    NoCall,
}

/// Reads a callback. `command` is `CallbackCommand` of the URL, which counts if the body has none;
/// without either, the fields tell.
///
/// # Errors
/// A [`CallbackError`] if it is no callback of a call. The body is worth keeping all the same.
pub fn read_callback(command: Option<&str>, body: &[u8]) -> Result<CallbackEvent, CallbackError> {
    let body: Value = serde_json::from_slice(body).map_err(|_| CallbackError::NotJson)?;
    if !body.is_object() {
        return Err(CallbackError::NotJson);
    }
    let fields = Fields::of(&body);
    let named = fields.text("CallbackCommand");
    let named = named.as_deref().or(command.filter(|name| !name.is_empty()));
    let command = match named {
        Some(name) => {
            named_command(name).ok_or_else(|| CallbackError::OtherCommand(readable(name)))
        }
        None => shape(fields).ok_or(CallbackError::NoCommand),
    }?;
    let (call_id, happened) = match command {
        CallbackCommand::AfterStartCall => started(fields),
        CallbackCommand::AfterMemberChanged => changed(fields),
        CallbackCommand::AfterEndCall => ended(fields),
    }
    .ok_or(CallbackError::NoCall)?;
    Ok(CallbackEvent {
        call_id,
        event_at_ms: fields.time_ms("EventTime"),
        happened,
    })
}

/// The command of this name, with or without what stands before its verb.
fn named_command(name: &str) -> Option<CallbackCommand> {
    let name = plain(name);
    let all = CallbackCommand::ALL.into_iter();
    let mut known = all.filter(|command| plain(command.as_str()) == name);
    known.next()
}

/// The command that such fields belong to.
fn shape(fields: Fields<'_>) -> Option<CallbackCommand> {
    if fields.has("CallRecord") {
        Some(CallbackCommand::AfterEndCall)
    } else if fields.has("ChangedUserList") {
        Some(CallbackCommand::AfterMemberChanged)
    } else if fields.has("CallInfo") {
        Some(CallbackCommand::AfterStartCall)
    } else {
        None
    }
}

fn started(fields: Fields<'_>) -> Option<(String, Happened)> {
    let info = fields.object("CallInfo");
    let call_id = info.text("CallId").or_else(|| fields.text("CallId"))?;
    let happened = Happened::Started {
        room_id: info.text("RoomId"),
        room_id_type: info.room_id_type(),
        users: users(fields),
    };
    Some((call_id, happened))
}

fn changed(fields: Fields<'_>) -> Option<(String, Happened)> {
    let change = |item| {
        let fields = Fields::of(item);
        let account = fields.text("User_Account")?;
        let word = fields.text("ActionType").unwrap_or_default();
        let action = action(word);
        Some(MemberChange { account, action })
    };
    let changed = fields.list("ChangedUserList").iter();
    let happened = Happened::MemberChanged {
        users: users(fields),
        changes: changed.filter_map(change).collect(),
    };
    Some((fields.text("CallId")?, happened))
}

fn ended(fields: Fields<'_>) -> Option<(String, Happened)> {
    let record = record(fields.object("CallRecord"))?;
    Some((record.call_id.clone(), Happened::Ended(record)))
}

/// `ActionType`: the comment of the page's sample and its table differ.
fn action(word: String) -> MemberAction {
    match plain(&word).as_str() {
        "answer" | "accept" => MemberAction::Answer,
        "reject" => MemberAction::Reject,
        "notanswer" => MemberAction::NotAnswer,
        "hangup" => MemberAction::HangUp,
        "join" => MemberAction::Join,
        "offline" => MemberAction::Offline,
        "invite" | "invited" => MemberAction::Invite,
        "cancelinvite" | "canncelinvite" => MemberAction::CancelInvite,
        "callbusy" | "busy" => MemberAction::Busy,
        _ => MemberAction::Other(word),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::{Ended, LiveUser, Presence, RoomIdType};

    fn read(body: &Value) -> Result<CallbackEvent, CallbackError> {
        read_callback(None, body.to_string().as_bytes())
    }

    #[test]
    fn a_start_with_numbers_for_ids_ties_the_call_to_its_room() {
        let event = read(&json!({"CallbackCommand": "Call.CallbackAfterStartCall",
            "CallInfo": {"CallId": "c-1", "CallMediaType": "Video", "ChatGroupId": "",
            "RoomId": 42, "RoomIdType": "1"}, "EventTime": 1_740_464_128_807_i64,
            "UserList": [{"User_Account": 144_115_212_830_834_855_i64, "Status": "Waiting"}]}))
        .expect("it is a callback");
        assert_eq!(event.command(), CallbackCommand::AfterStartCall);
        assert_eq!(event.event_at_ms, Some(1_740_464_128_807));
        let users = vec![LiveUser {
            account: "144115212830834855".to_owned(),
            presence: Presence::Waiting,
        }];
        let (room_id, room_id_type) = (Some("42".to_owned()), Some(RoomIdType::Digits));
        let expected = Happened::Started {
            room_id,
            room_id_type,
            users,
        };
        assert_eq!((event.call_id.as_str(), event.happened), ("c-1", expected));
    }

    #[test]
    fn actions_are_known_in_both_of_their_spellings() {
        for (word, expected) in [
            ("Answer", MemberAction::Answer),
            ("Accept", MemberAction::Answer),
            ("Reject", MemberAction::Reject),
            ("NotAnswer", MemberAction::NotAnswer),
            ("Hangup", MemberAction::HangUp),
            ("Hang Up", MemberAction::HangUp),
            ("hang_up", MemberAction::HangUp),
            ("Join", MemberAction::Join),
            ("Offline", MemberAction::Offline),
            ("Invite", MemberAction::Invite),
            ("Invited", MemberAction::Invite),
            ("Cancel_Invite", MemberAction::CancelInvite),
            ("Canncel_Invite", MemberAction::CancelInvite),
            ("Wave", MemberAction::Other("Wave".to_owned())),
        ] {
            let event = read(
                &json!({"CallbackCommand": "Call.CallbackAfterMemberChanged",
                "CallId": "c-1", "UserList": [], "EventTime": "5",
                "ChangedUserList": [{"User_Account": "ann", "ActionType": word}]}),
            );
            let event = event.expect("it is a callback");
            let Happened::MemberChanged { changes, .. } = event.happened else {
                panic!("{word}: {event:?}")
            };
            assert_eq!(changes[0].action, expected, "{word}");
            assert_eq!(event.event_at_ms, Some(5));
        }
    }

    #[test]
    fn an_end_carries_a_record() {
        let record = json!({"CallId": "c-1", "CallResult": "Offline"});
        let event = read(&json!({"CallRecord": record, "EventTime": 0}));
        let event = event.expect("the fields tell which it is");
        assert_eq!(
            (event.command(), event.event_at_ms),
            (CallbackCommand::AfterEndCall, None)
        );
        assert!(
            matches!(event.happened, Happened::Ended(record) if record.ended == Ended::Offline)
        );
    }

    #[test]
    fn the_body_tells_the_command_before_the_url_does() {
        let change = json!({"CallId": "c-1", "ChangedUserList": []});
        let text = change.to_string();
        let of = |command| read_callback(command, text.as_bytes()).map(|e| e.command());
        assert_eq!(of(None), Ok(CallbackCommand::AfterMemberChanged));
        assert_eq!(of(Some("")), Ok(CallbackCommand::AfterMemberChanged));
        assert_eq!(
            of(Some("call.callbackaftermemberchanged")),
            Ok(CallbackCommand::AfterMemberChanged)
        );
        let other = CallbackError::OtherCommand("State.StateChange".to_owned());
        assert_eq!(of(Some("State.StateChange")), Err(other));
        let named = json!({"CallbackCommand": "Call.CallbackAfterMemberChanged", "CallId": 7});
        let event = read_callback(Some("x"), named.to_string().as_bytes());
        assert_eq!(event.map(|event| event.call_id), Ok("7".to_owned()));
    }

    #[test]
    fn what_is_no_callback_is_an_error_that_says_why() {
        for (body, error) in [
            ("", CallbackError::NotJson),
            ("[]", CallbackError::NotJson),
            ("{}", CallbackError::NoCommand),
            (r#"{"CallInfo":{"RoomId":"r"}}"#, CallbackError::NoCall),
            (r#"{"CallRecord":{}}"#, CallbackError::NoCall),
            (r#"{"ChangedUserList":[]}"#, CallbackError::NoCall),
        ] {
            assert_eq!(read_callback(None, body.as_bytes()), Err(error), "{body}");
        }
    }
}
