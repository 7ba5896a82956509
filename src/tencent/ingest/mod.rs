//! Stream ingest: a robot that plays a stream into a call's room (57834 to 57836; API 3.0,
//! another host and other credentials than the call API).
//!
//! - `credential`, `room_types`: what an app is configured with.
//! - `codes`, `remedy`: what each of Tencent's words for a failure means, and what to do.
//! - `client`, `request`: one request at a time, signed, sent at most once.
//! - `reply`, `error`: what came back, and why it is not what was asked for.

mod client;
mod codes;
mod credential;
mod error;
mod remedy;
mod reply;
mod request;
mod room_types;

pub use client::{INGEST_REGION_DEFAULT, IngestClient, IngestSettings};
pub use codes::{IngestCode, ingest_code, ingest_codes};
pub use credential::{CamCredential, CamCredentialError};
pub use error::{IngestError, IngestFault};
pub use remedy::ingest_remedy;
pub use reply::{Stopped, TaskStatus};
pub use request::{INGEST_REQUESTS_PER_SECOND, StartIngest};
pub use room_types::IngestRoomTypes;
