//! Where the callbacks of an app come to: a path that nobody can guess, since Tencent signs none.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::fault::{ConfigError, Fault, Faults};
use super::given::{Given, app_name};
use super::kind;
use super::settings::{self, Setting};
use super::sources::{Sources, secret_of};

/// How long the secret may be, in bytes: too long to be guessed, short enough for Tencent's URL.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=128;

/// One app whose callbacks are taken. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct CallbackAppConfig {
    /// Its name in `callq.jobs.app`, and in the path.
    pub name: String,
    /// Tencent's number of it, which a callback's URL may name.
    pub sdk_app_id: u32,
    /// What stands in the path.
    pub secret: SecretString,
    /// The token of Tencent's console.
    pub token: Option<SecretString>,
}

/// What is known here of where the callbacks of an app are to go. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct CallbackAddress {
    app: String,
    secret: SecretString,
    base_url: Option<String>,
}

impl CallbackAddress {
    /// The path behind the base URL.
    fn path(&self) -> String {
        format!("{}{}", self.folder(), self.secret.expose_secret())
    }

    fn folder(&self) -> String {
        // A URL writes a name with a space or the like in its own way.
        let mut url = Url::parse("http://localhost/callbacks").expect("it is one");
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(&self.app).push("");
        }
        url.path().to_owned()
    }

    /// The URL that Tencent is to be told, for it alone; `None` without a base URL.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let base_url = self.base_url.as_ref()?;
        Some(format!("{base_url}{}", self.path()))
    }

    /// Whether a URL leads to the path of this app and secret, on whatever host.
    #[must_use]
    pub fn is_in(&self, url: &str) -> bool {
        match self.url() {
            Some(ours) => url == ours,
            None => url.ends_with(&self.path()),
        }
    }

    /// Whether a URL is one of ours, though perhaps with the secret of before.
    #[must_use]
    pub fn is_ours(&self, url: &str) -> bool {
        let base_url = self.base_url.as_deref();
        self.is_in(url)
            || base_url.is_some_and(|base| url.starts_with(&format!("{base}{}", self.folder())))
    }

    /// A URL as it may be shown: without the secret, wherever it stands.
    #[must_use]
    pub fn without_secret(&self, url: &str) -> String {
        url.replace(self.secret.expose_secret(), "(secret)")
    }
}

impl fmt::Display for CallbackAddress {
    /// The URL without its secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base_url = self.base_url.as_deref().unwrap_or_default();
        write!(f, "{base_url}{}(secret)", self.folder())
    }
}

impl Sources {
    /// The apps of these names whose callbacks are taken, or all that have a secret for them if
    /// none is given.
    ///
    /// # Errors
    /// With everything that is wrong, at once; also if there is none.
    pub fn callback_apps(&self, only: &[String]) -> Result<Vec<CallbackAppConfig>, ConfigError> {
        let mut faults = Faults::default();
        let known = self.apps();
        for name in only.iter().filter(|name| !known.contains(&name.as_str())) {
            let what = format!("is {}, which is not configured", app_name(name));
            faults.add(Fault::new("--app", what));
        }
        let asked = |name: &&str| match only {
            [] => self.has_callbacks(name),
            only => only.iter().any(|o| o == *name),
        };
        let apps: Vec<&str> = known.into_iter().filter(asked).collect();
        if apps.is_empty() && only.is_empty() {
            faults.add(Fault::new(
                "there is no app whose callbacks could be taken:",
                "set CALLQ_SDK_APP_ID and CALLQ_CALLBACKS_SECRET_FILE, or sdk_app_id and \
                 callbacks_secret_file of an app in callq.toml",
            ));
        }
        let apps = apps.into_iter();
        let apps = apps
            .filter_map(|name| faults.take(self.callback_app(name)))
            .collect();
        faults.none()?;
        Ok(apps)
    }

    /// Where the callbacks of an app are to go; `None` if it has no secret for them.
    ///
    /// # Errors
    /// If the secret or the base URL is not one.
    pub fn callback_address(&self, app: &str) -> Result<Option<CallbackAddress>, ConfigError> {
        let Some(secret) = self.callbacks_secret(app)? else {
            return Ok(None);
        };
        let base_url = self.optional(&settings::CALLBACKS_BASE_URL, kind::http_url)?;
        Ok(Some(CallbackAddress {
            app: app.to_owned(),
            secret,
            base_url,
        }))
    }

    fn has_callbacks(&self, app: &str) -> bool {
        // Two of them are a fault, which is told when it is read.
        !matches!(
            self.one_of(&settings::CALLBACKS_SECRETS, Some(app)),
            Ok(None)
        )
    }

    fn callback_app(&self, app: &str) -> Result<CallbackAppConfig, ConfigError> {
        let mut faults = Faults::default();
        let id = self.sdk_app_id(app);
        let id = faults.take(id.and_then(|id| self.required(id, &settings::SDK_APP_ID, app)));
        let needed = &settings::CALLBACKS_SECRET_FILE;
        let secret = self.callbacks_secret(app);
        let secret = faults.take(secret.and_then(|secret| self.required(secret, needed, app)));
        let token = faults.take(self.callbacks_token(app));
        let whole = || {
            Some(CallbackAppConfig {
                name: app.to_owned(),
                sdk_app_id: id?,
                secret: secret?,
                token: token?,
            })
        };
        faults.or(whole())
    }

    fn callbacks_secret(&self, app: &str) -> Result<Option<SecretString>, Fault> {
        let is_one = |text: &str| {
            let known = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            SECRET_BYTES.contains(&text.len()) && text.bytes().all(known)
        };
        let must = "must be 16 to 128 of A-Z a-z 0-9 _ -, as `openssl rand -hex 24` makes them";
        self.callbacks_word(&settings::CALLBACKS_SECRETS, app, is_one, must)
    }

    fn callbacks_token(&self, app: &str) -> Result<Option<SecretString>, Fault> {
        let is_one = |text: &str| text.len() <= *SECRET_BYTES.end();
        let must = "must be at most 128 bytes";
        self.callbacks_word(&settings::CALLBACKS_TOKENS, app, is_one, must)
    }

    fn callbacks_word(
        &self,
        settings: &[&'static Setting],
        app: &str,
        is_one: impl Fn(&str) -> bool,
        must: &str,
    ) -> Result<Option<SecretString>, Fault> {
        let given: Option<&Given> = self.one_of(settings, Some(app))?;
        let Some(given) = given else { return Ok(None) };
        let secret = secret_of(given)?;
        if is_one(secret.expose_secret()) {
            Ok(Some(secret))
        } else {
            Err(given.secret_fault(format_args!("is not repeated: {must}")))
        }
    }
}
