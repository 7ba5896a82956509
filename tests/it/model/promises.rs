//! What must hold in every state, and what the exploration must have come to see.

use stateright::Property;

use super::actions::Action;
use super::mutations::Mutation;
use super::setting::Setting;
use super::state::{Attempt, AttemptState, Class, Hand, Job, JobState, NEVER, Stage, State, days};

/// The promises that a step breaks when it is taken; the state alone does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Broken(u32);

impl Broken {
    pub(crate) fn add(&mut self, promise: Promise) {
        self.0 |= 1 << promise as u32;
    }

    fn has(self, promise: Promise) -> bool {
        self.0 & (1 << promise as u32) != 0
    }
}

macro_rules! promises {
    ($($promise:ident: $says:literal, $kept:expr;)+) => {
        /// What callq promises, as far as the model can see it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Promise {
            $(#[doc = $says] $promise,)+
        }

        impl Promise {
            pub(crate) fn says(self) -> &'static str {
                match self {
                    $(Self::$promise => $says,)+
                }
            }

            fn all() -> Vec<Property<Setting>> {
                vec![$(Property::always($says, |setting: &Setting, state: &State| {
                    let kept: fn(&Setting, &Job) -> bool = $kept;
                    !state.broken.has(Self::$promise) && state.jobs.iter().all(|job| kept(setting, job))
                }),)+]
            }
        }
    };
}

/// No single state shows it; a step does.
const BY_STEP: fn(&Setting, &Job) -> bool = |_, _| true;

promises! {
    OneRequestForAnAttempt: "for each attempt at most one request", |_, job| job.attempts.iter().all(|a| a.sent <= 1);
    NoRequestWithoutItsAttempt: "no request before the row of its attempt is committed", BY_STEP;
    NoSecondRingByMistake: "no second ring that neither the policy nor a wrong person asked for", BY_STEP;
    NoTwoRingsAtOnce: "no ring while an earlier one of the job still rings", BY_STEP;
    KnownRingIsTheLast: "a job that is known to have rung is not claimed again", BY_STEP;
    NoRequestPastTheDeadline: "no request after the deadline", BY_STEP;
    NoRetryPastTheDeadline: "no doubt is put back past its deadline", BY_STEP;
    NoMoreThanMaxAttempts: "no doubt is put back beyond the most attempts", BY_STEP;
    WhatRangIsNotCalledEnded: "a job that rang is not called failed, expired or cancelled", not_called_ended;
    CancelHolds: "a job whose cancel was asked for is not claimed again", BY_STEP;
    NoResultIsLost: "every result is taken by its attempt", BY_STEP;
    AnAttemptTakesOneReply: "an attempt takes its reply once", BY_STEP;
    WhatAPersonSettledStays: "what a person has settled is not put in doubt again", BY_STEP;
    NumbersAreNotReused: "numbers of attempts only grow, each with a row of its own", BY_STEP;
    AttemptsTellTheTruth: "an attempt that was sent is not called unsent, nor accepted if it did not ring", truthful;
    EachAttemptCountsOnce: "each attempt counts once", |_, job| usize::try_from(job.used).is_ok_and(|used| used <= job.attempts.len());
    OnlyLawfulChanges: "a job changes its state only as the diagram says", BY_STEP;
    DialingHasItsAttempt: "a dialing job has an attempt that is claimed", |_, job| job.state != JobState::Dialing || newest(job).is_some_and(|a| a.state == AttemptState::Claimed);
    EverythingEnds: "left alone, each job comes to an end", ends_when_left_alone;
}

fn not_called_ended(_: &Setting, job: &Job) -> bool {
    let ended = matches!(
        job.state,
        JobState::Failed | JobState::Expired | JobState::Cancelled
    );
    !ended || job.truth.rings == 0 || job.truth.misled
}

fn truthful(_: &Setting, job: &Job) -> bool {
    let truthful = |a: &Attempt| {
        (a.state != AttemptState::NotSent || a.sent == 0)
            && (a.class != Some(Class::Accepted) || a.rang)
    };
    job.attempts.iter().all(truthful)
}

fn newest(job: &Job) -> Option<&Attempt> {
    job.attempts.get(usize::from(job.attempt).checked_sub(1)?)
}

/// Whether rescue alone, without any worker that claims, brings the job to an end. One without a deadline
/// may wait to be claimed.
fn ends_when_left_alone(setting: &Setting, job: &Job) -> bool {
    let mut job = job.clone();
    for _ in 0..4 {
        (job.lease, job.deadline, job.old) = (days(job.lease), days(job.deadline), true);
        match job.state {
            JobState::Dialing if !setting.lacks(Mutation::NobodyLapses) => setting.lapse(&mut job),
            JobState::InDoubt => drop(setting.settle(&mut job)),
            JobState::Scheduled if job.deadline == 0 => super::rows::expire(&mut job),
            _ => {}
        }
    }
    match job.state {
        JobState::Dialing | JobState::InDoubt => false,
        JobState::Scheduled => job.deadline == NEVER,
        _ => true,
    }
}

/// The diagram of states: from, to, and the steps that may do it.
const LAWFUL: &[(JobState, JobState, &[&str])] = {
    use JobState::{Cancelled, Dialing, Expired, Failed, InDoubt, Placed, Scheduled, Unresolved};
    const RECORD: &[&str] = &["Record", "RecordUnacknowledged"];
    const RESULT: &[&str] = &["Record", "RecordUnacknowledged", "GiveBack"];
    const SETTLED: &[&str] = &["Record", "RecordUnacknowledged", "Resolve"];
    &[
        (Scheduled, Dialing, &["Claim"]),
        (Scheduled, Expired, &["Claim", "Expire"]),
        (Scheduled, Unresolved, &["Claim", "Expire", "Cancel"]),
        (Scheduled, Cancelled, &["Cancel"]),
        (Scheduled, Placed, RECORD),
        (Dialing, Scheduled, RESULT),
        (Dialing, Placed, RESULT),
        (
            Dialing,
            InDoubt,
            &["Record", "RecordUnacknowledged", "Lapse"],
        ),
        (Dialing, Failed, RECORD),
        (Dialing, Expired, RECORD),
        (Dialing, Cancelled, RESULT),
        (Dialing, Unresolved, RESULT),
        (
            InDoubt,
            Scheduled,
            &["Record", "RecordUnacknowledged", "Settle", "Resolve"],
        ),
        (InDoubt, Placed, SETTLED),
        (InDoubt, Failed, SETTLED),
        (InDoubt, Expired, RECORD),
        (InDoubt, Cancelled, SETTLED),
        (
            InDoubt,
            Unresolved,
            &["Record", "RecordUnacknowledged", "Settle"],
        ),
        (Unresolved, Placed, SETTLED),
        (Unresolved, Scheduled, &["Resolve"]),
        (Unresolved, Failed, &["Resolve"]),
        (Unresolved, Cancelled, &["Resolve"]),
        (Failed, Placed, RECORD),
        (Failed, Scheduled, &["Retry"]),
        (Expired, Placed, RECORD),
        (Expired, Scheduled, &["Retry"]),
        (Cancelled, Placed, RECORD),
        (Cancelled, Scheduled, &["Retry"]),
    ]
};

impl State {
    /// Looks at what a step has changed.
    pub(crate) fn watch(&mut self, before: &Self, action: &Action) {
        let mut broke = Vec::new();
        for (old, new) in before.jobs.iter().zip(&self.jobs) {
            let lawful = |&&(from, to, by): &&(JobState, JobState, &[&str])| {
                from == old.state && to == new.state && by.contains(&action.name().as_str())
            };
            if old.state != new.state && !LAWFUL.iter().any(|change| lawful(&change)) {
                broke.push(Promise::OnlyLawfulChanges);
            }
            let grew = new.attempts.len() - old.attempts.len().min(new.attempts.len());
            let next = usize::from(new.attempt) == new.attempts.len();
            let replaced = old
                .attempts
                .iter()
                .zip(&new.attempts)
                .any(|(old, new)| old.token != new.token);
            let lost = new.attempts.len() < old.attempts.len() || new.attempt < old.attempt;
            if grew > 1 || !next || replaced || lost {
                broke.push(Promise::NumbersAreNotReused);
            }
            let taken_again = |(old, new): (&Attempt, &Attempt)| {
                let answered = matches!(old.state, AttemptState::Replied | AttemptState::NotSent);
                let by_person = matches!(action, Action::Resolve { .. });
                answered && (old.state != new.state || (old.class != new.class && !by_person))
            };
            let doubted_again = |(old, new): (&Attempt, &Attempt)| {
                old.class == Some(Class::Safe) && new.class == Some(Class::InDoubt)
            };
            if old.attempts.iter().zip(&new.attempts).any(doubted_again) {
                broke.push(Promise::WhatAPersonSettledStays);
            }
            if old.attempts.iter().zip(&new.attempts).any(taken_again) {
                broke.push(Promise::AnAttemptTakesOneReply);
            }
        }
        let kept = |claim| self.hands.iter().any(|hand| hand.claim == claim);
        let dropped = before
            .hands
            .iter()
            .filter(|hand| matches!(hand.stage, Stage::Result { .. }) && !kept(hand.claim));
        let unwritten = |hand: &Hand| {
            self.jobs[hand.claim.job]
                .attempts
                .iter()
                .any(|a| a.token == hand.claim.token && a.state == AttemptState::Claimed)
        };
        if !matches!(action, Action::Crash { .. }) && dropped.into_iter().any(unwritten) {
            broke.push(Promise::NoResultIsLost);
        }
        for promise in broke {
            self.broke(promise);
        }
    }
}

/// What must be come upon, for an exploration of this setting to be worth something.
fn sights() -> Vec<Property<Setting>> {
    macro_rules! sights {
        ($($says:literal, $seen:expr;)+) => {
            vec![$(Property::sometimes($says, |_: &Setting, state: &State| {
                let seen: fn(&Job) -> bool = $seen;
                state.jobs.iter().any(seen)
            }),)+]
        };
    }
    sights! {
        "a late reply turns an ended job to placed", |job| job.reason.0 == "late_reply";
        "a call is placed although its cancel was asked for", |job| job.reason.0 == "cancel_ends_call";
        "a cancel that was asked for while dialing is settled", |job| job.reason.0 == "cancelled_by_user" && job.attempt > 0;
        "a phone rang and its job is in doubt", |job| job.state == JobState::InDoubt && job.truth.rings > 0;
        "a doubt ends unresolved", |job| job.reason.0 == "unresolved";
    }
}

/// The same where the policy is `retry`.
fn sights_of_retry() -> Vec<Property<Setting>> {
    vec![
        Property::sometimes("a second ring is marked", |_, state: &State| {
            state
                .jobs
                .iter()
                .any(|job| job.attempts.iter().any(|a| a.second_ring))
        }),
        Property::sometimes(
            "a job ends unresolved because an earlier attempt may have rung",
            |_, state: &State| {
                state
                    .jobs
                    .iter()
                    .any(|job| job.reason.0 == "earlier_in_doubt")
            },
        ),
        Property::sometimes(
            "the phone rings twice, as the policy asked for",
            |_, state: &State| state.jobs.iter().any(|job| job.truth.rings == 2),
        ),
    ]
}

/// What is looked at in every state.
pub(crate) fn properties(setting: &Setting) -> Vec<Property<Setting>> {
    use super::setting::{Machine, OnDoubt, Person};
    let mut properties = Promise::all();
    if setting.mutation.is_none()
        && setting.person != Person::Absent
        && setting.claims > 1
        && setting.machine == Machine::Runs
    {
        properties.extend(sights());
        if setting.on_doubt == OnDoubt::Retry
            && setting.deadline == NEVER
            && setting.max_attempts > 1
        {
            properties.extend(sights_of_retry());
        }
    }
    properties
}
