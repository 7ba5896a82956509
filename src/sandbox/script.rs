//! The list of scripted faults, in the order they were given; the first that matches is taken.

use serde::Serialize;

use super::fault::{Fault, FaultKind};
use super::record::Seen;
use super::window::Window;

/// Names one scripted fault of one sandbox.
pub type FaultId = u64;

/// A fault that still waits, with what is left of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Waiting {
    pub(super) id: FaultId,
    #[serde(flatten)]
    pub(super) fault: Fault,
    #[serde(skip)]
    window: Window,
}

#[derive(Debug, Default)]
pub(super) struct Script {
    waiting: Vec<Waiting>,
    last_id: FaultId,
}

impl Script {
    pub(super) fn add(&mut self, fault: Fault) -> FaultId {
        self.last_id += 1;
        self.waiting.push(Waiting {
            id: self.last_id,
            fault,
            window: Window::default(),
        });
        self.last_id
    }

    pub(super) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.id != id);
        self.waiting.len() < before
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn list(&self) -> Vec<Waiting> {
        self.waiting.clone()
    }

    /// Whether a connection may have to be closed before its next request is read.
    pub(super) fn closes_unread(&self) -> bool {
        self.waiting.iter().any(Waiting::closes_unread)
    }

    /// Uses up one close before reading; `false` if none waits.
    pub(super) fn take_close_unread(&mut self) -> bool {
        self.waiting
            .iter()
            .position(Waiting::closes_unread)
            .map(|at| self.use_once(at))
            .is_some()
    }

    /// The fault for a request that was read, used up once; never a close before reading.
    pub(super) fn take(&mut self, seen: &Seen, now_us: u64) -> Option<Fault> {
        let at = self.waiting.iter_mut().position(|waiting| {
            !waiting.closes_unread()
                && waiting.fault.matches(seen)
                && match waiting.fault.kind {
                    FaultKind::ThrottleAbove(limit) => !waiting.window.admit(now_us, limit),
                    _ => true,
                }
        })?;
        Some(self.use_once(at))
    }

    fn use_once(&mut self, at: usize) -> Fault {
        let fault = self.waiting[at].fault.clone();
        match &mut self.waiting[at].fault.times {
            Some(1) => {
                self.waiting.remove(at);
            }
            Some(times) => *times -= 1,
            None => {}
        }
        fault
    }
}

impl Waiting {
    fn closes_unread(&self) -> bool {
        self.fault.kind == FaultKind::CloseBeforeReading
    }
}
