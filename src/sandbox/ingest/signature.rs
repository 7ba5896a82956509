//! Checks a TC3-HMAC-SHA256 signature the way 34264 says it is made, from the bytes and the headers
//! that were received.

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::code::IngestCode;
use crate::sandbox::config::SandboxApp;

/// The service, which the signature names.
const SERVICE: &str = "trtc";
/// A request's time may be so far from the clock, in seconds.
const SKEW_MAX_S: u64 = 300;

/// What the `Authorization` header claims.
struct Claim<'a> {
    secret_id: &'a str,
    /// Day, service and `tc3_request`.
    scope: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

/// The apps of the Tencent account whose key signed this request at `now_unix_s`: those that share
/// its `SecretId`.
pub(super) fn verify<'a>(
    head: &Parts,
    body: &[u8],
    apps: impl Iterator<Item = &'a SandboxApp>,
    now_unix_s: i64,
) -> Result<Vec<u64>, IngestCode> {
    let authorization = text(&head.headers, header::AUTHORIZATION.as_str());
    let claim = authorization.and_then(claim);
    let claim = claim.ok_or(IngestCode::INVALID_AUTHORIZATION)?;
    let apps: Vec<&SandboxApp> = apps
        .filter(|app| app.cam_secret_id == claim.secret_id)
        .collect();
    let key = apps.first().ok_or(IngestCode::SECRET_ID_NOT_FOUND)?;
    let timestamp = text(&head.headers, "x-tc-timestamp");
    let timestamp: i64 = timestamp
        .and_then(|text| text.parse().ok())
        .ok_or(IngestCode::INVALID_AUTHORIZATION)?;
    if timestamp.abs_diff(now_unix_s) > SKEW_MAX_S {
        return Err(IngestCode::SIGNATURE_EXPIRE);
    }
    let signed = is_signed(head, body, &claim, timestamp, &key.cam_secret_key);
    signed.ok_or(IngestCode::SIGNATURE_FAILURE)?;
    Ok(apps.iter().map(|app| app.sdk_app_id).collect())
}

/// `TC3-HMAC-SHA256 Credential=ID/DAY/SERVICE/tc3_request, SignedHeaders=a;b, Signature=HEX`
fn claim(header: &str) -> Option<Claim<'_>> {
    let (scheme, parts) = header.split_once(' ')?;
    if scheme != "TC3-HMAC-SHA256" {
        return None;
    }
    let part = |name: &str| {
        let mut parts = parts.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let (secret_id, scope) = part("Credential")?.split_once('/')?;
    Some(Claim {
        secret_id,
        scope,
        signed_headers: part("SignedHeaders")?,
        signature: part("Signature")?,
    })
}

fn is_signed(
    head: &Parts,
    body: &[u8],
    claim: &Claim<'_>,
    timestamp: i64,
    key: &str,
) -> Option<()> {
    let day = chrono::DateTime::from_timestamp(timestamp, 0)?.date_naive();
    let day = day.to_string();
    if claim.scope.split('/').collect::<Vec<_>>() != [&*day, SERVICE, "tc3_request"] {
        return None;
    }
    let names: Vec<&str> = claim.signed_headers.split(';').collect();
    let has = |name: &str| names.contains(&name);
    if !names.is_sorted() || !has("content-type") || !has("host") {
        return None;
    }
    let mut request = vec![
        head.method.to_string(),
        head.uri.path().to_owned(),
        head.uri.query().unwrap_or_default().to_owned(),
    ];
    for name in &names {
        let value = text(&head.headers, name)?.trim().to_lowercase();
        request.push(format!("{name}:{value}"));
    }
    request.extend([String::new(), claim.signed_headers.to_owned(), digest(body)]);
    let signed = [
        "TC3-HMAC-SHA256",
        &timestamp.to_string(),
        claim.scope,
        &digest(request.join("\n").as_bytes()),
    ];
    let secret = ["TC3", key].concat().into_bytes();
    let steps = [&*day, SERVICE, "tc3_request"];
    let key = steps.iter().try_fold(secret, |key, step| {
        Some(mac(&key, step)?.finalize().into_bytes().to_vec())
    })?;
    let given = unhex(claim.signature)?;
    mac(&key, &signed.join("\n"))?.verify_slice(&given).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn mac(key: &[u8], message: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message.as_bytes());
    Some(mac)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if digits.len() != 64 || !digits.bytes().all(lower) {
        return None;
    }
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const BODY: &[u8] = br#"{"SdkAppId":1400000000,"TaskId":"task-1"}"#;
    const AT: i64 = 1_700_000_000;
    /// Of a vector that was computed by another program.
    const SIGNATURE: &str = "cea892ca156642814161216d52cf7337f2aa4e67f1b16f97d747779e69536ca8";

    fn app() -> SandboxApp {
        SandboxApp {
            cam_secret_id: "AKIDx".to_owned(),
            cam_secret_key: "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE".to_owned(),
            ..SandboxApp::default()
        }
    }

    fn head(change: impl FnOnce(&mut HeaderMap)) -> Parts {
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential=AKIDx/2023-11-14/trtc/tc3_request, \
             SignedHeaders=content-type;host, Signature={SIGNATURE}"
        );
        let request = Request::post("/")
            .header("Content-Type", "application/json; charset=utf-8")
            .header("Host", "trtc.intl.tencentcloudapi.com")
            .header("X-TC-Timestamp", AT.to_string())
            .header("Authorization", authorization)
            .body(());
        let (mut head, ()) = request.expect("it is one").into_parts();
        change(&mut head.headers);
        head
    }

    fn verified(head: &Parts, body: &[u8], now: i64) -> Result<Vec<u64>, IngestCode> {
        verify(head, body, [app()].iter(), now)
    }

    #[test]
    fn the_vector_is_signed_within_five_minutes() {
        let head = head(|_| {});
        for now in [AT, AT + 300, AT - 300] {
            assert_eq!(verified(&head, BODY, now), Ok(vec![1_400_000_000]), "{now}");
        }
        for now in [AT + 301, AT - 301] {
            let late = verified(&head, BODY, now);
            assert_eq!(late, Err(IngestCode::SIGNATURE_EXPIRE), "{now}");
        }
    }

    #[test]
    fn whatever_differs_from_what_was_signed_is_refused() {
        let failure = Err(IngestCode::SIGNATURE_FAILURE);
        assert_eq!(verified(&head(|_| {}), b"{}", AT), failure);
        for (name, value) in [
            ("content-type", "application/json"),
            ("host", "trtc.tencentcloudapi.com"),
            ("x-tc-timestamp", "1700000001"),
        ] {
            let head = head(|headers| {
                headers.insert(name, value.parse().expect("a value"));
            });
            assert_eq!(verified(&head, BODY, AT), failure, "{name}");
        }
    }

    #[test]
    fn a_header_that_claims_something_else_is_refused() {
        let changed = |from: &str, to: &str| {
            let head = head(|headers| {
                let given = headers["authorization"].to_str().expect("text");
                let changed = given.replacen(from, to, 1);
                headers.insert("authorization", changed.parse().expect("a value"));
            });
            verified(&head, BODY, AT)
        };
        for (from, to, code) in [
            ("TC3-", "TC2-", IngestCode::INVALID_AUTHORIZATION),
            ("Credential", "Name", IngestCode::INVALID_AUTHORIZATION),
            ("AKIDx", "AKIDy", IngestCode::SECRET_ID_NOT_FOUND),
            ("11-14", "11-15", IngestCode::SIGNATURE_FAILURE),
            ("/trtc/", "/cvm/", IngestCode::SIGNATURE_FAILURE),
            ("type;host", "type", IngestCode::SIGNATURE_FAILURE),
            (
                "content-type;host",
                "host;content-type",
                IngestCode::SIGNATURE_FAILURE,
            ),
            ("Signature=c", "Signature=d", IngestCode::SIGNATURE_FAILURE),
            (
                "Signature=ce",
                "Signature=CE",
                IngestCode::SIGNATURE_FAILURE,
            ),
            ("Signature=ce", "Signature=", IngestCode::SIGNATURE_FAILURE),
        ] {
            assert_eq!(changed(from, to), Err(code), "{from} {to}");
        }
        let none = head(|headers| {
            headers.remove("authorization");
        });
        let refused = verified(&none, BODY, AT);
        assert_eq!(refused, Err(IngestCode::INVALID_AUTHORIZATION));
    }
}
