//! callq: a Postgres-backed job queue for scheduled robot calls.
//!
//! A row of `callq.jobs` is one call to place. The flow, which is also the reading order:
//!
//! ```text
//! inserted -> claimed -> placed -> recorded -> followed -> reported
//! ```
//!
//! Arrows point down only:
//!
//! ```text
//! main -> cli -> bench -> dev -> { worker, web, sandbox }
//!     -> { store, tencent } -> { call, schedule }
//! ```
//!
//! `config` is the only reader of environment and files; only `cli` uses it.

pub mod call;
pub mod schedule;
pub mod store;
pub mod tencent;

pub mod sandbox;
pub mod web;
pub mod worker;

pub mod bench;
pub mod dev;

pub mod cli;
pub mod config;
