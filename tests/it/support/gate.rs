//! Stops one statement on its way to PostgreSQL, or its answer on the way back, so that a test can
//! end a process at exactly that point. The product needs no hooks for it.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

/// What takes longer has not happened.
const PATIENCE: Duration = Duration::from_mins(1);

/// On which side of a statement's execution it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The server never sees it.
    Before,
    /// The server has carried it out and committed; nobody hears of it.
    After,
}

/// The statement that is waited for, told by a part of its text.
#[derive(Clone, Debug)]
struct Shut {
    words: &'static str,
    side: Side,
}

/// A gate in a proxy, open until it is told where to stop. It stops one statement; the connection
/// it came on is silent from then on, and all others go on.
#[derive(Debug)]
pub(crate) struct Gate {
    shut: Mutex<Option<Shut>>,
    reached: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            shut: Mutex::default(),
            reached: watch::Sender::new(false),
        }
    }
}

impl Gate {
    /// Stops the next statement whose text holds `words`.
    pub(crate) fn stop(&self, words: &'static str, side: Side) {
        self.reached.send_replace(false);
        *locked(&self.shut) = Some(Shut { words, side });
    }

    /// Returns once the statement is where it was to be stopped.
    pub(crate) async fn reached(&self) {
        let mut seen = self.reached.subscribe();
        let reached = timeout(PATIENCE, seen.wait_for(|reached| *reached)).await;
        reached
            .expect("the statement comes")
            .expect("the gate is there");
    }

    /// Takes the order for a statement that is it.
    fn meets(&self, sql: &str) -> Option<Side> {
        let mut shut = locked(&self.shut);
        let meets = shut.as_ref().is_some_and(|s| sql.contains(s.words));
        meets.then(|| shut.take()).flatten().map(|s| s.side)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection's way through the gate.
pub(crate) struct Crossing {
    gate: Arc<Gate>,
    wire: Mutex<Wire>,
}

/// What is known of a connection.
#[derive(Default)]
struct Wire {
    /// Bytes of a message that is not complete yet.
    rest: Vec<u8>,
    /// Past the start-up packet, which alone has no type.
    started: bool,
    /// This is not PostgreSQL's protocol: everything passes.
    foreign: bool,
    /// The text of each prepared statement by its name.
    statements: HashMap<Vec<u8>, String>,
    stopped: Option<Side>,
    /// The last bytes of an answer that is held.
    tail: Vec<u8>,
}

/// PostgreSQL is ready for the next statement, outside a transaction: this one is committed.
const READY: &[u8] = b"Z\0\0\0\x05I";

impl Crossing {
    pub(crate) fn of(gate: &Arc<Gate>) -> Self {
        Self {
            gate: Arc::clone(gate),
            wire: Mutex::default(),
        }
    }

    /// Whether bytes to the server pass.
    pub(crate) fn request(&self, bytes: &[u8]) -> bool {
        let mut wire = locked(&self.wire);
        if wire.foreign {
            return true;
        }
        if wire.stopped == Some(Side::Before) {
            return false;
        }
        wire.rest.extend_from_slice(bytes);
        while let Some(sql) = wire.next_execution() {
            if let Some(side) = self.gate.meets(&sql) {
                wire.stopped = Some(side);
                if side == Side::Before {
                    self.gate.reached.send_replace(true);
                    return false;
                }
            }
        }
        true
    }

    /// Whether bytes to the client pass.
    pub(crate) fn answer(&self, bytes: &[u8]) -> bool {
        let mut wire = locked(&self.wire);
        if wire.stopped.is_none() {
            return true;
        }
        wire.tail.extend_from_slice(bytes);
        let cut = wire.tail.len().saturating_sub(READY.len());
        wire.tail.drain(..cut);
        if wire.stopped == Some(Side::After) && wire.tail == READY {
            self.gate.reached.send_replace(true);
        }
        false
    }
}

impl Wire {
    /// The text of the next statement that is to be carried out, among what has come so far.
    fn next_execution(&mut self) -> Option<String> {
        while let Some((kind, body)) = self.next_message() {
            let mut words = body.split(|byte| *byte == 0);
            let mut word = || words.next().unwrap_or_default().to_vec();
            match kind {
                b'P' => {
                    let (name, sql) = (word(), word());
                    let sql = String::from_utf8_lossy(&sql).into_owned();
                    self.statements.insert(name, sql);
                }
                b'B' => {
                    let (_portal, name) = (word(), word());
                    if let Some(sql) = self.statements.get(&name) {
                        return Some(sql.clone());
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn next_message(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = usize::from(self.started);
        let length = self.rest.get(head..head + 4)?;
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        if !self.started && length > 10_000 {
            self.foreign = true;
            self.rest = Vec::new();
            return None;
        }
        if self.rest.len() < head + length {
            return None;
        }
        let rest = self.rest.split_off(head + length);
        let message = mem::replace(&mut self.rest, rest);
        let kind = if self.started { message[0] } else { 0 };
        // A request for TLS comes before the start-up packet, and is refused here.
        self.started |= length != 8;
        Some((kind, message[head + 4..].to_vec()))
    }
}
