//! The commands that the sandbox knows, and what each asks for.

use super::body_rules::Body;
use super::mailbox::CallbackTarget;
use super::record_rules::Filter;
use super::refusal::Refusal;
use super::{account_rules, body_rules, record_rules};

/// One command of Tencent's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Command {
    /// Rings (74505).
    StartCall,
    /// Looks at a call (68932).
    GetCallInfo,
    /// Ends a call (74506).
    EndCall,
    /// Reads one record (68930).
    GetRecordByCallId,
    /// Lists records (68931).
    GetRecordByFilter,
    /// Tells where callbacks go (68937).
    GetCallback,
    /// Says where callbacks go (68938).
    SetCallback,
    /// Has no callbacks sent any more (68939).
    DeleteCallback,
    /// Looks at accounts (IM 34956).
    AccountCheck,
}

/// What a request with a good body asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A call with the accounts and the room that were seen.
    Call,
    /// This call.
    CallInfo(String),
    /// The end of this call.
    EndCall(String),
    /// The record of this call.
    Record(String),
    /// These records.
    Records(Filter),
    /// Where callbacks go.
    Callback,
    /// Callbacks to there.
    SetCallback(CallbackTarget),
    /// No callbacks.
    DeleteCallback,
    /// These accounts.
    Accounts(Vec<String>),
}

impl Command {
    /// The command of a path; `None` for any other.
    pub(super) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/v4/call_engine_http_srv/start_call_by_robot" => Self::StartCall,
            "/v4/call_engine_http_srv/get_call_info" => Self::GetCallInfo,
            "/v4/call_engine_http_srv/end_call" => Self::EndCall,
            "/v4/call_record_http_srv/get_record_by_callid" => Self::GetRecordByCallId,
            "/v4/call_record_http_srv/get_record_by_filter" => Self::GetRecordByFilter,
            "/v4/call_config/get_callback" => Self::GetCallback,
            "/v4/call_config/set_callback" => Self::SetCallback,
            "/v4/call_config/delete_callback" => Self::DeleteCallback,
            "/v4/im_open_login_svc/account_check" => Self::AccountCheck,
            _ => return None,
        })
    }

    /// How many a second an app may send, where `calls_per_second` is the limit of calls (0: no
    /// limit). Documented are 200 for everything about calls and 100 for `account_check`.
    pub(super) fn limit(self, calls_per_second: u32) -> u32 {
        match self {
            Self::AccountCheck => calls_per_second.min(100),
            _ => calls_per_second,
        }
    }

    /// Whether every field of the body keeps its rule.
    pub(super) fn read(self, body: &Body) -> Result<Asked, Refusal> {
        let fields = body.fields()?;
        match self {
            Self::StartCall => body_rules::check_call(fields).map(|()| Asked::Call),
            Self::GetCallInfo => account_rules::call_id(fields).map(Asked::CallInfo),
            Self::EndCall => account_rules::call_id(fields).map(Asked::EndCall),
            Self::GetRecordByCallId => account_rules::call_id(fields).map(Asked::Record),
            Self::GetRecordByFilter => record_rules::filter(fields).map(Asked::Records),
            Self::GetCallback => Ok(Asked::Callback),
            Self::SetCallback => record_rules::target(fields).map(Asked::SetCallback),
            Self::DeleteCallback => Ok(Asked::DeleteCallback),
            Self::AccountCheck => account_rules::accounts(fields).map(Asked::Accounts),
        }
    }
}
