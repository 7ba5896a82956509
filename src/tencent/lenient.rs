//! Reading the fields of an answer or a callback whose spelling nobody can be sure of: Tencent's
//! pages write ids as numbers and as strings, and words with and without capitals, spaces and
//! underscores, sometimes both ways on one page.

use serde_json::{Map, Value};

use super::envelope::{integer, text};
use super::private::Private;
use crate::call::{MediaType, RoomIdType};

/// More elements of a list than this are not read: no call has so many people, no page so many
/// records.
pub(super) const LIST_MAX: usize = 1000;

/// The last second of the year 9999, since the Unix epoch.
const TIME_S_MAX: i64 = 253_402_300_799;

/// The fields of a JSON object; of anything else there are none.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(Option<&'a Map<String, Value>>);

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        Self(value.as_object())
    }

    /// The value of this name, or of one that differs from it in case, spaces and underscores
    /// alone; null if there is none.
    pub(super) fn get(self, name: &str) -> &'a Value {
        const NULL: &Value = &Value::Null;
        let Some(fields) = self.0 else { return NULL };
        if let Some(value) = fields.get(name) {
            return value;
        }
        let wanted = plain(name);
        let found = fields.iter().find(|(key, _)| plain(key) == wanted);
        found.map_or(NULL, |(_, value)| value)
    }

    pub(super) fn has(self, name: &str) -> bool {
        !self.get(name).is_null()
    }

    /// The object of this name.
    pub(super) fn object(self, name: &str) -> Self {
        Self::of(self.get(name))
    }

    /// The elements of the list of this name.
    pub(super) fn list(self, name: &str) -> &'a [Value] {
        let list = self.get(name).as_array().map_or(&[][..], Vec::as_slice);
        &list[..list.len().min(LIST_MAX)]
    }

    /// A text that is not empty, or a number as its digits; bounded, and fit for a row.
    pub(super) fn text(self, name: &str) -> Option<String> {
        word(self.get(name))
    }

    /// An integer, or a string of its digits.
    pub(super) fn integer(self, name: &str) -> Option<i64> {
        integer(self.get(name))
    }

    /// A time in seconds; 0 is none, as in `AcceptTime`, and so is what lies beyond the year 9999,
    /// which no row could hold.
    pub(super) fn time_s(self, name: &str) -> Option<i64> {
        self.integer(name).filter(|s| (1..=TIME_S_MAX).contains(s))
    }

    /// The same in milliseconds.
    pub(super) fn time_ms(self, name: &str) -> Option<i64> {
        let last = TIME_S_MAX * 1000 + 999;
        self.integer(name).filter(|ms| (1..=last).contains(ms))
    }

    pub(super) fn media_type(self) -> Option<MediaType> {
        let name = ["MediaType", "CallMediaType"];
        let found = name.iter().find_map(|name| self.text(name))?;
        match plain(&found).as_str() {
            "audio" => Some(MediaType::Audio),
            "video" => Some(MediaType::Video),
            _ => None,
        }
    }

    pub(super) fn room_id_type(self) -> Option<RoomIdType> {
        RoomIdType::new(self.integer("RoomIdType")?).ok()
    }
}

/// A string that is not empty, or a number; nothing else is an id.
pub(super) fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(_) | Value::Number(_) => text(&Private::default(), value),
        _ => None,
    }
}

/// A word without what its spellings differ in: case, spaces, underscores and hyphens.
pub(super) fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_found_in_every_spelling_and_its_own_comes_first() {
        let value = json!({"call_id": 1, "CALL ID": 2, "CallId": 3, "room id": "r"});
        let fields = Fields::of(&value);
        assert_eq!(fields.integer("CallId"), Some(3));
        assert_eq!(fields.text("RoomId"), Some("r".to_owned()));
        assert!(!fields.has("EventTime"));
        for other in [json!([1]), json!(null), json!("x")] {
            assert!(!Fields::of(&other).has("CallId"));
        }
    }

    #[test]
    fn a_time_is_of_this_calendar_or_none() {
        let value = json!({
            "a": 1, "b": 0, "c": i64::MAX, "d": "253402300799", "e": 253_402_300_800_i64, "f": -1
        });
        let fields = Fields::of(&value);
        let times = ["a", "b", "c", "d", "e", "f"];
        let seconds = times.map(|name| fields.time_s(name));
        assert_eq!(seconds, [Some(1), None, None, Some(TIME_S_MAX), None, None]);
        let milliseconds = times.map(|name| fields.time_ms(name));
        let e = Some(253_402_300_800);
        assert_eq!(
            milliseconds,
            [Some(1), None, None, Some(TIME_S_MAX), e, None]
        );
    }

    #[test]
    fn an_id_is_a_string_or_a_number_to_its_last_digit() {
        let value =
            json!({"a": 144_115_212_830_834_855_i64, "b": "x", "c": "", "d": [1], "e": true});
        let fields = Fields::of(&value);
        assert_eq!(fields.text("a"), Some("144115212830834855".to_owned()));
        assert_eq!(fields.text("b"), Some("x".to_owned()));
        for none in ["c", "d", "e", "f"] {
            assert_eq!(fields.text(none), None, "{none}");
        }
    }
}
