//! What one answer makes of its job: the decision, as a pure function.

use std::time::Duration;

use super::backoff::{BackoffPolicy, delay};
use super::{Answer, Class, Family, Reason};

/// How long a doubt is kept open before it ends as unresolved: Tencent keeps records for 7 days.
pub const DOUBT_ENDS_AFTER: Duration = Duration::from_hours(6 * 24);

/// A job is not put back for a try that would come so close to its deadline that it could not be
/// sent; it is tried this long before the deadline instead.
const LAST_TRY_BEFORE_DEADLINE: Duration = Duration::from_secs(1);

/// A job's policy for a request that may have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDoubt {
    /// Wait for a person.
    Hold,
    /// Ring again only on proof that no phone rang.
    Reconcile,
    /// Ring again after the ring timeout, accepting a possible second ring.
    Retry,
}

impl OnDoubt {
    /// Reads the word in `callq.jobs.on_doubt`; `None` for any other.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "hold" => Some(Self::Hold),
            "reconcile" => Some(Self::Reconcile),
            "retry" => Some(Self::Retry),
            _ => None,
        }
    }
}

/// What the job says about trying again.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How many requests count so far.
    pub attempts_used: u32,
    /// How many may be spent.
    pub max_attempts: u32,
    /// What to do in doubt.
    pub on_doubt: OnDoubt,
    /// How long the phone rings.
    pub ring_timeout: Duration,
    /// What a result code other than 0 says of its callee.
    pub refused_callees: RefusedCallees,
}

/// What the user takes a result code other than 0 for. Tencent documents no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedCallees {
    /// Nothing is known of that callee.
    LeaveAlone,
    /// It proves that nobody was rung: a follow-up job rings that callee again.
    RingAgain,
}

/// The attempt that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    /// Its number, from 1.
    pub attempt: u32,
    /// What its delay is drawn from.
    pub seed: u64,
    /// How long the job's deadline is still away; `None`: it has none.
    pub deadline_left: Option<Duration>,
}

/// What the worker knows beside the answer when Tencent refuses an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppHealth {
    /// Another job of the app was accepted within the last minute: the fault is this job's own.
    Proven,
    /// The `UserSig` has not been made afresh yet: that is tried before the app is paused.
    SigMayBeStale,
    /// Nothing speaks for the app.
    Unproven,
}

/// The states that a verdict can lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextState {
    /// Back in the queue.
    Scheduled,
    /// Accepted.
    Placed,
    /// Ended without a call.
    Failed,
    /// Ended because the deadline leaves no time for another try.
    Expired,
    /// May have rung.
    InDoubt,
}

impl NextState {
    /// The word of the database's type `callq.job_state`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Placed => "placed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::InDoubt => "in_doubt",
        }
    }
}

/// Whether a request counts towards `max_attempts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Yes,
    No,
}

/// What becomes of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Its state.
    pub next: NextState,
    /// Why.
    pub reason: Reason,
    /// What exactly happened, where no reply tells it.
    pub detail: Option<String>,
    /// Scheduled: how long until it is due (`None`: its due time stays as it is). In doubt: how
    /// long until the job's policy is applied. Placed or failed after an acceptance: how long
    /// until the follow-up job for the refused callees is due (`None`: there is none).
    pub delay: Option<Duration>,
    counted: Counted,
}

impl Transition {
    /// Whether the request counts towards `max_attempts`.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.counted == Counted::Yes
    }

    /// A claimed job goes back untouched: nothing was sent.
    #[must_use]
    pub fn give_back(why: &str) -> Self {
        Self {
            detail: Some(why.to_owned()),
            ..Self::to(NextState::Scheduled, Reason::GivenBack)
        }
    }

    /// A claimed job's deadline passed before its request could be sent.
    #[must_use]
    pub fn too_late() -> Self {
        Self::to(NextState::Expired, Reason::ExpiredPace)
    }

    /// The row cannot be made into a valid request.
    #[must_use]
    pub fn invalid(fault: String) -> Self {
        Self {
            detail: Some(fault),
            ..Self::to(NextState::Failed, Reason::InvalidRequest)
        }
    }

    /// A call whose reply was lost was seen to take place.
    #[must_use]
    pub const fn seen() -> Self {
        Self::to(NextState::Placed, Reason::RecordFound)
    }

    /// Tencent's records, read completely, prove that a request in doubt led to no call. It was
    /// counted when the doubt arose, and stays counted. `deadline_left` is `None` if there is none.
    #[must_use]
    pub fn disproved(policy: &Policy, deadline_left: Option<Duration>) -> Self {
        let counted = Counted::Yes;
        if policy.attempts_used >= policy.max_attempts {
            let verdict = Self::to(NextState::Failed, Reason::AttemptsExhausted);
            return Self { counted, ..verdict };
        }
        let next = if deadline_left.is_some_and(|left| left.is_zero()) {
            NextState::Expired
        } else {
            NextState::Scheduled
        };
        Self {
            counted,
            delay: Some(Duration::ZERO),
            ..Self::to(next, Reason::NoRecord)
        }
    }

    const fn to(next: NextState, reason: Reason) -> Self {
        Self {
            next,
            reason,
            detail: None,
            delay: None,
            counted: Counted::No,
        }
    }
}

/// What `answer`, which was judged to be of `class`, makes of its job.
///
/// Promises: nothing of class `InDoubt` is ever scheduled by this function; a job goes back to the
/// queue only when its request certainly rang nobody; throttles, an unreachable host and faults of
/// the app are never counted.
#[must_use]
pub fn decide(
    policy: &Policy,
    tried: &Tried,
    class: Class,
    answer: &Answer,
    health: AppHealth,
) -> Transition {
    let detail = match answer {
        Answer::Reply(_) => None,
        Answer::NotSent { detail, .. } | Answer::Unknown { detail, .. } => Some(detail.clone()),
    };
    let verdict = match class {
        Class::Accepted => accepted(policy, tried, answer),
        Class::InDoubt => in_doubt(policy, answer),
        Class::Cannot => Transition::to(NextState::Failed, Reason::Refused),
        Class::Throttled => again(tried, Reason::Throttled, Reason::ExpiredThrottled),
        Class::Safe => safe(policy, tried, answer),
        Class::QuotaUsed => behind_the_others(Reason::QuotaUsed),
        Class::AppFreshSig | Class::AppOrJob if health == AppHealth::SigMayBeStale => {
            behind_the_others(Reason::RenewingUserSig)
        }
        Class::AppOrJob if health == AppHealth::Proven => {
            Transition::to(NextState::Failed, Reason::Refused)
        }
        Class::App | Class::AppFreshSig | Class::AppOrJob | Class::AppBackOff => {
            behind_the_others(Reason::AppFault)
        }
    };
    debug_assert!(
        class.family() != Family::InDoubt || verdict.next == NextState::InDoubt,
        "what may have rung is never sent again by a verdict"
    );
    Transition { detail, ..verdict }
}

fn accepted(policy: &Policy, tried: &Tried, answer: &Answer) -> Transition {
    let callees = match answer {
        Answer::Reply(reply) => reply.callees.as_slice(),
        _ => &[],
    };
    let refused = callees
        .iter()
        .filter(|c| c.result_code.is_some_and(|code| code != 0))
        .count();
    let verdict = if refused > 0 && refused == callees.len() {
        Transition::to(NextState::Failed, Reason::CalleesRefused)
    } else {
        Transition::to(NextState::Placed, Reason::Accepted)
    };
    let again = refused > 0 && policy.refused_callees == RefusedCallees::RingAgain;
    let wait = || delay(&BackoffPolicy::default(), tried.attempt, tried.seed);
    Transition {
        delay: again.then(wait),
        ..verdict
    }
}

fn in_doubt(policy: &Policy, answer: &Answer) -> Transition {
    let reason = match answer {
        Answer::Reply(_) => Reason::ReplyInDoubt,
        _ => Reason::ReplyUnknown,
    };
    let settled_after = match policy.on_doubt {
        OnDoubt::Retry => policy.ring_timeout,
        OnDoubt::Hold | OnDoubt::Reconcile => DOUBT_ENDS_AFTER,
    };
    Transition {
        delay: Some(settled_after),
        counted: Counted::Yes,
        ..Transition::to(NextState::InDoubt, reason)
    }
}

fn safe(policy: &Policy, tried: &Tried, answer: &Answer) -> Transition {
    if let Answer::NotSent {
        unreachable: true, ..
    } = answer
    {
        return again(tried, Reason::Unreachable, Reason::ExpiredUnreachable);
    }
    let counted = Counted::Yes;
    if policy.attempts_used + 1 >= policy.max_attempts {
        let verdict = Transition::to(NextState::Failed, Reason::AttemptsExhausted);
        return Transition { counted, ..verdict };
    }
    Transition {
        counted,
        ..again(tried, Reason::NotSent, Reason::ExpiredPace)
    }
}

/// Back to the queue after a backoff, but never so late that the deadline passes while a try is
/// still possible.
fn again(tried: &Tried, held_by: Reason, expired: Reason) -> Transition {
    let wait = delay(&BackoffPolicy::default(), tried.attempt, tried.seed);
    let last = tried
        .deadline_left
        .map(|left| left.saturating_sub(LAST_TRY_BEFORE_DEADLINE));
    match last {
        Some(last) if last.is_zero() => Transition::to(NextState::Expired, expired),
        Some(last) => Transition {
            delay: Some(wait.min(last)),
            ..Transition::to(NextState::Scheduled, held_by)
        },
        None => Transition {
            delay: Some(wait),
            ..Transition::to(NextState::Scheduled, held_by)
        },
    }
}

/// Back to the queue, due now: behind the app's other due jobs, so that a fault of the app is
/// probed by a different job each time and one poisoned job does not stay at the head.
fn behind_the_others(reason: Reason) -> Transition {
    Transition {
        delay: Some(Duration::ZERO),
        ..Transition::to(NextState::Scheduled, reason)
    }
}

#[cfg(test)]
mod tests;
