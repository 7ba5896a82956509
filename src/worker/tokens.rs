//! What an app's bucket is owed after a claim: pure arithmetic.
//!
//! A token is taken before the claim, but is meant for the moment at which the request leaves. If
//! the claim is held up, by a lock or a slow disk, the bucket fills up meanwhile, and the late
//! requests would leave together with those of a full bucket: 220 in a second at a pace of 180, and
//! more with several workers. So the bucket is set to what it would hold if each token had been
//! taken when its request leaves.

use std::time::Duration;

use crate::store::Grant;

/// A claim that is answered so long after its tokens were asked for sends nothing until the bucket
/// is corrected. Below, the correction follows: what lies idle for so short a time is not enough to
/// exceed the pace at once, even for many workers.
pub(super) const KEEP: Duration = Duration::from_millis(250);

/// A pace that gives so many tokens in so short a time holds nobody back: no clock tells it from
/// none.
const AT_ONCE: Duration = Duration::from_millis(1);

/// How many tokens to add to the bucket, or to take from it, after a claim that used `used` of the
/// `granted` tokens, which lay idle for `idle`; `None` if that is less than one, which is within
/// what the bucket's own arithmetic is off, or if the pace holds nobody back.
///
/// Tokens for jobs that another worker took, or that had expired, go back. Those that the bucket
/// gained only because it had room for them are taken.
pub(super) fn correction(
    grant: &Grant,
    granted: usize,
    used: usize,
    idle: Duration,
) -> Option<f64> {
    if number(granted) < AT_ONCE.as_secs_f64() * grant.pace {
        return None;
    }
    let unused = number(granted.saturating_sub(used));
    let gained = idle.saturating_sub(grant.keeps).as_secs_f64() * grant.pace;
    let tokens = unused - gained.min(number(granted));
    (tokens.abs() >= 1.0).then_some(tokens)
}

/// A number of tokens, which are counted in fractions.
pub(super) fn number(tokens: usize) -> f64 {
    u32::try_from(tokens).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grant from a bucket that held `tokens` of at most 20, at 100 in a second.
    fn grant(tokens: u32) -> Grant {
        Grant {
            app: "default".to_owned(),
            paused: false,
            probing: false,
            due: 100,
            granted: 10,
            next_token: None,
            next_due: None,
            keeps: Duration::from_millis(10) * (20 - tokens),
            pace: 100.0,
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_pace_that_holds_nobody_back_needs_no_correction() {
        let mut grant = grant(20);
        grant.pace = 1e7;
        assert_eq!(correction(&grant, 10, 4, ms(3)), None);
    }

    #[test]
    fn unused_tokens_go_back() {
        assert_eq!(correction(&grant(20), 10, 4, ms(0)), Some(6.0));
        assert_eq!(correction(&grant(20), 10, 10, ms(0)), None);
        assert_eq!(
            correction(&grant(10), 10, 4, ms(100)),
            Some(6.0),
            "the bucket is not over full yet"
        );
    }

    #[test]
    fn what_the_bucket_gained_beyond_its_room_is_taken_and_no_more_than_was_granted() {
        assert_eq!(correction(&grant(20), 10, 10, ms(50)), Some(-5.0));
        assert_eq!(correction(&grant(10), 10, 10, ms(150)), Some(-5.0));
        assert_eq!(correction(&grant(20), 10, 10, ms(3000)), Some(-10.0));
        assert_eq!(
            correction(&grant(20), 10, 0, ms(3000)),
            None,
            "the bucket is full without them"
        );
    }

    #[test]
    fn less_than_a_token_is_left() {
        assert_eq!(correction(&grant(20), 10, 10, ms(9)), None);
    }
}
