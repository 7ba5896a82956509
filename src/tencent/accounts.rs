//! Reading what `account_check` says of each account (IM 34956), as leniently as an envelope.

use serde::Deserialize;
use serde_json::Value;

use super::envelope::{integer, text};
use super::private::Private;

/// What is known of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedAccount {
    /// `UserID`, as it was answered.
    pub user_id: String,
    /// Whether it can be called.
    pub standing: Standing,
}

/// Whether an account can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was imported, or has logged in.
    Imported,
    /// It does not exist: a call to it is refused with 70107.
    NotImported,
    /// It could not be looked up: `ResultCode` and `ResultInfo`, or that neither can be read.
    Unknown(String),
}

#[derive(Deserialize)]
struct Checked {
    #[serde(rename = "ResultItem", default)]
    items: Vec<Value>,
}

/// The accounts in `body`; none if it does not hold a list of them.
pub(super) fn read(body: &[u8]) -> Vec<CheckedAccount> {
    let checked: Option<Checked> = serde_json::from_slice(body).ok();
    let items = checked.map_or_else(Vec::new, |checked| checked.items);
    items.iter().map(account).collect()
}

fn account(item: &Value) -> CheckedAccount {
    // Nothing but accounts is sent.
    let none = Private::default();
    let code = integer(&item["ResultCode"]);
    let standing = match (code, item["AccountStatus"].as_str()) {
        (Some(0) | None, Some("Imported")) => Standing::Imported,
        (Some(0) | None, Some("NotImported")) => Standing::NotImported,
        (Some(code), _) if code != 0 => {
            let info = text(&none, &item["ResultInfo"]).unwrap_or_default();
            Standing::Unknown(format!("{code} {info}").trim_end().to_owned())
        }
        _ => Standing::Unknown("no AccountStatus that is known".to_owned()),
    };
    CheckedAccount {
        user_id: text(&none, &item["UserID"]).unwrap_or_default(),
        standing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_is_read_by_itself() {
        let body = br#"{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":"","ResultItem":[
            {"UserID":"ann","ResultCode":0,"ResultInfo":"","AccountStatus":"Imported"},
            {"UserID":"bob","ResultCode":0,"ResultInfo":"","AccountStatus":"NotImported"},
            {"UserID":"eve","ResultCode":70169,"ResultInfo":"timeout"},
            {"UserID":7,"AccountStatus":"Later"}]}"#;
        let unknown = |why: &str| Standing::Unknown(why.to_owned());
        let expected = [
            ("ann", Standing::Imported),
            ("bob", Standing::NotImported),
            ("eve", unknown("70169 timeout")),
            ("7", unknown("no AccountStatus that is known")),
        ];
        let expected = expected.map(|(user_id, standing)| CheckedAccount {
            user_id: user_id.to_owned(),
            standing,
        });
        assert_eq!(read(body), expected);
    }

    #[test]
    fn a_body_without_a_list_has_no_accounts() {
        for body in ["", "[]", "{}", r#"{"ResultItem":"none"}"#] {
            assert!(read(body.as_bytes()).is_empty(), "{body}");
        }
    }
}
