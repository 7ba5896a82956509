//! The token scheme that Tencent's console can switch on for the callbacks of an app (IM 34354,
//! Live 64412). Whether callbacks of calls then carry it is on no page.

use sha2::{Digest as _, Sha256};

/// How far `RequestTime` may be from now, in seconds: a minute, as Tencent recommends.
pub const SIGN_LIFE_S: u64 = 60;

/// Whether `sign` is the hex SHA-256 of token and `RequestTime`, and that time is now. Compared in
/// constant time.
#[must_use]
pub fn is_signed(token: &str, request_time: &str, sign: &str, now_unix: i64) -> bool {
    let Ok(at) = request_time.parse::<i64>() else {
        return false;
    };
    let expected = Sha256::digest(format!("{token}{request_time}"));
    let expected = expected
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| b"0123456789abcdef"[usize::from(digit)]);
    let given = sign.bytes().map(|b| b.to_ascii_lowercase());
    let differs = expected.zip(given).fold(0, |acc, (a, b)| acc | (a ^ b));
    differs == 0 && sign.len() == 64 && at.abs_diff(now_unix) <= SIGN_LIFE_S
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of IM 34354, recomputed.
    const SIGN: &str = "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061";
    const AT: i64 = 1_669_872_112;

    #[test]
    fn tencents_own_example_is_signed() {
        assert!(is_signed("xxxxyyyy", "1669872112", SIGN, AT));
        let capitals = SIGN.to_uppercase();
        assert!(is_signed("xxxxyyyy", "1669872112", &capitals, AT + 60));
        assert!(is_signed("xxxxyyyy", "1669872112", SIGN, AT - 60));
    }

    #[test]
    fn another_token_time_or_sign_is_not() {
        for (token, time, sign, now) in [
            ("xxxxyyyz", "1669872112", SIGN, AT),
            ("xxxxyyyy", "1669872113", SIGN, AT),
            ("xxxxyyyy", "", SIGN, AT),
            ("xxxxyyyy", "yesterday", SIGN, AT),
            ("xxxxyyyy", "1669872112", "", AT),
            ("xxxxyyyy", "1669872112", &SIGN[..63], AT),
            ("xxxxyyyy", "1669872112", &format!("{SIGN}0"), AT),
            ("xxxxyyyy", "1669872112", SIGN, AT + 61),
            ("xxxxyyyy", "1669872112", SIGN, AT - 61),
            ("xxxxyyyy", "1669872112", SIGN, i64::MIN),
        ] {
            assert!(!is_signed(token, time, sign, now), "{token} {time} {sign}");
        }
    }
}
