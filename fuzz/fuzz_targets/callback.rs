//! Bytes as the body of a callback, and of a record.
#![no_main]
#![allow(dead_code, reason = "each target asks for one of the properties")]

#[path = "../../tests/it/properties/holds.rs"]
mod holds;

libfuzzer_sys::fuzz_target!(|body: &[u8]| holds::callback(body));
