//! The domain: what a call is, what came back, and what that leads to.
//!
//! Pure: no sqlx, no reqwest, no async, no clock. What is decided here is decided the same way
//! whoever asks, and can be tested without a database or a network.

mod answer;
mod backoff;
mod class;
mod decide;
mod reason;

pub use answer::{Answer, CalleeResult, Reply};
pub use backoff::{BackoffPolicy, delay};
pub use class::{Class, Family};
pub use decide::{
    AppHealth, DOUBT_ENDS_AFTER, NextState, OnDoubt, Policy, Transition, Tried, decide,
};
pub use reason::Reason;
