//! The apps that a worker serves.

use super::fault::{ConfigError, Fault, Faults};
use super::given::{Given, app_name};
use super::ingest::IngestConfig;
use super::kind::{self, CALLS_PER_SECOND_MAX};
use super::near::meant;
use super::secret_file::{CredentialFile, credential};
use super::settings::{self, DEFAULT_APP, Setting};
use super::sources::Sources;
use crate::call::JobDefaults;
use crate::tencent::{Host, HostKind, UserSigs};

/// One app's settings. `Debug` shows no secret.
#[derive(Debug)]
pub struct AppConfig {
    /// Its name in `callq.jobs.app`.
    pub name: String,
    /// Who signs its requests.
    pub user_sigs: UserSigs,
    /// Where they go.
    pub host: Host,
    /// Its pace; `None` leaves what the database has.
    pub calls_per_second: Option<f64>,
    /// What its jobs have that give none of their own.
    pub defaults: JobDefaults,
    /// The file that its credential stands in, if it is one that can be read again.
    pub credential_file: Option<CredentialFile>,
    /// How it plays media; `None` without a CAM key.
    pub ingest: Option<IngestConfig>,
}

impl Sources {
    /// The apps of these names, or all that are described if none is given.
    ///
    /// # Errors
    /// With everything that is wrong, at once. An app that is not asked for may be incomplete and
    /// its secrets unreadable; its `sdk_app_id` may not be that of another.
    pub fn app_configs(&self, only: &[String]) -> Result<Vec<AppConfig>, ConfigError> {
        let mut faults = Faults::default();
        let known = self.apps();
        if known.is_empty() {
            faults.add(Fault::new(
                "there is no app to serve:",
                "set CALLQ_SDK_APP_ID, CALLQ_ADMIN_ACCOUNT, CALLQ_SECRET_KEY_FILE and \
                 CALLQ_HOST, or describe apps as [apps.NAME] in callq.toml",
            ));
        }
        for name in only.iter().filter(|name| !known.contains(&name.as_str())) {
            let what = format!(
                "is {}, which is not configured: {}",
                app_name(name),
                meant(name, &known)
            );
            faults.add(Fault::new("--app", what));
        }
        let asked = |name: &&str| only.is_empty() || only.iter().any(|o| o == *name);
        let apps = known
            .iter()
            .copied()
            .filter(asked)
            .filter_map(|name| faults.take(self.app(name)))
            .collect();
        self.refuse_shared_ids(&known, &mut faults);
        faults.none()?;
        Ok(apps)
    }

    /// One app.
    ///
    /// # Errors
    /// With everything that is missing or wrong, at once.
    pub fn app(&self, name: &str) -> Result<AppConfig, ConfigError> {
        let mut faults = Faults::default();
        let id = self.sdk_app_id(name);
        let id = faults.take(id.and_then(|id| self.required(id, &settings::SDK_APP_ID, name)));
        let account = self.given(&settings::ADMIN_ACCOUNT, Some(name));
        let account = faults.take(self.required(account, &settings::ADMIN_ACCOUNT, name));
        let host = self.host(name);
        let host = faults.take(host.and_then(|h| self.required(h, &settings::HOST, name)));
        let pace = host
            .as_ref()
            .and_then(|host| faults.take(self.pace(name, host.kind())));
        let defaults = faults.take(self.defaults(name));
        let signer = self.one_of(&settings::CREDENTIALS, Some(name));
        let signer =
            faults.take(signer.and_then(|s| s.ok_or_else(|| self.missing_credential(name))));
        let secret = signer.and_then(|signer| faults.take(credential(signer)));
        let ingest = faults.take(self.ingest(name, host.as_ref(), signer));
        let whole = || {
            let (id, account, signer, secret) = (id?, account?, signer?, secret?);
            let made = UserSigs::new(id, account.text(), secret);
            let user_sigs = made.map_err(|error| self.sign_fault(name, signer, &error.to_string()));
            Some(user_sigs.map(|user_sigs| {
                let file = CredentialFile::of(signer, &user_sigs);
                (user_sigs, file)
            }))
        };
        let made = whole().and_then(|made| faults.take(made));
        let app = || {
            let (user_sigs, credential_file) = made?;
            Some(AppConfig {
                name: name.to_owned(),
                user_sigs,
                host: host?,
                calls_per_second: pace?,
                defaults: defaults?,
                credential_file,
                ingest: ingest?,
            })
        };
        faults.or(app())
    }

    pub(super) fn sdk_app_id(&self, app: &str) -> Result<Option<u32>, Fault> {
        let Some(given) = self.given(&settings::SDK_APP_ID, Some(app)) else {
            return Ok(None);
        };
        let id = kind::whole(settings::SDK_APP_ID.kind, given.text());
        let id = id.map_err(|what| given.fault(what))?;
        Ok(Some(u32::try_from(id).expect("the range is that of u32")))
    }

    fn host(&self, app: &str) -> Result<Option<Host>, Fault> {
        let Some(given) = self.given(&settings::HOST, Some(app)) else {
            return Ok(None);
        };
        let host = Host::new(given.text());
        host.map(Some)
            .map_err(|error| given.fault(without_field(&error.to_string())))
    }

    fn pace(&self, app: &str, kind: HostKind) -> Result<Option<f64>, Fault> {
        let most = match kind {
            HostKind::Live => CALLS_PER_SECOND_MAX,
            HostKind::Sandbox => f64::MAX,
        };
        let Some(given) = self.given(&settings::CALLS_PER_SECOND, Some(app)) else {
            return Ok(None);
        };
        let pace = kind::pace(given.text(), most).map(Some);
        pace.map_err(|what| given.fault(what))
    }

    fn defaults(&self, app: &str) -> Result<JobDefaults, Fault> {
        let policy = self.given(&settings::RING_POLICY, Some(app));
        let policy =
            policy.map(|given| kind::ring_policy(given.text()).map_err(|what| given.fault(what)));
        let seconds = |setting: &'static Setting| -> Result<Option<u32>, Fault> {
            let Some(given) = self.given(setting, Some(app)) else {
                return Ok(None);
            };
            let seconds = kind::whole(setting.kind, given.text());
            let seconds = seconds.map_err(|what| given.fault(what))?;
            Ok(Some(
                u32::try_from(seconds).expect("the range is that of a day"),
            ))
        };
        let longest_call_s = seconds(&settings::LONGEST_CALL_S)?;
        Ok(JobDefaults {
            ring_policy: policy.transpose()?,
            max_call_seconds: seconds(&settings::MAX_CALL_SECONDS)?,
            longest_call_s: longest_call_s.unwrap_or(JobDefaults::default().longest_call_s),
        })
    }

    pub(super) fn required<T>(
        &self,
        found: Option<T>,
        setting: &Setting,
        app: &str,
    ) -> Result<T, Fault> {
        found.ok_or_else(|| {
            let key = setting.key;
            self.missing(app, setting.environment, key, setting.meaning)
        })
    }

    fn missing_credential(&self, app: &str) -> Fault {
        let must = if self.app_of_file(app).is_some() {
            "a file that holds the app's secret key, or user_sig_file one that holds a fixed \
             UserSig"
        } else {
            "the app's secret key, or CALLQ_SECRET_KEY_FILE the name of a file that holds it, or \
             CALLQ_USER_SIG a fixed UserSig"
        };
        self.missing(app, "CALLQ_SECRET_KEY", "secret_key_file", must)
    }

    /// What is missing, told by whoever named the app.
    fn missing(&self, app: &str, environment: &str, key: &str, must: &str) -> Fault {
        let by_environment = self.app_of_environment().filter(|_| app == DEFAULT_APP);
        match (self.app_of_file(app), by_environment) {
            (Some(place), by_environment) => {
                let or = match by_environment {
                    Some(_) => format!(", and {environment} is not set"),
                    None => String::new(),
                };
                let what = format!("[apps.{}] has no {key}{or}: must be {must}", app_name(app));
                Fault::new(format_args!("{place}:"), what)
            }
            (None, Some(by)) => {
                let by = by.setting.environment;
                let what = format!("is not set: must be {must} ({by} describes the app {app})");
                Fault::new(environment, what)
            }
            (None, None) => Fault::new("--app", format_args!("is {app}, which is not configured")),
        }
    }

    /// A fault that begins with a field's name, told with the place of that field instead.
    fn sign_fault(&self, app: &str, signer: &Given, fault: &str) -> Fault {
        let field = fault.split_once(' ').map_or(fault, |(field, _)| field);
        let of_field = [&settings::SDK_APP_ID, &settings::ADMIN_ACCOUNT];
        let setting = of_field.into_iter().find(|setting| setting.key == field);
        let given = setting.and_then(|setting| self.given(setting, Some(app)));
        match given {
            Some(given) => given.fault(without_field(fault)),
            None => signer.secret_fault(without_field(fault)),
        }
    }

    /// Tencent's limit is one per `SDKAppID`: two paces for one would exceed it.
    fn refuse_shared_ids(&self, apps: &[&str], faults: &mut Faults) {
        let ids = apps.iter().filter_map(|app| {
            let id = self.sdk_app_id(app).ok()??;
            Some((id, *app))
        });
        let mut seen: Vec<(u32, &str)> = Vec::new();
        for (id, app) in ids {
            let first = seen.iter().find(|(known, _)| *known == id);
            if let (Some((_, first)), Some(given)) =
                (first, self.given(&settings::SDK_APP_ID, Some(app)))
            {
                let what = format!(
                    "is {id}, as is that of the app {}: must be another, because Tencent limits \
                     the pace per SDKAppID",
                    app_name(first)
                );
                faults.add(given.fault(what));
            }
            seen.push((id, app));
        }
    }
}

/// `is 0: must be ...` of `sdk_app_id is 0: must be ...`.
pub(super) fn without_field(fault: &str) -> &str {
    fault.split_once(' ').map_or(fault, |(_, rest)| rest)
}
