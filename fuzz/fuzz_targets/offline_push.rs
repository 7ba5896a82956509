//! JSON as push information.
#![no_main]
#![allow(dead_code, reason = "each target asks for one of the properties")]

#[path = "../../tests/it/properties/holds.rs"]
mod holds;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Ok(value) = serde_json::from_slice(body) {
        holds::offline_push(&value);
    }
});
