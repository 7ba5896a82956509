//! The `UserSig` itself: the signature, of limited life, by which Tencent knows the caller (34385).
//!
//! `TLSSigAPIv2`: a JSON object with account, app and times, signed with the app's secret key by
//! HMAC-SHA256, compressed by zlib, in base64 with three characters replaced for a URL. The
//! compressed bytes differ between builds of zlib, so only what they inflate to may be compared.

use std::io::{Read, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::UserSigError;

/// The most bytes that a `UserSig` is inflated to; a real one has about 200.
const CONTENT_BYTES_MAX: u64 = 16 * 1024;

/// What a `UserSig` says, in Tencent's spelling; times are Unix seconds, lives are seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedContent {
    /// The version: `2.0`.
    #[serde(rename = "TLS.ver")]
    pub version: String,
    /// The account it stands for.
    #[serde(rename = "TLS.identifier")]
    pub identifier: String,
    /// The app it is valid in.
    #[serde(rename = "TLS.sdkappid")]
    pub sdk_app_id: i64,
    /// How long it is valid after `time`.
    #[serde(rename = "TLS.expire")]
    pub expire_s: i64,
    /// When it was signed.
    #[serde(rename = "TLS.time")]
    pub signed_at_unix: i64,
    /// Permissions for a room, in base64; callq's own have none.
    #[serde(
        rename = "TLS.userbuf",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub userbuf: Option<String>,
    /// The signature of the rest, in base64.
    #[serde(rename = "TLS.sig")]
    pub signature: String,
}

impl SignedContent {
    /// Reads a `UserSig` without proving its signature.
    ///
    /// # Errors
    /// [`UserSigError::Unreadable`] with the layer that failed: base64, zlib or JSON.
    pub fn decode(user_sig: &str) -> Result<Self, UserSigError> {
        let base64: String = user_sig.chars().map(from_url_character).collect();
        let packed = BASE64_STANDARD
            .decode(base64)
            .map_err(|_| UserSigError::Unreadable("its base64 is broken"))?;
        let mut json = Vec::new();
        ZlibDecoder::new(packed.as_slice())
            .take(CONTENT_BYTES_MAX)
            .read_to_end(&mut json)
            .map_err(|_| UserSigError::Unreadable("it does not inflate"))?;
        serde_json::from_slice(&json)
            .map_err(|_| UserSigError::Unreadable("it inflates to something else"))
    }

    /// When it stops being valid, in Unix seconds.
    #[must_use]
    pub const fn expires_at_unix(&self) -> i64 {
        self.signed_at_unix.saturating_add(self.expire_s)
    }

    /// Whether `key` made the signature.
    #[must_use]
    pub fn is_signed_by(&self, key: &SecretString) -> bool {
        BASE64_STANDARD
            .decode(&self.signature)
            .is_ok_and(|signature| {
                hmac_of(key, &self.signed_text())
                    .verify_slice(&signature)
                    .is_ok()
            })
    }

    /// The text that is signed.
    fn signed_text(&self) -> String {
        let mut text = format!(
            "TLS.identifier:{}\nTLS.sdkappid:{}\nTLS.time:{}\nTLS.expire:{}\n",
            self.identifier, self.sdk_app_id, self.signed_at_unix, self.expire_s
        );
        if let Some(userbuf) = &self.userbuf {
            text.push_str("TLS.userbuf:");
            text.push_str(userbuf);
            text.push('\n');
        }
        text
    }
}

/// Makes the `UserSig` of `identifier` in `sdk_app_id`, signed at `signed_at_unix` (seconds) and
/// valid for `expire_s` seconds; `userbuf` holds permissions for a room, which a REST call needs
/// none of.
#[must_use]
pub fn generate_user_sig(
    key: &SecretString,
    sdk_app_id: u32,
    identifier: &str,
    signed_at_unix: i64,
    expire_s: u32,
    userbuf: Option<&[u8]>,
) -> SecretString {
    let mut content = SignedContent {
        version: "2.0".to_owned(),
        identifier: identifier.to_owned(),
        sdk_app_id: sdk_app_id.into(),
        expire_s: expire_s.into(),
        signed_at_unix,
        userbuf: userbuf.map(|bytes| BASE64_STANDARD.encode(bytes)),
        signature: String::new(),
    };
    content.signature = BASE64_STANDARD.encode(hmac_sha256(key, &content.signed_text()));
    pack(&content).into()
}

fn pack(content: &SignedContent) -> String {
    let json = serde_json::to_vec(content).expect("strings and integers always serialise");
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&json).expect("a Vec takes every write");
    let bytes = zlib.finish().expect("a Vec takes every write");
    BASE64_STANDARD
        .encode(bytes)
        .chars()
        .map(to_url_character)
        .collect()
}

fn to_url_character(c: char) -> char {
    match c {
        '+' => '*',
        '/' => '-',
        '=' => '_',
        other => other,
    }
}

fn from_url_character(c: char) -> char {
    match c {
        '*' => '+',
        '-' => '/',
        '_' => '=',
        other => other,
    }
}

/// HMAC-SHA256 of `message` under `key`.
pub(super) fn hmac_sha256(key: &SecretString, message: &str) -> [u8; 32] {
    hmac_of(key, message).finalize().into_bytes().into()
}

fn hmac_of(key: &SecretString, message: &str) -> Hmac<Sha256> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes())
        .expect("HMAC takes a key of every length");
    hmac.update(message.as_bytes());
    hmac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::USER_SIG_LIFE_S;
    use super::*;

    const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
    const APP: u32 = 1_400_000_000;

    /// What Tencent's own Python made of the first and the fourth vector.
    const OFFICIAL_1: &str = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZi\
        QUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPXFmekgG3zKHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2\
        cy03cPcpDnA2SMgu0nUxslWoBHdYzUg__";
    const OFFICIAL_4: &str = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZi\
        QUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPWlxalFSaVpIFsiw72y4FZkpoOEArNCjAwMKwKyI7L1E30\
        NU7UrDcoSs6OSDLyNMgOK3EpTtbUNik0rzZLcfG2VagHdkjl6";

    type Vector = (&'static str, u32, i64, Option<&'static [u8]>, &'static str);

    const VECTORS: [Vector; 4] = [
        (
            "xiaojun",
            15_552_000,
            1_700_000_000,
            None,
            "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4=",
        ),
        (
            "administrator",
            86_400,
            1_700_000_000,
            None,
            "yLAe+w7WUeUuqbV9h/TX78u21oTGi+i9Zp1u3PpnY60=",
        ),
        (
            "administrator",
            86_400,
            1_767_225_600,
            None,
            "FiOAv4qPlFvKi6Scg/++v1AKHZfdFD4+KQwOREPWQiI=",
        ),
        (
            "xiaojun",
            15_552_000,
            1_700_000_000,
            Some(b"abc"),
            "QjT201xPkXk/aM1e+y0vakZb0K2iPrFue++0s5y6bFM=",
        ),
    ];

    fn key() -> SecretString {
        KEY.into()
    }

    fn content_of((identifier, expire_s, time, userbuf, signature): Vector) -> SignedContent {
        SignedContent {
            version: "2.0".to_owned(),
            identifier: identifier.to_owned(),
            sdk_app_id: APP.into(),
            expire_s: expire_s.into(),
            signed_at_unix: time,
            userbuf: userbuf.map(|_| "YWJj".to_owned()),
            signature: signature.to_owned(),
        }
    }

    #[test]
    fn what_is_made_inflates_to_the_known_content() {
        for vector in VECTORS {
            let (identifier, expire_s, time, userbuf, _) = vector;
            let made = generate_user_sig(&key(), APP, identifier, time, expire_s, userbuf);
            let content = SignedContent::decode(made.expose_secret());
            assert_eq!(content, Ok(content_of(vector)));
        }
    }

    #[test]
    fn what_the_official_library_made_is_read_and_verified() {
        for (text, vector) in [(OFFICIAL_1, VECTORS[0]), (OFFICIAL_4, VECTORS[3])] {
            let content = SignedContent::decode(text).expect("it is a UserSig");
            assert_eq!(content, content_of(vector));
            assert!(content.is_signed_by(&key()));
            assert!(!content.is_signed_by(&"another key".into()));
        }
    }

    #[test]
    fn a_changed_content_is_not_signed() {
        let content = content_of(VECTORS[0]);
        let older = SignedContent {
            expire_s: content.expire_s + 1,
            ..content.clone()
        };
        let other = SignedContent {
            identifier: "xiaojuN".to_owned(),
            ..content.clone()
        };
        assert!(content.is_signed_by(&key()));
        assert!(!older.is_signed_by(&key()) && !other.is_signed_by(&key()));
    }

    #[test]
    fn what_is_no_user_sig_is_refused_with_the_layer_that_failed() {
        let zlib = |bytes: &[u8]| {
            let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
            packer.write_all(bytes).expect("a Vec takes every write");
            BASE64_STANDARD.encode(packer.finish().expect("a Vec takes every write"))
        };
        let bomb = zlib(&vec![b' '; 10_000_000])
            .replace('+', "*")
            .replace('/', "-");
        for (text, layer) in [
            ("", "inflate"),
            ("not a UserSig", "base64"),
            ("AAAA", "inflate"),
            (&OFFICIAL_1[..40], "inflate"),
            (
                &zlib(b"{}")
                    .replace('+', "*")
                    .replace('/', "-")
                    .replace('=', "_"),
                "something else",
            ),
            (&bomb.replace('=', "_"), "something else"),
        ] {
            let refused = SignedContent::decode(text).expect_err(text).to_string();
            assert!(refused.contains(layer), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn every_user_sig_is_safe_in_a_url_and_reads_back(
            identifier in "\\PC{1,32}",
            app in any::<u32>(),
            time in 0..4_000_000_000_i64,
        ) {
            let made = generate_user_sig(&key(), app, &identifier, time, USER_SIG_LIFE_S, None);
            let text = made.expose_secret();
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"*-_".contains(&b)));
            let content = SignedContent::decode(text).expect("it is a UserSig");
            prop_assert!(content.is_signed_by(&key()));
            prop_assert_eq!(content.identifier, identifier);
            prop_assert_eq!(content.sdk_app_id, i64::from(app));
        }
    }
}
