//! The record of a call that is over: one per call, and the truth about it.

use super::{MediaType, RoomIdType};

/// How a call ended, as `CallResult` says it (68930, 68940).
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Ended {
    /// Somebody hung up after it was answered.
    NormalEnd,
    /// It was turned down.
    Reject,
    /// It rang out.
    NotAnswer,
    /// The caller ended it, or `end_call` did while it rang.
    Cancel,
    /// The callee was on another call.
    CallBusy,
    /// The network or the like broke it off, before or after it was answered.
    Interrupt,
    /// The callee could not be reached; the page of the callback alone lists it.
    Offline,
    /// Another word than those, as it was answered, or none.
    Other(String),
}

/// Whether a call was for one callee or for several (`CallType`).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum CallType {
    /// `SingleCall`.
    Single,
    /// `MultiCall`.
    Multi,
}

/// One call's record (68930, 68931), and what `AfterEndCall` carries (68940).
///
/// It has one result for the whole call, whoever was called. Times are Tencent's, in seconds since
/// the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Record {
    /// `CallId`.
    pub call_id: String,
    /// `Caller_Account`: the robot.
    pub caller: Option<String>,
    /// `CalleeList_Account` without the caller, whom Tencent's sample lists too.
    pub callees: Vec<String>,
    /// `MediaType`, if it is one that is known.
    pub media_type: Option<MediaType>,
    /// `CallType`, if it is one that is known.
    pub call_type: Option<CallType>,
    /// `RoomId`, by which an attempt is recognised.
    pub room_id: Option<String>,
    /// `RoomIdType`, if it is one that is known.
    pub room_id_type: Option<RoomIdType>,
    /// `StartTime`: when it began to ring.
    pub started_at_s: Option<i64>,
    /// `AcceptTime`: when the first callee answered; `None` if nobody did, which Tencent writes
    /// as 0.
    pub accepted_at_s: Option<i64>,
    /// `EndTime`.
    pub ended_at_s: Option<i64>,
    /// `CallResult`.
    pub ended: Ended,
}

impl Record {
    /// How long it rang: until it was answered, or until it ended.
    #[must_use]
    pub fn ring_seconds(&self) -> Option<u32> {
        seconds(self.started_at_s?, self.accepted_at_s.or(self.ended_at_s)?)
    }

    /// How long was talked; 0 if nobody answered.
    #[must_use]
    pub fn talk_seconds(&self) -> Option<u32> {
        match self.accepted_at_s {
            None => Some(0),
            Some(accepted_at_s) => seconds(accepted_at_s, self.ended_at_s?),
        }
    }
}

/// From one second to another: `None` for more than a u32 holds, 0 if they are the wrong way round.
fn seconds(from_s: i64, to_s: i64) -> Option<u32> {
    u32::try_from(to_s.saturating_sub(from_s).max(0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_those_of_ringing_and_of_talking() {
        let record = |accepted_at_s| Record {
            call_id: "c".to_owned(),
            caller: None,
            callees: Vec::new(),
            media_type: None,
            call_type: None,
            room_id: None,
            room_id_type: None,
            started_at_s: Some(100),
            accepted_at_s,
            ended_at_s: Some(130),
            ended: Ended::NormalEnd,
        };
        let told = |record: Record| (record.ring_seconds(), record.talk_seconds());
        assert_eq!(told(record(Some(107))), (Some(7), Some(23)));
        assert_eq!(told(record(None)), (Some(30), Some(0)));
        let no_end = Record {
            ended_at_s: None,
            ..record(None)
        };
        assert_eq!(told(no_end), (None, Some(0)));
        let reversed = Record {
            started_at_s: Some(i64::MAX),
            ended_at_s: Some(i64::MIN),
            ..record(None)
        };
        assert_eq!(told(reversed), (Some(0), Some(0)));
    }
}
