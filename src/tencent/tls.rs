//! Why a host was not trusted, told apart as a person must act on it.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use crate::call::readable;

/// What was wrong with the TLS of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// No authority that this machine trusts has signed its certificate: self-signed, or a proxy's.
    NotTrusted,
    /// The certificate is for other names.
    WrongName,
    /// The certificate has expired, by this machine's clock.
    Expired,
    /// The certificate is not valid yet, by this machine's clock.
    NotYetValid,
    /// Anything else, in the library's words: no TLS at all, for example.
    Other(String),
}

impl TlsFault {
    /// Looks for it among the causes of an error.
    pub(super) fn of(error: &reqwest::Error) -> Option<Self> {
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(found) = rustls_error(error) {
                return Some(Self::from(found));
            }
            cause = error.source();
        }
        None
    }
}

/// The error of rustls in `error`. The layers above wrap it as an I/O error, some of them twice,
/// and the `source` of one skips what it holds.
fn rustls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut error = error;
    while let Some(held) = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        error = held;
    }
    error.downcast_ref()
}

impl From<&rustls::Error> for TlsFault {
    fn from(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(fault) => match fault {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    Self::NotTrusted
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::WrongName,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::Expired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                // What `openssl req -x509` makes is an authority of its own: refused before anybody
                // looks who signed it, and rustls has no name for that.
                CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
                    Self::NotTrusted
                }
                _ => Self::Other(readable(&error.to_string())),
            },
            _ => Self::Other(readable(&error.to_string())),
        }
    }
}
