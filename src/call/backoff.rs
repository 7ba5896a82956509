//! How long to wait before a request is tried again.
//!
//! The only place where the `backoff` crate is used: it computes the interval, without state. (It
//! is unmaintained; this is arithmetic, which does not age. Its own jitter is not used, since it is
//! applied after the cap and cannot be repeated from a seed.)

use std::time::Duration;

use backoff::backoff::Backoff as _;
use backoff::{ExponentialBackoff, SystemClock};

/// An exponential backoff with full jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffPolicy {
    /// The upper bound of the first delay.
    pub base: Duration,
    /// By how much the bound grows from one try to the next.
    pub factor: f64,
    /// The bound never exceeds this.
    pub cap: Duration,
}

impl Default for BackoffPolicy {
    /// 1 s, doubled each time, at most 60 s.
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_mins(1),
        }
    }
}

/// The delay before the try that follows the `attempt`-th one, counted from 1.
///
/// Full jitter: evenly spread between zero and the bound, so that jobs that failed together do not
/// come back together. The same seed and attempt always give the same delay.
#[must_use]
pub fn delay(policy: &BackoffPolicy, attempt: u32, seed: u64) -> Duration {
    // 2^32 times any base is beyond any cap; bounding the exponent keeps the product finite.
    let exponent = i32::try_from(attempt.saturating_sub(1).min(32)).unwrap_or(32);
    let current = policy.base.as_secs_f64() * policy.factor.powi(exponent);
    let mut backoff = ExponentialBackoff {
        current_interval: Duration::try_from_secs_f64(current.min(policy.cap.as_secs_f64()))
            .unwrap_or(policy.cap),
        initial_interval: policy.base,
        randomization_factor: 0.0,
        multiplier: policy.factor,
        max_interval: policy.cap,
        max_elapsed_time: None,
        clock: SystemClock::default(),
        ..ExponentialBackoff::default()
    };
    let bound = backoff.next_backoff().unwrap_or(policy.cap).min(policy.cap);
    bound.mul_f64(share(seed, attempt))
}

/// A number from 0 to 1 that is spread evenly over seeds and attempts (the finisher of splitmix64).
#[allow(
    clippy::cast_precision_loss,
    reason = "53 bits are kept, which an f64 holds exactly"
)]
fn share(seed: u64, attempt: u32) -> f64 {
    let mut x = seed.wrapping_add(u64::from(attempt).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    (x >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_delay_exceeds_its_bound_or_the_cap(attempt in 1u32..200, seed: u64) {
            let policy = BackoffPolicy::default();
            let d = delay(&policy, attempt, seed);
            let doublings = i32::try_from(attempt.min(33)).unwrap() - 1;
            let bound = policy.base.as_secs_f64() * 2f64.powi(doublings);
            prop_assert!(d <= policy.cap);
            prop_assert!(d.as_secs_f64() <= bound + 1e-6);
        }

        #[test]
        fn the_same_seed_gives_the_same_delay(attempt: u32, seed: u64) {
            let policy = BackoffPolicy::default();
            prop_assert_eq!(delay(&policy, attempt, seed), delay(&policy, attempt, seed));
        }
    }

    #[test]
    fn jitter_is_full_and_even() {
        let policy = BackoffPolicy::default();
        let delays: Vec<f64> = (0..10_000)
            .map(|seed| delay(&policy, 10, seed).as_secs_f64())
            .collect();
        let below = |s: f64| delays.iter().filter(|d| **d < s).count();
        assert!(
            (900..1100).contains(&below(6.0)),
            "a tenth lies below 6 s: {}",
            below(6.0)
        );
        assert!(
            (4800..5200).contains(&below(30.0)),
            "half lies below 30 s: {}",
            below(30.0)
        );
    }
}
