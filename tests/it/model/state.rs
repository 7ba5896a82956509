//! What the model knows: the rows, what each worker holds in its memory, and what is on the wire.
//!
//! Time passes in ticks and is kept as what is left, so that a state has no date and the number of
//! states is finite.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::promises::{Broken, Promise};

/// Ticks that are left; 0: the time has come.
pub(crate) type Left = u8;

/// A deadline that never comes (`expires_at = 'infinity'`).
pub(crate) const NEVER: Left = 255;

/// Longer than any number of ticks: the six days that a doubt is kept open.
pub(crate) const DAYS: Left = 254;

/// `callq.job_state`, but for `completed`, which belongs to outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum JobState {
    Scheduled,
    Dialing,
    InDoubt,
    Placed,
    Failed,
    Expired,
    Cancelled,
    Unresolved,
}

/// `callq.attempt_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AttemptState {
    Claimed,
    NotSent,
    Replied,
    Unknown,
}

/// `callq.attempts.class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    Accepted,
    Safe,
    InDoubt,
    Cannot,
}

/// A row of `callq.attempts`, and what really happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    pub(crate) state: AttemptState,
    pub(crate) class: Option<Class>,
    pub(crate) token: u8,
    pub(crate) second_ring: bool,
    /// Nobody's column: how many requests left under its room and random.
    pub(crate) sent: u8,
    /// Nobody's column: whether Tencent rang for one of them.
    pub(crate) rang: bool,
}

/// `callq.jobs.reason`. Why an open job waits is told and changes nothing, so it makes no state another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reason(pub(crate) &'static str);

impl Reason {
    fn ends(self) -> &'static str {
        match self.0 {
            "given_back" | "throttled" | "not_sent" | "unreachable" | "retried_in_doubt"
            | "retried_by_person" | "lease_lapsed" | "reply_in_doubt" | "reply_unknown" => "",
            word => word,
        }
    }
}

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        self.ends() == other.ends()
    }
}

impl Eq for Reason {}

impl Hash for Reason {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ends().hash(state);
    }
}

/// A row of `callq.jobs`, and what really happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Job {
    pub(crate) state: JobState,
    pub(crate) reason: Reason,
    /// Number of the newest attempt.
    pub(crate) attempt: u8,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) used: i8,
    pub(crate) token: Option<u8>,
    /// `lease_until`: of the claim, or of the doubt.
    pub(crate) lease: Left,
    /// `expires_at`.
    pub(crate) deadline: Left,
    pub(crate) cancel: bool,
    /// Six days have passed since the newest claim.
    pub(crate) old: bool,
    pub(crate) truth: Truth,
}

/// What no column holds, and what the promises are about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Truth {
    /// How often the phone rang; 3 is three or more.
    pub(crate) rings: u8,
    /// How long it still rings.
    pub(crate) ringing: Left,
    /// The policy `retry`, or a person who was wrong, asked for another ring.
    pub(crate) asked: bool,
    /// A person said that nobody was rung, and was wrong.
    pub(crate) misled: bool,
}

/// Which claimed job: a claim's token is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Claim {
    pub(crate) worker: u8,
    pub(crate) job: usize,
    pub(crate) attempt: u8,
    pub(crate) token: u8,
}

/// One claimed job in a worker's memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hand {
    pub(crate) claim: Claim,
    pub(crate) stage: Stage,
    /// The lease as the worker counts it: on a monotonic clock, from before it sent the claim.
    pub(crate) lease: Left,
    /// The deadline, counted in the same way.
    pub(crate) deadline: Left,
    /// `attempts_used` as the claim returned it.
    pub(crate) used: i8,
}

/// How far a worker is with a claimed job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// The claim is committed, its answer is on its way.
    Asked,
    /// The answer was lost: it gives the claim back.
    Unanswered,
    /// It knows that it has the job.
    Claimed,
    /// It has looked at lease and deadline, and is about to write to the socket.
    Checked,
    /// The request is written; the reply, once Tencent has given one.
    Waiting(Option<Answer>),
    /// It has a result to write.
    Result { answer: Answer, repeated: bool },
    /// Mutations alone: it saw the row before it was locked, as it was then.
    Saw(Answer, Box<Job>),
}

/// What a request led to, as its worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// `ErrorCode` 0: the phone rings.
    Accepted,
    /// SAFE and not counted: a throttle. A fault of the app does the same to its job.
    Throttled,
    /// CANNOT.
    Cannot,
    /// IN DOUBT, by its code.
    DoubtfulCode,
    /// IN DOUBT: a timeout, a reset, an unreadable body, a panic of the task.
    NoReply,
    /// No connection came about: SAFE, not counted.
    Unreachable,
    /// No request could be made of it: SAFE, counted.
    Unsendable,
    /// Not sent: a pause, or too little of the lease is left.
    HeldBack,
    /// Not sent: the deadline has passed.
    TooLate,
}

/// The bytes of a request between a socket and Tencent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Packet {
    pub(crate) claim: Claim,
    pub(crate) left: Left,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) jobs: Vec<Job>,
    pub(crate) hands: Vec<Hand>,
    pub(crate) wire: Vec<Packet>,
    /// How many claims were made: the next one's token.
    pub(crate) claims: u8,
    /// How many workers have claimed: they are alike, so the next new one is the next by number.
    pub(crate) workers: u8,
    /// The promises that a step has broken on the way here.
    pub(crate) broken: Broken,
}

impl State {
    pub(crate) fn new(jobs: usize, deadline: Left) -> Self {
        let job = Job {
            state: JobState::Scheduled,
            reason: Reason(""),
            attempt: 0,
            attempts: Vec::new(),
            used: 0,
            token: None,
            lease: 0,
            deadline,
            cancel: false,
            old: false,
            truth: Truth::default(),
        };
        Self {
            jobs: vec![job; jobs],
            hands: Vec::new(),
            wire: Vec::new(),
            claims: 0,
            workers: 0,
            broken: Broken::default(),
        }
    }

    pub(crate) fn broke(&mut self, promise: Promise) {
        self.broken.add(promise);
    }

    /// The hand that holds this claim.
    pub(crate) fn hand(&mut self, claim: Claim) -> Option<&mut Hand> {
        self.hands.iter_mut().find(|hand| hand.claim == claim)
    }

    pub(crate) fn drop_hand(&mut self, claim: Claim) {
        self.hands.retain(|hand| hand.claim != claim);
    }
}

impl Job {
    /// The row of an attempt.
    pub(crate) fn row(&mut self, attempt: u8) -> Option<&mut Attempt> {
        self.attempts.get_mut(usize::from(attempt).checked_sub(1)?)
    }

    /// The rows of the attempts before this one.
    pub(crate) fn before(&self, attempt: u8) -> &[Attempt] {
        let earlier = usize::from(attempt).saturating_sub(1);
        &self.attempts[..earlier.min(self.attempts.len())]
    }

    /// `callq.may_have_rung`.
    pub(crate) fn may_have_rung(&self, before: u8) -> bool {
        self.before(before)
            .iter()
            .any(|a| a.class == Some(Class::InDoubt))
    }

    /// Whether a late reply said that an attempt before this one rang.
    pub(crate) fn rang_before(&self, attempt: u8) -> bool {
        self.before(attempt).iter().any(|a| a.second_ring)
    }

    pub(crate) fn go(&mut self, state: JobState, reason: &'static str) {
        (self.state, self.reason) = (state, Reason(reason));
        self.old &= matches!(state, JobState::Dialing | JobState::InDoubt);
    }
}

impl Hand {
    /// It has a result. Of what it counted, all that matters is whether the deadline had passed.
    pub(crate) fn has(&mut self, answer: Answer) {
        self.stage = Stage::Result {
            answer,
            repeated: false,
        };
        (self.lease, self.deadline) = (0, self.deadline.min(1));
    }

    /// It will send nothing.
    pub(crate) fn is_unanswered(&mut self) {
        self.stage = Stage::Unanswered;
        (self.lease, self.deadline) = (0, 0);
    }

    /// Whether time still matters to it.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self.stage, Stage::Result { .. } | Stage::Saw(..))
    }
}

/// What is left a tick later.
pub(crate) fn tick(left: Left) -> Left {
    if left >= DAYS {
        left
    } else {
        left.saturating_sub(1)
    }
}

/// What is left six days later.
pub(crate) fn days(left: Left) -> Left {
    if left == NEVER { NEVER } else { 0 }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            state,
            attempt,
            used,
            ..
        } = self;
        write!(f, "{state:?} #{attempt} used {used}")?;
        if self.lease < DAYS {
            write!(f, " lease {}", self.lease)?;
        }
        if self.deadline < DAYS {
            write!(f, " deadline {}", self.deadline)?;
        }
        if self.cancel {
            write!(f, " cancel")?;
        }
        write!(f, " rang {}", self.truth.rings)
    }
}
