//! Requests and replies in Tencent's spelling, for the client and for a server that stands in.
//!
//! Strict in what is written, and no more than types in what is read: the rules of a request are
//! those of [`StartCall`], and a foreign reply is read by the client, leniently, not with these.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::{OfflinePush, StartCall, UserData, UserId};

/// The body of `start_call_by_robot` (74505). Optional keys that were not given are absent.
///
/// `Debug` shows neither `UserData` nor `OfflinePushInfo`, which hold personal data.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct StartCallBody {
    /// The caller.
    #[serde(rename = "Robot_Account")]
    pub robot_account: String,
    /// Whom to ring.
    #[serde(rename = "CalleeList_Account")]
    pub callees: Vec<String>,
    /// How long to ring, in milliseconds, 10000 to 600000.
    #[serde(rename = "Timeout")]
    pub timeout_ms: u32,
    /// A text of at most 1000 bytes for the callee.
    #[serde(rename = "UserData", default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// The room and the medium.
    #[serde(rename = "CallInfo")]
    pub call_info: CallInfo,
    /// The push for a callee who is offline.
    #[serde(
        rename = "OfflinePushInfo",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub offline_push: Option<Map<String, Value>>,
}

/// `CallInfo` of [`StartCallBody`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallInfo {
    /// `Audio` or `Video`.
    #[serde(rename = "MediaType")]
    pub media_type: String,
    /// The room, a string for both types; Tencent allows leaving it out, callq always gives one.
    #[serde(rename = "RoomId", default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<String>,
    /// 1 for a digital room, 2 for a string room.
    #[serde(
        rename = "RoomIdType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub room_id_type: Option<u8>,
}

impl From<&StartCall> for StartCallBody {
    fn from(call: &StartCall) -> Self {
        let account = |id: &UserId| id.as_str().to_owned();
        Self {
            robot_account: account(call.robot_account()),
            callees: call.callees().iter().map(account).collect(),
            timeout_ms: call.ring_timeout_ms(),
            user_data: call.user_data().map(UserData::as_str).map(str::to_owned),
            call_info: CallInfo {
                media_type: call.media_type().as_str().to_owned(),
                room_id: Some(call.room().id().to_owned()),
                room_id_type: Some(call.room().id_type().number()),
            },
            offline_push: call.offline_push().map(OfflinePush::object).cloned(),
        }
    }
}

impl fmt::Debug for StartCallBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartCallBody")
            .field("robot_account", &self.robot_account)
            .field("callees", &self.callees)
            .field("timeout_ms", &self.timeout_ms)
            .field("call_info", &self.call_info)
            .finish_non_exhaustive()
    }
}

/// The body of `get_call_info` (68932).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetCallInfoBody {
    /// The call that is asked for.
    #[serde(rename = "CallId")]
    pub call_id: String,
}

/// The body of `account_check` (IM 34956).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountCheckBody {
    /// The accounts that are asked for, at most 100.
    #[serde(rename = "CheckItem")]
    pub items: Vec<CheckItem>,
}

/// One account of [`AccountCheckBody`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckItem {
    /// The account.
    #[serde(rename = "UserID")]
    pub user_id: String,
}

impl AccountCheckBody {
    /// A question for these accounts.
    #[must_use]
    pub fn of(user_ids: &[String]) -> Self {
        let item = |user_id: &String| CheckItem {
            user_id: user_id.clone(),
        };
        Self {
            items: user_ids.iter().map(item).collect(),
        }
    }
}

/// The envelope of every reply (68926), with what `start_call_by_robot` puts into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartCallReply {
    /// `OK` or `FAIL`.
    #[serde(rename = "ActionStatus")]
    pub action_status: String,
    /// 0 is success.
    #[serde(rename = "ErrorCode")]
    pub error_code: i64,
    /// Words for the code; empty on success.
    #[serde(rename = "ErrorInfo")]
    pub error_info: String,
    /// What Tencent's support asks for.
    #[serde(rename = "RequestId", default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The call; absent on failure, and some pages never show it.
    #[serde(rename = "Response", default, skip_serializing_if = "Option::is_none")]
    pub response: Option<StartedCall>,
}

/// `Response` of [`StartCallReply`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedCall {
    /// Tencent's id of the call, a uuid.
    #[serde(rename = "CallId")]
    pub call_id: String,
    /// One element for each callee.
    #[serde(rename = "CallResult")]
    pub call_result: Vec<CalleeReply>,
}

/// One callee of [`StartedCall`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalleeReply {
    /// The callee.
    #[serde(rename = "Callee_Account")]
    pub callee: String,
    /// 0 is good; no page lists another value.
    #[serde(rename = "ResultCode")]
    pub result_code: i64,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::collection::{hash_set, vec};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::call::StartCallFields;

    fn call(callees: &[String]) -> StartCallFields<'_> {
        StartCallFields {
            robot_account: "reminder-bot",
            callees,
            media_type: "Audio",
            room_id: "callq_7f3a_1",
            room_id_type: 2,
            ring_timeout_ms: 45_000,
            user_data: None,
            offline_push: None,
        }
    }

    fn body(fields: StartCallFields<'_>) -> Value {
        let call = StartCall::new(fields).expect("the fields are valid");
        serde_json::to_value(StartCallBody::from(&call)).expect("it is valid")
    }

    fn golden(name: &str) -> Value {
        let path = format!(
            "{}/tests/golden/start_call/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        serde_json::from_str(&fs::read_to_string(&path).expect(&path)).expect(&path)
    }

    fn keys(value: &Value) -> Vec<&str> {
        value
            .as_object()
            .map(|o| o.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    #[test]
    fn each_variant_of_the_body_equals_its_golden_file_key_for_key() {
        let jack = ["jack".to_owned()];
        let family = ["ann", "bob", "carol"].map(str::to_owned);
        let push = golden("full_push")["OfflinePushInfo"].clone();
        let cases = [
            ("minimal", call(&jack)),
            (
                "audio",
                StartCallFields {
                    user_data: Some("Grüße, Ann"),
                    ..call(&jack)
                },
            ),
            (
                "video",
                StartCallFields {
                    media_type: "Video",
                    ..call(&jack)
                },
            ),
            (
                "int_room",
                StartCallFields {
                    room_id: "2147483647",
                    room_id_type: 1,
                    ..call(&jack)
                },
            ),
            (
                "string_room",
                StartCallFields {
                    room_id: "ward 7 (left)",
                    ring_timeout_ms: 600_000,
                    ..call(&jack)
                },
            ),
            (
                "group",
                StartCallFields {
                    media_type: "Video",
                    ..call(&family)
                },
            ),
            (
                "full_push",
                StartCallFields {
                    user_data: Some(""),
                    offline_push: Some(push),
                    ..call(&jack)
                },
            ),
        ];
        for (name, fields) in cases {
            let (made, expected) = (body(fields), golden(name));
            assert_eq!(keys(&made), keys(&expected), "{name}");
            assert_eq!(
                keys(&made["CallInfo"]),
                keys(&expected["CallInfo"]),
                "{name}"
            );
            assert_eq!(made, expected, "{name}");
        }
    }

    #[test]
    fn debug_of_a_body_hides_personal_data() {
        let jack = ["jack".to_owned()];
        let call = StartCall::new(StartCallFields {
            user_data: Some("secret"),
            offline_push: Some(json!({"Title": "secret"})),
            ..call(&jack)
        })
        .expect("it is valid");
        let shown = format!("{:?}", StartCallBody::from(&call));
        assert!(
            shown.contains("jack") && !shown.contains("secret"),
            "{shown}"
        );
    }

    fn room() -> impl Strategy<Value = (String, i64)> {
        prop_oneof![
            (1_u32..=2_147_483_647).prop_map(|number| (number.to_string(), 1)),
            "[a-zA-Z0-9 !#$%&()+:;<=.>?@\\[\\]^_{}|~,-]{1,64}".prop_map(|text| (text, 2)),
        ]
    }

    proptest! {
        #[test]
        fn every_valid_call_serialises_and_reads_back_the_same(
            robot in "\\PC{1,8}",
            callees in hash_set("[ -~]{1,32}", 1..20),
            video in any::<bool>(),
            (room_id, room_id_type) in room(),
            ring_timeout_ms in 10_000_i64..=600_000,
            user_data in proptest::option::of("(?s).{0,250}"),
            titles in proptest::option::of(vec("(?s).{0,40}", 2)),
        ) {
            let callees: Vec<String> = callees.into_iter().collect();
            let fields = StartCallFields {
                robot_account: &robot,
                callees: &callees,
                media_type: if video { "Video" } else { "Audio" },
                room_id: &room_id,
                room_id_type,
                ring_timeout_ms,
                user_data: user_data.as_deref(),
                offline_push: titles.map(|t| json!({"Title": t[0], "Desc": t[1], "Later": [t]})),
            };
            let made = StartCall::new(fields.clone()).expect("the fields are valid");
            let text = serde_json::to_string(&StartCallBody::from(&made)).expect("it is valid");
            let read: StartCallBody = serde_json::from_str(&text).expect("it is valid");
            prop_assert_eq!(&read, &StartCallBody::from(&made));
            prop_assert_eq!(&read.robot_account, &robot);
            prop_assert_eq!(&read.callees, &callees);
            prop_assert_eq!(i64::from(read.timeout_ms), ring_timeout_ms);
            prop_assert_eq!(&read.user_data, &user_data);
            prop_assert_eq!(read.call_info.room_id.as_deref(), Some(room_id.as_str()));
            prop_assert_eq!(read.call_info.room_id_type.map(i64::from), Some(room_id_type));
            prop_assert_eq!(read.offline_push.map(Value::Object), fields.offline_push);
        }
    }
}
