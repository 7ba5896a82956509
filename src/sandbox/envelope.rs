//! The body of an answer, in the shape and order of S71845's sample.

use serde::Serialize;
use uuid::Uuid;

use super::record::{Call, CalledParty};
use super::refusal::Refusal;

/// The envelope of every API answer; `Response` only where a call was started.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Envelope {
    pub(super) error_code: i64,
    error_info: String,
    action_status: &'static str,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Started>,
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

impl Envelope {
    /// The answer to a request that started a call.
    pub(super) fn started(call: &Call) -> Self {
        Self {
            error_code: 0,
            error_info: String::new(),
            action_status: "OK",
            request_id: request_id(call.seq),
            response: Some(Started {
                call_id: call.call_id,
                call_result: call.callees.iter().map(CalleeAnswer::of).collect(),
            }),
        }
    }

    /// The answer to a request that was refused.
    pub(super) fn refused(refusal: Refusal, seq: u64) -> Self {
        Self {
            error_code: refusal.code,
            error_info: refusal.info,
            action_status: "FAIL",
            request_id: request_id(seq),
            response: None,
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
