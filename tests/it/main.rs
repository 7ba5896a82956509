//! The integration tests: one binary, one module for each part of the flow.
#![allow(clippy::unwrap_used)]

mod tencent_client;
//! The integration tests: one binary, one module per verb.
#![allow(clippy::unwrap_used)]

mod sandbox;
//! Everything that needs a real Postgres or a real process: one binary, so that it links once.

mod dev_postgres;
mod support;
mod test_database;
