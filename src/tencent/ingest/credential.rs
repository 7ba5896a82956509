//! What requests of API 3.0 are signed with: a key of Tencent's access management (CAM), which is
//! not the app's.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use crate::tencent::usersig::fingerprint;

/// More characters than any key has; a longer text is something else in the wrong place.
const CHARACTERS_MAX: usize = 128;

/// A CAM key and its name. `Debug` shows neither.
#[derive(Clone)]
pub struct CamCredential {
    secret_id: String,
    secret_key: SecretString,
}

/// Why a credential cannot be used. Its text holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CamCredentialError {
    /// The name is no word.
    #[error("cam_secret_id is not a SecretId: must be the one that Tencent's CAM console shows")]
    SecretId,
    /// The key is no word.
    #[error("cam_secret_key is not a SecretKey: must be the one that belongs to cam_secret_id")]
    SecretKey,
}

impl CamCredential {
    /// Takes a key and its name; white space around them is taken off, as of a file's last line.
    ///
    /// # Errors
    /// A [`CamCredentialError`] for what is not 1 to 128 letters, digits and marks of ASCII, or has
    /// one of the characters that set off the name in the header.
    pub fn new(secret_id: &str, secret_key: &SecretString) -> Result<Self, CamCredentialError> {
        let secret_id = secret_id.trim();
        if !is_word(secret_id) || secret_id.contains(['/', ',', '=']) {
            return Err(CamCredentialError::SecretId);
        }
        let secret_key = secret_key.expose_secret().trim();
        if !is_word(secret_key) {
            return Err(CamCredentialError::SecretKey);
        }
        Ok(Self {
            secret_id: secret_id.to_owned(),
            secret_key: secret_key.into(),
        })
    }

    /// The name of the key.
    pub(super) fn secret_id(&self) -> &str {
        &self.secret_id
    }

    /// The key.
    pub(super) const fn secret_key(&self) -> &SecretString {
        &self.secret_key
    }

    /// 12 hex digits that differ if name or key differ, and from which neither can be computed.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.secret_key, &format!("cam\n{}", self.secret_id))
    }
}

impl fmt::Debug for CamCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CamCredential").finish_non_exhaustive()
    }
}

fn is_word(text: &str) -> bool {
    (1..=CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_two_words_and_shows_neither() {
        let made = CamCredential::new(" AKIDname\n", &"the-key\n".into()).expect("two words");
        assert_eq!(made.secret_id(), "AKIDname");
        assert_eq!(made.secret_key().expose_secret(), "the-key");
        let shown = format!("{made:?} {}", made.fingerprint());
        assert!(!shown.contains("AKIDname") && !shown.contains("the-key"));
    }

    #[test]
    fn what_is_no_word_is_refused_without_being_repeated() {
        for (id, key, error) in [
            ("", "key", CamCredentialError::SecretId),
            ("two words", "key", CamCredentialError::SecretId),
            ("a/b", "key", CamCredentialError::SecretId),
            ("AKID", " ", CamCredentialError::SecretKey),
            ("AKID", "schlüssel", CamCredentialError::SecretKey),
        ] {
            assert_eq!(
                CamCredential::new(id, &key.into()).map(|_| ()),
                Err(error),
                "{id} {key}"
            );
        }
        assert!(CamCredential::new(&"a".repeat(129), &"key".into()).is_err());
    }

    #[test]
    fn another_name_or_key_has_another_fingerprint() {
        let print = |id, key: &str| {
            let made = CamCredential::new(id, &key.into());
            made.expect("two words").fingerprint()
        };
        assert_ne!(print("a", "key"), print("b", "key"));
        assert_ne!(print("a", "key"), print("a", "kez"));
        assert_eq!(print("a", "key").len(), 12);
    }
}
