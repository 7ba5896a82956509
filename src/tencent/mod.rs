//! Tencent's REST API: the only place that knows its spelling, its signatures and its codes, and
//! the only user of reqwest.
//!
//! It sends one request and says what can be proved about it ([`Answer`](crate::call::Answer)),
//! and it says what a code means ([`verdict()`]). What follows from that is decided elsewhere.

mod client;
mod detail;
mod envelope;
mod host;
mod signed_content;
mod usersig;
mod verdict;
pub mod wire;

pub use client::{
    BODY_BYTES_MAX, ClientError, REQUEST_TIMEOUT_DEFAULT, START_CALL_PATH, Settings, TencentClient,
    request_timeouts,
};
pub use envelope::read as read_reply;
pub use host::{Host, HostError, HostKind};
pub use signed_content::{SignedContent, generate_user_sig};
pub use usersig::{Credential, USER_SIG_LIFE_S, UserSigError, UserSigs};
pub use verdict::{Verdict, classify, verdict, verdicts};
