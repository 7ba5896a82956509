//! When this machine did not get on with its work: what comes late for it is no worker's fault.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::crew::now_us;

const BEAT: Duration = Duration::from_millis(20);

/// A thread that wants to run for a moment in each beat waits as long only where all others do.
const STOOD_STILL: Duration = Duration::from_millis(200);

/// Beats until it is dropped.
#[derive(Default)]
pub(crate) struct Pulse {
    gaps_us: Arc<Mutex<Vec<(i64, i64)>>>,
    ended: Arc<AtomicBool>,
}

impl Pulse {
    pub(crate) fn start() -> Self {
        let pulse = Self::default();
        let (gaps_us, ended) = (Arc::clone(&pulse.gaps_us), Arc::clone(&pulse.ended));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let (from_us, began) = (now_us(), Instant::now());
                thread::sleep(BEAT);
                if began.elapsed() >= STOOD_STILL {
                    let mut gaps = gaps_us.lock().unwrap_or_else(PoisonError::into_inner);
                    gaps.push((from_us, now_us()));
                }
            }
        });
        pulse
    }

    /// From when until when it did not beat.
    pub(crate) fn gaps_us(&self) -> Vec<(i64, i64)> {
        let gaps = self.gaps_us.lock();
        gaps.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
