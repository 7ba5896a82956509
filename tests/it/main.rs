//! The integration tests: one binary, one module for each part of the flow.
#![allow(clippy::unwrap_used)]

mod tencent_client;
