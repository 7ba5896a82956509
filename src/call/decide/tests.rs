//! What each class of answer makes of a job.

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
