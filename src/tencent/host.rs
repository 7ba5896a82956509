//! Where requests go: a named site of Tencent's, or an address of one's own.

use std::fmt;

use url::Url;

/// The sites by name (74505; Tokyo: IM 34953). An app lives at the one where it was created.
const PRESETS: [(&str, &str); 7] = [
    ("china", "https://console.tim.qq.com"),
    ("singapore", "https://adminapisgp.im.qcloud.com"),
    ("seoul", "https://adminapikr.im.qcloud.com"),
    ("frankfurt", "https://adminapiger.im.qcloud.com"),
    ("silicon-valley", "https://adminapiusa.im.qcloud.com"),
    ("jakarta", "https://adminapiidn.im.qcloud.com"),
    ("tokyo", "https://adminapijpn.im.qcloud.com"),
];

/// The hosts of stream ingest by name (57835, CN 101872). A CAM key is known at one of them alone.
const INGEST_PRESETS: [(&str, &str); 2] = [
    ("international", "https://trtc.intl.tencentcloudapi.com"),
    ("china", "https://trtc.tencentcloudapi.com"),
];

/// Whether a host rings phones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostKind {
    /// Reached by https: phones ring.
    Live,
    /// Reached by plain http, which only this machine may be: a stand-in, no phone rings.
    Sandbox,
}

impl HostKind {
    /// The word stored in `callq.apps`: `live` or `sandbox`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
        }
    }
}

/// A host to which requests, and with them the `UserSig`, may be sent.
///
/// `Display` gives its origin, such as `https://console.tim.qq.com`, which holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    origin: Url,
    kind: HostKind,
}

/// Why a text is not a host. Its text never repeats an address, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Neither a preset nor an address.
    #[error(
        "host is neither a preset nor a URL: must be china, singapore, seoul, frankfurt, \
         silicon-valley, jakarta, tokyo or an https URL such as https://adminapi.example.com"
    )]
    Unknown,
    /// The same for a host of stream ingest.
    #[error(
        "ingest_host is neither a preset nor a URL: must be international, china or an https URL \
         such as https://trtc.example.com"
    )]
    UnknownIngest,
    /// An address of a scheme besides http and https.
    #[error("host has a scheme that cannot be used: must be an https URL")]
    Scheme,
    /// Plain http to another machine.
    #[error(
        "host is plain http to another machine: must be https, because the request's URL carries \
         the UserSig and everybody on the way could read it; http is for loopback alone \
         (127.0.0.0/8, ::1, localhost)"
    )]
    PlainHttp,
    /// An address with more than scheme, host and port.
    #[error("host has a {0}: must be scheme, host and port alone, as in https://host:443")]
    Surplus(&'static str),
}

impl Host {
    /// Takes a preset's name, an https URL, or an http URL of this machine.
    ///
    /// # Errors
    /// A [`HostError`] if it is neither, or a URL with user, path, query or fragment.
    pub fn new(text: &str) -> Result<Self, HostError> {
        let preset = PRESETS.iter().find(|(name, _)| *name == text);
        let address = preset.map_or(text, |(_, address)| address);
        // The parser forgives white space and turns backslashes; a configured host needs neither.
        if address.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(HostError::Unknown);
        }
        let origin = Url::parse(address).map_err(|_| HostError::Unknown)?;
        let kind = match origin.scheme() {
            "https" => HostKind::Live,
            "http" if is_loopback(&origin) => HostKind::Sandbox,
            "http" => return Err(HostError::PlainHttp),
            // `localhost:8080` reads as a URL of the scheme `localhost`.
            _ if !address.contains("://") => return Err(HostError::Unknown),
            _ => return Err(HostError::Scheme),
        };
        match surplus(address, &origin) {
            Some(part) => Err(HostError::Surplus(part)),
            None => Ok(Self { origin, kind }),
        }
    }

    /// The same for stream ingest, which has hosts of its own: `international` or `china`, else as
    /// [`Host::new`].
    ///
    /// # Errors
    /// A [`HostError`], as [`Host::new`].
    pub fn of_ingest(text: &str) -> Result<Self, HostError> {
        let preset = INGEST_PRESETS.iter().find(|(name, _)| *name == text);
        match preset {
            Some((_, address)) => Self::new(address),
            None if PRESETS.iter().any(|(name, _)| *name == text) => Err(HostError::UnknownIngest),
            None => Self::new(text).map_err(|error| match error {
                HostError::Unknown => HostError::UnknownIngest,
                other => other,
            }),
        }
    }

    /// Whether phones ring.
    #[must_use]
    pub const fn kind(&self) -> HostKind {
        self.kind
    }

    /// Its name or address, without brackets, and its port.
    #[must_use]
    pub fn address(&self) -> (String, u16) {
        let name = match self.origin.host() {
            Some(url::Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => String::new(),
        };
        // Both schemes that are allowed have a port of their own.
        (name, self.origin.port_or_known_default().unwrap_or(443))
    }

    /// What the `Host` header says: the name, and the port unless it is the scheme's own.
    pub(super) fn authority(&self) -> String {
        self.origin.authority().to_owned()
    }

    /// The URL of `path` on this host; `path` begins with a slash.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.origin.clone();
        url.set_path(path);
        url
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.origin.as_str().trim_end_matches('/'))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn surplus(address: &str, url: &Url) -> Option<&'static str> {
    // An empty user (`https://@host`) is parsed away, so the text is asked as well.
    if address.contains('@') || !url.username().is_empty() || url.password().is_some() {
        Some("user name or password")
    } else if url.query().is_some() {
        Some("query")
    } else if url.fragment().is_some() {
        Some("fragment")
    } else if url.path() != "/" {
        Some("path")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_live_https_host() {
        for (name, address) in PRESETS {
            let host = Host::new(name).expect(name);
            assert_eq!(
                (host.to_string().as_str(), host.kind()),
                (address, HostKind::Live)
            );
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_alone_and_makes_a_sandbox() {
        for address in [
            "http://127.0.0.1:8080",
            "http://127.255.0.9",
            "http://[::1]:9",
            "http://localhost:80/",
            "http://LOCALHOST",
        ] {
            assert_eq!(
                Host::new(address).map(|h| h.kind()),
                Ok(HostKind::Sandbox),
                "{address}"
            );
        }
        for address in [
            "http://128.0.0.1",
            "http://0.0.0.0",
            "http://console.tim.qq.com",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "http://[::ffff:10.0.0.1]",
        ] {
            assert_eq!(Host::new(address), Err(HostError::PlainHttp), "{address}");
        }
    }

    #[test]
    fn an_https_address_is_live_even_on_this_machine() {
        for address in ["https://adminapi.example.com", "https://localhost:8443/"] {
            assert_eq!(Host::new(address).map(|h| h.kind()), Ok(HostKind::Live));
        }
    }

    #[test]
    fn an_address_with_more_than_an_origin_is_refused() {
        for (address, part) in [
            ("https://me:pw@example.com", "user name or password"),
            ("https://@example.com", "user name or password"),
            ("https://example.com/v4", "path"),
            ("https://example.com?usersig=x", "query"),
            ("https://example.com/?", "query"),
            ("https://example.com#top", "fragment"),
        ] {
            assert_eq!(
                Host::new(address),
                Err(HostError::Surplus(part)),
                "{address}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "China",
            "moon",
            "localhost:8080",
            "https://",
            " https://example.com",
        ] {
            assert_eq!(Host::new(text), Err(HostError::Unknown), "{text}");
        }
        for text in ["ftp://example.com", "file:///etc/passwd"] {
            assert_eq!(Host::new(text), Err(HostError::Scheme), "{text}");
        }
    }

    #[test]
    fn stream_ingest_has_hosts_of_its_own() {
        for (name, address) in INGEST_PRESETS {
            let host = Host::of_ingest(name).expect(name);
            assert_eq!(host.to_string(), address);
            assert_eq!(format!("https://{}", host.authority()), address);
        }
        let own = Host::of_ingest("http://[::1]:9").expect("it is this machine");
        assert_eq!(
            (own.authority().as_str(), own.kind()),
            ("[::1]:9", HostKind::Sandbox)
        );
        for text in ["singapore", "moon", ""] {
            assert_eq!(
                Host::of_ingest(text),
                Err(HostError::UnknownIngest),
                "{text}"
            );
        }
        let plain = Host::of_ingest("http://trtc.example.com");
        assert_eq!(plain, Err(HostError::PlainHttp));
    }

    #[test]
    fn a_path_is_put_behind_the_origin() {
        let host = Host::new("http://localhost:8080").expect("it is valid");
        assert_eq!(host.url("/v4/x").as_str(), "http://localhost:8080/v4/x");
    }
}
