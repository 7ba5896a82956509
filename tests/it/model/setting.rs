//! One configuration of the model: how many of everything, which policy, and which safeguard is off.

use std::fmt;

use super::mutations::Mutation;
use super::state::{Left, NEVER};

/// `on_doubt`. `reconcile` does what `hold` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDoubt {
    Hold,
    Retry,
}

/// Who cancels, resolves and retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Person {
    Absent,
    /// Says of a doubt what is true at that moment.
    Right,
    MayBeWrong,
}

/// Whether time may pass between the last check and the write to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    Runs,
    MayBePaused,
}

/// What a request may come to. With few answers, no safeguard is left out: what is left out differs from
/// what is not in reasons and counts alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    All,
    Few,
}

/// One configuration.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) workers: u8,
    pub(crate) jobs: usize,
    /// How often one job may be claimed: the bound of the exploration.
    pub(crate) claims: u8,
    pub(crate) max_attempts: i8,
    pub(crate) on_doubt: OnDoubt,
    pub(crate) deadline: Left,
    pub(crate) person: Person,
    pub(crate) machine: Machine,
    pub(crate) answers: Answers,
    /// The one safeguard that is off.
    pub(crate) mutation: Option<Mutation>,
}

/// How many ticks a lease lasts. A request may take one, and so do its bytes; it is sent with no less
/// than [`LEASE_TO_SEND`] left.
pub(crate) const LEASE: Left = 3;

/// The least that must be left of a lease: the request's timeout, and time to record.
pub(crate) const LEASE_TO_SEND: Left = 2;

/// How many ticks after it was written a request can still reach Tencent.
pub(crate) const REQUEST: Left = 1;

/// How long a phone rings, and how long `retry` waits.
pub(crate) const RING: Left = 1;

/// How far each worker's wall clock is behind the database's.
pub(crate) const WALL_CLOCK_BEHIND: Left = 2;

impl Setting {
    /// Two workers, one job that may be claimed twice, no deadline, a person who is right.
    pub(crate) const SMALL: Self = Self {
        workers: 2,
        jobs: 1,
        claims: 2,
        max_attempts: 2,
        on_doubt: OnDoubt::Hold,
        deadline: NEVER,
        person: Person::Right,
        machine: Machine::Runs,
        answers: Answers::All,
        mutation: None,
    };

    /// Whether this safeguard is off.
    pub(crate) fn lacks(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            workers,
            jobs,
            claims,
            max_attempts,
            on_doubt,
            person,
            ..
        } = self;
        let deadline = if self.deadline == NEVER {
            "none".to_owned()
        } else {
            self.deadline.to_string()
        };
        write!(
            f,
            "workers {workers}, jobs {jobs}, claims of each {claims}, max_attempts {max_attempts}, "
        )?;
        write!(
            f,
            "on_doubt {on_doubt:?}, deadline {deadline}, person {person:?}, answers {:?}",
            self.answers
        )
    }
}
