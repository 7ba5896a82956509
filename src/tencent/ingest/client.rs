//! Sends the requests about streams: signed with the CAM key, and each at most once, as the call
//! API's client does.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use reqwest::{Client, RequestBuilder};
use secrecy::SecretString;
use serde_json::Value;

use super::credential::CamCredential;
use super::error::IngestError;
use super::reply::{self, Stopped, Success, TaskStatus};
use super::request::{StartIngest, about_task};
use super::room_types::IngestRoomTypes;
use crate::call::Class;
use crate::tencent::client::http_client;
use crate::tencent::private::Private;
use crate::tencent::{ClientError, Host, exchange, tc3};

/// The region whose requests all three actions take (57834 to 57836).
pub const INGEST_REGION_DEFAULT: &str = "ap-singapore";

const SERVICE: &str = "trtc";
const VERSION: &str = "2019-07-22";

/// What an [`IngestClient`] is made of.
#[derive(Debug)]
pub struct IngestSettings {
    /// Where requests go: [`Host::of_ingest`].
    pub host: Host,
    /// Who signs them.
    pub credential: CamCredential,
    /// `X-TC-Region`: [`INGEST_REGION_DEFAULT`] if in doubt.
    pub region: String,
    /// The app whose rooms are played into.
    pub sdk_app_id: u32,
    /// How the types of rooms are numbered.
    pub room_types: IngestRoomTypes,
    /// How long a request may take, as [`Settings::request_timeout`](crate::tencent::Settings).
    pub request_timeout: Duration,
    /// A proxy, as [`Settings::https_proxy`](crate::tencent::Settings).
    pub https_proxy: Option<SecretString>,
}

/// Plays streams into the rooms of one app. Cheap to share behind an `Arc`.
///
/// `signed_at_unix` is everywhere the database's time in seconds. Dropping the future of a start
/// after its first poll leaves it in doubt. `Debug` shows host and app, no secret.
pub struct IngestClient {
    http: Client,
    host: Host,
    region: String,
    sdk_app_id: u32,
    room_types: IngestRoomTypes,
    credential: RwLock<Arc<CamCredential>>,
}

impl IngestClient {
    /// Sets the client up; sends nothing.
    ///
    /// # Errors
    /// A [`ClientError`], as for the call API's client.
    pub fn new(settings: IngestSettings) -> Result<Self, ClientError> {
        let IngestSettings {
            host,
            credential,
            region,
            sdk_app_id,
            room_types,
            request_timeout,
            https_proxy,
        } = settings;
        Ok(Self {
            http: http_client(&host, request_timeout, https_proxy.as_ref())?,
            host,
            region,
            sdk_app_id,
            room_types,
            credential: RwLock::new(Arc::new(credential)),
        })
    }

    /// Where requests go.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Who signs them.
    #[must_use]
    pub fn credential(&self) -> Arc<CamCredential> {
        let held = self.credential.read();
        Arc::clone(&held.unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs with this one from the next request on.
    pub fn set_credential(&self, credential: CamCredential) {
        let held = self.credential.write();
        *held.unwrap_or_else(PoisonError::into_inner) = Arc::new(credential);
    }

    /// Has a stream played into a room: at most one request. The answer is the `TaskId`, which the
    /// caller must keep: nothing else stops the stream, and it is billed until then.
    ///
    /// # Errors
    /// An [`IngestError`]; in doubt also if Tencent reports success without a `TaskId` that can be
    /// kept.
    pub async fn start(
        &self,
        start: &StartIngest<'_>,
        signed_at_unix: i64,
    ) -> Result<String, IngestError> {
        let body = start.body(self.sdk_app_id, self.room_types);
        let private = Private::of_texts([start.stream_url]);
        let asked = Asked {
            action: "StartStreamIngest",
            body: &body,
            user_sig: start.user_sig,
            private: &private,
        };
        let success = self.ask(asked, signed_at_unix).await?;
        success.task_id().ok_or_else(|| IngestError {
            request_id: success.request_id(),
            ..IngestError::plain(
                Class::InDoubt,
                "Tencent reported success without a TaskId: the stream may play and cannot be \
                 stopped before it ends"
                    .to_owned(),
            )
        })
    }

    /// Has a stream stopped. It may be repeated, and should be until it succeeds.
    ///
    /// # Errors
    /// An [`IngestError`]; `TaskNotExist` and `TaskFinished` are none.
    pub async fn stop(&self, task_id: &str, signed_at_unix: i64) -> Result<Stopped, IngestError> {
        let done = self.about("StopStreamIngest", task_id, signed_at_unix);
        match done.await {
            Ok(_) => Ok(Stopped::Now),
            Err(error) if is_over(&error) => Ok(Stopped::Already),
            Err(error) => Err(error),
        }
    }

    /// Asks what a stream does; changes nothing.
    ///
    /// # Errors
    /// An [`IngestError`].
    pub async fn describe(
        &self,
        task_id: &str,
        signed_at_unix: i64,
    ) -> Result<TaskStatus, IngestError> {
        let told = self.about("DescribeStreamIngest", task_id, signed_at_unix);
        match told.await {
            Ok(success) => Ok(success.status()),
            Err(error) if is_over(&error) => Ok(TaskStatus::NotExist),
            Err(error) => Err(error),
        }
    }

    async fn about(
        &self,
        action: &str,
        task_id: &str,
        signed_at_unix: i64,
    ) -> Result<Success, IngestError> {
        let asked = Asked {
            action,
            body: &about_task(self.sdk_app_id, task_id),
            user_sig: &SecretString::default(),
            private: &Private::default(),
        };
        self.ask(asked, signed_at_unix).await
    }

    async fn ask(&self, asked: Asked<'_>, signed_at_unix: i64) -> Result<Success, IngestError> {
        let request = self.signed(&asked, signed_at_unix);
        match exchange::send(request, asked.user_sig).await {
            Ok(received) => reply::read(&received, asked.private),
            Err(lost) => Err(IngestError::unanswered(lost.answer, lost.tls_fault)),
        }
    }

    fn signed(&self, asked: &Asked<'_>, signed_at_unix: i64) -> RequestBuilder {
        let (body, host) = (asked.body.to_string(), self.host.authority());
        let credential = self.credential();
        let unsigned = tc3::Unsigned {
            secret_id: credential.secret_id(),
            secret_key: credential.secret_key(),
            service: SERVICE,
            host: &host,
            action: Some(asked.action),
            timestamp: signed_at_unix,
            body: body.as_bytes(),
        };
        let mut authorization = HeaderValue::try_from(unsigned.authorization())
            .expect("a credential is of ASCII without control characters");
        authorization.set_sensitive(true);
        self.http
            .post(self.host.url("/"))
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, tc3::CONTENT_TYPE)
            .header(HOST, host)
            .header("X-TC-Action", asked.action)
            .header("X-TC-Version", VERSION)
            .header("X-TC-Timestamp", signed_at_unix)
            .header("X-TC-Region", &self.region)
            .header("X-TC-Language", "en-US")
            .body(body)
    }
}

impl fmt::Debug for IngestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IngestClient")
            .field("host", &self.host.to_string())
            .field("sdk_app_id", &self.sdk_app_id)
            .finish_non_exhaustive()
    }
}

/// One request before it is signed, and what of it is nobody's to quote.
struct Asked<'a> {
    action: &'a str,
    body: &'a Value,
    user_sig: &'a SecretString,
    private: &'a Private,
}

/// Whether an error says that the stream has ended: what a stop wants, and an answer to a question.
fn is_over(error: &IngestError) -> bool {
    let over = [
        "FailedOperation.TaskNotExist",
        "FailedOperation.TaskFinished",
    ];
    error
        .code
        .as_deref()
        .is_some_and(|code| over.contains(&code))
}
