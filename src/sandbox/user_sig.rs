//! Checks a `UserSig` the way 34385 says it is made (version 2.0), from its text alone.
//!
//! The order in which the faults are looked for is an assumption: what the signature claims first
//! (70014, 70013), then whether it is true (70009), then whether it is still true (70001).

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use super::config::SandboxApp;
use super::refusal::Refusal;

/// A `UserSig` inflates to about 250 bytes; more than this is not one.
const MAX_INFLATED_BYTES: u64 = 4096;

/// The JSON inside a `UserSig`.
#[derive(Deserialize)]
struct Content {
    #[serde(rename = "TLS.ver")]
    version: String,
    #[serde(rename = "TLS.identifier")]
    identifier: String,
    #[serde(rename = "TLS.sdkappid")]
    sdk_app_id: u64,
    #[serde(rename = "TLS.expire")]
    expire_s: u32,
    #[serde(rename = "TLS.time")]
    signed_at_unix_s: i64,
    #[serde(rename = "TLS.userbuf")]
    user_buf: Option<String>,
    #[serde(rename = "TLS.sig")]
    signature: String,
}

/// Whether `user_sig` proves that `identifier` of `app` asks, at `now_unix_s`.
pub(super) fn verify(
    user_sig: &str,
    identifier: &str,
    app: &SandboxApp,
    now_unix_s: i64,
) -> Result<(), Refusal> {
    if user_sig.is_empty() {
        return Err(Refusal::documented(70_002));
    }
    let content = decode(user_sig).map_err(|why| Refusal::because(70_003, why))?;
    if content.sdk_app_id != app.sdk_app_id {
        return Err(Refusal::documented(70_014));
    }
    if content.identifier != identifier {
        return Err(Refusal::documented(70_013));
    }
    if !is_signed_with(&content, &app.secret_key) {
        return Err(Refusal::documented(70_009));
    }
    let ends_at = content
        .signed_at_unix_s
        .saturating_add(i64::from(content.expire_s));
    if now_unix_s >= ends_at {
        return Err(Refusal::documented(70_001));
    }
    Ok(())
}

/// Undoes the three substitutions, base64, zlib and JSON; says at which step it failed.
fn decode(user_sig: &str) -> Result<Content, &'static str> {
    if user_sig.contains(['+', '/', '=']) {
        return Err("it holds a character that should have been replaced");
    }
    let base64 = user_sig
        .replace('*', "+")
        .replace('-', "/")
        .replace('_', "=");
    let deflated = STANDARD.decode(base64).map_err(|_| "it is not base64")?;
    let mut json = Vec::new();
    ZlibDecoder::new(deflated.as_slice())
        .take(MAX_INFLATED_BYTES)
        .read_to_end(&mut json)
        .map_err(|_| "it does not inflate")?;
    let content: Content =
        serde_json::from_slice(&json).map_err(|_| "a part of its JSON is missing or wrong")?;
    if content.version != "2.0" {
        return Err("its TLS.ver is not 2.0");
    }
    Ok(content)
}

/// Recomputes the HMAC over the claims.
fn is_signed_with(content: &Content, secret_key: &str) -> bool {
    let mut signed = format!(
        "TLS.identifier:{}\nTLS.sdkappid:{}\nTLS.time:{}\nTLS.expire:{}\n",
        content.identifier, content.sdk_app_id, content.signed_at_unix_s, content.expire_s
    );
    if let Some(user_buf) = &content.user_buf {
        signed.push_str("TLS.userbuf:");
        signed.push_str(user_buf);
        signed.push('\n');
    }
    let Ok(given) = STANDARD.decode(&content.signature) else {
        return false;
    };
    // The key is used as text, not hex-decoded; HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret_key.as_bytes()) else {
        return false;
    };
    mac.update(signed.as_bytes());
    mac.verify_slice(&given).is_ok()
}
