//! The sandbox's time: the only place that reads a clock.
//!
//! Calls, records and callbacks go by *its* time, which begins at that of the clock, runs `speed`
//! times as fast, and can be moved forward. A `UserSig` is judged by the clock itself, because the
//! client signs by its own; the limits per second are real seconds.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use super::config::Clock;

/// It cannot be moved further than so in all: ten years.
const ADVANCE_MAX_MS: i64 = 10 * 366 * 86_400 * 1000;

pub(super) struct Time {
    clock: Clock,
    speed: f64,
    began: Instant,
    began_unix_ms: i64,
    advanced_ms: AtomicI64,
}

impl Time {
    /// Begins now. `speed` is checked by the one who starts a sandbox.
    pub(super) fn new(clock: Clock, speed: f64) -> Self {
        Self {
            clock,
            speed,
            began: Instant::now(),
            began_unix_ms: match clock {
                Clock::System => chrono::Utc::now().timestamp_millis(),
                Clock::Fixed(seconds) => seconds.saturating_mul(1000),
            },
            advanced_ms: AtomicI64::new(0),
        }
    }

    /// The clock, in seconds since the Unix epoch.
    pub(super) fn unix_seconds(&self) -> i64 {
        match self.clock {
            Clock::System => chrono::Utc::now().timestamp(),
            Clock::Fixed(seconds) => seconds,
        }
    }

    /// The clock, in microseconds since the Unix epoch, for the ledger: never a fixed one.
    pub(super) fn received_at_us() -> i64 {
        chrono::Utc::now().timestamp_micros()
    }

    /// Real microseconds since the sandbox began.
    pub(super) fn monotonic_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The sandbox's time, in milliseconds since the Unix epoch.
    pub(super) fn now_ms(&self) -> i64 {
        let ran_ms = match self.clock {
            Clock::Fixed(_) => 0,
            #[allow(
                clippy::cast_possible_truncation,
                reason = "a float that is too big is cut"
            )]
            Clock::System => (self.began.elapsed().as_secs_f64() * 1000.0 * self.speed) as i64,
        };
        let advanced_ms = self.advanced_ms.load(Ordering::Acquire);
        self.began_unix_ms
            .saturating_add(ran_ms)
            .saturating_add(advanced_ms)
    }

    /// Moves the sandbox's time forward.
    pub(super) fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let further = |ms: i64| Some(ms.saturating_add(by_ms).min(ADVANCE_MAX_MS));
        // It always gives a value, so it is always taken.
        let _ = self
            .advanced_ms
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, further);
    }

    /// How long to wait, really, until its time is `at_ms`; `None` if only [`Time::advance`] gets
    /// it there.
    pub(super) fn until(&self, at_ms: i64) -> Option<Duration> {
        let left_ms = u64::try_from(at_ms.saturating_sub(self.now_ms())).unwrap_or(0);
        match self.clock {
            _ if left_ms == 0 => Some(Duration::ZERO),
            Clock::Fixed(_) => None,
            Clock::System => Some(Duration::from_millis(left_ms).div_f64(self.speed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_it_is_moved_and_signatures_do_not_age() {
        let time = Time::new(Clock::Fixed(1_700_000_000), 60.0);
        assert_eq!(time.now_ms(), 1_700_000_000_000);
        assert_eq!(time.until(1_700_000_000_001), None);
        time.advance(Duration::from_secs(5));
        assert_eq!(time.now_ms(), 1_700_000_005_000);
        assert_eq!(time.until(1_700_000_005_000), Some(Duration::ZERO));
        assert_eq!(time.unix_seconds(), 1_700_000_000);
    }

    #[test]
    fn a_running_clock_runs_by_its_speed() {
        let time = Time::new(Clock::System, 1000.0);
        let left = time
            .until(time.now_ms() + 3_600_000)
            .expect("it gets there");
        assert!(left <= Duration::from_millis(3600), "{left:?}");
        let before = time.now_ms();
        time.advance(Duration::from_mins(1));
        assert!(time.now_ms() >= before + 60_000);
    }
}
