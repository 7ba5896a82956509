//! What each statement makes of its rows. Every one is a single step: it locks its rows first and
//! sees them as they are then (`races.rs` shows that of the real ones).

use super::actions::Verdict;
use super::mutations::Mutation;
use super::promises::Promise;
use super::setting::{LEASE, OnDoubt, RING, Setting, WALL_CLOCK_BEHIND};
use super::state::{
    Answer, Attempt, AttemptState, Claim, Class, DAYS, Hand, Job, JobState, Left, Stage, State,
};

/// What a result makes of its job, before its rows have a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) next: JobState,
    pub(crate) reason: &'static str,
    pub(crate) counts: bool,
    pub(crate) state: AttemptState,
    pub(crate) class: Class,
}

/// `call::decide`, and what `worker::place` makes of a request that is not sent.
pub(crate) fn decide(setting: &Setting, answer: Answer, used: i8, deadline: Left) -> Decision {
    use AttemptState::{NotSent, Replied, Unknown};
    let decision = |next, reason, counts, state, class| Decision {
        next,
        reason,
        counts,
        state,
        class,
    };
    let again = |reason, counts, state| {
        if deadline == 0 {
            decision(JobState::Expired, "expired", counts, state, Class::Safe)
        } else {
            decision(JobState::Scheduled, reason, counts, state, Class::Safe)
        }
    };
    match answer {
        Answer::Accepted => decision(
            JobState::Placed,
            "accepted",
            false,
            Replied,
            Class::Accepted,
        ),
        Answer::Throttled => again("throttled", false, Replied),
        Answer::Unsendable if used + 1 >= setting.max_attempts => decision(
            JobState::Failed,
            "attempts_exhausted",
            true,
            NotSent,
            Class::Safe,
        ),
        Answer::Unsendable => again("not_sent", true, NotSent),
        Answer::Cannot => decision(JobState::Failed, "refused", false, Replied, Class::Cannot),
        Answer::DoubtfulCode if setting.lacks(Mutation::UnknownCodeIsSafe) => {
            again("throttled", false, Replied)
        }
        Answer::DoubtfulCode => decision(
            JobState::InDoubt,
            "reply_in_doubt",
            true,
            Replied,
            Class::InDoubt,
        ),
        Answer::NoReply if setting.lacks(Mutation::ResetIsSafe) => {
            again("unreachable", false, NotSent)
        }
        Answer::NoReply => decision(
            JobState::InDoubt,
            "reply_unknown",
            true,
            Unknown,
            Class::InDoubt,
        ),
        Answer::Unreachable => again("unreachable", false, NotSent),
        Answer::HeldBack => decision(
            JobState::Scheduled,
            "given_back",
            false,
            NotSent,
            Class::Safe,
        ),
        Answer::TooLate => decision(JobState::Expired, "expired", false, NotSent, Class::Safe),
    }
}

impl Setting {
    /// How long until a doubt that arises now is settled.
    fn doubt_lasts(&self) -> Left {
        match self.on_doubt {
            OnDoubt::Retry => RING,
            OnDoubt::Hold => DAYS,
        }
    }

    /// `claim.sql`, for one worker and these jobs.
    pub(crate) fn claim(&self, state: &mut State, worker: u8, jobs: &[usize]) {
        let token = state.claims;
        state.claims += 1;
        state.workers = state.workers.max(worker + 1);
        for &index in jobs {
            let job = &mut state.jobs[index];
            if job.deadline == 0 {
                expire(job);
                continue;
            }
            let attempt = match job.state {
                JobState::Dialing => job.attempt,
                _ if self.lacks(Mutation::NumberIsReused) => 1,
                _ => job.attempt + 1,
            };
            let claim = Claim {
                worker,
                job: index,
                attempt,
                token,
            };
            let hand = Hand {
                claim,
                stage: Stage::Asked,
                lease: LEASE,
                deadline: job.deadline,
                used: job.used,
            };
            let mut broke = Vec::new();
            if job.cancel {
                broke.push(Promise::CancelHolds);
            }
            if !job.truth.misled
                && job
                    .attempts
                    .iter()
                    .any(|a| a.class == Some(Class::Accepted))
            {
                broke.push(Promise::KnownRingIsTheLast);
            }
            if self.lacks(Mutation::NoWriteAhead) {
                state.hands.push(Hand {
                    stage: Stage::Claimed,
                    ..hand
                });
            } else {
                self.write_claim(job, claim);
                state.hands.push(hand);
            }
            for promise in broke {
                state.broke(promise);
            }
        }
    }

    fn write_claim(&self, job: &mut Job, claim: Claim) {
        job.go(JobState::Dialing, "");
        job.attempt = claim.attempt;
        job.token = Some(claim.token);
        job.lease = match self.mutation {
            Some(Mutation::LeaseIsShorterThanRequest) => 1,
            Some(Mutation::LeaseByOwnClock) => LEASE - WALL_CLOCK_BEHIND,
            _ => LEASE,
        };
        job.old = false;
        let row = Attempt {
            state: AttemptState::Claimed,
            class: None,
            token: claim.token,
            second_ring: false,
            sent: 0,
            rang: false,
        };
        match job.row(claim.attempt) {
            None => job.attempts.push(row),
            // Only a mutation comes here: the number had a row already.
            Some(old) => {
                *old = Attempt {
                    sent: old.sent,
                    rang: old.rang,
                    ..row
                }
            }
        }
    }

    /// `give_back.sql`: all that one claim took.
    pub(crate) fn give_back(&self, state: &mut State, token: u8) {
        let any = self.lacks(Mutation::GivesBackAnyClaim);
        for job in &mut state.jobs {
            if job.state != JobState::Dialing || !(any || job.token == Some(token)) {
                continue;
            }
            let attempt = job.attempt;
            if let Some(row) = job.row(attempt)
                && row.state == AttemptState::Claimed
            {
                (row.state, row.class) = (AttemptState::NotSent, Some(Class::Safe));
            }
            let heeds = !self.lacks(Mutation::GiveBackForgetsEarlierRings);
            if heeds && job.rang_before(attempt) {
                job.go(JobState::Placed, "late_reply");
            } else if heeds && job.cancel && job.may_have_rung(attempt) {
                job.go(JobState::Unresolved, "earlier_in_doubt");
            } else if job.cancel {
                job.go(JobState::Cancelled, "cancelled_by_user");
            } else {
                job.go(JobState::Scheduled, "given_back");
            }
            (job.token, job.lease) = (None, 0);
        }
        state.hands.retain(|hand| hand.claim.token != token);
    }

    /// `record.sql`, for one result of `hand`, which saw the job as `saw`. Whether an attempt took it.
    pub(crate) fn record(&self, job: &mut Job, saw: &Job, hand: &Hand, answer: Answer) -> bool {
        let decided = decide(self, answer, hand.used, hand.deadline);
        let unfenced = self.lacks(Mutation::RecordIsNotFenced);
        let attempt = if unfenced {
            job.attempt
        } else {
            hand.claim.attempt
        };
        let again = self.lacks(Mutation::RepeatedRecordCounts);
        let (rang_at, lingers) = (
            job.rang_before(attempt),
            job.may_have_rung(attempt) && !self.lacks(Mutation::EarlierDoubtIsForgotten),
        );
        let newest = saw.attempt;
        let Some(row) = job.row(attempt) else {
            return false;
        };
        let open = matches!(row.state, AttemptState::Claimed | AttemptState::Unknown);
        if !(unfenced || row.token == hand.claim.token) || !(open || again) {
            return false;
        }
        let settled =
            row.class == Some(Class::Safe) && !self.lacks(Mutation::LateResultOverrulesAPerson);
        row.state = decided.state;
        if !(settled && decided.class == Class::InDoubt) {
            row.class = Some(decided.class);
        }
        row.second_ring = decided.next == JobState::Placed && newest > attempt;

        let ended = !matches!(saw.state, JobState::Dialing | JobState::InDoubt)
            && !self.lacks(Mutation::LateResultRevives);
        let cancel = saw.cancel && !self.lacks(Mutation::RecordForgetsCancel);
        let rang_nobody = matches!(
            decided.next,
            JobState::Scheduled | JobState::Failed | JobState::Expired
        );
        let would_end =
            matches!(decided.next, JobState::Failed | JobState::Expired) || (rang_nobody && cancel);
        let ignored = self.lacks(Mutation::LateOkIsIgnored);
        let moves = if ended {
            decided.next == JobState::Placed && saw.state != JobState::Placed && !ignored
        } else {
            newest == attempt || self.lacks(Mutation::NewerAttemptIsOverruled)
        };
        if !moves {
            return true;
        }
        let (becomes, because) = if ended || (rang_nobody && rang_at) {
            (JobState::Placed, "late_reply")
        } else if would_end && lingers {
            (JobState::Unresolved, "earlier_in_doubt")
        } else if cancel && rang_nobody {
            (JobState::Cancelled, "cancelled_by_user")
        } else if cancel && decided.next == JobState::Placed {
            (JobState::Placed, "cancel_ends_call")
        } else {
            (decided.next, decided.reason)
        };
        if !ended {
            // A doubt has been counted when it arose; a reply that proves it unfounded takes it back.
            let counted = saw.state == JobState::InDoubt && !again;
            job.used += i8::from(decided.counts) - i8::from(counted);
        }
        job.go(becomes, because);
        if becomes == JobState::InDoubt {
            job.lease = self.doubt_lasts();
        } else {
            (job.token, job.lease) = (None, 0);
        }
        true
    }

    /// `lapse.sql`, for one job.
    pub(crate) fn lapse(&self, job: &mut Job) {
        if self.lacks(Mutation::LapseGivesBack) {
            job.go(JobState::Scheduled, "lease_lapsed");
            return;
        }
        job.go(JobState::InDoubt, "lease_lapsed");
        job.used += 1;
        job.lease = self.doubt_lasts();
        let attempt = job.attempt;
        if let Some(row) = job.row(attempt)
            && row.state == AttemptState::Claimed
            && !self.lacks(Mutation::LapseLeavesTheAttempt)
        {
            (row.state, row.class) = (AttemptState::Unknown, Some(Class::InDoubt));
        }
    }

    /// `settle.sql`, for one job. The promise that this breaks.
    pub(crate) fn settle(&self, job: &mut Job) -> Option<Promise> {
        let in_time = job.deadline > 0 || self.lacks(Mutation::SettleIgnoresDeadline);
        let in_number =
            job.used < self.max_attempts || self.lacks(Mutation::SettleIgnoresMaxAttempts);
        let wanted = !job.cancel || self.lacks(Mutation::SettleForgetsCancel);
        let open = !job.attempts.iter().any(|a| a.second_ring)
            || self.lacks(Mutation::SettleForgetsLateReply);
        if self.lacks(Mutation::DoubtPastDeadlineExpires) && job.deadline == 0 {
            job.go(JobState::Expired, "expired");
        } else if self.on_doubt == OnDoubt::Retry && in_time && in_number && wanted && open {
            job.go(JobState::Scheduled, "retried_in_doubt");
            job.truth.asked = true;
            (job.token, job.lease) = (None, 0);
            if job.deadline == 0 {
                return Some(Promise::NoRetryPastTheDeadline);
            }
            if job.used >= self.max_attempts {
                return Some(Promise::NoMoreThanMaxAttempts);
            }
        } else if job.old && self.lacks(Mutation::DoubtEndsAsFailed) {
            job.go(JobState::Failed, "unresolved");
        } else if job.old {
            job.go(JobState::Unresolved, "unresolved");
            (job.token, job.lease) = (None, 0);
        } else {
            job.lease = DAYS;
        }
        None
    }

    /// `callq.cancel`.
    pub(crate) fn cancel(&self, job: &mut Job) {
        let running = matches!(job.state, JobState::Dialing | JobState::InDoubt);
        if running && !self.lacks(Mutation::CancelOfDialingIsAtOnce) {
            job.cancel = true;
        } else if !running && job.may_have_rung(job.attempt + 1) {
            job.go(JobState::Unresolved, "earlier_in_doubt");
        } else {
            job.go(JobState::Cancelled, "cancelled_by_user");
            (job.token, job.lease) = (None, 0);
        }
    }

    /// `callq.retry`.
    pub(crate) fn retry(&self, job: &mut Job) {
        job.go(JobState::Scheduled, "retried_by_person");
        (job.used, job.cancel) = (0, false);
        (job.token, job.lease) = (None, 0);
        if job.deadline == 0 {
            job.deadline = self.deadline;
        }
    }
}

/// `expire.sql`, for one job; the claim does the same with a job that it finds past its deadline.
pub(crate) fn expire(job: &mut Job) {
    if job.may_have_rung(job.attempt + 1) {
        job.go(JobState::Unresolved, "earlier_in_doubt");
    } else {
        job.go(JobState::Expired, "expired");
    }
}

/// `callq.resolve`.
pub(crate) fn resolve(job: &mut Job, verdict: Verdict) {
    if verdict != Verdict::Placed {
        let doubts = job
            .attempts
            .iter_mut()
            .filter(|a| a.class == Some(Class::InDoubt));
        doubts.for_each(|a| a.class = Some(Class::Safe));
        if job.truth.rings > 0 {
            (job.truth.asked, job.truth.misled) = (true, true);
        }
    }
    match verdict {
        Verdict::Placed => job.go(JobState::Placed, "resolved_placed"),
        Verdict::Retry => job.go(JobState::Scheduled, "retried_by_person"),
        Verdict::Failed if job.cancel => job.go(JobState::Cancelled, "cancelled_by_user"),
        Verdict::Failed => job.go(JobState::Failed, "resolved_failed"),
    }
    (job.token, job.lease) = (None, 0);
}
