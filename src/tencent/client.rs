//! How requests to Tencent are sent: the settings of a client, and the HTTP library set up so that
//! what became of a request can be proved.
//!
//! A request leaves at most once: HTTP/1 alone, no redirect (a 307 would be posted again), no
//! retry by the library. That the connect timeout is shorter than the request timeout makes it
//! provable that no connection came about.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Proxy, redirect, retry};
use secrecy::{ExposeSecret, SecretString};

use super::HostKind;
use super::detail::detail_of;
use super::host::Host;
use super::usersig::UserSigs;

/// How long a request may take if nothing else is configured: Tencent itself takes up to 3 s.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(8);

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
    pub(super) http: Client,
    host: Host,
    user_sigs: RwLock<Arc<UserSigs>>,
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
        Ok(Self {
            http: http_client(&host, request_timeout, https_proxy.as_ref())?,
            host,
            user_sigs: RwLock::new(Arc::new(user_sigs)),
            request_timeout,
        })
    }

    /// Where requests go.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Who sends them: the app, the account, the fingerprint, and [`UserSigs::invalidate`] for a
    /// fresh `UserSig` on the next request.
    #[must_use]
    pub fn user_sigs(&self) -> Arc<UserSigs> {
        let held = self.user_sigs.read();
        Arc::clone(&held.unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs with these from the next request on; one that is under way keeps what it was signed
    /// with.
    pub fn set_user_sigs(&self, user_sigs: UserSigs) {
        let held = self.user_sigs.write();
        *held.unwrap_or_else(PoisonError::into_inner) = Arc::new(user_sigs);
    }

    /// How long a request may take.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        self.request_timeout
    }
}

impl fmt::Debug for TencentClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user_sigs = self.user_sigs();
        f.debug_struct("TencentClient")
            .field("host", &self.host.to_string())
            .field("sdk_app_id", &user_sigs.sdk_app_id())
            .field("identifier", &user_sigs.identifier())
            .finish_non_exhaustive()
    }
}

/// The HTTP library set up for this host.
pub(super) fn http_client(
    host: &Host,
    request_timeout: Duration,
    https_proxy: Option<&SecretString>,
) -> Result<Client, ClientError> {
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
    let builder = builder(request_timeout, https_proxy)?;
    let builder = match host.kind() {
        HostKind::Live => builder,
        // The library sets TLS up even if it is never used, and fails without certificates.
        HostKind::Sandbox => builder.tls_certs_only([]),
    };
    builder.build().map_err(build_error)
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
