//! The integration tests: one binary, so that it links once; one module for each part of the flow.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a failing test shows its seed")]

mod bad_rows;
mod callbacks;
mod claim;
mod cli;
mod config;
mod dev;
mod dev_postgres;
mod expired;
mod failover;
mod fault_points;
mod follow;
mod grants;
mod insert;
mod keeping;
mod model;
mod outage;
mod outcomes;
mod plans;
mod poolers;
mod probe;
mod properties;
mod push_rules;
mod races;
mod ramp;
mod readme;
mod record;
mod rescue;
mod rings;
mod roles;
mod rotation;
mod sandbox;
mod schedule;
mod schedules;
mod secrets;
mod support;
mod tencent_client;
mod test_database;
mod text_safety;
mod tidy;
mod verbs;
mod verdicts;
mod versions;
mod views;
mod workers;
