//! Secrets in files, which are read again while a worker runs: a new one needs no restart.

use secrecy::{ExposeSecret as _, SecretString};

use super::app::without_field;
use super::fault::{ConfigError, Fault};
use super::given::Given;
use super::kind::Kind;
use super::sources::secret_of;
use super::url::DatabaseUrl;
use super::{secret, settings};
use crate::tencent::{Credential, UserSigs};

/// The file that an app's credential stands in. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct CredentialFile {
    given: Given,
    sdk_app_id: u32,
    admin_account: String,
}

impl CredentialFile {
    pub(super) fn of(given: &Given, user_sigs: &UserSigs) -> Option<Self> {
        can_be_read_again(given).then(|| Self {
            given: given.clone(),
            sdk_app_id: user_sigs.sdk_app_id(),
            admin_account: user_sigs.identifier().to_owned(),
        })
    }

    /// What the app signs with by what the file holds now.
    ///
    /// # Errors
    /// If the file can no longer be read, or holds the credential of another app or account.
    pub fn user_sigs(&self) -> Result<UserSigs, ConfigError> {
        let secret = credential(&self.given)?;
        let made = UserSigs::new(self.sdk_app_id, &self.admin_account, secret);
        Ok(made.map_err(|error| self.given.secret_fault(without_field(&error.to_string())))?)
    }
}

/// The file that the database's URL stands in. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct DatabaseUrlFile(Given);

impl DatabaseUrlFile {
    pub(super) fn of(given: &Given) -> Option<Self> {
        can_be_read_again(given).then(|| Self(given.clone()))
    }

    /// The URL that the file holds now.
    ///
    /// # Errors
    /// If the file can no longer be read or holds no URL of PostgreSQL; no part of it is repeated.
    pub fn database_url(&self) -> Result<DatabaseUrl, ConfigError> {
        Ok(database_url(&self.0)?)
    }
}

/// The URL that was given, or that of the file that was named.
pub(super) fn database_url(given: &Given) -> Result<DatabaseUrl, Fault> {
    let url = secret_of(given)?;
    let read = DatabaseUrl::new(url.expose_secret(), given.origin.clone());
    read.map_err(|what| given.secret_fault(what))
}

/// What the app signs with: the secret that was given, or that of the file that was named.
pub(super) fn credential(given: &Given) -> Result<Credential, Fault> {
    let secret: SecretString = secret_of(given)?;
    let is_key = given.setting.key.starts_with(settings::SECRET_KEY.key);
    Ok(if is_key {
        Credential::SecretKey(secret)
    } else {
        Credential::Fixed(secret)
    })
}

/// A pipe gives what it holds once, and waits for more for ever.
pub(super) fn can_be_read_again(given: &Given) -> bool {
    given.setting.kind == Kind::SecretFile && secret::is_plain_file(&given.path())
}
