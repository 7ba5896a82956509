//! The app that a worker serves.

use secrecy::SecretString;

use super::secret::secret;
use super::{ConfigError, Environment};
use crate::tencent::{Credential, Host, HostKind, UserSigs};

/// The pace beyond which Tencent refuses requests (74505). A sandbox may be asked for more.
const CALLS_PER_SECOND_MAX: f64 = 200.0;

/// One app's settings.
#[derive(Debug)]
pub struct AppConfig {
    /// Its name in `callq.jobs.app`; `default` as long as there is one.
    pub name: String,
    /// Who signs its requests.
    pub user_sigs: UserSigs,
    /// Where they go.
    pub host: Host,
    /// Its pace; `None` leaves what the database has.
    pub calls_per_second: Option<f64>,
}

/// Reads the app from the environment.
///
/// # Errors
/// At the first name that is missing or wrong.
pub fn app(env: &impl Environment) -> Result<AppConfig, ConfigError> {
    let sdk_app_id = required(env, "CALLQ_SDK_APP_ID", "Tencent's SDKAppID, a number")?;
    let sdk_app_id: u32 = sdk_app_id.trim().parse().map_err(|_| {
        ConfigError::new(
            "CALLQ_SDK_APP_ID",
            format!("is {sdk_app_id:?}: must be a number"),
        )
    })?;
    let admin_account = required(
        env,
        "CALLQ_ADMIN_ACCOUNT",
        "the account of an App administrator",
    )?;
    let user_sigs = UserSigs::new(sdk_app_id, admin_account.trim(), credential(env)?)
        .map_err(|error| named(&error.to_string()))?;
    let host = required(
        env,
        "CALLQ_HOST",
        "the region of the app, such as singapore",
    )?;
    let host = Host::new(host.trim()).map_err(|error| named(&error.to_string()))?;
    Ok(AppConfig {
        name: "default".to_owned(),
        user_sigs,
        calls_per_second: calls_per_second(env, host.kind())?,
        host,
    })
}

/// A fault that begins with a field's name, told with the name of its variable instead.
fn named(fault: &str) -> ConfigError {
    let (field, fault) = fault.split_once(' ').unwrap_or((fault, ""));
    ConfigError::new(&format!("CALLQ_{}", field.to_ascii_uppercase()), fault)
}

fn required(env: &impl Environment, name: &str, what: &str) -> Result<String, ConfigError> {
    env.get(name)?
        .ok_or_else(|| ConfigError::new(name, format!("is not set: must be {what}")))
}

/// Either a key or a fixed `UserSig`, each either in a variable or in a file.
fn credential(env: &impl Environment) -> Result<Credential, ConfigError> {
    let key = secret(env, "CALLQ_SECRET_KEY")?;
    let user_sig = secret(env, "CALLQ_USER_SIG")?;
    match (key, user_sig) {
        (Some(key), None) => Ok(Credential::SecretKey(SecretString::from(key))),
        (None, Some(user_sig)) => Ok(Credential::Fixed(SecretString::from(user_sig))),
        (None, None) => Err(ConfigError::new(
            "CALLQ_SECRET_KEY",
            "is not set: must be the app's secret key, or CALLQ_SECRET_KEY_FILE the name of a file \
             that holds it, or CALLQ_USER_SIG a fixed UserSig",
        )),
        (Some(_), Some(_)) => Err(ConfigError::new(
            "CALLQ_SECRET_KEY",
            "and CALLQ_USER_SIG are both set: must be one of them",
        )),
    }
}

fn calls_per_second(env: &impl Environment, kind: HostKind) -> Result<Option<f64>, ConfigError> {
    const NAME: &str = "CALLQ_CALLS_PER_SECOND";
    let Some(text) = env.get(NAME)? else {
        return Ok(None);
    };
    let most = match kind {
        HostKind::Live => CALLS_PER_SECOND_MAX,
        HostKind::Sandbox => f64::MAX,
    };
    text.trim()
        .parse()
        .ok()
        .filter(|pace: &f64| *pace > 0.0 && *pace <= most)
        .map(Some)
        .ok_or_else(|| {
            ConfigError::new(
                NAME,
                format!("is {text:?}: must be a number above 0, at most 200"),
            )
        })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    struct Given(HashMap<&'static str, &'static str>);

    impl Environment for Given {
        fn get(&self, name: &str) -> Result<Option<String>, ConfigError> {
            Ok(self.0.get(name).map(|v| (*v).to_owned()))
        }
    }

    const COMPLETE: [(&str, &str); 4] = [
        ("CALLQ_SDK_APP_ID", "1400000000"),
        ("CALLQ_ADMIN_ACCOUNT", "administrator"),
        (
            "CALLQ_SECRET_KEY",
            "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e",
        ),
        ("CALLQ_HOST", "singapore"),
    ];

    fn read(changes: &[(&'static str, Option<&'static str>)]) -> Result<AppConfig, String> {
        let mut given: HashMap<_, _> = COMPLETE.into();
        for (name, value) in changes {
            match value {
                Some(value) => given.insert(name, value),
                None => given.remove(name),
            };
        }
        app(&Given(given)).map_err(|e| e.to_string())
    }

    #[test]
    fn a_complete_environment_is_an_app_named_default() {
        let app = read(&[]).unwrap();
        assert_eq!(app.name, "default");
        assert_eq!(app.host.to_string(), "https://adminapisgp.im.qcloud.com");
    }

    #[test]
    fn each_missing_name_is_told_with_what_it_must_be() {
        for (name, _) in COMPLETE {
            let error = read(&[(name, None)]).unwrap_err();
            assert!(
                error.starts_with(&format!("{name} is not set: must be ")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_wrong_value_is_told_by_name() {
        for (name, value) in [
            ("CALLQ_SDK_APP_ID", "twelve"),
            ("CALLQ_HOST", "http://console.tim.qq.com"),
            ("CALLQ_CALLS_PER_SECOND", "201"),
            ("CALLQ_CALLS_PER_SECOND", "0"),
            ("CALLQ_CALLS_PER_SECOND", "NaN"),
            ("CALLQ_USER_SIG", "both"),
            ("CALLQ_SDK_APP_ID", "0"),
            (
                "CALLQ_ADMIN_ACCOUNT",
                "an account of more than thirty-two bytes",
            ),
            ("CALLQ_SECRET_KEY", " "),
        ] {
            let error = read(&[(name, Some(value))]).unwrap_err();
            assert!(error.contains(name), "{name}={value}: {error}");
            assert!(error.contains("must be"), "{name}={value}: {error}");
        }
    }
}
