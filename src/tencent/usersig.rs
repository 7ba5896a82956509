//! The `UserSig` of one app: made or given, kept, renewed, and told apart from others.

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret, SecretString};

use super::signed_content::{SignedContent, generate_user_sig, hmac_sha256};
use crate::call::UserId;

/// How long a `UserSig` that callq makes is valid, in seconds: two days. Tencent advises at least
/// one (34385), its tools default to 180; a short one is worth less to whoever finds it in a log.
pub const USER_SIG_LIFE_S: u32 = 172_800;

/// A cached `UserSig` that seems to be signed further ahead than this, in seconds, is made afresh:
/// the clock went back, and Tencent might not accept it yet.
const CLOCK_STEP_S: i64 = 300;

/// What an app signs its requests with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The app's secret key, as Tencent's console shows it: text, not decoded.
    SecretKey(SecretString),
    /// A `UserSig` made elsewhere; it is used as it is until it expires.
    Fixed(SecretString),
}

impl Credential {
    fn trimmed(self) -> Self {
        let trim = |text: &SecretString| SecretString::from(text.expose_secret().trim());
        match self {
            Self::SecretKey(key) => Self::SecretKey(trim(&key)),
            Self::Fixed(user_sig) => Self::Fixed(trim(&user_sig)),
        }
    }
}

/// Why a credential cannot be used. Its text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserSigError {
    /// No app has the number 0.
    #[error("sdk_app_id is 0: must be the number that Tencent's console shows for the app")]
    NoApp,
    /// The account is empty or too long.
    #[error("admin_account is {0} bytes long: must be 1 to 32 bytes")]
    AdminAccount(usize),
    /// The secret key has no characters.
    #[error("secret_key is empty: must be the key that Tencent's console shows for the app")]
    EmptyKey,
    /// The text is not a `UserSig`.
    #[error("user_sig is not a UserSig ({0}): must be what Tencent's console or tools made, whole")]
    Unreadable(&'static str),
    /// It was made for another app.
    #[error("user_sig was made for sdk_app_id {found}: must be made for {expected}")]
    OtherApp {
        /// The app in the configuration.
        expected: u32,
        /// The app in the `UserSig`.
        found: i64,
    },
    /// It was made for another account.
    #[error("user_sig was made for another account: must be made for admin_account {expected:?}")]
    OtherAccount {
        /// The account in the configuration.
        expected: String,
    },
}

/// The `UserSig` of one app's administrator account: made, kept, renewed.
///
/// It has no clock: the caller passes the time, that of the database.
#[derive(Debug)]
pub struct UserSigs {
    sdk_app_id: u32,
    identifier: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Key {
        key: SecretString,
        cached: Mutex<Option<Cached>>,
    },
    Fixed {
        user_sig: SecretString,
        expires_at_unix: i64,
    },
}

#[derive(Debug)]
struct Cached {
    user_sig: SecretString,
    signed_at_unix: i64,
}

impl Cached {
    /// From signing to the last quarter of its life.
    fn serves(&self, now_unix: i64) -> bool {
        let age_s = now_unix.saturating_sub(self.signed_at_unix);
        (-CLOCK_STEP_S..i64::from(USER_SIG_LIFE_S) * 3 / 4).contains(&age_s)
    }
}

impl UserSigs {
    /// Takes the credential of `admin_account` in the app `sdk_app_id`.
    ///
    /// # Errors
    /// A [`UserSigError`] if app, account or key is empty, or a fixed `UserSig` is unreadable or
    /// was made for another app or account. That one has expired is no error here: see
    /// [`UserSigs::expires_at_unix`].
    pub fn new(
        sdk_app_id: u32,
        admin_account: &str,
        credential: Credential,
    ) -> Result<Self, UserSigError> {
        if sdk_app_id == 0 {
            return Err(UserSigError::NoApp);
        }
        if UserId::new(admin_account).is_err() {
            return Err(UserSigError::AdminAccount(admin_account.len()));
        }
        // A file ends in a newline, and no credential contains white space.
        let source = match credential.trimmed() {
            Credential::SecretKey(key) if key.expose_secret().is_empty() => {
                return Err(UserSigError::EmptyKey);
            }
            Credential::SecretKey(key) => Source::Key {
                key,
                cached: Mutex::new(None),
            },
            Credential::Fixed(user_sig) => {
                let content = SignedContent::decode(user_sig.expose_secret())?;
                if content.sdk_app_id != i64::from(sdk_app_id) {
                    return Err(UserSigError::OtherApp {
                        expected: sdk_app_id,
                        found: content.sdk_app_id,
                    });
                }
                if content.identifier != admin_account {
                    return Err(UserSigError::OtherAccount {
                        expected: admin_account.to_owned(),
                    });
                }
                Source::Fixed {
                    user_sig,
                    expires_at_unix: content.expires_at_unix(),
                }
            }
        };
        Ok(Self {
            sdk_app_id,
            identifier: admin_account.to_owned(),
            source,
        })
    }

    /// The app.
    #[must_use]
    pub const fn sdk_app_id(&self) -> u32 {
        self.sdk_app_id
    }

    /// The administrator account: `identifier` in the URL.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The `UserSig` to send at `now_unix` (seconds): the kept one, or a fresh one if that has
    /// less than a quarter of its life left. A fixed one is given out whatever the time: Tencent's
    /// refusal of an expired one is what pauses the app.
    #[must_use]
    pub fn current(&self, now_unix: i64) -> SecretString {
        match &self.source {
            Source::Fixed { user_sig, .. } => user_sig.clone(),
            Source::Key { key, cached } => {
                let mut cached = lock(cached);
                if let Some(kept) = cached.as_ref().filter(|kept| kept.serves(now_unix)) {
                    return kept.user_sig.clone();
                }
                let user_sig = generate_user_sig(
                    key,
                    self.sdk_app_id,
                    &self.identifier,
                    now_unix,
                    USER_SIG_LIFE_S,
                    None,
                );
                *cached = Some(Cached {
                    user_sig: user_sig.clone(),
                    signed_at_unix: now_unix,
                });
                user_sig
            }
        }
    }

    /// A `UserSig` of another account of the app, made at `now_unix` (seconds): with it that
    /// account enters a room. `None` with a fixed `UserSig`, which stands for the
    /// administrator alone.
    #[must_use]
    pub fn of_account(&self, account: &str, now_unix: i64) -> Option<SecretString> {
        match &self.source {
            Source::Fixed { .. } => None,
            Source::Key { key, .. } => Some(generate_user_sig(
                key,
                self.sdk_app_id,
                account,
                now_unix,
                USER_SIG_LIFE_S,
                None,
            )),
        }
    }

    /// Forgets the kept `UserSig`, so that the next one is made afresh. A fixed one cannot be:
    /// the answer says whether a fresh one can be had.
    pub fn invalidate(&self) -> bool {
        match &self.source {
            Source::Key { cached, .. } => {
                *lock(cached) = None;
                true
            }
            Source::Fixed { .. } => false,
        }
    }

    /// When a fixed `UserSig` expires, in Unix seconds; `None` if callq makes its own.
    #[must_use]
    pub const fn expires_at_unix(&self) -> Option<i64> {
        match &self.source {
            Source::Key { .. } => None,
            Source::Fixed {
                expires_at_unix, ..
            } => Some(*expires_at_unix),
        }
    }

    /// A name of these credentials: 12 hex digits that differ if app, account, key or fixed
    /// `UserSig` differ, and from which none of them can be computed.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let secret = match &self.source {
            Source::Key { key, .. } => key,
            Source::Fixed { user_sig, .. } => user_sig,
        };
        fingerprint(secret, &format!("{}\n{}", self.sdk_app_id, self.identifier))
    }
}

/// 12 hex digits that differ with the secret and with whose it is.
pub(super) fn fingerprint(secret: &SecretString, whose: &str) -> String {
    let message = format!("callq fingerprint\n{whose}");
    let mut digits = String::with_capacity(12);
    for byte in &hmac_sha256(secret, &message)[..6] {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// A poisoned lock still holds a whole value: it is only ever replaced.
fn lock(cached: &Mutex<Option<Cached>>) -> MutexGuard<'_, Option<Cached>> {
    cached.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: u32 = 1_400_000_000;
    const NOW: i64 = 1_700_000_000;

    fn with_key(key: &str) -> UserSigs {
        UserSigs::new(APP, "administrator", Credential::SecretKey(key.into()))
            .expect("the key is not empty")
    }

    fn signed_at(user_sig: &SecretString) -> i64 {
        SignedContent::decode(user_sig.expose_secret())
            .expect("it is a UserSig")
            .signed_at_unix
    }

    fn fixed(identifier: &str) -> SecretString {
        generate_user_sig(&"key".into(), APP, identifier, NOW, 600, None)
    }

    #[test]
    fn it_is_kept_until_a_quarter_of_its_life_is_left() {
        let sigs = with_key("key");
        let renewal = NOW + i64::from(USER_SIG_LIFE_S) / 4 * 3;
        assert_eq!(signed_at(&sigs.current(NOW)), NOW);
        assert_eq!(signed_at(&sigs.current(renewal - 1)), NOW);
        assert_eq!(signed_at(&sigs.current(renewal)), renewal);
        assert_eq!(signed_at(&sigs.current(renewal + 1)), renewal);
    }

    #[test]
    fn it_is_made_afresh_after_the_clock_went_back_but_not_for_a_little_disorder() {
        let sigs = with_key("key");
        let _ = sigs.current(NOW);
        assert_eq!(signed_at(&sigs.current(NOW - CLOCK_STEP_S)), NOW);
        assert_eq!(signed_at(&sigs.current(NOW - 3600)), NOW - 3600);
    }

    #[test]
    fn an_invalidated_one_is_made_afresh() {
        let sigs = with_key("key");
        let _ = sigs.current(NOW);
        assert!(sigs.invalidate());
        assert_eq!(signed_at(&sigs.current(NOW + 1)), NOW + 1);
        assert_eq!(sigs.expires_at_unix(), None);
    }

    #[test]
    fn a_fixed_one_is_used_as_it_is_and_tells_when_it_expires() {
        let given = fixed("administrator");
        let padded = format!(" {}\n", given.expose_secret());
        let sigs = UserSigs::new(APP, "administrator", Credential::Fixed(padded.into()))
            .expect("it is for this app and account");
        assert_eq!(sigs.expires_at_unix(), Some(NOW + 600));
        assert_eq!(
            sigs.current(NOW + 6000).expose_secret(),
            given.expose_secret()
        );
        assert!(!sigs.invalidate());
        assert!(sigs.of_account("robot", NOW).is_none());
    }

    #[test]
    fn a_key_signs_for_other_accounts_too() {
        let sigs = with_key("key");
        let made = sigs.of_account("robot", NOW).expect("there is a key");
        let content = SignedContent::decode(made.expose_secret()).expect("it is a UserSig");
        assert_eq!(
            (content.identifier.as_str(), content.signed_at_unix),
            ("robot", NOW)
        );
        assert!(content.is_signed_by(&"key".into()));
    }

    #[test]
    fn a_credential_that_cannot_serve_is_refused_in_a_sentence() {
        let refusal = |app, account, credential| {
            UserSigs::new(app, account, credential)
                .expect_err("it cannot serve")
                .to_string()
        };
        let key = || Credential::SecretKey("key".into());
        assert!(refusal(0, "a", key()).starts_with("sdk_app_id is 0"));
        assert_eq!(
            refusal(1, "", key()),
            "admin_account is 0 bytes long: must be 1 to 32 bytes"
        );
        let given = || Credential::Fixed(fixed("administrator"));
        assert!(
            refusal(APP, "a", Credential::SecretKey(" ".into())).contains("secret_key is empty")
        );
        assert!(refusal(APP, "a", Credential::Fixed("x".into())).contains("is not a UserSig"));
        assert_eq!(
            refusal(7, "administrator", given()),
            "user_sig was made for sdk_app_id 1400000000: must be made for 7"
        );
        assert_eq!(
            refusal(APP, "admin", given()),
            "user_sig was made for another account: must be made for admin_account \"admin\""
        );
    }

    #[test]
    fn the_fingerprint_differs_with_app_account_and_credential_and_shows_none() {
        let of = |app, account: &str, credential| {
            UserSigs::new(app, account, credential).map(|sigs| sigs.fingerprint())
        };
        let key = |key: &str| Credential::SecretKey(key.into());
        let prints = [
            of(APP, "administrator", key("key")),
            of(APP + 1, "administrator", key("key")),
            of(APP, "administratoR", key("key")),
            of(APP, "administrator", key("kez")),
            of(
                APP,
                "administrator",
                Credential::Fixed(fixed("administrator")),
            ),
        ];
        for (index, print) in prints.iter().enumerate() {
            let text = print.as_ref().expect("the credential serves");
            assert!(
                text.len() == 12 && text.bytes().all(|b| b.is_ascii_hexdigit()),
                "{text}"
            );
            assert!(!prints[..index].contains(print));
        }
        // Stored beside a pause, so it must not change from release to release.
        assert_eq!(prints[0].as_deref(), Ok("316c484d60a4"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let sigs = with_key("hidden-key");
        let sent = sigs.current(NOW);
        let shown = format!("{sigs:?}");
        assert!(
            !shown.contains("hidden-key") && !shown.contains(sent.expose_secret()),
            "{shown}"
        );
    }
}
