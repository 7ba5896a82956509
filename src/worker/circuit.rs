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
    since: Instant,
    probe_at: Instant,
    /// What the last failure was.
    failure: String,
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
    pub(super) fn failed(&self, now: Instant, failure: &str) -> bool {
        let mut state = self.lock();
        if let Some(open) = &mut state.open {
            failure.clone_into(&mut open.failure);
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
            since: now,
            probe_at: now + wait(0),
            failure: failure.to_owned(),
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

    /// For how long it has been open, in how long the next probe may leave, and the last failure;
    /// `None` while it is closed.
    pub(super) fn open(&self, now: Instant) -> Option<(Duration, Duration, String)> {
        let state = self.lock();
        let open = state.open.as_ref()?;
        let (since, next) = (open.since, open.probe_at);
        Some((
            now - since,
            next.saturating_duration_since(now),
            open.failure.clone(),
        ))
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
    use crate::call::{
        Answer, AppHealth, NextState, OnDoubt, Policy, RefusedCallees, Transition, Tried, decide,
    };

    #[test]
    fn five_failures_in_a_row_open_it_and_one_success_closes_it() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..4 {
            assert!(!circuit.failed(now, "refused"));
        }
        assert_eq!(circuit.passage(now), Passage::Free);
        assert!(circuit.failed(now, "refused"));
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
            circuit.failed(now, "refused");
        }
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(
                circuit.passage(now),
                Passage::Shut(now + Duration::from_secs(seconds))
            );
            circuit.probing(now);
            circuit.failed(now, "refused");
        }
    }

    #[test]
    fn requests_that_were_under_way_when_it_opened_do_not_make_the_wait_longer() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..50 {
            circuit.failed(now, "refused");
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
                circuit.failed(now, "refused");
            }
            circuit.reached();
        }
        assert_eq!(circuit.passage(now), Passage::Free);
    }

    /// A job as the database would keep it: due again after so long.
    struct Waiting {
        due: Instant,
        attempt: u32,
        deadline: Instant,
    }

    #[test]
    fn an_outage_of_20_minutes_fails_no_job_whose_deadline_is_later_and_is_tried_every_30_s() {
        let begin = Instant::now();
        let after = |s: u64| begin + Duration::from_secs(s);
        let back = after(20 * 60);
        let circuit = Circuit::default();
        // Fifty jobs at once, and one every ten seconds; each may be placed for half an hour.
        let due = (0..50)
            .map(|_| begin)
            .chain((0..120).map(|i| after(10 * i)));
        let mut jobs: Vec<Waiting> = due
            .map(|due| Waiting {
                due,
                attempt: 0,
                deadline: due + Duration::from_mins(30),
            })
            .collect();
        let (mut placed, mut tries, mut now) = (0, 0, begin);
        while !jobs.is_empty() {
            assert!(now < after(22 * 60), "{} jobs still wait", jobs.len());
            let slots = match circuit.passage(now) {
                Passage::Free => usize::MAX,
                Passage::Probe => 1,
                Passage::Shut(_) => 0,
            };
            let due: Vec<usize> = (0..jobs.len())
                .filter(|i| jobs[*i].due <= now)
                .take(slots)
                .collect();
            for i in due.into_iter().rev() {
                circuit.probing(now);
                if now >= back {
                    assert!(jobs.swap_remove(i).deadline > now);
                    placed += 1;
                    circuit.reached();
                    continue;
                }
                tries += 1;
                circuit.failed(now, "connection refused");
                jobs[i].attempt += 1;
                let verdict = decide_unreachable(&jobs[i], now);
                assert_eq!(verdict.next, NextState::Scheduled);
                assert!(!verdict.counts(), "max_attempts is not spent on it");
                jobs[i].due = now + verdict.delay.expect("it is due again");
            }
            now += Duration::from_millis(100);
        }
        assert_eq!(placed, 170);
        // The fifty that had been claimed together, and then 1, 2, 4, 8, 16 and every 30 s.
        assert!((80..=100).contains(&tries), "{tries} tries");
    }

    fn decide_unreachable(job: &Waiting, now: Instant) -> Transition {
        let policy = Policy {
            attempts_used: 0,
            max_attempts: 1,
            on_doubt: OnDoubt::Hold,
            ring_timeout: Duration::from_secs(45),
            refused_callees: RefusedCallees::LeaveAlone,
        };
        let tried = Tried {
            attempt: job.attempt,
            seed: 7,
            deadline_left: Some(job.deadline - now),
        };
        let answer = Answer::NotSent {
            detail: "connection refused".to_owned(),
            unreachable: true,
        };
        let class = crate::tencent::classify(&answer);
        decide(&policy, &tried, class, &answer, AppHealth::Unproven)
    }
}
