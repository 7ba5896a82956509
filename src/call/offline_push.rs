//! The push that wakes a callee's phone: `OfflinePushInfo`.

use std::fmt;

use serde_json::{Map, Value};

use super::InvalidField;
use super::push_keys::{Key, Need, Rule, TOP};

/// `Desc` and `Ext` together must stay below this many bytes: an APNs packet holds 4 KiB, and its
/// other fields take up to one of them (IM 77715).
pub const DESC_AND_EXT_BYTES_END: usize = 3072;

/// The longest wrong word that an error quotes; anything longer is text that strayed there.
const QUOTED_BYTES_MAX: usize = 24;

/// `OfflinePushInfo`: a JSON object whose documented keys keep their documented rules.
///
/// Keys that are not documented pass unchanged, at every level, since Tencent keeps adding some.
/// Key names are case-sensitive, so a misspelt key passes as unknown. Personal data: neither its
/// `Debug` nor an error shows a text of it.
#[derive(Clone, PartialEq)]
pub struct OfflinePush(Map<String, Value>);

impl OfflinePush {
    /// Takes `value` if it is an object that keeps every rule.
    ///
    /// # Errors
    /// An [`InvalidField`] whose field is the path of the first key that breaks a rule:
    /// `offline_push.AndroidInfo.OPPONotifyLevel is 3: must be 1, 2 or 16`.
    pub fn new(value: Value) -> Result<Self, InvalidField> {
        const ROOT: &str = "offline_push";
        let Value::Object(object) = value else {
            return Err(InvalidField::new(ROOT, fault_of(&value), "an object"));
        };
        check_object(ROOT, &object, TOP)?;
        check_desc_and_ext(ROOT, &object)?;
        Ok(Self(object))
    }

    /// The object as it is sent.
    #[must_use]
    pub const fn object(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl fmt::Debug for OfflinePush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfflinePush({} keys)", self.0.len())
    }
}

fn check_object(path: &str, object: &Map<String, Value>, keys: &[Key]) -> Result<(), InvalidField> {
    for key in keys {
        let at = || format!("{path}.{}", key.name);
        match (object.get(key.name), &key.need) {
            (None, Need::Required) => {
                return Err(InvalidField::new(at(), "is missing", key.rule.allowed()));
            }
            (None, _) => {}
            (Some(_), Need::With(other)) if !object.contains_key(*other) => {
                let allowed = format!("given together with {path}.{other}");
                return Err(InvalidField::new(at(), "stands alone", allowed));
            }
            (Some(value), _) => check_value(&at(), value, &key.rule)?,
        }
    }
    Ok(())
}

fn check_value(path: &str, value: &Value, rule: &Rule) -> Result<(), InvalidField> {
    match (rule, value) {
        (Rule::Object(keys), Value::Object(object)) => check_object(path, object, keys),
        (Rule::ListOf(keys), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                check_value(&format!("{path}[{index}]"), item, &Rule::Object(keys))?;
            }
            Ok(())
        }
        _ if rule.admits(value) => Ok(()),
        _ => {
            let fault = match (rule, value) {
                (Rule::Word(_), Value::String(word)) => fault_of_word(word),
                (Rule::HttpsUrl, Value::String(_)) => "is another text".to_owned(),
                _ => fault_of(value),
            };
            Err(InvalidField::new(path, fault, rule.allowed()))
        }
    }
}

fn check_desc_and_ext(path: &str, object: &Map<String, Value>) -> Result<(), InvalidField> {
    let bytes_of = |key: &str| object.get(key).and_then(Value::as_str).map_or(0, str::len);
    let bytes = bytes_of("Desc") + bytes_of("Ext");
    if bytes < DESC_AND_EXT_BYTES_END {
        return Ok(());
    }
    Err(InvalidField::new(
        format!("{path}.Desc with {path}.Ext"),
        format!("is {bytes} bytes long"),
        "less than 3072 bytes together",
    ))
}

impl Rule {
    /// Whether a value that is not looked into keeps the rule.
    fn admits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text | Self::TextOrInteger, Value::String(_))
            | (Self::AnyObject, Value::Object(_)) => true,
            (Self::TextBytes(most), Value::String(text)) => (1..=*most).contains(&text.len()),
            (Self::Word(words), Value::String(text)) => words.contains(&text.as_str()),
            (Self::HttpsUrl, Value::String(text)) => text.starts_with("https://"),
            (Self::TextOrInteger, Value::Number(number)) => number.as_i64().is_some(),
            (Self::Integer(least, most), Value::Number(number)) => number
                .as_i64()
                .is_some_and(|number| (*least..=*most).contains(&number)),
            (Self::Number(numbers), Value::Number(number)) => number
                .as_i64()
                .is_some_and(|number| numbers.contains(&number)),
            _ => false,
        }
    }

    /// What the rule allows, to follow "must be".
    fn allowed(&self) -> String {
        match self {
            Self::Text => "a string".to_owned(),
            Self::TextBytes(most) => format!("a string of 1 to {most} bytes"),
            Self::Word(words) => one_of(
                &words
                    .iter()
                    .map(|word| format!("{word:?}"))
                    .collect::<Vec<_>>(),
            ),
            Self::HttpsUrl => "a string that begins with https://".to_owned(),
            Self::Integer(least, most) => format!("an integer of {least} to {most}"),
            Self::Number(numbers) => {
                one_of(&numbers.iter().map(i64::to_string).collect::<Vec<_>>())
            }
            Self::TextOrInteger => "a string or an integer".to_owned(),
            Self::AnyObject | Self::Object(_) => "an object".to_owned(),
            Self::ListOf(_) => "an array of objects".to_owned(),
        }
    }
}

fn one_of(choices: &[String]) -> String {
    match choices.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// What a value is, without its text: a string is known by its length alone.
fn fault_of(value: &Value) -> String {
    match value {
        Value::Null => "is null".to_owned(),
        Value::Bool(on) => format!("is {on}"),
        Value::Number(number) => format!("is {number}"),
        Value::String(text) => format!("is a string of {} bytes", text.len()),
        Value::Array(_) => "is an array".to_owned(),
        Value::Object(_) => "is an object".to_owned(),
    }
}

/// A wrong word is quoted, so that `"URGENT"` can be seen for `"urgent"`, if it is a word at all.
fn fault_of_word(word: &str) -> String {
    let is_word = word
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if is_word && word.len() <= QUOTED_BYTES_MAX {
        format!("is {word:?}")
    } else {
        format!("is a string of {} bytes", word.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(value: Value) -> String {
        OfflinePush::new(value)
            .expect_err("the value breaks a rule")
            .to_string()
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "one table")]
    fn a_refusal_names_the_path_the_fault_and_what_is_allowed() {
        let android = |object: Value| json!({ "AndroidInfo": object });
        let apns = |object: Value| json!({ "ApnsInfo": object });
        let cases = [
            (
                json!("x"),
                "offline_push is a string of 1 bytes: must be an object",
            ),
            (json!(null), "offline_push is null: must be an object"),
            (
                json!({"PushFlag": 2}),
                "offline_push.PushFlag is 2: must be 0 or 1",
            ),
            (
                json!({"PushFlag": "1"}),
                "offline_push.PushFlag is a string of 1 bytes: must be 0 or 1",
            ),
            (
                json!({"PushFlag": true}),
                "offline_push.PushFlag is true: must be 0 or 1",
            ),
            (
                json!({"Title": null}),
                "offline_push.Title is null: must be a string",
            ),
            (
                json!({"Ext": {"a": 1}}),
                "offline_push.Ext is an object: must be a string",
            ),
            (
                json!({"MultiLanguageContent": [{}, {"Title": 7}]}),
                "offline_push.MultiLanguageContent[1].Title is 7: must be a string",
            ),
            (
                json!({"MultiLanguageContent": ["en"]}),
                "offline_push.MultiLanguageContent[0] is a string of 2 bytes: must be an object",
            ),
            (
                json!({"MultiLanguageContent": {}}),
                "offline_push.MultiLanguageContent is an object: must be an array of objects",
            ),
            (
                json!({"BadgeAddNum": 0}),
                "offline_push.BadgeAddNum is 0: must be an integer of 1 to 99",
            ),
            (
                json!({"BadgeSetNum": 1000}),
                "offline_push.BadgeSetNum is 1000: must be an integer of 0 to 999",
            ),
            (
                json!({"BadgeSetNum": 1.5}),
                "offline_push.BadgeSetNum is 1.5: must be an integer of 0 to 999",
            ),
            (
                android(json!({"OPPOCategory": "IM", "OPPONotifyLevel": 3})),
                "offline_push.AndroidInfo.OPPONotifyLevel is 3: must be 1, 2 or 16",
            ),
            (
                android(json!({"OPPONotifyLevel": 16})),
                "offline_push.AndroidInfo.OPPONotifyLevel stands alone: must be given together \
                 with offline_push.AndroidInfo.OPPOCategory",
            ),
            (
                android(json!({"VIVONotifyType": 4})),
                "offline_push.AndroidInfo.VIVONotifyType is 4: must be \"1\", \"2\", \"3\" or \
                 \"4\"",
            ),
            (
                android(json!({"HuaWeiImportance": "HIGH"})),
                "offline_push.AndroidInfo.HuaWeiImportance is \"HIGH\": must be \"LOW\" or \
                 \"NORMAL\"",
            ),
            (
                android(json!({"HuaWeiImage": "http://example.com/a.png"})),
                "offline_push.AndroidInfo.HuaWeiImage is another text: must be a string that \
                 begins with https://",
            ),
            (
                apns(json!({"LiveActivity": {"Event": "end", "ContentState": {}}})),
                "offline_push.ApnsInfo.LiveActivity.LaId is missing: must be a string of 1 to 64 \
                 bytes",
            ),
            (
                apns(json!({"LiveActivity": {"LaId": "x".repeat(65)}})),
                "offline_push.ApnsInfo.LiveActivity.LaId is a string of 65 bytes: must be a string \
                 of 1 to 64 bytes",
            ),
            (
                json!({"HarmonyInfo": {"Sound": "a.mp3", "SoundDuration": 61}}),
                "offline_push.HarmonyInfo.SoundDuration is 61: must be an integer of 1 to 60",
            ),
            (
                json!({"HarmonyInfo": {"SoundDuration": 5}}),
                "offline_push.HarmonyInfo.SoundDuration stands alone: must be given together with \
                 offline_push.HarmonyInfo.Sound",
            ),
            (
                json!({"Desc": "d".repeat(72), "Ext": "e".repeat(3000)}),
                "offline_push.Desc with offline_push.Ext is 3072 bytes long: must be less than \
                 3072 bytes together",
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(refusal(value), expected);
        }
    }

    #[test]
    fn every_documented_key_is_refused_with_a_value_of_the_wrong_type_and_not_echoed() {
        fn walk(keys: &[Key], wrap: &dyn Fn(Value) -> Value) -> usize {
            let mut count = 0;
            for key in keys {
                let wrong = match key.rule {
                    Rule::Text | Rule::TextBytes(_) | Rule::TextOrInteger | Rule::HttpsUrl => {
                        json!(["secret words"])
                    }
                    _ => json!("secret words"),
                };
                let mut object = Map::new();
                for other in keys {
                    if let (Need::Required, Rule::AnyObject) = (&other.need, &other.rule) {
                        object.insert(other.name.to_owned(), json!({}));
                    } else if let (Need::Required, Rule::Word([word, ..])) =
                        (&other.need, &other.rule)
                    {
                        object.insert(other.name.to_owned(), json!(word));
                    } else if let Need::Required = &other.need {
                        object.insert(other.name.to_owned(), json!("id"));
                    }
                    if let Need::With(needed) = key.need {
                        object.insert(needed.to_owned(), json!("given"));
                    }
                }
                object.insert(key.name.to_owned(), wrong);
                let said = refusal(wrap(Value::Object(object)));
                assert!(said.contains(&format!(".{} is ", key.name)), "{said}");
                assert!(!said.contains("secret"), "{said}");
                count += 1;
                count += match key.rule {
                    Rule::Object(inner) => walk(inner, &|v| wrap(json!({ key.name: v }))),
                    Rule::ListOf(inner) => walk(inner, &|v| wrap(json!({ key.name: [v] }))),
                    _ => 0,
                };
            }
            count
        }
        assert_eq!(walk(TOP, &|value| value), 12 + 3 + 23 + 10 + 4 + 5);
    }

    #[test]
    fn unknown_keys_pass_unchanged_at_every_level() {
        let value = json!({
            "Future": [1, {"x": null}],
            "AndroidInfo": {"NewVendor": 3.5},
            "ApnsInfo": {
                "LiveActivity": {"LaId": "a", "Event": "end", "ContentState": {}, "New": []},
            },
        });
        let push = OfflinePush::new(value.clone()).expect("it is valid");
        assert_eq!(Value::Object(push.object().clone()), value);
    }

    #[test]
    fn the_golden_push_has_every_documented_key_and_is_allowed() {
        fn walk(keys: &[Key], value: &Value) {
            for key in keys {
                let inner = &value[key.name];
                assert!(!inner.is_null(), "{} is missing", key.name);
                match key.rule {
                    Rule::Object(keys) => walk(keys, inner),
                    Rule::ListOf(keys) => walk(keys, &inner[0]),
                    _ => {}
                }
            }
        }
        let golden = include_str!("../../tests/golden/start_call/full_push.json");
        let body: Value = serde_json::from_str(golden).expect("it is JSON");
        walk(TOP, &body["OfflinePushInfo"]);
        assert!(OfflinePush::new(body["OfflinePushInfo"].clone()).is_ok());
    }

    #[test]
    fn an_empty_object_is_allowed() {
        assert!(OfflinePush::new(json!({})).is_ok());
    }

    #[test]
    fn a_text_that_strayed_into_a_word_is_not_echoed() {
        let said = refusal(json!({"ApnsInfo": {"InterruptionLevel": "call Ann at 5"}}));
        assert!(said.contains("is a string of 13 bytes"), "{said}");
    }

    #[test]
    fn debug_shows_only_how_many_keys_there_are() {
        let push = OfflinePush::new(json!({"Title": "secret"})).expect("it is valid");
        assert_eq!(format!("{push:?}"), "OfflinePush(1 keys)");
    }
}
