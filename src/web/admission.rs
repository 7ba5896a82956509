//! Who is let in: whoever knows the path, unless the URL says that it is not for this app.

use std::collections::HashMap;

use axum::http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use crate::tencent::is_signed;

/// One app whose callbacks are taken. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct CallbackApp {
    /// Its name in `callq.jobs.app`, and in the path.
    pub name: String,
    /// Tencent's number of it.
    pub sdk_app_id: u32,
    /// What stands in the path.
    pub secret: SecretString,
    /// The token of Tencent's console; `None`: no `Sign` is looked at.
    pub token: Option<SecretString>,
}

/// Why a request is no callback that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The path, the app or the secret is wrong; it is not told which.
    NotFound,
    /// The path is right, and it is no POST.
    Method,
    /// `SdkAppid` is that of another app.
    OtherApp,
    /// `Sign` is wrong or old.
    Sign,
    /// The body is longer than is kept.
    TooLong,
    /// The body did not come in time.
    TooSlow,
    /// The body ended early.
    Incomplete,
    /// The database is away, or slower than somebody waits.
    Away,
}

impl Refusal {
    pub(super) const ALL: [Self; 8] = [
        Self::NotFound,
        Self::Method,
        Self::OtherApp,
        Self::Sign,
        Self::TooLong,
        Self::TooSlow,
        Self::Incomplete,
        Self::Away,
    ];

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::OtherApp | Self::Sign => StatusCode::FORBIDDEN,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::Away => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Its word in the metric.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Method => "method",
            Self::OtherApp => "sdk_app_id",
            Self::Sign => "sign",
            Self::TooLong => "too_long",
            Self::TooSlow => "too_slow",
            Self::Incomplete => "incomplete",
            Self::Away => "database",
        }
    }
}

/// What the URL of an admitted callback says beside its path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// `CallbackCommand`.
    pub(super) command: Option<String>,
    /// Whether `SdkAppid` was there.
    pub(super) names_app: bool,
}

/// The apps, each behind its secret.
pub(super) struct Admission(HashMap<String, Admitted>);

struct Admitted {
    secret_digest: [u8; 32],
    sdk_app_id: u32,
    token: Option<SecretString>,
}

impl Admission {
    pub(super) fn of(apps: Vec<CallbackApp>) -> Self {
        let admitted = apps.into_iter().map(|app| {
            let CallbackApp {
                name,
                sdk_app_id,
                secret,
                token,
            } = app;
            let admitted = Admitted {
                secret_digest: Sha256::digest(secret.expose_secret()).into(),
                sdk_app_id,
                token,
            };
            (name, admitted)
        });
        Self(admitted.collect())
    }

    /// Whether the path is one of ours. Takes as long whatever is wrong, and compares digests, of
    /// which nothing can be learned byte by byte.
    pub(super) fn knows(&self, app: &str, secret: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(secret).into();
        let none = [0; 32];
        let known = self.0.get(app).map_or(&none, |app| &app.secret_digest);
        let differs = given.iter().zip(known).fold(0, |acc, (a, b)| acc | (a ^ b));
        differs == 0
    }

    /// What the URL of a callback of this app says, if it is for it. `SdkAppid` may be missing: how
    /// Tencent puts its query behind a URL that has a path is on no page.
    pub(super) fn admit(&self, app: &str, query: &str, now_unix: i64) -> Result<Said, Refusal> {
        let Some(app) = self.0.get(app) else {
            return Err(Refusal::NotFound);
        };
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let all = |name: &'static str| {
            let pairs = pairs.iter();
            let named = pairs.filter(move |(known, _)| known.eq_ignore_ascii_case(name));
            named.map(|(_, value)| value.as_ref())
        };
        let first = |name| all(name).find(|value| !value.is_empty());
        let ours = |id: &str| id.parse() == Ok(app.sdk_app_id);
        if !all("SdkAppid").all(ours) {
            return Err(Refusal::OtherApp);
        }
        if let (Some(token), Some(sign)) = (&app.token, first("Sign")) {
            let time = first("RequestTime").unwrap_or_default();
            if !is_signed(token.expose_secret(), time, sign, now_unix) {
                return Err(Refusal::Sign);
            }
        }
        Ok(Said {
            command: first("CallbackCommand").map(str::to_owned),
            names_app: all("SdkAppid").next().is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn admission(token: Option<&str>) -> Admission {
        Admission::of(vec![CallbackApp {
            name: "clinic".to_owned(),
            sdk_app_id: 1_400_000_000,
            secret: SECRET.into(),
            token: token.map(SecretString::from),
        }])
    }

    #[test]
    fn a_path_is_known_by_app_and_secret_together() {
        let admission = admission(None);
        assert!(admission.knows("clinic", SECRET));
        for (app, secret) in [
            ("clinic", ""),
            ("clinic", "0123456789abcdeF"),
            ("clinic", "0123456789abcdef0"),
            ("pharmacy", SECRET),
            ("", SECRET),
        ] {
            assert!(!admission.knows(app, secret), "{app} {secret}");
        }
    }

    #[test]
    fn the_url_of_another_app_is_refused_and_one_without_an_app_is_not() {
        let admit = |query| admission(None).admit("clinic", query, 0);
        let said = |command: &str, names_app| {
            let command = (!command.is_empty()).then(|| command.to_owned());
            Ok(Said { command, names_app })
        };
        assert_eq!(
            admit("SdkAppid=1400000000&CallbackCommand=Call.X&contenttype=json"),
            said("Call.X", true)
        );
        assert_eq!(admit("sdkappid=1400000000"), said("", true));
        assert_eq!(admit(""), said("", false));
        assert_eq!(admit("CallbackCommand=&x"), said("", false));
        for other in [
            "SdkAppid=1400000001",
            "SdkAppid=",
            "SdkAppid=1400000000&SdkAppId=7",
            "SdkAppid=abc",
        ] {
            assert_eq!(admit(other), Err(Refusal::OtherApp), "{other}");
        }
    }

    #[test]
    fn a_sign_is_looked_at_where_there_is_a_token() {
        const GOOD: &str = "RequestTime=1669872112&Sign=\
            17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061";
        let admit = |token, query| {
            let admitted = admission(token).admit("clinic", query, 1_669_872_112);
            admitted.map(|_| ())
        };
        assert_eq!(admit(Some("xxxxyyyy"), GOOD), Ok(()));
        assert_eq!(admit(Some("xxxxyyyy"), "RequestTime=1"), Ok(()), "unsigned");
        assert_eq!(admit(None, "Sign=nonsense"), Ok(()));
        assert_eq!(admit(Some("another"), GOOD), Err(Refusal::Sign));
        assert_eq!(admit(Some("xxxxyyyy"), "Sign=ab"), Err(Refusal::Sign));
    }
}
