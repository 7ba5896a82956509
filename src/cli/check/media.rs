//! Whether Tencent lets an app play media: asked about a stream that does not exist, which changes
//! nothing and is not billed.

use secrecy::SecretString;

use super::app::certificate;
use super::configured::Way;
use super::database::Known;
use super::finding::Finding;
use crate::call::{Class, Family, readable};
use crate::config::IngestConfig;
use crate::tencent::{IngestClient, IngestError, ingest_code, ingest_remedy};

const CHECK: &str = "media";

/// The `TaskId` of no stream.
const NO_TASK_ID: &str = "callq-check-no-such-task";

/// The signature may be so far off, in seconds (34264).
const SKEW_MAX_S: i64 = 300;

/// Asks, with the app's CAM key if it has one.
pub(super) async fn look(
    ingest: Option<&IngestConfig>,
    sdk_app_id: u32,
    way: &Way,
    known: &Known,
) -> Finding {
    let Some(ingest) = ingest else {
        return Finding::ok(CHECK, "the app plays none: it has no CAM key");
    };
    let proxy: Option<SecretString> = way.https_proxy.clone();
    let settings = ingest.settings(sdk_app_id, way.request_timeout, proxy);
    let client = match IngestClient::new(settings) {
        Ok(client) => client,
        Err(error) => return Finding::cannot(CHECK, error.to_string(), "then check again"),
    };
    let now = known.now_unix();
    match client.describe(NO_TASK_ID, now).await {
        Ok(_) => accepted(ingest),
        Err(error) => told(&error, ingest, now),
    }
}

fn accepted(ingest: &IngestConfig) -> Finding {
    let (host, region) = (&ingest.host, &ingest.region);
    Finding::ok(
        CHECK,
        format!("the CAM key is accepted by {host} in {region}"),
    )
}

fn told(error: &IngestError, ingest: &IngestConfig, now_unix: i64) -> Finding {
    let host = &ingest.host;
    if let Some(fault) = &error.tls_fault {
        return certificate(CHECK, fault);
    }
    let Some(code) = error.code.as_deref() else {
        return Finding::could_not(
            CHECK,
            if error.is_unreachable {
                format!("no connection to {host} came about: {}", error.message)
            } else {
                format!("{host}: {}", error.message)
            },
            "check ingest_host, and firewalls and proxies on the way",
        );
    };
    let request = match &error.request_id {
        Some(id) => format!(", RequestId {}", readable(id)),
        None => String::new(),
    };
    let meaning = ingest_code(code).meaning;
    let says = format!("{code}, {meaning} ({}{request})", error.message);
    match error.class.family() {
        Family::App => {
            let says = match off_by(code, error.date_unix, now_unix) {
                Some(off) => format!("{says}; {off}"),
                None => says,
            };
            Finding::cannot(CHECK, says, ingest_remedy(code))
        }
        // What is said about the stream comes after the key was accepted.
        Family::Cannot => accepted(ingest),
        _ if code.starts_with("FailedOperation.") => accepted(ingest),
        _ if error.class == Class::Throttled => Finding::warn(
            CHECK,
            format!("not known: {says}"),
            "too much is asked of Tencent at this moment: try again later",
        ),
        _ => Finding::warn(
            CHECK,
            format!("not known: {says}"),
            "Tencent is in trouble, or changed: try again later, then ask its support",
        ),
    }
}

/// How far the signing clock is from Tencent's, where that is why a signature is refused.
fn off_by(code: &str, date_unix: Option<i64>, now_unix: i64) -> Option<String> {
    if code != "AuthFailure.SignatureExpire" {
        return None;
    }
    let ahead_s = now_unix.saturating_sub(date_unix?);
    let way = if ahead_s < 0 { "behind" } else { "ahead of" };
    let apart = ahead_s.unsigned_abs();
    (ahead_s.abs() > SKEW_MAX_S)
        .then(|| format!("the database's clock is {apart} s {way} Tencent's"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_where_it_is_what_was_refused() {
        let code = "AuthFailure.SignatureExpire";
        let behind = "the database's clock is 400 s behind Tencent's".to_owned();
        assert_eq!(off_by(code, Some(1400), 1000), Some(behind));
        assert_eq!(off_by(code, Some(1400), 1399), None);
        assert_eq!(off_by(code, None, 1000), None);
        assert_eq!(off_by("AuthFailure", Some(1400), 1000), None);
    }
}
