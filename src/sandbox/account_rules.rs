//! The rules of the bodies that ask and do not ring, checked on their JSON.
//!
//! Documented (68930, 68932, 74506, IM 34956): the fields, and that `account_check` takes at most
//! 100 accounts.
//! Assumption: that a breach is 101002 for a call, and for accounts 70402, or 70206 where there are
//! too many.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Documented limit of one `account_check`.
const MAX_ACCOUNTS: usize = 100;

/// The call that `get_call_info` and the like ask for.
pub(super) fn call_id(body: &Map<String, Value>) -> Result<String, Refusal> {
    match body.get("CallId").and_then(Value::as_str) {
        Some(call_id) if !call_id.is_empty() => Ok(call_id.to_owned()),
        _ => Err(Refusal::field("CallId", "must be a string")),
    }
}

/// The accounts that `account_check` asks for.
pub(super) fn accounts(body: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let illegal = || Refusal::because(70_402, "CheckItem must be an array of {\"UserID\": text}");
    let items = body.get("CheckItem").and_then(Value::as_array);
    let items = items.filter(|items| !items.is_empty());
    let items = items.ok_or_else(illegal)?;
    if items.len() > MAX_ACCOUNTS {
        return Err(Refusal::documented(70_206));
    }
    let user_id = |item: &Value| item.get("UserID")?.as_str().map(str::to_owned);
    let user_ids: Option<Vec<_>> = items.iter().map(user_id).collect();
    user_ids.ok_or_else(illegal)
}
