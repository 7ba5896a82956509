//! TC3-HMAC-SHA256, by which Tencent's API 3.0 knows who asks (34264): a pure function of the
//! request. Another scheme and other credentials than those of the call API.

use std::fmt::Write as _;

use chrono::DateTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// The `Content-Type` that is signed. What is sent must be equal to the last character.
pub(super) const CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// A `POST` to the path `/` without a query, as far as it is signed.
pub(super) struct Unsigned<'a> {
    /// Whose key it is.
    pub(super) secret_id: &'a str,
    /// The key.
    pub(super) secret_key: &'a SecretString,
    /// The service, which begins its host's name as a rule.
    pub(super) service: &'a str,
    /// The `Host` header, as it is sent.
    pub(super) host: &'a str,
    /// The `X-TC-Action` header, if it is signed too: then nobody can turn a request into another.
    pub(super) action: Option<&'a str>,
    /// The `X-TC-Timestamp` header: seconds since the Unix epoch. Tencent takes 5 minutes of skew.
    pub(super) timestamp: i64,
    /// What is posted.
    pub(super) body: &'a [u8],
}

impl Unsigned<'_> {
    /// The `Authorization` header.
    pub(super) fn authorization(&self) -> String {
        format!(
            "TC3-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
            self.secret_id,
            self.scope(),
            self.signed_headers(),
            self.signature()
        )
    }

    fn signature(&self) -> String {
        let text = format!(
            "TC3-HMAC-SHA256\n{}\n{}\n{}",
            self.timestamp,
            self.scope(),
            sha256(self.canonical().as_bytes())
        );
        hex(&hmac(&self.signing_key(), text.as_bytes()))
    }

    /// The request in the form whose hash is signed.
    fn canonical(&self) -> String {
        let action = self.action.map_or_else(String::new, |action| {
            format!("x-tc-action:{}\n", action.to_lowercase())
        });
        format!(
            "POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{}\n{action}\n{}\n{}",
            self.host,
            self.signed_headers(),
            sha256(self.body)
        )
    }

    /// Good for one day and one service.
    fn signing_key(&self) -> [u8; 32] {
        let secret = format!("TC3{}", self.secret_key.expose_secret());
        let of_day = hmac(secret.as_bytes(), self.date().as_bytes());
        hmac(&hmac(&of_day, self.service.as_bytes()), b"tc3_request")
    }

    fn scope(&self) -> String {
        format!("{}/{}/tc3_request", self.date(), self.service)
    }

    /// The day in UTC.
    fn date(&self) -> String {
        let at = DateTime::from_timestamp(self.timestamp, 0).unwrap_or_default();
        at.format("%Y-%m-%d").to_string()
    }

    const fn signed_headers(&self) -> &'static str {
        match self.action {
            None => "content-type;host",
            Some(_) => "content-type;host;x-tc-action",
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of every length");
    hmac.update(message);
    hmac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A published vector (34264 and the official SDKs' tests; the last one recomputed by another
    /// program): the request, and each hash on the way to its signature.
    struct Vector {
        name: &'static str,
        secret: &'static str,
        service: &'static str,
        host: &'static str,
        action: Option<&'static str>,
        timestamp: i64,
        date: &'static str,
        body: &'static str,
        payload: &'static str,
        canonical: &'static str,
        signature: &'static str,
    }

    const EXAMPLE: &str = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE";
    const STARS: &str = "********************************";
    const CVM: &str = "cvm.tencentcloudapi.com";
    const UNNAMED_IN_CHINESE: &str = concat!(
        r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "#,
        r#""Name": "instance-name"}]}"#
    );

    #[rustfmt::skip]
    const VECTORS: [Vector; 4] = [
        Vector {
            name: "A", secret: EXAMPLE, service: "cvm", host: CVM, action: None,
            timestamp: 1_551_113_065, date: "2019-02-25", body: UNNAMED_IN_CHINESE,
            payload: "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064",
            canonical: "5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031",
            signature: "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168",
        },
        Vector {
            name: "B", secret: STARS, service: "cvm", host: CVM, action: Some("DescribeInstances"),
            timestamp: 1_551_113_065, date: "2019-02-25", body: UNNAMED_IN_CHINESE,
            payload: "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064",
            canonical: "7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84",
            signature: "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f",
        },
        Vector {
            name: "C", secret: STARS, service: "cvm", host: CVM, action: None,
            timestamp: 1_551_113_065, date: "2019-02-25",
            body: r#"{"Limit": 1, "Filters": [{"Values": ["unnamed"], "Name": "instance-name"}]}"#,
            payload: "99d58dfbc6745f6747f36bfca17dee5e6881dc0428a0a36f96199342bc5b4907",
            canonical: "2815843035062fffda5fd6f2a44ea8a34818b0dc46f024b8b3786976a3adda7a",
            signature: "a7b8551448762bd123d6f79e81815e31a92013640a6cef36a08ad4b292a4d2f2",
        },
        Vector {
            name: "D", secret: EXAMPLE, service: "trtc", host: "trtc.intl.tencentcloudapi.com",
            action: None, timestamp: 1_700_000_000, date: "2023-11-14",
            body: r#"{"SdkAppId":1400000000,"TaskId":"task-1"}"#,
            payload: "19f78aead9331810bf6be32301131a4012d82c34ca267aa524cc94024a6f1e00",
            canonical: "309caf0e30e563d8e86f42be5d66cced96d77bf4e47f9ce2828173e0a834b995",
            signature: "cea892ca156642814161216d52cf7337f2aa4e67f1b16f97d747779e69536ca8",
        },
    ];

    fn with<T>(vector: &Vector, look: impl FnOnce(&Unsigned<'_>) -> T) -> T {
        look(&Unsigned {
            secret_id: "AKIDEXAMPLE",
            secret_key: &vector.secret.into(),
            service: vector.service,
            host: vector.host,
            action: vector.action,
            timestamp: vector.timestamp,
            body: vector.body.as_bytes(),
        })
    }

    #[test]
    fn every_vector_has_its_hashes_and_its_signature() {
        for vector in &VECTORS {
            with(vector, |request| {
                let name = vector.name;
                assert_eq!(request.date(), vector.date, "{name}");
                assert_eq!(sha256(request.body), vector.payload, "{name}");
                let canonical = sha256(request.canonical().as_bytes());
                assert_eq!(canonical, vector.canonical, "{name}");
                assert_eq!(request.signature(), vector.signature, "{name}");
            });
        }
    }

    #[test]
    fn the_key_of_a_day_is_that_of_vector_b() {
        let key = with(&VECTORS[1], |request| hex(&request.signing_key()));
        let expected = "b596b923aad85185e2d1f6659d2a062e0a86731226e021e61bfe06f7ed05f5af";
        assert_eq!(key, expected);
    }

    #[test]
    fn the_header_names_credential_headers_and_signature_and_not_the_key() {
        let header = with(&VECTORS[1], |request| {
            let header = request.authorization();
            assert!(!header.contains(STARS));
            header
        });
        let expected = "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/2019-02-25/cvm/tc3_request, \
                        SignedHeaders=content-type;host;x-tc-action, \
                        Signature=10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f";
        assert_eq!(header, expected);
    }

    #[test]
    fn each_part_of_a_request_is_signed() {
        let signature = |change: &dyn Fn(&mut Unsigned<'_>)| {
            let key = SecretString::from(EXAMPLE);
            let mut request = Unsigned {
                secret_id: "AKIDEXAMPLE",
                secret_key: &key,
                service: "trtc",
                host: "h",
                action: Some("StopStreamIngest"),
                timestamp: 1_700_000_000,
                body: b"{}",
            };
            change(&mut request);
            request.signature()
        };
        let signatures = [
            signature(&|_| {}),
            signature(&|request| request.service = "cvm"),
            signature(&|request| request.host = "i"),
            signature(&|request| request.action = Some("StartStreamIngest")),
            signature(&|request| request.action = None),
            signature(&|request| request.timestamp += 1),
            signature(&|request| request.body = b"{ }"),
        ];
        for (at, one) in signatures.iter().enumerate() {
            assert!(!signatures[..at].contains(one), "{at}");
        }
    }
}
