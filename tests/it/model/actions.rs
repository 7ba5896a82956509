//! The steps of the protocol, each with the function or statement that it stands for, and which of
//! them are possible when.

use std::fmt;

use super::mutations::Mutation;
use super::setting::{Answers, Machine, Person, Setting};
use super::state::{Claim, JobState, Stage, State};

/// What Tencent does with a request that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It rings and says so.
    Rings,
    /// It rings and answers with a code that leaves it open.
    RingsInDoubt,
    /// It does not ring and answers with a code that leaves it open.
    QuietInDoubt,
    /// SAFE.
    Throttled,
    /// CANNOT.
    Cannot,
}

impl Fate {
    const FEW: [Self; 3] = [Self::Rings, Self::RingsInDoubt, Self::Throttled];

    const ALL: [Self; 5] = [
        Self::Rings,
        Self::RingsInDoubt,
        Self::QuietInDoubt,
        Self::Throttled,
        Self::Cannot,
    ];

    /// Whether a phone rings.
    pub(crate) fn rings(self) -> bool {
        matches!(self, Self::Rings | Self::RingsInDoubt)
    }
}

/// What a person says of a job in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Placed,
    Retry,
    Failed,
}

/// One step. Each is a commit, or what one program does by itself; every order of them is tried.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// A worker's claim is committed: the jobs are dialing and their attempts are written, or past
    /// their deadline and ended. `src/store/claim.sql`, `Store::claim`.
    Claim { worker: u8, jobs: Vec<usize> },
    /// The claim's answer comes; the worker counts from before it sent the claim.
    /// `src/worker/claim.rs: dispatch`.
    Answered { token: u8 },
    /// The claim's answer is lost. `src/worker/context.rs: give_back_later`.
    AnswerLost { token: u8 },
    /// What such a claim took is given back. `src/store/give_back.sql`, `Store::give_back`.
    GiveBack { token: u8 },
    /// Lease and deadline are looked at, immediately before the request. `src/worker/place.rs: ready`.
    Check(Claim),
    /// A pause came after the claim: the request is held back. `src/worker/place.rs: ready`.
    HoldBack(Claim),
    /// The request is written to the socket. `src/worker/place.rs: send`.
    Send(Claim),
    /// No connection came about. `src/tencent/exchange.rs: unanswered`.
    Unreachable(Claim),
    /// No request could be made of the job. `src/tencent/exchange.rs: unanswered`.
    Unsendable(Claim),
    /// Tencent reads the request. `src/tencent/commands.rs: start_call_by_robot`.
    Arrive(Claim, Fate),
    /// The reply is read and judged. `src/call/decide.rs: decide`.
    Read(Claim),
    /// No reply comes, or the task that places the job panics. `src/tencent/exchange.rs: unanswered`,
    /// `src/worker/owed.rs: lost`.
    Lose(Claim),
    /// The result is written, and the worker knows it. `src/store/record.sql`, `Store::record`.
    Record(Claim),
    /// The result is written, and the acknowledgement is lost: it will be written again.
    /// `src/store/record.sql`, `src/worker/record.rs: put_back`.
    RecordUnacknowledged(Claim),
    /// A worker dies with all that it knows, and starts anew. `src/worker/run.rs: Worker`.
    Crash { worker: u8 },
    /// A lease that ended makes a doubt. `src/store/lapse.sql`, `Store::lapse`.
    Lapse { job: usize },
    /// The job's policy is applied to its doubt. `src/store/settle.sql`, `Store::settle`.
    Settle { job: usize },
    /// A waiting job's deadline has passed. `src/store/expire.sql`, `Store::expire`.
    Expire { job: usize },
    /// A person cancels. `callq.cancel`, `src/store/cancel.sql`.
    Cancel { job: usize },
    /// A person says what became of a doubt. `callq.resolve`, `src/store/resolve.sql`.
    Resolve { job: usize, verdict: Verdict },
    /// A person makes a job that rang nobody due again. `callq.retry`, `src/store/retry.sql`.
    Retry { job: usize },
    /// Time passes: as long as a request may take. The database's clock, `now()`.
    Tick,
    /// Six days pass. `src/call/decide.rs: DOUBT_ENDS_AFTER`.
    Days,
    /// Mutations alone: a statement has read the row and has not locked it yet.
    ReadUnlocked(Claim),
}

impl Action {
    /// What kind of step it is.
    pub(crate) fn name(&self) -> String {
        let all = format!("{self:?}");
        let end = all
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(all.len());
        all[..end].to_owned()
    }
}

impl Setting {
    /// Every step that is possible in `state`.
    pub(crate) fn steps(&self, state: &State, steps: &mut Vec<Action>) {
        for hand in &state.hands {
            hand_steps(self, state, hand.claim, &hand.stage, steps);
        }
        for packet in &state.wire {
            let awaited = state
                .hands
                .iter()
                .any(|h| h.claim == packet.claim && h.stage == Stage::Waiting(None));
            // What does not ring and nobody waits for changes nothing.
            let fates = if self.answers == Answers::All {
                &Fate::ALL[..]
            } else {
                &Fate::FEW[..]
            };
            let fates = fates.iter().filter(|fate| awaited || **fate == Fate::Rings);
            steps.extend(fates.map(|fate| Action::Arrive(packet.claim, *fate)));
        }
        let alive = (0..self.workers).filter(|w| state.hands.iter().any(|h| h.claim.worker == *w));
        steps.extend(alive.map(|worker| Action::Crash { worker }));
        self.claims(state, steps);
        for job in 0..state.jobs.len() {
            self.job_steps(state, job, steps);
        }
        // The worker checks immediately before it writes: no time passes in between, unless the
        // whole machine is paused there.
        let checked = state.hands.iter().any(|h| h.stage == Stage::Checked);
        if !checked || self.machine == Machine::MayBePaused {
            steps.extend([Action::Tick, Action::Days]);
        }
    }

    fn claims(&self, state: &State, steps: &mut Vec<Action>) {
        let due: Vec<usize> = (0..state.jobs.len())
            .filter(|job| self.may_be_claimed(state, *job))
            .collect();
        let mut takes: Vec<Vec<usize>> = due.iter().map(|job| vec![*job]).collect();
        if due.len() > 1 {
            takes.push(due);
        }
        let workers = self.workers.min(state.workers + 1);
        for worker in 0..workers {
            let claims = takes.iter().map(|jobs| Action::Claim {
                worker,
                jobs: jobs.clone(),
            });
            steps.extend(claims);
        }
    }

    fn may_be_claimed(&self, state: &State, job: usize) -> bool {
        let row = &state.jobs[job];
        let both_saw_it = self.lacks(Mutation::ClaimWithoutLock)
            && state
                .hands
                .iter()
                .any(|h| h.claim.job == job && h.stage == Stage::Asked);
        let taken = usize::from(self.claims) > row.attempts.len();
        taken && state.claims < 2 * self.claims && (row.state == JobState::Scheduled || both_saw_it)
    }

    fn job_steps(&self, state: &State, job: usize, steps: &mut Vec<Action>) {
        let row = &state.jobs[job];
        match row.state {
            JobState::Dialing if row.lease == 0 && !self.lacks(Mutation::NobodyLapses) => {
                steps.push(Action::Lapse { job });
            }
            JobState::InDoubt if row.lease == 0 || self.lacks(Mutation::SettlesAtOnce) => {
                steps.push(Action::Settle { job });
            }
            JobState::Dialing if self.lacks(Mutation::LapseIsEarly) => {
                steps.push(Action::Lapse { job });
            }
            JobState::Dialing if row.deadline == 0 && self.lacks(Mutation::ExpireTakesDialing) => {
                steps.push(Action::Expire { job });
            }
            JobState::Scheduled if row.deadline == 0 => steps.push(Action::Expire { job }),
            _ => {}
        }
        if self.person == Person::Absent {
            return;
        }
        if matches!(
            row.state,
            JobState::Scheduled | JobState::Dialing | JobState::InDoubt
        ) && !row.cancel
        {
            steps.push(Action::Cancel { job });
        }
        let doubted = matches!(row.state, JobState::InDoubt | JobState::Unresolved);
        let blind = self.lacks(Mutation::ResolveIsBlind) && row.state == JobState::Dialing;
        if doubted || blind {
            let rang = row.truth.rings > 0;
            let wrong = self.person == Person::MayBeWrong;
            let mut say = |verdict, right| {
                if right || wrong {
                    steps.push(Action::Resolve { job, verdict });
                }
            };
            say(Verdict::Placed, rang);
            say(Verdict::Failed, !rang);
            if row.deadline > 0 && !row.cancel {
                say(Verdict::Retry, !rang);
            }
        }
        let ended = matches!(
            row.state,
            JobState::Failed | JobState::Expired | JobState::Cancelled
        );
        let waits = row.state == JobState::Scheduled && row.attempt > 0;
        let dialing = row.state == JobState::Dialing && self.lacks(Mutation::RetriesDialing);
        let doubt = row.state == JobState::InDoubt && self.lacks(Mutation::RetriesDoubts);
        if ended || waits || dialing || doubt {
            steps.push(Action::Retry { job });
        }
    }
}

/// What a worker may do with a job in its hand, or what may befall it.
fn hand_steps(
    setting: &Setting,
    whole: &State,
    claim: Claim,
    stage: &Stage,
    steps: &mut Vec<Action>,
) {
    // One answer speaks for all jobs of a claim.
    let first = whole
        .hands
        .iter()
        .find(|h| h.claim.token == claim.token && h.stage == *stage);
    let first = first.is_some_and(|h| h.claim == claim);
    let token = claim.token;
    match stage {
        Stage::Asked if first => {
            steps.extend([Action::Answered { token }, Action::AnswerLost { token }]);
        }
        Stage::Unanswered if first => steps.push(Action::GiveBack { token }),
        Stage::Asked | Stage::Unanswered => {}
        Stage::Claimed | Stage::Checked if setting.answers == Answers::Few => {
            steps.push(if *stage == Stage::Checked {
                Action::Send(claim)
            } else {
                Action::Check(claim)
            });
        }
        Stage::Claimed => steps.extend([
            Action::Check(claim),
            Action::HoldBack(claim),
            Action::Lose(claim),
        ]),
        Stage::Checked => steps.extend([
            Action::Send(claim),
            Action::Unreachable(claim),
            Action::Unsendable(claim),
            Action::Lose(claim),
        ]),
        Stage::Waiting(None) => steps.push(Action::Lose(claim)),
        Stage::Waiting(Some(_)) => steps.extend([Action::Read(claim), Action::Lose(claim)]),
        Stage::Result { .. } if setting.lacks(Mutation::RecordReadsBeforeItLocks) => {
            steps.push(Action::ReadUnlocked(claim));
        }
        Stage::Result { .. } => {
            steps.extend([Action::Record(claim), Action::RecordUnacknowledged(claim)]);
        }
        Stage::Saw(..) => steps.push(Action::Record(claim)),
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |claim: &Claim| {
            format!(
                "worker {}, job {}, attempt {}",
                claim.worker, claim.job, claim.attempt
            )
        };
        match self {
            Self::Claim { worker, jobs } => write!(f, "Claim: worker {worker}, jobs {jobs:?}"),
            Self::Arrive(claim, fate) => write!(f, "Arrive: {}, {fate:?}", of(claim)),
            Self::Check(claim)
            | Self::HoldBack(claim)
            | Self::Send(claim)
            | Self::Unreachable(claim)
            | Self::Unsendable(claim)
            | Self::Read(claim)
            | Self::Lose(claim)
            | Self::Record(claim)
            | Self::RecordUnacknowledged(claim)
            | Self::ReadUnlocked(claim) => write!(f, "{}: {}", self.name(), of(claim)),
            other => write!(f, "{other:?}"),
        }
    }
}
