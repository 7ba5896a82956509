//! Every safeguard, taken away: the exploration must find what it was good for.

use super::explore;
use super::promises::Promise;
use super::setting::{OnDoubt, Setting};
use super::{FEW, HOLD, RETRY};

macro_rules! mutations {
    ($($(#[doc = $doc:literal])+ $mutation:ident: fn $test:ident() breaks $promise:ident in $setting:expr;)+) => {
        /// One safeguard that is off.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Mutation {
            $($(#[doc = $doc])+ $mutation,)+
        }

        $(#[test]
        fn $test() {
            let setting = Setting { mutation: Some(Mutation::$mutation), ..$setting };
            explore::finds(&setting, Promise::$promise);
        })+
    };
}

const SOON: Setting = Setting {
    deadline: 2,
    ..HOLD
};
/// One worker is enough: it may have any number of jobs in its hands.
const THREE: Setting = Setting {
    workers: 1,
    claims: 3,
    max_attempts: 3,
    ..FEW
};

mutations! {
    /// The request leaves before the claim is committed.
    NoWriteAhead: fn without_the_write_ahead_a_request_has_no_attempt() breaks NoRequestWithoutItsAttempt in HOLD;
    /// Two statements claim a row that both saw waiting.
    ClaimWithoutLock: fn without_the_lock_of_the_claim_an_attempt_is_sent_twice() breaks OneRequestForAnAttempt in FEW;
    /// A claim gives the attempt the number of an earlier one.
    NumberIsReused: fn with_a_reused_number_an_attempt_is_sent_twice() breaks OneRequestForAnAttempt in HOLD;
    /// The lease ends before the request's timeout does, and nobody checks that.
    LeaseIsShorterThanRequest: fn with_a_lease_shorter_than_the_request_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// The database counts the lease from the worker's wall clock, which is behind.
    LeaseByOwnClock: fn with_a_lease_by_the_workers_own_clock_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// The worker's wall clock, which is behind, says how much of the lease is left.
    CheckByOwnClock: fn with_a_check_by_the_workers_own_clock_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// The worker's wall clock, which is behind, says how far the deadline is.
    DeadlineByOwnClock: fn with_a_deadline_by_the_workers_own_clock_a_request_is_late() breaks NoRequestPastTheDeadline in SOON;
    /// Lease and deadline are counted from the claim's answer, not from before it was sent.
    CountsFromTheAnswer: fn with_a_lease_counted_from_the_answer_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// Nothing is looked at before the request.
    NoCheckBeforeSend: fn without_the_check_before_the_send_a_request_is_late() breaks NoRequestPastTheDeadline in SOON;
    /// The HTTP client sends a request again whose connection broke.
    ClientRepeats: fn with_a_client_that_repeats_an_attempt_is_sent_twice() breaks OneRequestForAnAttempt in HOLD;
    /// A connection that breaks after the write is taken for proof that nobody was rung.
    ResetIsSafe: fn with_a_reset_taken_for_safe_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// A code that no page lists is taken for SAFE.
    UnknownCodeIsSafe: fn with_an_unknown_code_taken_for_safe_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// A result is matched by its job alone.
    RecordIsNotFenced: fn without_the_fence_a_phone_rings_twice() breaks NoSecondRingByMistake in THREE;
    /// A result that is written twice is taken twice.
    RepeatedRecordCounts: fn with_a_record_that_repeats_an_attempt_counts_twice() breaks EachAttemptCountsOnce in HOLD;
    /// A result of an earlier attempt overrules a newer one.
    NewerAttemptIsOverruled: fn with_a_newer_attempt_overruled_a_phone_rings_twice() breaks NoSecondRingByMistake in THREE;
    /// Any late result moves a job that has ended, not only one that says it rang.
    LateResultRevives: fn with_a_late_result_that_revives_an_ended_job_changes_state_unlawfully() breaks OnlyLawfulChanges in HOLD;
    /// A late result that knows no more than before makes a doubt of what a person has settled.
    LateResultOverrulesAPerson: fn with_a_person_overruled_by_a_late_result_a_settled_attempt_is_in_doubt_again() breaks WhatAPersonSettledStays in HOLD;
    /// The record judges the row as it was before it was locked.
    RecordReadsBeforeItLocks: fn with_a_record_that_reads_before_it_locks_a_cancel_is_passed_over() breaks CancelHolds in HOLD;
    /// The record does not look whether a cancel was asked for.
    RecordForgetsCancel: fn with_a_record_that_forgets_a_cancel_the_job_is_claimed_again() breaks CancelHolds in HOLD;
    /// The record calls a job failed although an earlier attempt is in doubt.
    EarlierDoubtIsForgotten: fn with_an_earlier_doubt_forgotten_a_job_that_rang_is_called_failed() breaks WhatRangIsNotCalledEnded in RETRY;
    /// A late reply that says it rang does not stop a job that waits to ring again.
    LateOkIsIgnored: fn with_a_late_reply_ignored_a_job_that_rang_is_claimed_again() breaks KnownRingIsTheLast in RETRY;
    /// A result whose acknowledgement is lost, or that was refused, is forgotten: it never was written.
    FailedRecordIsDropped: fn with_a_failed_record_dropped_a_result_is_lost() breaks NoResultIsLost in HOLD;
    /// Nobody looks for lapsed leases.
    NobodyLapses: fn without_the_rescue_a_job_is_dialing_for_ever() breaks EverythingEnds in HOLD;
    /// A lease is called lapsed before it has ended.
    LapseIsEarly: fn with_a_lapse_before_its_time_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// A deadline that passes ends a job that is dialing.
    ExpireTakesDialing: fn with_a_deadline_that_ends_a_dialing_job_one_that_rang_is_called_expired() breaks WhatRangIsNotCalledEnded in SOON;
    /// A lapsed lease puts the job back.
    LapseGivesBack: fn with_a_lapse_that_puts_back_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// A lapsed lease leaves the row of its attempt as it was.
    LapseLeavesTheAttempt: fn with_a_lapse_that_leaves_its_attempt_a_job_that_rang_is_called_cancelled() breaks WhatRangIsNotCalledEnded in RETRY;
    /// A doubt is settled before the first ring is over.
    SettlesAtOnce: fn with_a_doubt_settled_at_once_two_phones_ring_together() breaks NoTwoRingsAtOnce in RETRY;
    /// A doubt is put back past its deadline.
    SettleIgnoresDeadline: fn with_settling_blind_to_the_deadline_a_doubt_is_put_back_past_it() breaks NoRetryPastTheDeadline in Setting { deadline: 2, ..RETRY };
    /// A doubt is put back however often it was tried.
    SettleIgnoresMaxAttempts: fn with_settling_blind_to_max_attempts_a_doubt_is_put_back_beyond_it() breaks NoMoreThanMaxAttempts in Setting { max_attempts: 1, ..RETRY };
    /// A doubt is put back although a cancel was asked for.
    SettleForgetsCancel: fn with_settling_that_forgets_a_cancel_the_job_is_claimed_again() breaks CancelHolds in RETRY;
    /// A doubt is put back although an earlier attempt is known to have rung.
    SettleForgetsLateReply: fn with_settling_that_forgets_a_late_reply_a_job_that_rang_is_claimed_again() breaks KnownRingIsTheLast in Setting { on_doubt: OnDoubt::Retry, ..THREE };
    /// A doubt past its deadline is called expired.
    DoubtPastDeadlineExpires: fn with_a_doubt_that_expires_a_job_that_rang_is_called_expired() breaks WhatRangIsNotCalledEnded in Setting { on_doubt: OnDoubt::Retry, ..SOON };
    /// A doubt of six days is called failed.
    DoubtEndsAsFailed: fn with_a_doubt_that_ends_as_failed_a_job_that_rang_is_called_failed() breaks WhatRangIsNotCalledEnded in HOLD;
    /// A cancel of a dialing job is settled before its reply is known.
    CancelOfDialingIsAtOnce: fn with_a_cancel_at_once_a_job_that_rang_is_called_cancelled() breaks WhatRangIsNotCalledEnded in HOLD;
    /// A person may settle a job that is dialing.
    ResolveIsBlind: fn with_a_blind_resolve_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// A person may retry a job that is dialing.
    RetriesDialing: fn with_a_retry_of_a_dialing_job_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// A person may retry a job in doubt without saying what became of it.
    RetriesDoubts: fn with_a_retry_of_a_doubt_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// A claim that was lost gives back what another claim took.
    GivesBackAnyClaim: fn with_another_claims_rows_given_back_a_phone_rings_twice() breaks NoSecondRingByMistake in THREE;
    /// A worker gives back what it has sent.
    GivesBackWhatItSent: fn with_a_sent_request_given_back_a_phone_rings_twice() breaks NoSecondRingByMistake in HOLD;
    /// Giving back does not look at earlier attempts.
    GiveBackForgetsEarlierRings: fn with_a_give_back_blind_to_earlier_rings_a_job_that_rang_is_called_cancelled() breaks WhatRangIsNotCalledEnded in RETRY;
}
