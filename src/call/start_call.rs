//! The request that rings phones.

use std::collections::HashSet;

use serde_json::Value;

use super::{InvalidField, MediaType, OfflinePush, Room, RoomIdType, UserData, UserId, readable};

/// The most callees of one call: callq's bound, since Tencent documents none. Tencent's own call
/// screen shows nine people with the caller (54743), so more than eight are worth a notice.
pub const CALLEES_MAX: usize = 100;

/// The shortest `Timeout` (74505), in milliseconds.
pub const RING_TIMEOUT_MS_MIN: u32 = 10_000;

/// The longest `Timeout` (74505), in milliseconds.
pub const RING_TIMEOUT_MS_MAX: u32 = 600_000;

/// The values of a row from which a [`StartCall`] is made; nothing is checked yet.
///
/// No `Debug`: it holds personal data.
#[derive(Clone)]
pub struct StartCallFields<'a> {
    /// `robot_account`: the caller.
    pub robot_account: &'a str,
    /// `callees`: whom to ring; several share one room and see each other.
    pub callees: &'a [String],
    /// `media_type`: `Audio` or `Video`.
    pub media_type: &'a str,
    /// The room of this attempt: the job's own, or one made for the attempt.
    pub room_id: &'a str,
    /// `room_id_type`: 1 or 2.
    pub room_id_type: i64,
    /// `ring_timeout_ms`: how long to ring, in milliseconds.
    pub ring_timeout_ms: i64,
    /// `user_data`: a text for the callee.
    pub user_data: Option<&'a str>,
    /// `offline_push`: an object.
    pub offline_push: Option<Value>,
}

/// One valid `start_call_by_robot` request.
///
/// A call to a group is a call with several callees. `Debug` shows neither `user_data` nor
/// `offline_push`.
#[derive(Clone, Debug, PartialEq)]
pub struct StartCall {
    robot_account: UserId,
    callees: Vec<UserId>,
    media_type: MediaType,
    room: Room,
    ring_timeout_ms: u32,
    user_data: Option<UserData>,
    offline_push: Option<OfflinePush>,
}

impl StartCall {
    /// Checks every field of a row.
    ///
    /// # Errors
    /// The first field that breaks its rule, named as the column is, with the rule.
    pub fn new(fields: StartCallFields<'_>) -> Result<Self, InvalidField> {
        Ok(Self {
            robot_account: UserId::new(fields.robot_account)
                .map_err(|e| e.named("robot_account"))?,
            callees: callees(fields.callees)?,
            media_type: MediaType::new(fields.media_type)?,
            room: Room::new(fields.room_id, RoomIdType::new(fields.room_id_type)?)?,
            ring_timeout_ms: ring_timeout_ms(fields.ring_timeout_ms)?,
            user_data: fields.user_data.map(UserData::new).transpose()?,
            offline_push: fields.offline_push.map(OfflinePush::new).transpose()?,
        })
    }

    /// Who calls.
    #[must_use]
    pub const fn robot_account(&self) -> &UserId {
        &self.robot_account
    }

    /// Who is rung: 1 to [`CALLEES_MAX`], none twice, in the order given.
    #[must_use]
    pub fn callees(&self) -> &[UserId] {
        &self.callees
    }

    /// Voice or video.
    #[must_use]
    pub const fn media_type(&self) -> MediaType {
        self.media_type
    }

    /// Where they meet.
    #[must_use]
    pub const fn room(&self) -> &Room {
        &self.room
    }

    /// How long it rings, in milliseconds: 10000 to 600000.
    #[must_use]
    pub const fn ring_timeout_ms(&self) -> u32 {
        self.ring_timeout_ms
    }

    /// The text for the callee, if one was given.
    #[must_use]
    pub const fn user_data(&self) -> Option<&UserData> {
        self.user_data.as_ref()
    }

    /// The push for a callee who is offline, if one was given.
    #[must_use]
    pub const fn offline_push(&self) -> Option<&OfflinePush> {
        self.offline_push.as_ref()
    }
}

fn callees(accounts: &[String]) -> Result<Vec<UserId>, InvalidField> {
    if accounts.is_empty() || accounts.len() > CALLEES_MAX {
        let fault = format!("has {} accounts", accounts.len());
        return Err(InvalidField::new("callees", fault, "1 to 100 accounts"));
    }
    let mut seen = HashSet::with_capacity(accounts.len());
    let mut callees = Vec::with_capacity(accounts.len());
    for (index, account) in accounts.iter().enumerate() {
        let callee = UserId::new(account).map_err(|e| e.named(format!("callees[{index}]")))?;
        if !seen.insert(account) {
            let fault = format!("is \"{}\" a second time", readable(account));
            let field = format!("callees[{index}]");
            return Err(InvalidField::new(
                field,
                fault,
                "an account that is not listed yet",
            ));
        }
        callees.push(callee);
    }
    Ok(callees)
}

fn ring_timeout_ms(value: i64) -> Result<u32, InvalidField> {
    u32::try_from(value)
        .ok()
        .filter(|ms| (RING_TIMEOUT_MS_MIN..=RING_TIMEOUT_MS_MAX).contains(ms))
        .ok_or_else(|| {
            InvalidField::new("ring_timeout_ms", format!("is {value}"), "10000 to 600000")
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(callees: &[String]) -> StartCallFields<'_> {
        StartCallFields {
            robot_account: "reminder-bot",
            callees,
            media_type: "Audio",
            room_id: "room_1",
            room_id_type: 2,
            ring_timeout_ms: 45_000,
            user_data: None,
            offline_push: None,
        }
    }

    fn refusal(change: impl FnOnce(&mut StartCallFields<'_>)) -> String {
        let jack = ["jack".to_owned()];
        let mut fields = fields(&jack);
        change(&mut fields);
        StartCall::new(fields)
            .expect_err("the change breaks a rule")
            .to_string()
    }

    #[test]
    fn every_refusal_names_the_column_the_fault_and_what_is_allowed() {
        let refusals = [
            (
                refusal(|f| f.robot_account = ""),
                "robot_account is empty: must be 1 to 32 bytes",
            ),
            (
                refusal(|f| f.callees = &[]),
                "callees has 0 accounts: must be 1 to 100 accounts",
            ),
            (
                refusal(|f| f.media_type = "audio"),
                "media_type is \"audio\": must be Audio or Video",
            ),
            (
                refusal(|f| f.room_id_type = 0),
                "room_id_type is 0: must be 1 (a room of digits) or 2 (a room named by a text)",
            ),
            (
                refusal(|f| f.room_id_type = 1),
                "room_id is \"room_1\" with room_id_type 1: must be 1 to 2147483647 in digits, \
                 without sign or leading zero",
            ),
            (
                refusal(|f| f.ring_timeout_ms = 9_999),
                "ring_timeout_ms is 9999: must be 10000 to 600000",
            ),
            (
                refusal(|f| f.ring_timeout_ms = i64::MIN),
                "ring_timeout_ms is -9223372036854775808: must be 10000 to 600000",
            ),
            (
                refusal(|f| f.offline_push = Some(json!([]))),
                "offline_push is an array: must be an object",
            ),
        ];
        for (said, expected) in refusals {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn callees_are_1_to_100_different_accounts() {
        let many: Vec<String> = (0..=CALLEES_MAX).map(|n| format!("user_{n}")).collect();
        assert!(StartCall::new(fields(&many[..CALLEES_MAX])).is_ok());
        assert_eq!(
            StartCall::new(fields(&many)).map_err(|e| e.to_string()),
            Err("callees has 101 accounts: must be 1 to 100 accounts".to_owned())
        );
        let twice = ["ann", "bob", "ann"].map(str::to_owned);
        assert_eq!(
            StartCall::new(fields(&twice)).map_err(|e| e.to_string()),
            Err(
                "callees[2] is \"ann\" a second time: must be an account that is not listed yet"
                    .to_owned()
            )
        );
        let empty = ["ann", ""].map(str::to_owned);
        assert_eq!(
            StartCall::new(fields(&empty)).map_err(|e| e.field().to_owned()),
            Err("callees[1]".to_owned())
        );
    }

    #[test]
    fn the_bounds_of_the_ring_timeout_are_allowed() {
        let jack = ["jack".to_owned()];
        for ms in [RING_TIMEOUT_MS_MIN, RING_TIMEOUT_MS_MAX] {
            let call = StartCall::new(StartCallFields {
                ring_timeout_ms: ms.into(),
                ..fields(&jack)
            });
            assert_eq!(call.map(|call| call.ring_timeout_ms()), Ok(ms));
        }
    }

    #[test]
    fn debug_shows_neither_user_data_nor_push() {
        let jack = ["jack".to_owned()];
        let call = StartCall::new(StartCallFields {
            user_data: Some("secret-note"),
            offline_push: Some(json!({"Title": "secret-title", "secret-key": 1})),
            ..fields(&jack)
        });
        let shown = format!("{call:?}");
        assert!(
            shown.contains("jack") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
