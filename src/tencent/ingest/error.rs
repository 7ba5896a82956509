//! Why a request about a stream did not lead to what was asked for.

use std::fmt;

use super::codes::ingest_code;
use crate::call::{Answer, Class};
use crate::tencent::TlsFault;

/// Why there is no answer of the wanted kind. Its texts come from Tencent or from the way there,
/// fit to be shown; no key, no `UserSig` and no stream's URL is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestError {
    /// What follows from it. [`Class::Safe`]: nothing plays; [`Class::Throttled`]: and slow down;
    /// [`Class::InDoubt`]: a stream may play; [`Class::App`]: no stream of the app will;
    /// [`Class::Cannot`]: this one never will.
    pub class: Class,
    /// The two that need more than their class.
    pub fault: IngestFault,
    /// Tencent's word for it; `None` if it did not come from Tencent.
    pub code: Option<String>,
    /// What happened, in words.
    pub message: String,
    /// What Tencent's support asks for.
    pub request_id: Option<String>,
    /// Whether there was no connection to the host at all.
    pub is_unreachable: bool,
    /// What was wrong with the host's certificate, if that is why.
    pub tls_fault: Option<TlsFault>,
    /// Tencent's clock, from the `Date` header, in seconds since the Unix epoch.
    pub date_unix: Option<i64>,
}

/// What an error is besides its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IngestFault {
    /// `FailedOperation.RoomNotExist`, in the class CANNOT: final for a room that is over, and yet
    /// it may only say that nobody has answered, or that the number of the room's type is the
    /// other one ([`IngestRoomTypes`](super::IngestRoomTypes)).
    RoomNotExist,
    /// `FailedOperation.TaskExist`, in doubt: the robot plays in this room, and the `TaskId` of
    /// that stream is not told.
    TaskExist,
    /// Anything else: its class says all.
    Other,
}

impl IngestError {
    /// What Tencent answered with this code.
    pub(super) fn of_code(code: String, message: String) -> Self {
        let fault = match code.as_str() {
            "FailedOperation.RoomNotExist" => IngestFault::RoomNotExist,
            "FailedOperation.TaskExist" => IngestFault::TaskExist,
            _ => IngestFault::Other,
        };
        Self {
            class: ingest_code(&code).class,
            fault,
            code: Some(code),
            ..Self::plain(Class::InDoubt, message)
        }
    }

    /// What is no answer of Tencent's, or one that says too little.
    pub(super) const fn plain(class: Class, message: String) -> Self {
        Self {
            class,
            fault: IngestFault::Other,
            code: None,
            message,
            request_id: None,
            is_unreachable: false,
            tls_fault: None,
            date_unix: None,
        }
    }

    /// What was proved about a request that has no whole reply: unsent is safe, all else in doubt.
    pub(super) fn unanswered(answer: Answer, tls_fault: Option<TlsFault>) -> Self {
        match answer {
            Answer::NotSent {
                detail,
                unreachable,
            } => Self {
                is_unreachable: unreachable,
                tls_fault,
                ..Self::plain(Class::Safe, detail)
            },
            Answer::Unknown { detail, .. } => Self::plain(Class::InDoubt, detail),
            Answer::Reply(_) => unreachable!("what has no whole reply has no envelope"),
        }
    }
}

impl fmt::Display for IngestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = &self.code {
            write!(f, "{code}: {}", ingest_code(code).meaning)?;
            if !self.message.is_empty() {
                write!(f, " ({})", self.message)?;
            }
        } else {
            f.write_str(&self.message)?;
        }
        match self.fault {
            IngestFault::RoomNotExist => f.write_str(
                "; if somebody has answered, Tencent counts the types of rooms the other way: \
                 set ingest_room_id_type of the app to the other value",
            ),
            IngestFault::TaskExist | IngestFault::Other => Ok(()),
        }
    }
}

impl std::error::Error for IngestError {}
