//! Every safeguard, taken away: the exploration must find what it was good for.

use super::explore;
use super::promises::Promise;
use super::setting::{OnDoubt, Setting};
use super::{FEW, HOLD, RETRY};

macro_rules! mutations {
    ($($(#[doc = $doc:literal])+ $mutation:ident, $test:ident, $promise:ident, $setting:expr;)+) => {
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
    NoWriteAhead, without_the_write_ahead_a_request_has_no_attempt, NoRequestWithoutItsAttempt, HOLD;
    /// Two statements claim a row that both saw waiting.
    ClaimWithoutLock, without_the_lock_of_the_claim_an_attempt_is_sent_twice, OneRequestForAnAttempt, FEW;
    /// A claim gives the attempt the number of an earlier one.
    NumberIsReused, with_a_reused_number_an_attempt_is_sent_twice, OneRequestForAnAttempt, HOLD;
    /// The lease ends before the request's timeout does, and nobody checks that.
    LeaseIsShorterThanRequest, with_a_lease_shorter_than_the_request_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// The database counts the lease from the worker's wall clock, which is behind.
    LeaseByOwnClock, with_a_lease_by_the_workers_own_clock_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// The worker's wall clock, which is behind, says how much of the lease is left.
    CheckByOwnClock, with_a_check_by_the_workers_own_clock_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// The worker's wall clock, which is behind, says how far the deadline is.
    DeadlineByOwnClock, with_a_deadline_by_the_workers_own_clock_a_request_is_late, NoRequestPastTheDeadline, SOON;
    /// Lease and deadline are counted from the claim's answer, not from before it was sent.
    CountsFromTheAnswer, with_a_lease_counted_from_the_answer_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// Nothing is looked at before the request.
    NoCheckBeforeSend, without_the_check_before_the_send_a_request_is_late, NoRequestPastTheDeadline, SOON;
    /// The HTTP client sends a request again whose connection broke.
    ClientRepeats, with_a_client_that_repeats_an_attempt_is_sent_twice, OneRequestForAnAttempt, HOLD;
    /// A connection that breaks after the write is taken for proof that nobody was rung.
    ResetIsSafe, with_a_reset_taken_for_safe_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// A code that no page lists is taken for SAFE.
    UnknownCodeIsSafe, with_an_unknown_code_taken_for_safe_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// A result is matched by its job alone.
    RecordIsNotFenced, without_the_fence_a_phone_rings_twice, NoSecondRingByMistake, THREE;
    /// A result that is written twice is taken twice.
    RepeatedRecordCounts, with_a_record_that_repeats_an_attempt_counts_twice, EachAttemptCountsOnce, HOLD;
    /// A result of an earlier attempt overrules a newer one.
    NewerAttemptIsOverruled, with_a_newer_attempt_overruled_a_phone_rings_twice, NoSecondRingByMistake, THREE;
    /// Any late result moves a job that has ended, not only one that says it rang.
    LateResultRevives, with_a_late_result_that_revives_an_ended_job_changes_state_unlawfully, OnlyLawfulChanges, HOLD;
    /// A late result that knows no more than before makes a doubt of what a person has settled.
    LateResultOverrulesAPerson, with_a_person_overruled_by_a_late_result_a_settled_attempt_is_in_doubt_again, WhatAPersonSettledStays, HOLD;
    /// The record judges the row as it was before it was locked.
    RecordReadsBeforeItLocks, with_a_record_that_reads_before_it_locks_a_cancel_is_passed_over, CancelHolds, HOLD;
    /// The record does not look whether a cancel was asked for.
    RecordForgetsCancel, with_a_record_that_forgets_a_cancel_the_job_is_claimed_again, CancelHolds, HOLD;
    /// The record calls a job failed although an earlier attempt is in doubt.
    EarlierDoubtIsForgotten, with_an_earlier_doubt_forgotten_a_job_that_rang_is_called_failed, WhatRangIsNotCalledEnded, RETRY;
    /// A late reply that says it rang does not stop a job that waits to ring again.
    LateOkIsIgnored, with_a_late_reply_ignored_a_job_that_rang_is_claimed_again, KnownRingIsTheLast, RETRY;
    /// A result whose acknowledgement is lost, or that was refused, is forgotten: it never was written.
    FailedRecordIsDropped, with_a_failed_record_dropped_a_result_is_lost, NoResultIsLost, HOLD;
    /// Nobody looks for lapsed leases.
    NobodyLapses, without_the_rescue_a_job_is_dialing_for_ever, EverythingEnds, HOLD;
    /// A lease is called lapsed before it has ended.
    LapseIsEarly, with_a_lapse_before_its_time_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// A deadline that passes ends a job that is dialing.
    ExpireTakesDialing, with_a_deadline_that_ends_a_dialing_job_one_that_rang_is_called_expired, WhatRangIsNotCalledEnded, SOON;
    /// A lapsed lease puts the job back.
    LapseGivesBack, with_a_lapse_that_puts_back_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// A lapsed lease leaves the row of its attempt as it was.
    LapseLeavesTheAttempt, with_a_lapse_that_leaves_its_attempt_a_job_that_rang_is_called_cancelled, WhatRangIsNotCalledEnded, RETRY;
    /// A doubt is settled before the first ring is over.
    SettlesAtOnce, with_a_doubt_settled_at_once_two_phones_ring_together, NoTwoRingsAtOnce, RETRY;
    /// A doubt is put back past its deadline.
    SettleIgnoresDeadline, with_settling_blind_to_the_deadline_a_doubt_is_put_back_past_it, NoRetryPastTheDeadline, Setting { deadline: 2, ..RETRY };
    /// A doubt is put back however often it was tried.
    SettleIgnoresMaxAttempts, with_settling_blind_to_max_attempts_a_doubt_is_put_back_beyond_it, NoMoreThanMaxAttempts, Setting { max_attempts: 1, ..RETRY };
    /// A doubt is put back although a cancel was asked for.
    SettleForgetsCancel, with_settling_that_forgets_a_cancel_the_job_is_claimed_again, CancelHolds, RETRY;
    /// A doubt is put back although an earlier attempt is known to have rung.
    SettleForgetsLateReply, with_settling_that_forgets_a_late_reply_a_job_that_rang_is_claimed_again, KnownRingIsTheLast, Setting { on_doubt: OnDoubt::Retry, ..THREE };
    /// A doubt past its deadline is called expired.
    DoubtPastDeadlineExpires, with_a_doubt_that_expires_a_job_that_rang_is_called_expired, WhatRangIsNotCalledEnded, Setting { on_doubt: OnDoubt::Retry, ..SOON };
    /// A doubt of six days is called failed.
    DoubtEndsAsFailed, with_a_doubt_that_ends_as_failed_a_job_that_rang_is_called_failed, WhatRangIsNotCalledEnded, HOLD;
    /// A cancel of a dialing job is settled before its reply is known.
    CancelOfDialingIsAtOnce, with_a_cancel_at_once_a_job_that_rang_is_called_cancelled, WhatRangIsNotCalledEnded, HOLD;
    /// A person may settle a job that is dialing.
    ResolveIsBlind, with_a_blind_resolve_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// A person may retry a job that is dialing.
    RetriesDialing, with_a_retry_of_a_dialing_job_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// A person may retry a job in doubt without saying what became of it.
    RetriesDoubts, with_a_retry_of_a_doubt_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// A claim that was lost gives back what another claim took.
    GivesBackAnyClaim, with_another_claims_rows_given_back_a_phone_rings_twice, NoSecondRingByMistake, THREE;
    /// A worker gives back what it has sent.
    GivesBackWhatItSent, with_a_sent_request_given_back_a_phone_rings_twice, NoSecondRingByMistake, HOLD;
    /// Giving back does not look at earlier attempts.
    GiveBackForgetsEarlierRings, with_a_give_back_blind_to_earlier_rings_a_job_that_rang_is_called_cancelled, WhatRangIsNotCalledEnded, RETRY;
}
