//! What is asked for, in Tencent's spelling.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::room_types::IngestRoomTypes;
use crate::call::Room;

/// Tencent takes so many requests of one action in a second, of all workers together (57834 to
/// 57836).
pub const INGEST_REQUESTS_PER_SECOND: u32 = 20;

/// A stream that is to be played into a room. `Debug` shows neither URL nor `UserSig`.
#[derive(Clone, Copy)]
pub struct StartIngest<'a> {
    /// The call's room.
    pub room: &'a Room,
    /// Who plays: the call's robot, so that callees see it as who called.
    pub robot_account: &'a str,
    /// The robot's own ([`UserSigs::of_account`](crate::tencent::UserSigs::of_account)).
    pub user_sig: &'a SecretString,
    /// What is played. It may carry a token, so it is never shown.
    pub stream_url: &'a str,
    /// How often: -1 (until stopped) or 1 to 1000; Tencent's default is once.
    pub repeat: Option<i16>,
    /// How long at most, in minutes, 1 to 10080: with a `repeat` of -1 alone, Tencent has it
    /// without effect otherwise.
    pub max_minutes: Option<u16>,
    /// 0 to 100, which is Tencent's default.
    pub volume: Option<u8>,
}

impl StartIngest<'_> {
    /// The body. What was not given is absent.
    pub(super) fn body(&self, sdk_app_id: u32, room_types: IngestRoomTypes) -> Value {
        let mut body = json!({
            "SdkAppId": sdk_app_id,
            "RoomId": self.room.id(),
            "RoomIdType": room_types.number(self.room.id_type()),
            "UserId": self.robot_account,
            "UserSig": self.user_sig.expose_secret(),
            "StreamUrl": self.stream_url,
        });
        let given = [
            ("RepeatNum", self.repeat.map(i64::from)),
            ("MaxDuration", self.max_minutes.map(i64::from)),
            ("Volume", self.volume.map(i64::from)),
        ];
        let given = given.into_iter();
        let given: Map<String, Value> = given
            .filter_map(|(key, number)| Some((key.to_owned(), number?.into())))
            .collect();
        body.as_object_mut()
            .expect("it was made as an object")
            .extend(given);
        body
    }
}

impl fmt::Debug for StartIngest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartIngest")
            .field("room", &self.room)
            .field("robot_account", &self.robot_account)
            .finish_non_exhaustive()
    }
}

/// The body of the two actions about a stream that was started.
pub(super) fn about_task(sdk_app_id: u32, task_id: &str) -> Value {
    json!({ "SdkAppId": sdk_app_id, "TaskId": task_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::RoomIdType;

    #[test]
    fn the_body_has_tencents_spelling_and_what_was_given_alone() {
        let room = Room::new("42", RoomIdType::Digits).expect("it is one");
        let user_sig = SecretString::from("eJx-sig");
        let start = StartIngest {
            room: &room,
            robot_account: "robot",
            user_sig: &user_sig,
            stream_url: "https://a.example/x.mp4?token=s3cret",
            repeat: None,
            max_minutes: None,
            volume: None,
        };
        let least = json!({"SdkAppId": 7, "RoomId": "42", "RoomIdType": 1, "UserId": "robot",
            "UserSig": "eJx-sig", "StreamUrl": "https://a.example/x.mp4?token=s3cret"});
        assert_eq!(start.body(7, IngestRoomTypes::Reference), least);
        let all = StartIngest {
            repeat: Some(-1),
            max_minutes: Some(30),
            volume: Some(0),
            ..start
        };
        let body = all.body(7, IngestRoomTypes::SourcePage);
        let numbers = ["RoomIdType", "RepeatNum", "MaxDuration", "Volume"].map(|key| &body[key]);
        assert_eq!(numbers, [&json!(0), &json!(-1), &json!(30), &json!(0)]);
        let shown = format!("{all:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("eJx-sig"),
            "{shown}"
        );
    }
}
