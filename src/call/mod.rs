//! The domain: what a call is, what came back, and what that leads to.
//!
//! Pure: no sqlx, no reqwest, no async, no clock. What is decided here is decided the same way
//! whoever asks, and can be tested without a database or a network.

mod account;
mod answer;
mod backoff;
mod callback;
mod class;
mod decide;
mod invalid;
mod media;
mod media_source;
mod offline_push;
mod outcome;
mod probe;
mod push_keys;
mod reason;
mod record;
mod ring_policy;
mod room;
mod sighting;
mod start_call;
mod text;
mod user_data;

pub use account::{USER_ID_BYTES_MAX, UserId};
pub use answer::{Answer, CalleeResult, Reply};
pub use backoff::{BackoffPolicy, delay};
pub use callback::{
    CallbackCommand, CallbackEvent, Happened, LiveCall, LiveUser, MemberAction, MemberChange,
    Presence,
};
pub use class::{Class, Family};
pub use decide::{
    AppHealth, DOUBT_ENDS_AFTER, NextState, OnDoubt, Policy, RefusedCallees, Transition, Tried,
    decide,
};
pub use invalid::InvalidField;
pub use media::MediaType;
pub use media_source::{MEDIA_URL_BYTES_MAX, MediaSource};
pub use offline_push::{DESC_AND_EXT_BYTES_END, OfflinePush};
pub use outcome::{CallOutcome, CalleeOutcome, Evidence, Outcome, OutcomeSource, outcomes};
pub use probe::{Probed, probed};
pub use reason::Reason;
pub use record::{CallType, Ended, Record};
pub use ring_policy::{JobDefaults, RINGS_MAX, Redial, RingPolicy, RingPolicyFault, redial};
pub use room::{DIGITAL_ROOM_MAX, Room, RoomIdType, STRING_ROOM_BYTES_MAX};
pub use sighting::{RoomOwner, Sighting, Suspect, culprit};
pub use start_call::{
    CALLEES_MAX, RING_TIMEOUT_MS_MAX, RING_TIMEOUT_MS_MIN, StartCall, StartCallFields,
};
pub use text::{READABLE_CHARS_MAX, acts_on_a_terminal, harmless, readable};
pub use user_data::{USER_DATA_BYTES_MAX, UserData};
