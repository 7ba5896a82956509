//! The domain: what a call is, what came back, and what that leads to.
//!
//! Pure: no sqlx, no reqwest, no async, no clock. What is decided here is decided the same way
//! whoever asks, and can be tested without a database or a network.

mod answer;
mod class;

pub use answer::{Answer, CalleeResult, Reply};
pub use class::{Class, Family};
