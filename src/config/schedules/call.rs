//! The section `[call]`: what every job of a schedule is made of, by the rules of `callq.jobs`.

use std::fmt;
use std::sync::LazyLock;

use serde_json::{Map, Value as Json};

use super::keys::{self, Key};
use super::reader::{Found, Reader, Values};
use crate::call::{InvalidField, MediaSource, OnDoubt, StartCall, StartCallFields};

/// The longest `metadata` as PostgreSQL prints it, as in `callq.check_job`.
const METADATA_BYTES_MAX: usize = 8192;

/// What every job of a schedule is made of: the columns of `callq.jobs`.
///
/// `Debug` shows neither `user_data` nor `offline_push` nor `metadata` nor `media_url`.
#[derive(Clone, PartialEq)]
#[allow(missing_docs, reason = "each field is the column of callq.jobs")]
pub struct CallTemplate {
    pub robot_account: String,
    pub callees: Vec<String>,
    pub media_type: String,
    pub room_id: Option<String>,
    pub room_id_type: i64,
    pub ring_timeout_ms: i64,
    pub user_data: Option<String>,
    pub offline_push: Option<Map<String, Json>>,
    pub priority: i64,
    pub max_attempts: i64,
    pub on_doubt: String,
    pub retry_callees: bool,
    pub metadata: Map<String, Json>,
    pub max_call_seconds: Option<i64>,
    pub media_url: Option<String>,
    pub media_options: Option<Map<String, Json>>,
}

impl fmt::Debug for CallTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallTemplate")
            .field("robot_account", &self.robot_account)
            .field("callees", &self.callees)
            .finish_non_exhaustive()
    }
}

/// A call that keeps every rule, in which one column at a time is replaced by what is given.
fn sound() -> StartCallFields<'static> {
    static SOMEONE: LazyLock<[String; 1]> = LazyLock::new(|| ["someone".to_owned()]);
    StartCallFields {
        robot_account: "robot",
        callees: &*SOMEONE,
        media_type: "Audio",
        room_id: "room",
        room_id_type: 2,
        ring_timeout_ms: 45_000,
        user_data: None,
        offline_push: None,
    }
}

/// What the worker would say of such a call; the fault begins with the column.
fn refusal<'a>(change: impl FnOnce(&mut StartCallFields<'a>)) -> Result<(), InvalidField> {
    let mut fields: StartCallFields<'a> = sound();
    change(&mut fields);
    StartCall::new(fields).map(drop)
}

impl Reader<'_> {
    /// Tells the rule that a column breaks.
    fn judge(&mut self, at: usize, refusal: Result<(), InvalidField>) {
        if let Err(fault) = refusal {
            self.fault(at, format_args!("call.{fault}"));
        }
    }
}

/// The template; what is wrong with it is told. What is not given has the default of `callq.jobs`.
pub(super) fn call<'a>(reader: &mut Reader<'a>, values: &Values<'_, 'a>) -> Option<CallTemplate> {
    let robot_account = reader.text(values, keys::ROBOT_ACCOUNT);
    if let Some(robot) = &robot_account {
        reader.judge(robot.at, refusal(|f| f.robot_account = &robot.value));
    }
    let callees = callees(reader, values);
    let media_type = reader.word(values, keys::MEDIA_TYPE, &["Audio", "Video"]);
    let (room_id, room_id_type) = room(reader, values);
    let ring_timeout = reader.whole(values, keys::RING_TIMEOUT_MS);
    if let Some(ms) = &ring_timeout {
        reader.judge(ms.at, refusal(|f| f.ring_timeout_ms = ms.value));
    }
    let user_data = reader.text(values, keys::USER_DATA);
    if let Some(data) = &user_data {
        reader.judge(data.at, refusal(|f| f.user_data = Some(&data.value)));
    }
    let offline_push = reader.object(values, keys::OFFLINE_PUSH);
    if let Some(push) = &offline_push {
        let object = Json::Object(push.value.clone());
        reader.judge(push.at, refusal(|f| f.offline_push = Some(object)));
    }
    let priority = within(reader, values, keys::PRIORITY, 0, 3);
    let max_attempts = within(reader, values, keys::MAX_ATTEMPTS, 1, 100);
    let words = ["hold", "reconcile", "retry"];
    debug_assert!(words.iter().all(|word| OnDoubt::parse(word).is_some()));
    let on_doubt = reader.word(values, keys::ON_DOUBT, &words);
    let retry_callees = reader.truth(values, keys::RETRY_CALLEES);
    let metadata = metadata(reader, values);
    let max_call_seconds = within(reader, values, keys::MAX_CALL_SECONDS, 10, 86_400);
    let (media_url, media_options) = media(reader, values);
    for key in [keys::ROBOT_ACCOUNT, keys::CALLEES] {
        if !values.contains_key(key.name) {
            reader.missing(key);
        }
    }
    Some(CallTemplate {
        robot_account: robot_account?.value,
        callees: callees?,
        media_type: media_type.unwrap_or("Audio").to_owned(),
        room_id,
        room_id_type,
        ring_timeout_ms: ring_timeout.map_or(45_000, |ms| ms.value),
        user_data: user_data.map(|data| data.value),
        offline_push: offline_push.map(|push| push.value),
        priority: priority.unwrap_or(1),
        max_attempts: max_attempts.unwrap_or(5),
        on_doubt: on_doubt.unwrap_or("reconcile").to_owned(),
        retry_callees: retry_callees.unwrap_or(false),
        metadata,
        max_call_seconds,
        media_url,
        media_options,
    })
}

fn callees<'a>(reader: &mut Reader<'a>, values: &Values<'_, 'a>) -> Option<Vec<String>> {
    let found = reader.texts(values, keys::CALLEES)?;
    let places: Vec<usize> = found.value.iter().map(|callee| callee.at).collect();
    let callees: Vec<String> = found.value.into_iter().map(|callee| callee.value).collect();
    let refused = refusal(|f| f.callees = &callees);
    if let Err(fault) = refused {
        // As `callees[3]`, at its own place.
        let number = fault.field().strip_prefix("callees[");
        let number = number.and_then(|rest| rest.strip_suffix(']')?.parse::<usize>().ok());
        let at = number.and_then(|n| places.get(n)).copied();
        reader.judge(at.unwrap_or(found.at), Err(fault));
    }
    Some(callees)
}

fn room<'a>(reader: &mut Reader<'a>, values: &Values<'_, 'a>) -> (Option<String>, i64) {
    let id = reader.text(values, keys::ROOM_ID);
    let id = id.filter(|id| reader.may_quote(keys::ROOM_ID, id));
    let id_type = reader.whole(values, keys::ROOM_ID_TYPE);
    let number = id_type.as_ref().map_or(2, |id_type| id_type.value);
    match (&id, &id_type) {
        (None, Some(digits)) if number == 1 && !values.contains_key(keys::ROOM_ID.name) => {
            let what = "call.room_id_type is 1 without a room_id: must be with one, or 2";
            reader.fault(digits.at, what);
        }
        (None, Some(id_type)) => {
            let refused = refusal(|f| {
                f.room_id = "1";
                f.room_id_type = number;
            });
            reader.judge(id_type.at, refused);
        }
        (Some(id), id_type) => {
            let refused = refusal(|f| {
                f.room_id = &id.value;
                f.room_id_type = number;
            });
            let of_type = refused.as_ref().is_err_and(|f| f.field() == "room_id_type");
            let at = id_type.as_ref().filter(|_| of_type);
            reader.judge(at.map_or(id.at, |id_type| id_type.at), refused);
        }
        (None, None) => {}
    }
    (id.map(|id| id.value), number)
}

fn within<'a>(
    reader: &mut Reader<'a>,
    values: &Values<'_, 'a>,
    key: &Key,
    least: i64,
    most: i64,
) -> Option<i64> {
    let Found { value, at } = reader.whole(values, key)?;
    if !(least..=most).contains(&value) {
        reader.refuse(key, at, value);
    }
    Some(value)
}

fn media<'a>(
    reader: &mut Reader<'a>,
    values: &Values<'_, 'a>,
) -> (Option<String>, Option<Map<String, Json>>) {
    let url = reader.text(values, keys::MEDIA_URL);
    let options = reader.object(values, keys::MEDIA_OPTIONS);
    if let Some(url) = &url {
        reader.judge(url.at, MediaSource::new(&url.value, None).map(drop));
    }
    if let Some(options) = &options {
        // The URL has been judged.
        let judged = MediaSource::new("https://host/", Some(&options.value)).map(drop);
        reader.judge(options.at, judged);
        if !values.contains_key(keys::MEDIA_URL.name) {
            let what = "call.media_options stands alone: must be given together with media_url";
            reader.fault(options.at, what);
        }
    }
    (
        url.map(|url| url.value),
        options.map(|options| options.value),
    )
}

fn metadata<'a>(reader: &mut Reader<'a>, values: &Values<'_, 'a>) -> Map<String, Json> {
    let Some(Found { value, at }) = reader.object(values, keys::METADATA) else {
        return Map::new();
    };
    let object = Json::Object(value);
    let bytes = object.to_string().len() + spaces(&object);
    if bytes > METADATA_BYTES_MAX {
        reader.refuse(keys::METADATA, at, format_args!("{bytes} bytes long"));
    }
    match object {
        Json::Object(value) => value,
        _ => unreachable!("it was made of one"),
    }
}

/// PostgreSQL prints a space behind each comma and colon.
fn spaces(value: &Json) -> usize {
    match value {
        Json::Array(items) => {
            items.len().saturating_sub(1) + items.iter().map(spaces).sum::<usize>()
        }
        Json::Object(object) => {
            let commas = object.len().saturating_sub(1);
            commas + object.len() + object.values().map(spaces).sum::<usize>()
        }
        _ => 0,
    }
}
