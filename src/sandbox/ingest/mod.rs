//! Stream ingest as API 3.0 has it (57834 to 57836): a robot that plays a stream into the room of a
//! call. On the sandbox's own port: what is posted to `/` with `X-TC-Action`.
//!
//! Documented: how a request is signed (34264) and how far its time may be off, the fields and
//! their types, 20 requests per second and action, the codes (34270). Assumed: the order of the
//! checks (signature, version, action, region, throttle, body, app, `UserSig`, room, task); that
//! a room is there from the first answer of its call to the call's end; that a second stream of
//! the same robot in the same room is `TaskExist`; that a stream plays on when its call is over,
//! until it is stopped or at its end; that `StopStreamIngest` calls one that has ended
//! `TaskFinished` and one that never was `TaskNotExist`, and `DescribeStreamIngest` both
//! `NotExist`.
//!
//! How long a stream is, nobody knows: it never ends, unless its URL has `seconds=N` among its
//! parameters; `RepeatNum` and `MaxDuration` count then too. One with `fails` among them cannot be
//! played.

mod api;
mod code;
mod events;
mod signature;
mod tally;
mod tasks;
mod wanted;
mod work;

pub(super) use api::{answer, is_meant};
pub use code::{IngestCode, UnknownIngestCode};
pub use events::IngestEvents;
pub(super) use events::Told;
pub use tally::{IngestTally, IngestTask};
pub(super) use tasks::Tasks;
pub(super) use work::{Received, Replied};
