//! callq: a Postgres-backed job queue for scheduled robot calls.
//!
//! A row of `callq.jobs` is one call to place. The flow, which is also the reading order:
//!
//! ```text
//! inserted -> claimed -> placed -> recorded -> (outcome) -> reported
//! ```
//!
//! Arrows point down only:
//!
//! ```text
//! main -> cli -> { dev, worker, web, sandbox } -> { store, tencent } -> call
//! ```

pub mod call;
pub mod store;
pub mod tencent;
pub mod worker;
pub mod sandbox;
pub mod dev;
