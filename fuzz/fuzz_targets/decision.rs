//! Bytes as a code and what is known beside it.
#![no_main]
#![allow(dead_code, reason = "each target asks for one of the properties")]

#[path = "../../tests/it/properties/holds.rs"]
mod holds;

libfuzzer_sys::fuzz_target!(|bytes: [u8; 32]| {
    let number =
        |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("within 32 bytes"));
    let [choice, flags, attempts @ ..] = number(24).to_le_bytes();
    // Tencent's codes are small; without this the table would hardly ever be met.
    let code = if flags & 4 == 0 {
        i64::from(number(0) as i32 % 110_000)
    } else {
        number(0) as i64
    };
    holds::decision(holds::Numbers {
        code,
        says_fail: flags & 1 != 0,
        attempt: 1 + u32::from(attempts[0]),
        attempts_used: u32::from(attempts[1]),
        max_attempts: 1 + u32::from(attempts[2] % 100),
        seed: number(8),
        deadline_left_ms: (flags & 2 != 0).then(|| number(16)),
        choice,
    });
});
