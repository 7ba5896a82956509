//! Bytes as the content of `callq.toml`.
#![no_main]

#[path = "../../tests/it/properties/configuration.rs"]
mod configuration;

libfuzzer_sys::fuzz_target!(|content: &[u8]| configuration::configuration(content));
