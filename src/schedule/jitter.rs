//! How much later than its time a firing's call is placed, so that many schedules of one time do
//! not ring at once.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::timetable::Firing;

/// A delay from zero up to `max`, itself excluded, in whole microseconds.
///
/// The same schedule and firing always have the same delay, whichever worker asks, and whatever it
/// knows of zones: it rests on [`Firing::local`] and [`Firing::fold`] alone. `schedule_id` is any
/// bytes that stay the schedule's own.
#[must_use]
pub fn jitter_of(schedule_id: &[u8], firing: &Firing, max: Duration) -> Duration {
    let mut hash = Sha256::new();
    hash.update(schedule_id);
    hash.update(firing.local.and_utc().timestamp().to_be_bytes());
    hash.update([firing.fold]);
    let hash = hash.finalize();
    let drawn = hash.iter().take(8);
    let drawn = drawn.fold(0, |drawn, byte| drawn << 8 | u128::from(*byte));
    // A fraction of 2^64 of fewer than 2^64 microseconds.
    let max = max.as_micros().min(u128::from(u64::MAX));
    Duration::from_micros(u64::try_from((drawn * max) >> 64).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn firing(minute: i64, fold: u8) -> Firing {
        let at = DateTime::from_timestamp(minute * 60, 0).expect("it exists");
        let local = at.naive_utc();
        Firing { at, local, fold }
    }

    #[test]
    fn the_same_firing_has_the_same_delay_and_another_has_another() {
        let max = Duration::from_mins(5);
        let delay = |id: &[u8], minute, fold| jitter_of(id, &firing(minute, fold), max);
        assert_eq!(delay(b"a", 7, 0), delay(b"a", 7, 0));
        assert_ne!(delay(b"a", 7, 0), delay(b"b", 7, 0));
        assert_ne!(delay(b"a", 7, 0), delay(b"a", 8, 0));
        assert_ne!(delay(b"a", 7, 0), delay(b"a", 7, 1));
        let mut elsewhere = firing(7, 0);
        elsewhere.at += max;
        assert_eq!(delay(b"a", 7, 0), jitter_of(b"a", &elsewhere, max));
        // Whoever changes the hash makes every running schedule jump.
        assert_eq!(delay(b"a", 7, 0), Duration::from_micros(223_604_253));
    }

    #[test]
    fn delays_are_even_and_below_the_maximum() {
        let max = Duration::from_mins(1);
        let delays: Vec<_> = (0..10_000)
            .map(|n| jitter_of(b"id", &firing(n, 0), max))
            .collect();
        assert!(delays.iter().all(|delay| *delay < max));
        let below = |s| {
            delays
                .iter()
                .filter(|d| **d < Duration::from_secs(s))
                .count()
        };
        assert!((900..1100).contains(&below(6)), "{}", below(6));
        assert!((4800..5200).contains(&below(30)), "{}", below(30));
        assert_eq!(
            jitter_of(b"id", &firing(1, 0), Duration::ZERO),
            Duration::ZERO
        );
        assert!(jitter_of(b"id", &firing(1, 0), Duration::MAX) < Duration::MAX);
    }
}
