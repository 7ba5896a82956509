//! The commands that the sandbox knows, and what each asks for.

use super::body_rules::Body;
use super::refusal::Refusal;
use super::{account_rules, body_rules};

/// One command of Tencent's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Command {
    /// Rings (74505).
    StartCall,
    /// Looks at a call (68932).
    GetCallInfo,
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
    /// These accounts.
    Accounts(Vec<String>),
}

impl Command {
    /// The command of a path; `None` for any other.
    pub(super) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/v4/call_engine_http_srv/start_call_by_robot" => Self::StartCall,
            "/v4/call_engine_http_srv/get_call_info" => Self::GetCallInfo,
            "/v4/im_open_login_svc/account_check" => Self::AccountCheck,
            _ => return None,
        })
    }

    /// How many a second an app may send, where `calls_per_second` is the limit of calls (0: no
    /// limit). Documented are 200 for the call service and 100 for `account_check`.
    pub(super) fn limit(self, calls_per_second: u32) -> u32 {
        match self {
            Self::StartCall | Self::GetCallInfo => calls_per_second,
            Self::AccountCheck => calls_per_second.min(100),
        }
    }

    /// Whether every field of the body keeps its rule.
    pub(super) fn read(self, body: &Body) -> Result<Asked, Refusal> {
        match self {
            Self::StartCall => body_rules::check_call(body.fields()?).map(|()| Asked::Call),
            Self::GetCallInfo => account_rules::call_id(body.fields()?).map(Asked::CallInfo),
            Self::AccountCheck => account_rules::accounts(body.fields()?).map(Asked::Accounts),
        }
    }
}
