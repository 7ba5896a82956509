//! Reading records (68930, 68931) and the state of a live call (68932), as leniently as an
//! envelope.

use serde_json::Value;

use super::lenient::{Fields, plain, word};
use crate::call::{CallType, Ended, LiveCall, LiveUser, Presence, Record};

/// What `get_record_by_filter` says beside its envelope.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) total: Option<u64>,
    pub(super) page: Option<u64>,
    pub(super) records: Vec<Record>,
    pub(super) unreadable: usize,
}

/// The record in an answer to `get_record_by_callid` (its `Response.CallRecord`), whatever its code
/// is; `None` if there is none that names a call.
#[must_use]
pub fn read_record(body: &[u8]) -> Option<Record> {
    let body: Value = serde_json::from_slice(body).ok()?;
    record(Fields::of(&body).object("Response").object("CallRecord"))
}

/// `Response` of `get_record_by_filter`.
pub(super) fn page(body: &[u8]) -> Listed {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let response = Fields::of(&body).object("Response");
    let count = |name| u64::try_from(response.integer(name)?).ok();
    let listed = response.list("CallRecordList");
    let records: Vec<Record> = listed
        .iter()
        .filter_map(|item| record(Fields::of(item)))
        .collect();
    let total = count("TotalNum");
    // A success that neither lists nor counts any is no page of records, and proves nothing.
    let says_nothing = total.is_none() && !response.get("CallRecordList").is_array();
    Listed {
        total,
        page: count("Page"),
        unreadable: listed.len() - records.len() + usize::from(says_nothing),
        records,
    }
}

/// `Response` of `get_call_info`.
pub(super) fn live(body: &[u8]) -> Option<LiveCall> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let response = Fields::of(&body).object("Response");
    let info = response.object("CallInfo");
    Some(LiveCall {
        call_id: info.text("CallId")?,
        media_type: info.media_type(),
        room_id: info.text("RoomId"),
        room_id_type: info.room_id_type(),
        users: users(response),
    })
}

/// A record; `None` without a `CallId`, because it is then nobody's.
pub(super) fn record(fields: Fields<'_>) -> Option<Record> {
    let caller = fields.text("Caller_Account");
    let listed = fields.list("CalleeList_Account").iter().filter_map(word);
    Some(Record {
        call_id: fields.text("CallId")?,
        callees: listed
            .filter(|callee| Some(callee) != caller.as_ref())
            .collect(),
        caller,
        media_type: fields.media_type(),
        call_type: match fields.text("CallType").map(|word| plain(&word)).as_deref() {
            Some("singlecall" | "single") => Some(CallType::Single),
            Some("multicall" | "multi") => Some(CallType::Multi),
            _ => None,
        },
        room_id: fields.text("RoomId"),
        room_id_type: fields.room_id_type(),
        started_at_s: fields.time_s("StartTime"),
        accepted_at_s: fields.time_s("AcceptTime"),
        ended_at_s: fields.time_s("EndTime"),
        ended: ended(&fields.text("CallResult").unwrap_or_default()),
    })
}

/// `UserList`.
pub(super) fn users(fields: Fields<'_>) -> Vec<LiveUser> {
    let user = |item| {
        let fields = Fields::of(item);
        let status = fields.text("Status").unwrap_or_default();
        Some(LiveUser {
            account: fields.text("User_Account")?,
            presence: match plain(&status).as_str() {
                "calling" => Presence::Calling,
                "waiting" => Presence::Waiting,
                _ => Presence::Other(status),
            },
        })
    };
    fields.list("UserList").iter().filter_map(user).collect()
}

/// `CallResult`; 68930 types it as an integer, but its values are words.
fn ended(word: &str) -> Ended {
    match plain(word).as_str() {
        "normalend" => Ended::NormalEnd,
        "reject" | "rejected" => Ended::Reject,
        "notanswer" | "noanswer" => Ended::NotAnswer,
        "cancel" | "canceled" | "cancelled" => Ended::Cancel,
        "callbusy" | "busy" => Ended::CallBusy,
        "interrupt" | "interrupted" => Ended::Interrupt,
        "offline" => Ended::Offline,
        _ => Ended::Other(word.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::{MediaType, RoomIdType};

    fn of(value: &Value) -> Option<Record> {
        record(Fields::of(value))
    }

    fn sample() -> Value {
        json!({"CallId": "c-1", "Caller_Account": "bot", "MediaType": "Video",
            "CallType": "SingleCall", "StartTime": 1_740_000_000, "EndTime": 1_740_000_060,
            "AcceptTime": 1_740_000_007, "CallResult": "NormalEnd",
            "CalleeList_Account": ["jack", "bot"], "RoomId": "r-1", "RoomIdType": 2})
    }

    #[test]
    fn a_record_is_read_as_the_page_has_it_without_the_caller_among_the_called() {
        let expected = Record {
            call_id: "c-1".to_owned(),
            caller: Some("bot".to_owned()),
            callees: vec!["jack".to_owned()],
            media_type: Some(MediaType::Video),
            call_type: Some(CallType::Single),
            room_id: Some("r-1".to_owned()),
            room_id_type: Some(RoomIdType::Text),
            started_at_s: Some(1_740_000_000),
            accepted_at_s: Some(1_740_000_007),
            ended_at_s: Some(1_740_000_060),
            ended: Ended::NormalEnd,
        };
        assert_eq!(of(&sample()), Some(expected.clone()));
        let odd = json!({"call_id": "c-1", "CallerAccount": "bot", "CallMediaType": "video",
            "calltype": "single_call", "StartTime": "1740000000", "EndTime": "1740000060",
            "Accept_Time": "1740000007", "CallResult": "normal end", "New": [1],
            "CalleeListAccount": ["jack", "bot", {"x": 1}], "RoomId": "r-1", "RoomIdType": "2"});
        assert_eq!(of(&odd), Some(expected));
    }

    #[test]
    fn numbers_are_ids_and_what_is_missing_is_not_made_up() {
        let least = json!({"CallId": 7, "RoomId": 42, "AcceptTime": 0, "Caller_Account": 1,
            "CalleeList_Account": [1, 144_115_212_830_834_855_i64]});
        let read = of(&least).expect("it names a call");
        assert_eq!(read.call_id, "7");
        assert_eq!(read.room_id.as_deref(), Some("42"));
        assert_eq!(read.callees, ["144115212830834855"]);
        assert_eq!((read.accepted_at_s, read.ended_at_s), (None, None));
        assert_eq!(read.ended, Ended::Other(String::new()));
        assert_eq!(of(&json!({"CallResult": "Reject"})), None);
    }

    #[test]
    fn results_are_known_in_every_spelling() {
        for (word, expected) in [
            ("Cancel", Ended::Cancel),
            ("REJECT", Ended::Reject),
            ("not_answer", Ended::NotAnswer),
            ("Not Answer", Ended::NotAnswer),
            ("normal_end", Ended::NormalEnd),
            ("Call_Busy", Ended::CallBusy),
            ("interrupt", Ended::Interrupt),
            ("OffLine", Ended::Offline),
            ("Later", Ended::Other("Later".to_owned())),
        ] {
            assert_eq!(ended(word), expected, "{word}");
        }
    }

    #[test]
    fn a_page_tells_its_total_and_what_of_it_cannot_be_read() {
        let body = json!({"ErrorCode": 0, "Response": {"TotalNum": "12", "Page": 2,
            "CallRecordList": [sample(), {"RoomId": "lost"}, 3]}});
        let listed = page(body.to_string().as_bytes());
        assert_eq!((listed.total, listed.page), (Some(12), Some(2)));
        assert_eq!((listed.records.len(), listed.unreadable), (1, 2));
        for body in [
            r#"{"Response":{"TotalNum":0}}"#,
            r#"{"Response":{"CallRecordList":[]}}"#,
        ] {
            assert_eq!(page(body.as_bytes()).unreadable, 0, "{body}");
        }
        for body in ["", "[]", r#"{"Response":[]}"#, r#"{"ErrorCode":0}"#] {
            let listed = page(body.as_bytes());
            assert!(
                listed.total.is_none() && listed.records.is_empty() && listed.unreadable == 1,
                "{body}"
            );
        }
    }

    #[test]
    fn a_live_call_tells_who_rings_and_who_talks() {
        let body = json!({"Response": {"CallInfo": {"CallId": "c-1", "MediaType": "Audio",
            "ChatGroupId": "", "RoomId": "", "RoomIdType": 0},
            "UserList": [{"User_Account": 7, "Status": "Waiting"},
            {"User_Account": "ann", "Status": "calling"}, {"Status": "Calling"}]}});
        let call = live(body.to_string().as_bytes()).expect("it names a call");
        assert_eq!((call.room_id, call.room_id_type), (None, None));
        let user = |account: &str, presence| LiveUser {
            account: account.to_owned(),
            presence,
        };
        let expected = [user("7", Presence::Waiting), user("ann", Presence::Calling)];
        assert_eq!(call.users, expected);
        assert_eq!(live(br#"{"ErrorCode":0}"#), None);
    }
}
