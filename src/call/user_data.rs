//! The text that is handed to the callee in the call notification.

use std::fmt;

use super::InvalidField;

/// The most bytes of `UserData` (74505): bytes, not characters.
pub const USER_DATA_BYTES_MAX: usize = 1000;

/// `UserData`: at most 1000 bytes. Personal data: neither its `Debug` nor an error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct UserData(String);

impl UserData {
    /// Takes `text` if it has at most 1000 bytes.
    ///
    /// # Errors
    /// An [`InvalidField`] named `user_data` that gives the length.
    pub fn new(text: &str) -> Result<Self, InvalidField> {
        let bytes = text.len();
        if bytes > USER_DATA_BYTES_MAX {
            let fault = format!("is {bytes} bytes long");
            return Err(InvalidField::new("user_data", fault, "at most 1000 bytes"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text itself, for the request alone.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserData({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_has_at_most_1000_bytes_and_the_error_gives_only_the_length() {
        assert!(UserData::new("").is_ok());
        assert!(UserData::new(&"é".repeat(500)).is_ok());
        assert_eq!(
            UserData::new(&("é".repeat(500) + "s")).map_err(|e| e.to_string()),
            Err("user_data is 1001 bytes long: must be at most 1000 bytes".to_owned())
        );
    }

    #[test]
    fn debug_does_not_show_the_text() {
        let data = UserData::new("ward 7, bed 2").expect("it is valid");
        assert_eq!(format!("{data:?}"), "UserData(13 bytes)");
    }
}
