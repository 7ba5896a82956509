//! One request to Tencent, whatever it asks for: signed, posted, read, and what can be proved about
//! it afterwards.
//!
//! It is proved unsent only if it could not be built or no connection came about. Everything else
//! may have been carried out.

use chrono::DateTime;
use reqwest::header::DATE;
use reqwest::{RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::detail::{blinded, detail_of};
use super::tls::TlsFault;
use super::{TencentClient, UserSigs, envelope};
use crate::call::Answer;

/// The most bytes of a reply that are read; what is longer is no reply of Tencent's.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A body that was read whole, without the `UserSig`, whatever it holds.
pub(super) struct Received {
    pub(super) http_status: u16,
    pub(super) body: Vec<u8>,
    /// The `Date` header: Tencent's clock, in seconds since the Unix epoch.
    pub(super) date_unix: Option<i64>,
}

/// What a command that rings nobody led to.
pub(super) struct Asked {
    pub(super) answer: Answer,
    /// What was wrong with the host's certificate, if that is why there was no connection.
    pub(super) tls_fault: Option<TlsFault>,
    /// The body, if it is that of a success.
    pub(super) body: Option<Vec<u8>>,
    /// Tencent's clock, whatever it answered.
    pub(super) date_unix: Option<i64>,
}

impl Received {
    /// The answer when `body` is no envelope. Not a word of it is quoted: it may repeat the
    /// request.
    pub(super) fn unknown(&self) -> Answer {
        let (http_status, bytes) = (self.http_status, self.body.len());
        Answer::Unknown {
            detail: format!("HTTP {http_status} with {bytes} bytes that are no reply of Tencent's"),
            http_status: Some(http_status),
        }
    }
}

/// Why there is no whole reply.
pub(super) struct Unanswered {
    pub(super) answer: Answer,
    /// What was wrong with the host's certificate, if that is why there was no connection.
    pub(super) tls_fault: Option<TlsFault>,
}

impl From<Answer> for Unanswered {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            tls_fault: None,
        }
    }
}

impl TencentClient {
    /// Sends at most one request: `body` to `path`, signed with the `UserSig` of `signed_at_unix`
    /// (seconds of the database's clock).
    pub(super) async fn exchange(
        &self,
        path: &str,
        body: &impl Serialize,
        random: u32,
        signed_at_unix: i64,
    ) -> Result<Received, Unanswered> {
        let user_sigs = self.user_sigs();
        let user_sig = user_sigs.current(signed_at_unix);
        let url = self.signed_url(path, random, &user_sigs, &user_sig);
        send(self.http.post(url).json(body), &user_sig).await
    }

    /// The same for a command that rings nobody, with its envelope read.
    pub(super) async fn ask(
        &self,
        path: &str,
        body: &impl Serialize,
        random: u32,
        signed_at_unix: i64,
    ) -> Asked {
        let received = match self.exchange(path, body, random, signed_at_unix).await {
            Ok(received) => received,
            Err(unanswered) => {
                return Asked {
                    answer: unanswered.answer,
                    tls_fault: unanswered.tls_fault,
                    body: None,
                    date_unix: None,
                };
            }
        };
        let date_unix = received.date_unix;
        let reply = envelope::read(received.http_status, &received.body);
        let answer = reply.map_or_else(|| received.unknown(), Answer::Reply);
        let is_done = matches!(
            &answer,
            Answer::Reply(reply) if reply.error_code == 0 && !reply.says_fail
        );
        Asked {
            answer,
            tls_fault: None,
            body: is_done.then_some(received.body),
            date_unix,
        }
    }

    fn signed_url(
        &self,
        path: &str,
        random: u32,
        user_sigs: &UserSigs,
        user_sig: &SecretString,
    ) -> Url {
        let mut url = self.host().url(path);
        url.query_pairs_mut()
            .append_pair("sdkappid", &user_sigs.sdk_app_id().to_string())
            .append_pair("identifier", user_sigs.identifier())
            .append_pair("usersig", user_sig.expose_secret())
            .append_pair("random", &random.to_string())
            .append_pair("contenttype", "json");
        url
    }
}

/// Sends a request that is ready, at most once, and reads its reply whole. `user_sig` is what the
/// request carries and nobody may quote.
pub(super) async fn send(
    request: RequestBuilder,
    user_sig: &SecretString,
) -> Result<Received, Unanswered> {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Err(unanswered(error, user_sig)),
    };
    let http_status = response.status().as_u16();
    let date_unix = date_of(&response);
    let unknown = |detail| Answer::Unknown {
        detail,
        http_status: Some(http_status),
    };
    match body_of(response).await {
        Ok(body) => Ok(Received {
            http_status,
            body: blinded(&body, user_sig).into_owned(),
            date_unix,
        }),
        Err(BodyError::TooLong) => Err(unknown(format!(
            "HTTP {http_status} with a body of more than {BODY_BYTES_MAX} bytes"
        ))
        .into()),
        Err(BodyError::Lost(error)) => {
            let detail = detail_of(error, user_sig);
            Err(unknown(format!(
                "HTTP {http_status}, then its body was lost: {detail}"
            ))
            .into())
        }
    }
}

/// The `Date` header, if it is one.
fn date_of(response: &Response) -> Option<i64> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(date).ok()?.timestamp())
}

/// What an error of `send` proves.
fn unanswered(error: reqwest::Error, user_sig: &SecretString) -> Unanswered {
    let unreachable = error.is_connect();
    let not_sent = unreachable || error.is_builder();
    let tls_fault = TlsFault::of(&error);
    let detail = detail_of(error, user_sig);
    let answer = if not_sent {
        Answer::NotSent {
            detail,
            unreachable,
        }
    } else {
        Answer::Unknown {
            detail,
            http_status: None,
        }
    };
    Unanswered { answer, tls_fault }
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
