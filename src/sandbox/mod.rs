//! A stand-in for Tencent's call service over real HTTP, for development and for tests: calls that
//! ring, are answered and end, their records, callbacks, the commands about all of them, and the
//! streams that are played into their rooms.
//!
//! No phone rings here. Everything that matters to a client is done as at Tencent's, by rules that
//! are the sandbox's own: it shares no code with the client, or one mistake would pass on both
//! sides. **Nothing here was compared with the live service.**
//!
//! # What is documented by Tencent, and what is assumed
//!
//! Documented (pages 68926, 74505, 34385, IM 34348, IM 77715 and the walkthrough of
//! server-initiated calls): path, method and URL parameters; how a `UserSig` is made; the fields of
//! the body with their types and limits; the shape of the answer; HTTP 200 for every API answer;
//! the codes and their meaning; 200 calls per second and `SDKAppID`; 12 KB per body. Of what comes
//! after the reply (pages 68930 to 68941, 69215, 74506): the fields of records and callbacks, their
//! quirks, that a record can be had from 5 s after the end for 7 days, paging and its defaults.
//!
//! Assumed: which code answers which mistake where the meaning of several would fit, and the order
//! of the checks (path, method, URL parameters, `UserSig`, administrator, throttle, body); that
//! every breach of a field's rule is 101002; that a throttled request does not count towards the
//! limit; every `ResultCode` but 0, for which no meaning is documented; that a call whose callees
//! all have another code than 0 still gets a `CallId`; how a call lives (`life.rs`); what a span of
//! records is of, their order and that a page has at most 10 (`record_rules.rs`); how often a
//! callback is tried (`mailbox.rs`). Each file names its own assumptions.
//!
//! # Behaviour by callee
//!
//! The name of a callee decides what happens to it or to its request: [`CALLEE_NAMES`].
//!
//! # Time
//!
//! Calls, records and callbacks go by the sandbox's own time, which runs [`SandboxConfig::speed`]
//! times as fast as the clock, is the `Date` of every answer, and can be moved forward.
//!
//! # Control endpoint
//!
//! Requests under `/sandbox/` are not in the ledger. Lists come in pages: `?after=N&limit=N`
//! (default 1000, at most 10000), with `next_after` for the next one, or null.
//!
//! | request | answer |
//! |---|---|
//! | `GET /sandbox/requests` | `{"requests": [`[`Record`]`], "next_after"}`; `after` is a `seq` |
//! | `GET /sandbox/rooms` | `{"rooms": {room: count}, "next_after"}` |
//! | `GET /sandbox/duplicates` | `{"duplicates": [`[`Repeated`]`], "next_after"}` |
//! | `GET /sandbox/calls` | `{"calls": [`[`Call`]`], "next_after"}` |
//! | `GET /sandbox/queries` | `{"queries": [`[`Query`]`], "next_after"}` |
//! | `GET /sandbox/stats` | [`Stats`] |
//! | `GET /sandbox/faults` | `{"faults": [...]}`: [`Fault`]s with `id` and the `times` left |
//! | `POST /sandbox/faults` | a [`Fault`]; 201 `{"id"}` |
//! | `DELETE /sandbox/faults`, `DELETE /sandbox/faults/ID` | 204 |
//! | `GET /sandbox/outcomes` | [`Tally`] and `"callbacks"`: [`CallbackStats`] |
//! | `GET /sandbox/legs` | `{"legs": [`[`LegReport`]`], "next_after"}` |
//! | `GET /sandbox/ingest` | [`IngestTally`] |
//! | `GET /sandbox/tasks` | `{"tasks": [`[`IngestTask`]`], "next_after"}` |
//! | `GET /sandbox/callees` | `{"callees": [`[`CalleeScript`]`]}` |
//! | `POST /sandbox/callees` | a [`CalleeScript`]; 201 |
//! | `DELETE /sandbox/callees` | 204 |
//! | `GET /sandbox/clock` | `{"now_ms"}`: its time |
//! | `POST /sandbox/clock` | `{"advance_ms"}`; moves its time forward |
//! | `POST /sandbox/reset` | 204; ledger, calls, scripts and throttles start anew |
//!
//! # The ledger
//!
//! A request is entered when it was *read*, whatever then becomes of its answer: a ring whose
//! answer is lost is the case that a client must survive, so the ledger says both what was answered
//! and whether a phone rang. It is the ledger of calls: requests that only ask for something are
//! in a list of their own ([`Ledger::queries`]).

mod account_rules;
mod api;
mod behaviour;
mod body_rules;
mod call_record;
mod callees;
mod command;
mod config;
mod connection;
mod control;
mod courier;
mod decision;
mod desk;
mod envelope;
mod fault;
mod ingest;
mod ledger;
mod life;
mod mailbox;
mod push_rules;
mod record;
mod record_rules;
mod refusal;
mod script;
mod server;
mod switchboard;
mod tally;
mod time;
mod url_rules;
mod user_sig;
mod window;
mod work;

pub use behaviour::{CalleeScript, CalleeScriptError, PlannedOutcome};
pub use callees::CALLEE_NAMES;
pub use config::{
    Clock, DOCUMENTED_CALLS_PER_SECOND, SANDBOX_ADMIN_ACCOUNT, SANDBOX_CAM_SECRET_ID,
    SANDBOX_CAM_SECRET_KEY, SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY, SPEED_MAX, SandboxApp,
    SandboxConfig,
};
pub use fault::{Fault, FaultError, FaultKind};
pub use ingest::{IngestCode, IngestEvents, IngestTally, IngestTask, UnknownIngestCode};
pub use ledger::{Ledger, Repeated, Stats};
pub use mailbox::{CallbackFaults, CallbackStats, delivers_to};
pub use record::{Answered, Call, CalledParty, Query, Record, line};
pub use record_rules::RecordSpan;
pub use script::FaultId;
pub use server::{Sandbox, WaitedTooLong};
pub use tally::{LegReport, Tally};
