//! Everything on one machine that has nothing set up: a private PostgreSQL, the sandbox in
//! Tencent's place, and a worker between them.
//!
//! Nothing in here reads `DATABASE_URL`, or any setting of a real app: a shell that holds the
//! production's secrets stays harmless.

mod demo;
mod forget;
pub mod postgres;
mod stack;
mod terminate;

pub use demo::{DemoError, demo};
pub use forget::forget;
pub use stack::{DATABASE, Stack, StackError};
pub use terminate::terminate;
