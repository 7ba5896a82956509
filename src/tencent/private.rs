//! What a reply may not be quoted with: `user_data`, the texts of `offline_push` and the request's
//! URL, should Tencent repeat what it was sent. The `UserSig` is blinded in the bytes already, see
//! [`detail`](super::detail).

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::OnceLock;

use serde_json::Value;

use crate::call::{OfflinePush, StartCall};

/// What stands for a private text.
const BLIND: &str = "[private]";

/// What stands for the request's URL.
const BLIND_URL: &str = "[request URL]";

/// The parameter that makes a word the request's URL.
const MARK_OF_URL: &str = "usersig=";

/// So many characters in a row are no accident: part of a private text is blinded too, because what
/// is repeated may be cut. A shorter text is blinded where it stands alone.
const RUN_CHARS: usize = 8;

/// The texts of one request that are nobody's to quote. No `Debug`.
#[derive(Default)]
pub(super) struct Private {
    texts: Vec<String>,
    /// The accounts that were called, which a reply names as they are.
    callees: Vec<String>,
    patterns: OnceLock<Patterns>,
}

#[derive(Default)]
struct Patterns {
    runs: HashSet<[char; RUN_CHARS]>,
    short: Vec<Vec<char>>,
}

impl Private {
    pub(super) fn of(call: &StartCall) -> Self {
        let mut texts = Vec::new();
        texts.extend(call.user_data().map(|text| text.as_str().to_owned()));
        let push = call.offline_push().map(OfflinePush::object);
        for value in push.into_iter().flat_map(|fields| fields.values()) {
            collect(value, &mut texts);
        }
        let callees = call.callees().iter().map(|c| c.as_str().to_owned());
        Self {
            texts,
            callees: callees.collect(),
            patterns: OnceLock::new(),
        }
    }

    /// These texts, and no call's.
    pub(super) fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            texts: texts.into_iter().map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// `text` without what is private; `None` if there is nothing private in it.
    pub(super) fn blinded(&self, text: &str) -> Option<String> {
        if self.callees.iter().any(|callee| callee == text) {
            return None;
        }
        let without = self.without_texts(text);
        let shown = without.as_deref().unwrap_or(text);
        without_url(shown).or(without)
    }

    fn without_texts(&self, text: &str) -> Option<String> {
        if self.texts.is_empty() {
            return None;
        }
        let patterns = self.patterns.get_or_init(|| Patterns::of(&self.texts));
        let chars: Vec<char> = text.chars().collect();
        let mut private = vec![false; chars.len()];
        for (at, run) in chars.windows(RUN_CHARS).enumerate() {
            if patterns.runs.contains(run) {
                private[at..at + RUN_CHARS].fill(true);
            }
        }
        for short in &patterns.short {
            let joins = |at: Option<usize>| {
                let beside = at.and_then(|at| chars.get(at));
                beside.is_some_and(char::is_ascii_alphanumeric)
            };
            for (at, found) in chars.windows(short.len()).enumerate() {
                let end = at + short.len();
                if found == short.as_slice() && !joins(at.checked_sub(1)) && !joins(Some(end)) {
                    private[at..end].fill(true);
                }
            }
        }
        private.contains(&true).then(|| {
            let mut shown = String::with_capacity(text.len());
            for (at, c) in chars.into_iter().enumerate() {
                if !private[at] {
                    shown.push(c);
                } else if at == 0 || !private[at - 1] {
                    shown.push_str(BLIND);
                }
            }
            shown
        })
    }
}

impl Patterns {
    fn of(texts: &[String]) -> Self {
        let mut patterns = Self::default();
        for written in texts.iter().flat_map(|text| spellings(text)) {
            let chars: Vec<char> = written.chars().collect();
            if (1..RUN_CHARS).contains(&chars.len()) {
                patterns.short.push(chars);
                continue;
            }
            let runs = chars
                .windows(RUN_CHARS)
                .filter_map(|run| <[char; RUN_CHARS]>::try_from(run).ok());
            patterns.runs.extend(runs);
        }
        patterns
    }
}

/// The text as it is, and as it stands in JSON, with and without characters beyond ASCII.
fn spellings(text: &str) -> [String; 3] {
    let json = Value::from(text).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    [text.trim().to_owned(), json, ascii]
}

/// Every text in a value.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(fields) => fields.values().for_each(|item| collect(item, texts)),
        _ => {}
    }
}

/// `text` with every word in which the URL's parameter stands replaced.
fn without_url(text: &str) -> Option<String> {
    let is_url = |word: &str| word.to_ascii_lowercase().contains(MARK_OF_URL);
    if !is_url(text) {
        return None;
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | ')');
    let shown = text.split_inclusive(ends).map(|piece| {
        let word = piece.trim_end_matches(ends);
        if is_url(word) {
            BLIND_URL.to_owned() + &piece[word.len()..]
        } else {
            piece.to_owned()
        }
    });
    Some(shown.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::StartCallFields;

    fn private(user_data: &str, push: Value) -> Private {
        let call = StartCall::new(StartCallFields {
            robot_account: "robot",
            callees: &["jack.of.all.trades".to_owned()],
            media_type: "Audio",
            room_id: "room",
            room_id_type: 2,
            ring_timeout_ms: 45_000,
            user_data: Some(user_data),
            offline_push: Some(push),
        });
        Private::of(&call.expect("the fields are right"))
    }

    #[test]
    fn a_private_text_is_blinded_whole_cut_escaped_or_within_other_words() {
        let push = json!({"Desc": "您的预约明天上午九点在第二诊室", "Ext": "{\"name\":\"Bob\"}"});
        let of = private("Dear Ms \"Smith\", call 555-0199", push);
        for (text, shown) in [
            ("nothing of it", None),
            ("Robot_Account not exist", None),
            ("", None),
            ("jack.of.all.trades", None),
            (
                "bad UserData: Dear Ms \"Smith\", call 555-0199!",
                Some("bad UserData: [private]!"),
            ),
            ("bad: Dear Ms \"Sm", Some("bad: [private]")),
            (
                r#"{"UserData":"Dear Ms \"Smith\", call 555-0199"}"#,
                Some(r#"{"UserData":"[private]"}"#),
            ),
            (r#"Ext {\"name\":\"Bob\"}"#, Some("Ext [private]")),
            ("x 预约明天上午九点在第 y", Some("x [private] y")),
            (r"\u60a8\u7684\u9884\u7ea6", Some("[private]")),
        ] {
            assert_eq!(of.blinded(text).as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn a_short_text_is_blinded_where_it_stands_alone() {
        let of = private("ok", json!({}));
        for (text, shown) in [
            ("bad token", None),
            ("ok", Some("[private]")),
            ("UserData=ok.", Some("UserData=[private].")),
        ] {
            assert_eq!(of.blinded(text).as_deref(), shown, "{text}");
        }
        // A callee is named in the results as it was called, whatever else holds the name.
        let named = private("for jack.of.all.trades", json!({}));
        assert_eq!(named.blinded("jack.of.all.trades"), None);
        assert!(named.blinded("to jack.of.all.trades").is_some());
    }

    #[test]
    fn the_url_of_the_request_is_not_quoted() {
        let none = Private::default();
        let text = "refused \"/v4/x?sdkappid=1&UserSig=[UserSig]&random=2\" (usersig=) usersig";
        let shown = "refused \"[request URL]\" ([request URL]) usersig";
        assert_eq!(none.blinded(text).as_deref(), Some(shown));
        assert_eq!(none.blinded("UserSig expired"), None);
    }
}
