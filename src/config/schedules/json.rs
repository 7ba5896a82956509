//! Tables of TOML as JSON that PostgreSQL can store and gives back as it was.

use serde_json::{Map, Number, Value as Json};
use toml::de::{DeTable, DeValue};

use super::text::{Value, in_order};

/// A number as PostgreSQL gives it back: it knows no exponents, so that a great whole one comes
/// back as an integer, and would pass for another.
#[allow(
    clippy::cast_possible_truncation,
    reason = "it is whole, and within the range"
)]
fn number_of(number: f64) -> Option<Number> {
    // From here on serde_json writes an exponent; above, only a float holds it.
    let great = 1e16..9e18;
    if great.contains(&number.abs()) && number.fract() == 0.0 {
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

/// Where something stands that JSON or PostgreSQL does not have, and what it is.
pub(in crate::config) type Strange = (usize, &'static str);

/// The table as an object.
pub(in crate::config) fn object(table: &DeTable<'_>) -> Result<Map<String, Json>, Strange> {
    let mut object = Map::new();
    for (key, value) in in_order(table) {
        if key.get_ref().contains('\0') {
            return Err((key.span().start, "a zero byte in it: must be without"));
        }
        object.insert(key.get_ref().to_string(), json(value)?);
    }
    Ok(object)
}

fn json(value: &Value<'_>) -> Result<Json, Strange> {
    let strange = |what| Err((value.span().start, what));
    Ok(match value.get_ref() {
        DeValue::String(text) if text.contains('\0') => {
            return strange("a zero byte in it: must be without");
        }
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            let Ok(number) = read else {
                return strange("a number in it that is too large: must fit into 64 bits");
            };
            Json::from(number)
        }
        DeValue::Float(number) => {
            let read = number.as_str().parse::<f64>().ok();
            let Some(number) = read.and_then(number_of) else {
                return strange("a number in it that JSON does not know: must be finite");
            };
            Json::Number(number)
        }
        DeValue::Boolean(truth) => Json::Bool(*truth),
        DeValue::Datetime(_) => return strange("a date in it without quotes: must be in quotes"),
        DeValue::Array(items) => {
            let items: Result<Vec<Json>, Strange> = items.iter().map(json).collect();
            Json::Array(items?)
        }
        DeValue::Table(table) => Json::Object(object(table)?),
    })
}
