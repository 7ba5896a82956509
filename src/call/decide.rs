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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::call::{CalleeResult, Reply};

    const CLASSES: [Class; 10] = [
        Class::Accepted,
        Class::Safe,
        Class::Throttled,
        Class::QuotaUsed,
        Class::InDoubt,
        Class::App,
        Class::AppFreshSig,
        Class::AppOrJob,
        Class::AppBackOff,
        Class::Cannot,
    ];

    fn reply(codes: &[Option<i64>]) -> Answer {
        let callees = codes.iter().map(|c| CalleeResult {
            callee: "jack".into(),
            result_code: *c,
        });
        Answer::Reply(Reply {
            http_status: 200,
            error_code: 0,
            error_info: String::new(),
            says_fail: false,
            request_id: None,
            call_id: None,
            callee_results: None,
            callees: callees.collect(),
        })
    }

    fn policy() -> Policy {
        Policy {
            attempts_used: 0,
            max_attempts: 5,
            on_doubt: OnDoubt::Reconcile,
            ring_timeout: Duration::from_secs(45),
            refused_callees: RefusedCallees::LeaveAlone,
        }
    }

    fn tried() -> Tried {
        Tried {
            attempt: 1,
            seed: 7,
            deadline_left: Some(Duration::from_hours(1)),
        }
    }

    fn verdict(class: Class, answer: &Answer) -> Transition {
        decide(&policy(), &tried(), class, answer, AppHealth::Unproven)
    }

    #[test]
    fn a_call_with_one_good_callee_is_placed() {
        assert_eq!(
            verdict(Class::Accepted, &reply(&[Some(5), Some(0)])).next,
            NextState::Placed
        );
    }

    #[test]
    fn a_call_without_callee_results_is_placed() {
        assert_eq!(
            verdict(Class::Accepted, &reply(&[])).next,
            NextState::Placed
        );
        assert_eq!(
            verdict(Class::Accepted, &reply(&[None])).next,
            NextState::Placed
        );
    }

    #[test]
    fn a_call_that_every_callee_refused_has_failed() {
        let verdict = verdict(Class::Accepted, &reply(&[Some(5), Some(-1)]));
        assert_eq!(verdict.next, NextState::Failed);
        assert_eq!(verdict.reason, Reason::CalleesRefused);
    }

    #[test]
    fn refused_callees_are_rung_again_only_if_the_user_says_so() {
        let again = Policy {
            refused_callees: RefusedCallees::RingAgain,
            ..policy()
        };
        for codes in [&[Some(0), Some(5)][..], &[Some(5)]] {
            let mixed = reply(codes);
            assert_eq!(verdict(Class::Accepted, &mixed).delay, None);
            let verdict = decide(
                &again,
                &tried(),
                Class::Accepted,
                &mixed,
                AppHealth::Unproven,
            );
            assert!(verdict.delay.is_some());
        }
        let good = reply(&[Some(0)]);
        let verdict = decide(
            &again,
            &tried(),
            Class::Accepted,
            &good,
            AppHealth::Unproven,
        );
        assert_eq!(verdict.delay, None);
    }

    #[test]
    fn a_doubt_waits_for_the_ring_to_end_only_if_the_job_says_retry() {
        let retry = Policy {
            on_doubt: OnDoubt::Retry,
            ..policy()
        };
        let verdict = decide(
            &retry,
            &tried(),
            Class::InDoubt,
            &reply(&[]),
            AppHealth::Unproven,
        );
        assert_eq!(verdict.delay, Some(Duration::from_secs(45)));
        assert_eq!(
            self::verdict(Class::InDoubt, &reply(&[])).delay,
            Some(DOUBT_ENDS_AFTER)
        );
    }

    #[test]
    fn an_unreachable_host_is_not_counted_and_another_fault_before_sending_is() {
        let not_sent = |unreachable| Answer::NotSent {
            detail: "x".into(),
            unreachable,
        };
        assert!(!verdict(Class::Safe, &not_sent(true)).counts());
        assert!(verdict(Class::Safe, &not_sent(false)).counts());
        let last = Policy {
            attempts_used: 4,
            ..policy()
        };
        let verdict = decide(
            &last,
            &tried(),
            Class::Safe,
            &not_sent(false),
            AppHealth::Unproven,
        );
        assert_eq!(verdict.reason, Reason::AttemptsExhausted);
    }

    #[test]
    fn a_refused_signature_is_renewed_before_anything_is_held_against_app_or_job() {
        let reason = |class, health| decide(&policy(), &tried(), class, &reply(&[]), health).reason;
        for class in [Class::AppFreshSig, Class::AppOrJob] {
            assert_eq!(
                reason(class, AppHealth::SigMayBeStale),
                Reason::RenewingUserSig
            );
            assert_eq!(reason(class, AppHealth::Unproven), Reason::AppFault);
        }
        assert_eq!(reason(Class::AppOrJob, AppHealth::Proven), Reason::Refused);
        assert_eq!(
            reason(Class::AppFreshSig, AppHealth::Proven),
            Reason::AppFault,
            "an expired signature is never the job's fault"
        );
    }

    proptest! {
        #[test]
        fn only_what_certainly_rang_nobody_goes_back_to_the_queue(
            class in prop::sample::select(&CLASSES), attempt in 1u32..50, seed: u64,
            left in prop::option::of(0u64..100_000), used in 0u32..10,
        ) {
            let tried = Tried { attempt, seed, deadline_left: left.map(Duration::from_millis) };
            let policy = Policy { attempts_used: used, ..policy() };
            let verdict = decide(&policy, &tried, class, &reply(&[]), AppHealth::Unproven);
            if verdict.next == NextState::Scheduled {
                prop_assert!(matches!(class.family(), Family::Safe | Family::App));
            }
            if let (NextState::Scheduled, Some(left), Some(wait)) =
                (verdict.next, tried.deadline_left, verdict.delay)
            {
                prop_assert!(wait <= left, "a retry is due before the deadline");
            }
        }
    }
}
