//! Accounts: who calls and who is called.

use super::{InvalidField, readable};

/// The most bytes of an account (34385; IM 34348, code 7003).
pub const USER_ID_BYTES_MAX: usize = 32;

/// A Tencent account: `Robot_Account` or one of `CalleeList_Account`, 1 to 32 bytes.
///
/// Only the length is a rule. The documented characters (`a-zA-Z0-9_-`) are not, because apps hold
/// older accounts with others and which of them Tencent refuses is not documented.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(String);

impl UserId {
    /// Takes `account` if it has 1 to 32 bytes.
    ///
    /// # Errors
    /// An [`InvalidField`] named `account` if it is empty or longer.
    pub fn new(account: &str) -> Result<Self, InvalidField> {
        const ALLOWED: &str = "1 to 32 bytes";
        match account.len() {
            0 => Err(InvalidField::new("account", "is empty", ALLOWED)),
            1..=USER_ID_BYTES_MAX => Ok(Self(account.to_owned())),
            bytes => Err(InvalidField::new(
                "account",
                format!("is {bytes} bytes long (\"{}\")", readable(account)),
                ALLOWED,
            )),
        }
    }

    /// The account as Tencent spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_1_to_32_bytes() {
        assert_eq!(
            UserId::new("j").map(|id| id.as_str().to_owned()),
            Ok("j".to_owned())
        );
        assert!(UserId::new(&"j".repeat(32)).is_ok());
        assert_eq!(
            UserId::new("").map_err(|e| e.to_string()),
            Err("account is empty: must be 1 to 32 bytes".to_owned())
        );
        assert_eq!(
            UserId::new(&"j".repeat(33)).map_err(|e| e.to_string()),
            Err(format!(
                "account is 33 bytes long (\"{}\"): must be 1 to 32 bytes",
                "j".repeat(33)
            ))
        );
    }

    #[test]
    fn bytes_are_counted_not_characters() {
        assert!(UserId::new(&"é".repeat(16)).is_ok());
        assert!(UserId::new(&"é".repeat(17)).is_err());
    }
}
