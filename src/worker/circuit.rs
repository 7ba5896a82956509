//! The circuit of one worker to one app's host: when the host cannot be reached, one job at a time
//! finds out whether it is back, and nothing else is claimed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many connect failures in a row open the circuit.
const OPENS_AT: u32 = 5;

/// The wait before the first probe; doubled by each that fails.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between probes.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Counts connect failures in a row.
#[derive(Default)]
pub(super) struct Circuit {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    /// Set while the circuit is open.
    open: Option<Open>,
}

struct Open {
    probe_at: Instant,
    /// How many probes have failed.
    failed_probes: u32,
    /// Whether a probe is under way.
    probing: bool,
}

/// What may be claimed through a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// As much as there is room for.
    Free,
    /// One job.
    Probe,
    /// Nothing until then.
    Shut(Instant),
}

impl Circuit {
    /// What may be claimed now.
    pub(super) fn passage(&self, now: Instant) -> Passage {
        match &self.lock().open {
            None => Passage::Free,
            Some(open) if open.probe_at <= now => Passage::Probe,
            Some(open) => Passage::Shut(open.probe_at),
        }
    }

    /// A probe has been claimed: nothing further until it is answered or its wait is over.
    pub(super) fn probing(&self, now: Instant) {
        if let Some(open) = &mut self.lock().open {
            open.probing = true;
            open.probe_at = now + wait(open.failed_probes);
        }
    }

    /// The host could not be reached. True if this opened the circuit. Requests that were under way
    /// when it opened fail too; only a probe's failure makes the wait longer.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let mut state = self.lock();
        if let Some(open) = &mut state.open {
            if open.probing {
                open.probing = false;
                open.failed_probes = open.failed_probes.saturating_add(1);
                open.probe_at = now + wait(open.failed_probes);
            }
            return false;
        }
        state.failures += 1;
        if state.failures < OPENS_AT {
            return false;
        }
        state.open = Some(Open {
            probe_at: now + wait(0),
            failed_probes: 0,
            probing: false,
        });
        true
    }

    /// The host was reached, whatever it said. True if this closed the circuit.
    pub(super) fn reached(&self) -> bool {
        let mut state = self.lock();
        state.failures = 0;
        state.open.take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 1, 2, 4 ... 30 s.
fn wait(failed_probes: u32) -> Duration {
    (FIRST_WAIT * (1 << failed_probes.min(16))).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_open_it_and_one_success_closes_it() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..4 {
            assert!(!circuit.failed(now));
        }
        assert_eq!(circuit.passage(now), Passage::Free);
        assert!(circuit.failed(now));
        assert_eq!(
            circuit.passage(now),
            Passage::Shut(now + Duration::from_secs(1))
        );
        assert_eq!(
            circuit.passage(now + Duration::from_secs(1)),
            Passage::Probe
        );
        assert!(circuit.reached());
        assert_eq!(circuit.passage(now), Passage::Free);
    }

    #[test]
    fn probes_come_after_1_2_4_and_at_most_30_seconds() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..5 {
            circuit.failed(now);
        }
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(
                circuit.passage(now),
                Passage::Shut(now + Duration::from_secs(seconds))
            );
            circuit.probing(now);
            circuit.failed(now);
        }
    }

    #[test]
    fn requests_that_were_under_way_when_it_opened_do_not_make_the_wait_longer() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..50 {
            circuit.failed(now);
        }
        assert_eq!(
            circuit.passage(now),
            Passage::Shut(now + Duration::from_secs(1))
        );
    }

    #[test]
    fn a_success_between_failures_starts_the_count_anew() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..20 {
            for _ in 0..4 {
                circuit.failed(now);
            }
            circuit.reached();
        }
        assert_eq!(circuit.passage(now), Passage::Free);
    }
}
