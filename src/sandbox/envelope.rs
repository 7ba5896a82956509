//! The body of an answer, in the shape and order of S71845's sample.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::callees::Manner;
use super::record::{Call, CalledParty};
use super::refusal::Refusal;

/// The envelope of every API answer; `Response` only where there is a call, `ResultItem` only where
/// accounts were asked for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Envelope {
    pub(super) error_code: i64,
    error_info: String,
    action_status: &'static str,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Response>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_item: Option<Vec<AccountAnswer>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Response {
    Started(Started),
    Told(Value),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Started {
    call_id: Uuid,
    call_result: Vec<CalleeAnswer>,
}

#[derive(Debug, Serialize)]
struct CalleeAnswer {
    #[serde(rename = "Callee_Account")]
    callee: String,
    #[serde(rename = "ResultCode")]
    result_code: i64,
}

/// As the sample of IM 34956 has it.
#[derive(Debug, Serialize)]
struct AccountAnswer {
    #[serde(rename = "UserID")]
    user_id: String,
    #[serde(rename = "ResultCode")]
    result_code: i64,
    #[serde(rename = "ResultInfo")]
    result_info: &'static str,
    #[serde(rename = "AccountStatus")]
    account_status: &'static str,
}

impl Envelope {
    fn ok(seq: u64) -> Self {
        Self {
            error_code: 0,
            error_info: String::new(),
            action_status: "OK",
            request_id: request_id(seq),
            response: None,
            result_item: None,
        }
    }

    /// The answer to a request that started a call.
    pub(super) fn started(call: &Call) -> Self {
        Self {
            response: Some(Response::Started(Started {
                call_id: call.call_id,
                call_result: call.callees.iter().map(CalleeAnswer::of).collect(),
            })),
            ..Self::ok(call.seq)
        }
    }

    /// The answer to a request that was carried out and rang nobody, with what it tells.
    pub(super) fn told(response: Option<Value>, seq: u64) -> Self {
        Self {
            response: response.map(Response::Told),
            ..Self::ok(seq)
        }
    }

    /// The answer to a question for accounts: those named `missing-*` were not imported.
    pub(super) fn accounts(user_ids: &[String], seq: u64) -> Self {
        let account = |user_id: &String| AccountAnswer {
            user_id: user_id.clone(),
            result_code: 0,
            result_info: "",
            account_status: match Manner::of(user_id) {
                Manner::Missing => "NotImported",
                _ => "Imported",
            },
        };
        Self {
            result_item: Some(user_ids.iter().map(account).collect()),
            ..Self::ok(seq)
        }
    }

    /// The answer to a request that was refused.
    pub(super) fn refused(refusal: Refusal, seq: u64) -> Self {
        Self {
            error_code: refusal.code,
            error_info: refusal.info,
            action_status: "FAIL",
            ..Self::ok(seq)
        }
    }
}

impl CalleeAnswer {
    fn of(party: &CalledParty) -> Self {
        Self {
            callee: party.callee.clone(),
            result_code: party.result_code,
        }
    }
}

fn request_id(seq: u64) -> String {
    format!("Id-{}-O-Seq-{seq}", Uuid::new_v4().simple())
}
