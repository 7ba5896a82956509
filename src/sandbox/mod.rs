//! A stand-in for Tencent's `start_call_by_robot` over real HTTP, for development and for tests. It
//! answers `get_call_info` and `account_check` too, which ring nobody.
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
//! the codes and their meaning; 200 calls per second and `SDKAppID`; 12 KB per body.
//!
//! Assumed: which code answers which mistake where the meaning of several would fit, and the order
//! of the checks (path, method, URL parameters, `UserSig`, administrator, throttle, body); that
//! every breach of a field's rule is 101002; that a throttled request does not count towards the
//! limit; every `ResultCode` but 0, for which no meaning is documented; that a call whose callees
//! all have another code than 0 still gets a `CallId`; that `get_call_info` knows a call until its
//! `Timeout` has passed. Each file names its own assumptions.
//!
//! # Behaviour by callee
//!
//! The name of a callee decides what happens to it or to its request: [`CALLEE_NAMES`].
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
//! | `POST /sandbox/reset` | 204; ledger, calls, faults and throttles start anew |
//!
//! # The ledger
//!
//! A request is entered when it was *read*, whatever then becomes of its answer: a ring whose
//! answer is lost is the case that a client must survive, so the ledger says both what was answered
//! and whether a phone rang. It is the ledger of calls: requests that only ask for something are
//! in a list of their own ([`Ledger::queries`]).

mod account_rules;
mod api;
mod body_rules;
mod callees;
mod command;
mod config;
mod connection;
mod control;
mod desk;
mod envelope;
mod fault;
mod ledger;
mod push_rules;
mod record;
mod refusal;
mod script;
mod server;
mod url_rules;
mod user_sig;
mod window;
mod work;

pub use callees::{CALLEE_NAMES, PlannedOutcome};
pub use config::{
    Clock, DOCUMENTED_CALLS_PER_SECOND, SANDBOX_ADMIN_ACCOUNT, SANDBOX_SDK_APP_ID,
    SANDBOX_SECRET_KEY, SandboxApp, SandboxConfig,
};
pub use fault::{Fault, FaultError, FaultKind};
pub use ledger::{Ledger, Repeated, Stats};
pub use record::{Answered, Call, CalledParty, Query, Record, line};
pub use script::FaultId;
pub use server::{Sandbox, WaitedTooLong};
