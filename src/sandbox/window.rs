//! A sliding window of one second, in microseconds of a monotonic clock.

use std::collections::VecDeque;

const WINDOW_US: u64 = 1_000_000;

/// The events of the last second.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    events_us: VecDeque<u64>,
}

impl Window {
    /// Adds an event if fewer than `limit` lie in the second that ends with it; says whether.
    pub(super) fn admit(&mut self, now_us: u64, limit: u32) -> bool {
        self.forget_before(now_us);
        let has_room = self.events_us.len() < usize::try_from(limit).unwrap_or(usize::MAX);
        if has_room {
            self.events_us.push_back(now_us);
        }
        has_room
    }

    /// Adds an event and says how many lie in the second that ends with it.
    pub(super) fn count(&mut self, now_us: u64) -> usize {
        self.forget_before(now_us);
        self.events_us.push_back(now_us);
        self.events_us.len()
    }

    fn forget_before(&mut self, now_us: u64) {
        while self
            .events_us
            .front()
            .is_some_and(|event| now_us.saturating_sub(*event) >= WINDOW_US)
        {
            self.events_us.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_refuses_until_its_oldest_event_is_a_second_old() {
        let mut window = Window::default();
        assert!(window.admit(0, 2));
        assert!(window.admit(600_000, 2));
        assert!(!window.admit(999_999, 2));
        assert!(window.admit(1_000_000, 2));
        assert!(!window.admit(1_599_999, 2));
        assert!(window.admit(1_600_000, 2));
    }

    #[test]
    fn a_window_straddles_the_borders_of_clock_seconds() {
        let mut window = Window::default();
        assert_eq!(window.count(900_000), 1);
        assert_eq!(window.count(1_100_000), 2);
        assert_eq!(window.count(1_899_999), 3);
        assert_eq!(window.count(1_900_000), 3);
    }
}
