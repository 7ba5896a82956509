//! What Tencent tells of a call while it lives: hints that come sooner than the record, may be
//! lost, doubled, reordered, late or forged, and decide nothing that a record denies.

use super::Record;

/// The three callbacks of a call (68934).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallbackCommand {
    /// A call began to ring (68941).
    AfterStartCall,
    /// Somebody answered, turned down, left (69215).
    AfterMemberChanged,
    /// The call is over (68940).
    AfterEndCall,
}

impl CallbackCommand {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::AfterStartCall,
        Self::AfterMemberChanged,
        Self::AfterEndCall,
    ];

    /// Tencent's name for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfterStartCall => "Call.CallbackAfterStartCall",
            Self::AfterMemberChanged => "Call.CallbackAfterMemberChanged",
            Self::AfterEndCall => "Call.CallbackAfterEndCall",
        }
    }
}

/// One callback that was understood. Two that are equal in call, command and time are the same one
/// that came twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackEvent {
    /// The call.
    pub call_id: String,
    /// `EventTime`: Tencent's time in milliseconds since the Unix epoch.
    pub event_at_ms: Option<i64>,
    /// What it tells.
    pub happened: Happened,
}

impl CallbackEvent {
    /// Which of the callbacks it is.
    #[must_use]
    pub const fn command(&self) -> CallbackCommand {
        match self.happened {
            Happened::Started { .. } => CallbackCommand::AfterStartCall,
            Happened::MemberChanged { .. } => CallbackCommand::AfterMemberChanged,
            Happened::Ended(_) => CallbackCommand::AfterEndCall,
        }
    }
}

/// What a callback tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It began to ring: call and room together, by which a lost reply is made good.
    Started {
        /// `CallInfo.RoomId`.
        room_id: Option<String>,
        /// `CallInfo.RoomIdType`, if it is one that is known.
        room_id_type: Option<super::RoomIdType>,
        /// `UserList`: the robot too.
        users: Vec<LiveUser>,
    },
    /// Somebody's part in it changed.
    MemberChanged {
        /// `UserList`: who is on the call now.
        users: Vec<LiveUser>,
        /// `ChangedUserList`.
        changes: Vec<MemberChange>,
    },
    /// It is over. What a record says, but from nobody who can be trusted.
    Ended(Record),
}

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberChange {
    /// `User_Account`.
    pub account: String,
    /// `ActionType`.
    pub action: MemberAction,
}

/// `ActionType`, which Tencent's page (69215) spells in two ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberAction {
    /// Picked up: `Answer`, `Accept`.
    Answer,
    /// Turned it down.
    Reject,
    /// Let it ring out.
    NotAnswer,
    /// Left after having answered: `Hangup`, `Hang Up`.
    HangUp,
    /// Came by himself.
    Join,
    /// Is not there (any more): his heartbeat expired.
    Offline,
    /// Is rung from now on: `Invite`, `Invited`.
    Invite,
    /// Is not rung any more: `Cancel_Invite`, `Canncel_Invite`.
    CancelInvite,
    /// Is on another call. On no page; the record has such a result.
    Busy,
    /// Another word, as it came.
    Other(String),
}

/// Somebody who is on a call that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveUser {
    /// `User_Account`.
    pub account: String,
    /// `Status`.
    pub presence: Presence,
}

/// `Status` of somebody on a call (68932).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In the call: `Calling`.
    Calling,
    /// Being rung: `Waiting`.
    Waiting,
    /// Another word, as it came.
    Other(String),
}

/// A call that is not over, as `get_call_info` tells it (68932).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveCall {
    /// `CallId`.
    pub call_id: String,
    /// `MediaType`, if it is one that is known.
    pub media_type: Option<super::MediaType>,
    /// `RoomId`; `None` if it is empty, as in Tencent's sample.
    pub room_id: Option<String>,
    /// `RoomIdType`, if it is one that is known.
    pub room_id_type: Option<super::RoomIdType>,
    /// `UserList`.
    pub users: Vec<LiveUser>,
}
