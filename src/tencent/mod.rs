//! Tencent's REST API, and its API 3.0 for streams: the only place that knows their spelling, their
//! signatures and their codes, and the only user of reqwest.
//!
//! It sends one request and says what can be proved about it ([`Answer`](crate::call::Answer)),
//! and it says what a code means ([`verdict()`]). What follows from that is decided elsewhere.

mod accounts;
mod callback_commands;
mod callback_sign;
mod callbacks;
mod client;
mod commands;
mod detail;
mod envelope;
mod exchange;
mod host;
mod ingest;
mod judge;
mod lenient;
mod private;
mod record_commands;
mod records;
mod remedy;
mod signed_content;
mod tc3;
mod tls;
mod usersig;
mod verdict;
pub mod wire;

pub use accounts::{CheckedAccount, Standing};
pub use callback_commands::{CallbackConfig, ConfiguredCallback};
pub use callback_sign::{SIGN_LIFE_S, is_signed};
pub use callbacks::{CALLBACK_ACKNOWLEDGEMENT, CallbackError, read_callback};
pub use client::{ClientError, REQUEST_TIMEOUT_DEFAULT, Settings, TencentClient, request_timeouts};
pub use commands::{ACCOUNTS_MAX, AccountCheck, CallInfo, NO_CALL_ID, START_CALL_PATH};
pub use envelope::{read as read_reply, read_callee_results};
pub use exchange::BODY_BYTES_MAX;
pub use host::{Host, HostError, HostKind};
pub use ingest::{
    CamCredential, CamCredentialError, INGEST_REGION_DEFAULT, INGEST_REQUESTS_PER_SECOND,
    IngestClient, IngestCode, IngestError, IngestFault, IngestRoomTypes, IngestSettings,
    StartIngest, Stopped, TaskStatus, ingest_code, ingest_codes, ingest_remedy,
};
pub use judge::{Command, Judged, Judgement, command_rows, judge, judged};
pub use record_commands::{
    FoundRecord, RECORD_AFTER_S, RECORD_PAGE_SIZE, RECORDS_KEPT_S, RecordPage, RecordWindow,
};
pub use records::read_record;
pub use remedy::remedy;
pub use signed_content::{SignedContent, generate_user_sig};
pub use tls::TlsFault;
pub use usersig::{Credential, USER_SIG_LIFE_S, UserSigError, UserSigs};
pub use verdict::{Verdict, classify, verdict, verdicts};
