//! How an app plays media: with a CAM key, which is not the app's own.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::app::without_field;
use super::fault::{ConfigError, Fault, Faults};
use super::given::Given;
use super::kind;
use super::secret_file::can_be_read_again;
use super::settings::{self, Absent, Setting};
use super::sources::{Sources, secret_of};
use crate::tencent::{
    CamCredential, CamCredentialError, Host, HostError, HostKind, IngestRoomTypes, IngestSettings,
};

/// How one app plays media. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// Who signs.
    pub credential: CamCredential,
    /// The file that the key stands in, if it is one that can be read again.
    pub credential_file: Option<CamKeyFile>,
    /// Where requests go; of the same kind as the app's own host.
    pub host: Host,
    /// Which region plays.
    pub region: String,
    /// How types of rooms are numbered.
    pub room_types: IngestRoomTypes,
}

/// The file that a CAM key stands in. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct CamKeyFile {
    secret_id: Option<Given>,
    key: Given,
}

impl IngestConfig {
    /// What a client of it is made of.
    #[must_use]
    pub fn settings(
        &self,
        sdk_app_id: u32,
        request_timeout: Duration,
        https_proxy: Option<SecretString>,
    ) -> IngestSettings {
        IngestSettings {
            host: self.host.clone(),
            credential: self.credential.clone(),
            region: self.region.clone(),
            sdk_app_id,
            room_types: self.room_types,
            request_timeout,
            https_proxy,
        }
    }
}

impl CamKeyFile {
    /// The key that the file holds now.
    ///
    /// # Errors
    /// If the file can no longer be read, or holds no key.
    pub fn credential(&self) -> Result<CamCredential, ConfigError> {
        match read(self.secret_id.as_ref(), &self.key)? {
            Some(credential) => Ok(credential),
            None => Err(self.key.secret_fault(NO_SECRET_ID).into()),
        }
    }
}

const NO_SECRET_ID: &str = "no longer names a SecretId: must be SecretId:SecretKey";

impl Sources {
    /// How an app plays media; `None` if it has no CAM key. `host` is where its calls go, and
    /// `signer` what they are signed with, as far as these are known.
    pub(super) fn ingest(
        &self,
        app: &str,
        host: Option<&Host>,
        signer: Option<&Given>,
    ) -> Result<Option<IngestConfig>, ConfigError> {
        let mut faults = Faults::default();
        let secret_id = self.given(&settings::CAM_SECRET_ID, Some(app));
        let key = self.one_of(&settings::CAM_SECRET_KEYS, Some(app));
        let key = faults.take(key);
        let credential = key.and_then(|key| faults.take(self.cam_credential(app, secret_id, key)));
        if let Some(None) = credential {
            return Ok(None);
        }
        if let Some(fixed) = signer.filter(|signer| is_fixed(signer)) {
            faults.add(fixed.fault(
                "serves calls alone: must be secret_key_file where there is a CAM key, because a \
                 robot that plays media needs a UserSig of its own",
            ));
        }
        let region = faults.take(self.of_app(&settings::INGEST_REGION, app, kind::region));
        let room_types = |text: &str| kind::word(settings::INGEST_ROOM_ID_TYPE.kind, text);
        let room_types = self.of_app(&settings::INGEST_ROOM_ID_TYPE, app, room_types);
        let room_types = faults.take(room_types);
        let host = host.and_then(|host| faults.take(self.ingest_host(app, host)));
        let whole = || {
            Some(IngestConfig {
                credential: credential??,
                credential_file: key?.and_then(|key| CamKeyFile::of(secret_id, key)),
                host: host?,
                region: region?,
                room_types: match room_types? {
                    0 => IngestRoomTypes::Reference,
                    _ => IngestRoomTypes::SourcePage,
                },
            })
        };
        // Without the app's host nothing is whole, which is told elsewhere.
        let whole = whole();
        faults.none()?;
        Ok(whole)
    }

    /// The key; `None` if there is neither name nor key.
    fn cam_credential(
        &self,
        app: &str,
        secret_id: Option<&Given>,
        key: Option<&Given>,
    ) -> Result<Option<CamCredential>, Fault> {
        let missing = |setting: &Setting| self.required(None, setting, app);
        match (secret_id, key) {
            (None, None) => Ok(None),
            (Some(_), None) => missing(&settings::CAM_SECRET_KEY_FILE),
            (secret_id, Some(key)) => match read(secret_id, key)? {
                None => missing(&settings::CAM_SECRET_ID),
                credential => Ok(credential),
            },
        }
    }

    fn ingest_host(&self, app: &str, of_calls: &Host) -> Result<Host, Fault> {
        let is_sandbox = of_calls.kind() == HostKind::Sandbox;
        let Some(given) = self.given(&settings::INGEST_HOST, Some(app)) else {
            return Ok(if is_sandbox {
                of_calls.clone()
            } else {
                Host::of_ingest("international").expect("it is a preset")
            });
        };
        let fault = |error: HostError| given.fault(without_field(&error.to_string()));
        let host = Host::of_ingest(given.text()).map_err(fault)?;
        if host.kind() == of_calls.kind() {
            return Ok(host);
        }
        let (ours, theirs) = (host.kind().as_str(), of_calls.kind().as_str());
        Err(given.fault(format_args!(
            "is {ours}, and the app's host is {theirs}: must be {theirs} too"
        )))
    }

    /// The value that was given for the app, or else the default of the list.
    fn of_app<T>(
        &self,
        setting: &'static Setting,
        app: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Fault> {
        match (self.given(setting, Some(app)), setting.absent) {
            (Some(given), _) => read(given.text()).map_err(|what| given.fault(what)),
            (None, Absent::Is(default)) => Ok(read(default).expect("a default is in range")),
            (None, _) => unreachable!("only asked of what has a default"),
        }
    }
}

impl CamKeyFile {
    fn of(secret_id: Option<&Given>, key: &Given) -> Option<Self> {
        can_be_read_again(key).then(|| Self {
            secret_id: secret_id.cloned(),
            key: key.clone(),
        })
    }
}

/// The key with its name, which stands before a colon or by itself; `None` if there is no name.
fn read(secret_id: Option<&Given>, key: &Given) -> Result<Option<CamCredential>, Fault> {
    let text = secret_of(key)?;
    let text = text.expose_secret();
    let (name, secret) = match (secret_id, text.split_once(':')) {
        (Some(given), Some(_)) => {
            return Err(given.fault(format_args!(
                "is set, and {} names a SecretId too: must be one of them",
                key.setting.key
            )));
        }
        (Some(given), None) => (given.text(), text),
        (None, Some((name, secret))) => (name, secret),
        (None, None) => return Ok(None),
    };
    let made = CamCredential::new(name, &SecretString::from(secret));
    made.map(Some).map_err(|error| {
        let what = error.to_string();
        let what = without_field(&what);
        match (error, secret_id) {
            (CamCredentialError::SecretId, Some(given)) => given.fault(what),
            (CamCredentialError::SecretId | CamCredentialError::SecretKey, _) => {
                key.secret_fault(what)
            }
        }
    })
}

/// Whether it is a `UserSig` of the administrator's rather than a key.
fn is_fixed(signer: &Given) -> bool {
    signer.setting.key.starts_with(settings::USER_SIG.key)
}
