//! The rules of the bodies about records and callbacks, checked on their JSON.
//!
//! Documented (68931): that every field of the filter is optional, the defaults (7 days back, now,
//! 10 records of page 1), and that a `StartTime` of more than 7 days ago is taken as that. Assumed:
//! that a breach is 101002, and of `call_config` 100002; that a page has at most 10 records however
//! many are asked for; and what the span is of, see [`RecordSpan`].

use serde_json::{Map, Value};

use super::mailbox::{CALLBACK_COMMANDS, CallbackTarget};
use super::refusal::Refusal;

/// The documented default, and the assumed limit, of a page.
const PAGE_MAX: usize = 10;

/// What has to lie between `StartTime` and `EndTime` of `get_record_by_filter`, which no page says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordSpan {
    /// The end of a call.
    #[default]
    OfEnd,
    /// Its beginning.
    OfStart,
    /// Both, as the page of the old call API has it (60136).
    OfBoth,
}

/// Which records are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) from_s: Option<i64>,
    pub(super) to_s: Option<i64>,
    pub(super) result: Option<String>,
    pub(super) call_type: Option<String>,
    pub(super) per_page: usize,
    pub(super) page: usize,
}

/// The filter of `get_record_by_filter`.
pub(super) fn filter(body: &Map<String, Value>) -> Result<Filter, Refusal> {
    let integer = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(value) => {
            let wrong = || Refusal::field(name, "must be an integer");
            value.as_i64().map(Some).ok_or_else(wrong)
        }
    };
    let count = |name: &str, default: usize| match integer(name)? {
        None => Ok(default),
        Some(count) => usize::try_from(count)
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(|| Refusal::field(name, "must be at least 1")),
    };
    let word = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(Value::String(word)) => Ok(Some(word.clone())),
        Some(_) => Err(Refusal::field(name, "must be a string")),
    };
    Ok(Filter {
        from_s: integer("StartTime")?,
        to_s: integer("EndTime")?,
        result: word("CallResult")?,
        call_type: word("CallType")?,
        per_page: count("NumberPerPage", PAGE_MAX)?.min(PAGE_MAX),
        page: count("Page", 1)?,
    })
}

/// The setting of `set_callback`.
pub(super) fn target(body: &Map<String, Value>) -> Result<CallbackTarget, Refusal> {
    let wrong = |why| Refusal::because(100_002, why);
    let url = body.get("Url").and_then(Value::as_str).unwrap_or_default();
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(wrong("Url must be an http or https URL"));
    }
    let listed = body.get("CallbackCommandList").and_then(Value::as_array);
    let known = |name: &Value| {
        let name = name.as_str()?;
        CALLBACK_COMMANDS.contains(&name).then(|| name.to_owned())
    };
    let commands: Option<Vec<String>> =
        listed.and_then(|listed| listed.iter().map(known).collect());
    Ok(CallbackTarget {
        url: url.to_owned(),
        commands: commands
            .filter(|commands| !commands.is_empty())
            .ok_or_else(|| wrong("CallbackCommandList must name callbacks of calls"))?,
    })
}
