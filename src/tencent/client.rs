//! One request to Tencent, and what can be proved about it afterwards.
//!
//! A request leaves at most once: HTTP/1 alone, no redirect (a 307 would be posted again), no
//! retry by the library. It is proved unsent only if it could not be built or no connection came
//! about; that the connect timeout is shorter than the request timeout makes the second provable.
//! Everything else may have rung a phone.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Proxy, Response, Url, redirect, retry};
use secrecy::{ExposeSecret, SecretString};

use super::detail::{blinded, detail_of};
use super::host::Host;
use super::usersig::UserSigs;
use super::wire::StartCallBody;
use super::{HostKind, envelope};
use crate::call::{Answer, StartCall};

/// The path of `start_call_by_robot` (74505).
pub const START_CALL_PATH: &str = "/v4/call_engine_http_srv/start_call_by_robot";

/// How long a request may take if nothing else is configured: Tencent itself takes up to 3 s.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(8);

/// The most bytes of a reply that are read; what is longer is no reply of Tencent's.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The shortest request timeout for a live host: above Tencent's own 3 s (68926).
const LIVE_TIMEOUT_MIN: Duration = Duration::from_millis(3_500);

/// The shortest request timeout for a sandbox, where tests want to see timeouts soon.
const SANDBOX_TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// The longest request timeout; leases are sized by it.
const TIMEOUT_MAX: Duration = Duration::from_mins(1);

/// For name, connection, TLS and tunnel together, unless half the request timeout is shorter.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(2);

/// Short, so that a connection that Tencent is about to close is rarely used again: a request that
/// meets the closing ends in doubt.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request to a host of this kind may be given.
#[must_use]
pub const fn request_timeouts(kind: HostKind) -> RangeInclusive<Duration> {
    match kind {
        HostKind::Live => LIVE_TIMEOUT_MIN..=TIMEOUT_MAX,
        HostKind::Sandbox => SANDBOX_TIMEOUT_MIN..=TIMEOUT_MAX,
    }
}

/// What a [`TencentClient`] is made of.
#[derive(Debug)]
pub struct Settings {
    /// Where requests go.
    pub host: Host,
    /// Who sends them.
    pub user_sigs: UserSigs,
    /// How long a request may take from name to last byte: 3.5 s to 60 s, for a sandbox from
    /// 0.1 s. [`REQUEST_TIMEOUT_DEFAULT`] if in doubt.
    pub request_timeout: Duration,
    /// The URL of a proxy that tunnels https; `None` uses none, whatever the environment says.
    /// Requests to a sandbox never go through it. A secret because it may hold a password.
    pub https_proxy: Option<SecretString>,
}

/// Why no client can be made. Its text holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The request timeout is out of range.
    #[error("request_timeout_ms is {found_ms}: must be {least_ms} to {most_ms}")]
    RequestTimeout {
        /// What was configured, in milliseconds.
        found_ms: u128,
        /// The shortest allowed for this kind of host, in milliseconds.
        least_ms: u128,
        /// The longest allowed, in milliseconds.
        most_ms: u128,
    },
    /// The proxy is not a URL.
    #[error("https_proxy is not a proxy's URL: must be like http://proxy.example.com:3128")]
    Proxy,
    /// TLS has no root certificates to trust.
    #[error(
        "cannot use https: this machine has no CA certificates to know Tencent's host by; \
         install the package ca-certificates, or name a file of certificates in SSL_CERT_FILE"
    )]
    NoCaCertificates,
    /// Anything else that the HTTP library refuses.
    #[error("cannot set up the HTTP client: {0}")]
    Build(String),
}

/// Sends the requests of one app. Cheap to share behind an `Arc`; its connections are kept alive
/// and used again.
///
/// `Debug` shows host and account, no secret.
pub struct TencentClient {
    http: Client,
    start_call_url: Url,
    host: Host,
    user_sigs: UserSigs,
    request_timeout: Duration,
}

impl TencentClient {
    /// Sets the client up; sends nothing.
    ///
    /// Installs ring as the process's TLS provider unless one is installed.
    ///
    /// # Errors
    /// A [`ClientError`] if a setting is out of range or TLS has no certificates to trust. The
    /// second does not concern a sandbox, which is reached without TLS.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let Settings {
            host,
            user_sigs,
            request_timeout,
            https_proxy,
        } = settings;
        let allowed = request_timeouts(host.kind());
        if !allowed.contains(&request_timeout) {
            return Err(ClientError::RequestTimeout {
                found_ms: request_timeout.as_millis(),
                least_ms: allowed.start().as_millis(),
                most_ms: allowed.end().as_millis(),
            });
        }
        // The error says that a provider is installed already, which is all that is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = builder(request_timeout, https_proxy.as_ref())?;
        let builder = match host.kind() {
            HostKind::Live => builder,
            // The library sets TLS up even if it is never used, and fails without certificates.
            HostKind::Sandbox => builder.tls_certs_only([]),
        };
        let http = builder.build().map_err(build_error)?;
        let start_call_url = host.url(START_CALL_PATH);
        Ok(Self {
            http,
            start_call_url,
            host,
            user_sigs,
            request_timeout,
        })
    }

    /// Starts a call: at most one request, and always an answer.
    ///
    /// `random` goes into the URL as it is (an attempt's row holds it). `signed_at_unix` is the
    /// database's time in seconds, by which a `UserSig` is signed if the kept one is too old.
    ///
    /// Dropping the future after the first poll leaves the request in doubt.
    pub async fn start_call_by_robot(
        &self,
        call: &StartCall,
        random: u32,
        signed_at_unix: i64,
    ) -> Answer {
        let user_sig = self.user_sigs.current(signed_at_unix);
        let url = self.signed_url(random, &user_sig);
        let request = self.http.post(url).json(&StartCallBody::from(call));
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return unanswered(error, &user_sig),
        };
        let http_status = response.status().as_u16();
        let unknown = |detail| Answer::Unknown {
            detail,
            http_status: Some(http_status),
        };
        let body = match body_of(response).await {
            Ok(body) => body,
            Err(BodyError::TooLong) => {
                return unknown(format!(
                    "HTTP {http_status} with a body of more than {BODY_BYTES_MAX} bytes"
                ));
            }
            Err(BodyError::Lost(error)) => {
                let detail = detail_of(error, &user_sig);
                return unknown(format!(
                    "HTTP {http_status}, then its body was lost: {detail}"
                ));
            }
        };
        // Not a word of the body is quoted: it may repeat the request.
        match envelope::read(http_status, &blinded(&body, &user_sig)) {
            Some(reply) => Answer::Reply(reply),
            None => unknown(format!(
                "HTTP {http_status} with {} bytes that are no reply of Tencent's",
                body.len()
            )),
        }
    }

    /// Where requests go.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Who sends them: the app, the account, the fingerprint, and [`UserSigs::invalidate`] for a
    /// fresh `UserSig` on the next request.
    #[must_use]
    pub const fn user_sigs(&self) -> &UserSigs {
        &self.user_sigs
    }

    /// How long a request may take.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    fn signed_url(&self, random: u32, user_sig: &SecretString) -> Url {
        let mut url = self.start_call_url.clone();
        url.query_pairs_mut()
            .append_pair("sdkappid", &self.user_sigs.sdk_app_id().to_string())
            .append_pair("identifier", self.user_sigs.identifier())
            .append_pair("usersig", user_sig.expose_secret())
            .append_pair("random", &random.to_string())
            .append_pair("contenttype", "json");
        url
    }
}

impl fmt::Debug for TencentClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TencentClient")
            .field("host", &self.host.to_string())
            .field("sdk_app_id", &self.user_sigs.sdk_app_id())
            .field("identifier", &self.user_sigs.identifier())
            .finish_non_exhaustive()
    }
}

fn builder(
    request_timeout: Duration,
    https_proxy: Option<&SecretString>,
) -> Result<ClientBuilder, ClientError> {
    let builder = Client::builder()
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .connect_timeout(CONNECT_TIMEOUT_MAX.min(request_timeout / 2))
        .timeout(request_timeout)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .user_agent(concat!("callq/", env!("CARGO_PKG_VERSION")))
        .no_proxy();
    // So that no byte leaves after the request was given up and its lease has ended.
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(request_timeout);
    match https_proxy {
        None => Ok(builder),
        Some(url) => Proxy::https(url.expose_secret())
            .map(|p| builder.proxy(p))
            .map_err(|_| ClientError::Proxy),
    }
}

fn build_error(error: reqwest::Error) -> ClientError {
    // reqwest has no kind for it; the text is the platform verifier's, and a test holds it.
    let detail = detail_of(error, &SecretString::default());
    if detail.contains("No CA certificates") {
        ClientError::NoCaCertificates
    } else {
        ClientError::Build(detail)
    }
}

/// What an error of `send` proves.
fn unanswered(error: reqwest::Error, user_sig: &SecretString) -> Answer {
    let unreachable = error.is_connect();
    let not_sent = unreachable || error.is_builder();
    let detail = detail_of(error, user_sig);
    if not_sent {
        Answer::NotSent {
            detail,
            unreachable,
        }
    } else {
        Answer::Unknown {
            detail,
            http_status: None,
        }
    }
}

enum BodyError {
    TooLong,
    Lost(reqwest::Error),
}

async fn body_of(mut response: Response) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Lost)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
