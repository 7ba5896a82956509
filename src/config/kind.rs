//! What the value of a setting may be: the one place of all ranges.

use std::net::SocketAddr;

use serde_json::{Map, Value as Json};
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::call::{RingPolicy, readable};

/// The pace beyond which Tencent refuses requests (74505). A sandbox may be asked for more.
pub(super) const CALLS_PER_SECOND_MAX: f64 = 200.0;

/// More bytes than any region's name has.
const REGION_BYTES_MAX: usize = 32;

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number within bounds.
    Whole {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
        /// What is counted, if it is a measure.
        unit: Option<&'static str>,
    },
    /// Calls per second.
    Pace,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An IP address and a port.
    Address,
    /// A filter of `tracing`.
    LogFilter,
    /// A preset or URL, as [`Host`](crate::tencent::Host) takes it.
    Host,
    /// A preset or URL, as [`Host::of_ingest`](crate::tencent::Host::of_ingest) takes it.
    IngestHost,
    /// A region of Tencent's API 3.0.
    Region,
    /// The name of a CAM key.
    CamSecretId,
    /// An account of Tencent's.
    Account,
    /// A URL of PostgreSQL.
    DatabaseUrl,
    /// A URL of a proxy.
    ProxyUrl,
    /// A URL of http or https that a path can be put behind.
    HttpUrl,
    /// The path of a file with a secret.
    SecretFile,
    /// A secret.
    Secret,
    /// Who is rung again, as `callq.jobs.ring_policy`.
    RingPolicy,
}

impl Kind {
    /// What is allowed, as a phrase that follows "must be".
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Whole { least, most, unit } => {
                let unit = unit.map_or_else(String::new, |unit| format!(" of {unit}"));
                format!("a whole number{unit} from {least} to {most}")
            }
            Self::Pace => format!("a number above 0, at most {CALLS_PER_SECOND_MAX}"),
            Self::Word(words) => words.join(" or "),
            Self::Address => "an address and a port, as in 127.0.0.1:9464".to_owned(),
            Self::LogFilter => "like info or callq=debug,warn".to_owned(),
            Self::Host => "china, singapore, seoul, frankfurt, silicon-valley, jakarta, tokyo or \
                           an https URL"
                .to_owned(),
            Self::IngestHost => "international, china or an https URL".to_owned(),
            Self::Region => "a name such as ap-singapore".to_owned(),
            Self::CamSecretId => "the SecretId that Tencent's CAM console shows".to_owned(),
            Self::Account => "1 to 32 bytes".to_owned(),
            Self::DatabaseUrl => "like postgres://user@host/database".to_owned(),
            Self::ProxyUrl => "like http://proxy.example:3128".to_owned(),
            Self::HttpUrl => "an http or https URL, as in https://calls.example.com".to_owned(),
            Self::SecretFile => "the name of a file that others cannot read".to_owned(),
            Self::RingPolicy => "a table such as { max_rings = 3, busy = [\"3m\"] }; in the \
                                 environment as JSON"
                .to_owned(),
            Self::Secret => "the secret itself, in the environment alone".to_owned(),
        }
    }

    /// What stands for a value in a help text.
    #[must_use]
    pub const fn value_name(self) -> &'static str {
        match self {
            Self::Whole { unit: None, .. } | Self::Pace => "N",
            Self::Whole { unit: Some(_), .. } => "MS",
            Self::Address => "ADDR",
            Self::Word(_) => "WORD",
            Self::SecretFile => "FILE",
            _ => "TEXT",
        }
    }

    /// Why `text` is not `allowed`, with `text` as far as it may be shown.
    pub(super) fn refusal(self, text: &str) -> String {
        format!("is {}: must be {}", shown(text), self.allowed())
    }
}

/// A whole number within the kind's bounds.
pub(super) fn whole(kind: Kind, text: &str) -> Result<u64, String> {
    let Kind::Whole { least, most, .. } = kind else {
        unreachable!("only asked of whole numbers")
    };
    let number = text.parse().ok();
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| kind.refusal(text))
}

/// A pace of at most `most`.
pub(super) fn pace(text: &str, most: f64) -> Result<f64, String> {
    let pace = text.parse().ok();
    pace.filter(|pace| *pace > 0.0 && *pace <= most)
        .ok_or_else(|| Kind::Pace.refusal(text))
}

/// The place of a word in the kind's list.
pub(super) fn word(kind: Kind, text: &str) -> Result<usize, String> {
    let Kind::Word(words) = kind else {
        unreachable!("only asked of words")
    };
    let place = words.iter().position(|word| *word == text);
    place.ok_or_else(|| kind.refusal(text))
}

/// A `ring_policy`, as JSON.
pub(super) fn ring_policy(text: &str) -> Result<String, String> {
    let given: Map<String, Json> =
        serde_json::from_str(text).map_err(|_| Kind::RingPolicy.refusal(text))?;
    let read = RingPolicy::default().with(&given);
    read.map_err(|fault| format!("is refused: {fault}"))?;
    Ok(text.to_owned())
}

/// A region's name: a new one needs no new callq, but it goes into a header.
pub(super) fn region(text: &str) -> Result<String, String> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = (1..=REGION_BYTES_MAX).contains(&text.len()) && text.bytes().all(known);
    fits.then(|| text.to_owned())
        .ok_or_else(|| Kind::Region.refusal(text))
}

/// An address with its port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| Kind::Address.refusal(text))
}

/// A filter that `tracing` understands.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Kind::LogFilter.refusal(text)),
    }
}

/// A proxy's URL. No part of it is repeated.
pub(super) fn proxy_url(text: &str) -> Result<(), String> {
    let fits = Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    fits.then_some(()).ok_or_else(|| {
        let allowed = Kind::ProxyUrl.allowed();
        format!("is not a proxy's URL: must be {allowed}")
    })
}

/// A URL that a path can be put behind: without credentials, query, fragment and final slash.
pub(super) fn http_url(text: &str) -> Result<String, String> {
    let is_base = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    let url = Url::parse(text).ok().filter(is_base);
    let url = url.map(|url| url.as_str().trim_end_matches('/').to_owned());
    url.ok_or_else(|| Kind::HttpUrl.refusal(text))
}

/// A value as it may stand in a message: a number as it is, other text in quotes, and nothing that
/// may be a secret that was given in the wrong place.
pub(super) fn shown(text: &str) -> String {
    if looks_like_a_secret(text) {
        return "something that is not repeated, because it looks like a secret".to_owned();
    }
    if text.parse::<f64>().is_ok() {
        return text.to_owned();
    }
    format!("\"{}\"", readable(text))
}

/// Whether it may be a secret key (64 hex digits) or a `UserSig` (base64 with `*`, `-` and `_`,
/// over 100 characters), or a URL with a password in it.
pub(super) fn looks_like_a_secret(text: &str) -> bool {
    let signs = |c: char| c.is_ascii_alphanumeric() || "*-_+=".contains(c);
    let digits = text.bytes().any(|b| b.is_ascii_digit());
    (text.len() >= 32 && digits && text.chars().all(signs))
        || (text.contains("://") && text.contains('@'))
}
