//! The rules of the request line: path, method and the five URL parameters.
//!
//! Documented (68926, S63398, IM 34348): the parameters, all required, names and values
//! case-sensitive; 60009, 60010, 60012, 60025, 60006, 70020. Assumption: which of these codes
//! belongs to which mistake where more than one would fit, and that a method other than POST is
//! 60002.

use std::borrow::Cow;
use std::collections::HashMap;

use axum::http::Method;

use super::command::Command;
use super::config::SandboxApp;
use super::refusal::Refusal;
use super::user_sig;

/// The URL parameters as they came, percent-decoded.
pub(super) struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    pub(super) fn parse(query: &'a str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).collect())
    }

    /// The value of a parameter; 60025 if it was given twice.
    fn get(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self
            .0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| &**value);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Refusal::because(60_025, &format!("{name} is given twice"))),
        }
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name)?
            .ok_or_else(|| Refusal::because(60_025, &format!("{name} is missing")))
    }

    /// `random`, if it is a decimal u32.
    pub(super) fn random(&self) -> Option<u32> {
        decimal(self.get("random").ok()??)
    }

    /// `sdkappid`, if it is a decimal number.
    pub(super) fn sdk_app_id(&self) -> Option<u64> {
        decimal(self.get("sdkappid").ok()??)
    }
}

/// Whether the path names a command and the method may call it.
pub(super) fn check_target(method: &Method, path: &str) -> Result<(), Refusal> {
    if Command::of(path).is_none() {
        return Err(Refusal::documented(60_009));
    }
    if method != Method::POST {
        return Err(Refusal::because(60_002, "only POST is supported"));
    }
    Ok(())
}

/// Who asks: the `SDKAppID` whose administrator signed the request.
pub(super) fn check_caller(
    parameters: &Parameters<'_>,
    apps: &HashMap<u64, SandboxApp>,
    now_unix_s: i64,
) -> Result<u64, Refusal> {
    let sdk_app_id = match parameters.get("sdkappid")? {
        None | Some("") => return Err(Refusal::documented(60_012)),
        Some(text) => decimal::<u64>(text).ok_or_else(|| Refusal::documented(60_006))?,
    };
    let content_type = parameters.required("contenttype")?;
    if content_type != "json" {
        return Err(Refusal::because(60_025, "contenttype must be json"));
    }
    let random = parameters.required("random")?;
    if decimal::<u32>(random).is_none() {
        return Err(Refusal::because(
            60_025,
            "random must be a decimal number up to 4294967295",
        ));
    }
    let identifier = parameters.required("identifier")?;
    if identifier.is_empty() {
        return Err(Refusal::because(60_025, "identifier is empty"));
    }
    let user_sig = parameters.required("usersig")?;
    let app = apps
        .get(&sdk_app_id)
        .ok_or_else(|| Refusal::documented(70_020))?;
    user_sig::verify(user_sig, identifier, app, now_unix_s)?;
    if identifier != app.admin_account {
        return Err(Refusal::documented(60_010));
    }
    Ok(sdk_app_id)
}

/// A number in plain decimal digits: `str::parse` alone would take a leading `+`.
fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}
