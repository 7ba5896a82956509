//! What each step makes of the whole.

use super::actions::{Action, Fate};
use super::mutations::Mutation;
use super::promises::Promise;
use super::rows;
use super::setting::{LEASE, LEASE_TO_SEND, REQUEST, RING, Setting, WALL_CLOCK_BEHIND};
use super::state::{Answer, Claim, Hand, JobState, Packet, Stage, State, days, tick};

impl Setting {
    /// The state after `action`.
    pub(crate) fn step(&self, before: &State, action: &Action) -> State {
        let mut after = before.clone();
        let state = &mut after;
        match action {
            Action::Claim { worker, jobs } => self.claim(state, *worker, jobs),
            Action::Answered { token } => self.answered(state, *token),
            Action::AnswerLost { token } => of(state, *token, Hand::is_unanswered),
            Action::GiveBack { token } => self.give_back(state, *token),
            Action::Check(claim) => self.check(state, *claim),
            Action::HoldBack(claim) => result(state, *claim, Answer::HeldBack),
            Action::Send(claim) => self.send(state, *claim),
            Action::Unreachable(claim) => result(state, *claim, Answer::Unreachable),
            Action::Unsendable(claim) => result(state, *claim, Answer::Unsendable),
            Action::Arrive(claim, fate) => arrive(state, *claim, *fate),
            Action::Read(claim) => read(state, *claim),
            Action::Lose(claim) => {
                // The connection is gone, and what it had not delivered with it.
                state.wire.retain(|packet| packet.claim != *claim);
                result(state, *claim, Answer::NoReply);
            }
            Action::Record(claim) => self.record_step(state, *claim, Acknowledged::Yes),
            Action::RecordUnacknowledged(claim) => {
                self.record_step(state, *claim, Acknowledged::No);
            }
            Action::ReadUnlocked(claim) => {
                let saw = Box::new(state.jobs[claim.job].clone());
                if let Some(hand) = state.hand(*claim)
                    && let Stage::Result { answer, .. } = hand.stage
                {
                    hand.stage = Stage::Saw(answer, saw);
                }
            }
            Action::Crash { worker } => state.hands.retain(|hand| hand.claim.worker != *worker),
            Action::Lapse { job } => self.lapse(&mut state.jobs[*job]),
            Action::Settle { job } => {
                let broke = self.settle(&mut state.jobs[*job]);
                if let Some(promise) = broke {
                    state.broke(promise);
                }
            }
            Action::Expire { job } => rows::expire(&mut state.jobs[*job]),
            Action::Cancel { job } => self.cancel(&mut state.jobs[*job]),
            Action::Resolve { job, verdict } => rows::resolve(&mut state.jobs[*job], *verdict),
            Action::Retry { job } => self.retry(&mut state.jobs[*job]),
            Action::Tick => pass(state, tick),
            Action::Days => {
                pass(state, days);
                state.wire.clear();
                let doubts = state
                    .jobs
                    .iter_mut()
                    .filter(|job| matches!(job.state, JobState::Dialing | JobState::InDoubt));
                doubts.for_each(|job| job.old = true);
            }
        }
        after.watch(before, action);
        after
    }

    fn answered(&self, state: &mut State, token: u8) {
        let from_now = self.lacks(Mutation::CountsFromTheAnswer);
        of(state, token, |hand| {
            hand.stage = Stage::Claimed;
            if from_now {
                let on_its_way = LEASE - hand.lease;
                hand.lease = LEASE;
                hand.deadline = hand.deadline.saturating_add(on_its_way);
            }
        });
    }

    fn check(&self, state: &mut State, claim: Claim) {
        let Some(hand) = state.hand(claim) else {
            return;
        };
        let behind = |left: u8| left.saturating_add(WALL_CLOCK_BEHIND);
        let deadline = if self.lacks(Mutation::DeadlineByOwnClock) {
            behind(hand.deadline)
        } else {
            hand.deadline
        };
        let lease = match self.mutation {
            Some(Mutation::CheckByOwnClock) => behind(hand.lease),
            // As if the lease were long enough for every request.
            Some(Mutation::LeaseIsShorterThanRequest) => hand.lease + LEASE_TO_SEND,
            _ => hand.lease,
        };
        let unchecked = self.lacks(Mutation::NoCheckBeforeSend);
        if deadline == 0 && !unchecked {
            hand.has(Answer::TooLate);
        } else if lease < LEASE_TO_SEND && !unchecked {
            hand.has(Answer::HeldBack);
        } else {
            hand.stage = Stage::Checked;
        }
    }

    fn send(&self, state: &mut State, claim: Claim) {
        let job = &mut state.jobs[claim.job];
        let too_late = job.deadline == 0;
        let written = match job.row(claim.attempt) {
            Some(row) => {
                row.sent = row.sent.saturating_add(1).min(2);
                true
            }
            None => false,
        };
        if too_late {
            state.broke(Promise::NoRequestPastTheDeadline);
        }
        if !written {
            state.broke(Promise::NoRequestWithoutItsAttempt);
        }
        let packet = Packet {
            claim,
            left: REQUEST,
        };
        if self.lacks(Mutation::ClientRepeats) {
            if let Some(row) = state.jobs[claim.job].row(claim.attempt) {
                row.sent = 2;
            }
            state.wire.push(packet.clone());
        }
        state.wire.push(packet);
        if let Some(hand) = state.hand(claim) {
            // It has been looked at for the last time.
            hand.lease = 0;
            hand.stage = Stage::Waiting(None);
            if self.lacks(Mutation::GivesBackWhatItSent) {
                hand.stage = Stage::Unanswered;
            }
        }
    }

    fn record_step(&self, state: &mut State, claim: Claim, acknowledged: Acknowledged) {
        let Some(hand) = state.hand(claim).cloned() else {
            return;
        };
        let job = &mut state.jobs[claim.job];
        let now = job.clone();
        let (answer, repeated, saw) = match &hand.stage {
            Stage::Result { answer, repeated } => (*answer, *repeated, &now),
            Stage::Saw(answer, saw) => (*answer, false, &**saw),
            _ => return,
        };
        if acknowledged == Acknowledged::No && self.lacks(Mutation::FailedRecordIsDropped) {
            state.drop_hand(claim);
            return;
        }
        let taken = self.record(job, saw, &hand, answer);
        if !taken && !repeated {
            state.broke(Promise::NoResultIsLost);
        }
        match (acknowledged, state.hand(claim)) {
            (Acknowledged::No, Some(hand)) => {
                hand.stage = Stage::Result {
                    answer,
                    repeated: true,
                }
            }
            _ => state.drop_hand(claim),
        }
    }
}

/// Whether a worker hears that its statement was carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Acknowledged {
    Yes,
    No,
}

/// All jobs of one claim that are on the same way.
fn of(state: &mut State, token: u8, change: impl Fn(&mut Hand)) {
    let waiting = state
        .hands
        .iter_mut()
        .filter(|h| h.claim.token == token && h.stage == Stage::Asked);
    waiting.for_each(change);
}

fn result(state: &mut State, claim: Claim, answer: Answer) {
    if let Some(hand) = state.hand(claim) {
        hand.has(answer);
    }
}

fn arrive(state: &mut State, claim: Claim, fate: Fate) {
    let Some(at) = state.wire.iter().position(|packet| packet.claim == claim) else {
        return;
    };
    state.wire.remove(at);
    if fate.rings() {
        ring(state, claim);
    }
    if let Some(hand) = state.hand(claim)
        && hand.stage == Stage::Waiting(None)
    {
        hand.stage = Stage::Waiting(Some(match fate {
            Fate::Rings => Answer::Accepted,
            Fate::RingsInDoubt | Fate::QuietInDoubt => Answer::DoubtfulCode,
            Fate::Throttled => Answer::Throttled,
            Fate::Cannot => Answer::Cannot,
        }));
    }
}

fn read(state: &mut State, claim: Claim) {
    if let Some(hand) = state.hand(claim)
        && let Stage::Waiting(Some(answer)) = hand.stage
    {
        hand.has(answer);
    }
}

/// A phone rings.
fn ring(state: &mut State, claim: Claim) {
    let job = &mut state.jobs[claim.job];
    if let Some(row) = job.row(claim.attempt) {
        row.rang = true;
    }
    let truth = &mut job.truth;
    let by_mistake = truth.rings > 0 && !truth.asked;
    let at_once = truth.ringing > 0 && !truth.misled;
    truth.rings = (truth.rings + 1).min(3);
    truth.ringing = RING;
    truth.asked = false;
    if by_mistake {
        state.broke(Promise::NoSecondRingByMistake);
    }
    if at_once {
        state.broke(Promise::NoTwoRingsAtOnce);
    }
}

/// Time passes for everything that counts it. A request whose time is over reaches nobody.
fn pass(state: &mut State, by: impl Fn(u8) -> u8) {
    state.wire.retain(|packet| packet.left > 0);
    state
        .wire
        .iter_mut()
        .for_each(|packet| packet.left = by(packet.left));
    let counting = state.hands.iter_mut().filter(|hand| hand.counts());
    for hand in counting {
        (hand.lease, hand.deadline) = (by(hand.lease), by(hand.deadline));
    }
    for job in &mut state.jobs {
        (job.lease, job.deadline) = (by(job.lease), by(job.deadline));
        job.truth.ringing = by(job.truth.ringing);
    }
}
