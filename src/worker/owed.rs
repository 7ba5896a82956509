//! The result that every claimed job is owed.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::context::Context;
use super::place::policy;
use super::record::Envelope;
use crate::call::{Answer, AppHealth, Class, OnDoubt, Tried, decide};
use crate::store::{AttemptState, Claimed, WriteBack};

/// The result that every claimed job is owed, whatever becomes of the task that places it: should
/// it panic, the result is that nothing is known.
pub(super) struct Owed {
    ctx: Arc<Context>,
    app: String,
    call_room: String,
    result: Option<WriteBack>,
    slot: Option<OwnedSemaphorePermit>,
    room: Option<OwnedSemaphorePermit>,
}

impl Owed {
    /// Takes on the debt of a claimed job, with the slot and the room that it holds.
    pub(super) fn new(
        ctx: &Arc<Context>,
        app: &str,
        job: &Claimed,
        claim_token: Uuid,
        slot: OwnedSemaphorePermit,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            ctx: Arc::clone(ctx),
            app: app.to_owned(),
            call_room: job.room_id.clone(),
            result: Some(lost(job, claim_token)),
            slot: Some(slot),
            room: Some(room),
        }
    }

    /// Hands over what really came of it.
    pub(super) fn pay(mut self, result: WriteBack) {
        self.result = Some(result);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        drop(self.slot.take());
        self.ctx.metrics.landed();
        self.ctx.slot_freed();
        let (Some(write_back), Some(room)) = (self.result.take(), self.room.take()) else {
            return;
        };
        if std::thread::panicking() {
            tracing::error!(
                job.id = write_back.job_id,
                job.attempt = write_back.attempt,
                "a fault in callq: the task that places this job panicked; the job is in doubt"
            );
        }
        self.ctx.recorder.hand_over(Envelope {
            write_back,
            app: std::mem::take(&mut self.app),
            call_room: std::mem::take(&mut self.call_room),
            stripped: false,
            repeated: false,
            room,
        });
    }
}

/// The result of a job of which nothing is known.
fn lost(job: &Claimed, claim_token: Uuid) -> WriteBack {
    let answer = Answer::Unknown {
        detail: "the worker's own task ended without a result: a fault in callq".to_owned(),
        http_status: None,
    };
    let on_doubt = OnDoubt::parse(&job.on_doubt).unwrap_or(OnDoubt::Hold);
    let tried = Tried {
        attempt: u32::try_from(job.attempt).unwrap_or(1),
        seed: u64::from(job.random),
        deadline_left: job.expires_in,
    };
    let policy = policy(job, on_doubt);
    let class = Class::InDoubt;
    let transition = decide(&policy, &tried, class, &answer, AppHealth::Unproven);
    WriteBack {
        attempt_state: AttemptState::Unknown,
        ..WriteBack::not_sent(job, claim_token, class.family(), transition)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;
    use crate::call::NextState;

    #[test]
    fn a_lost_result_is_a_doubt_that_its_policy_settles_however_odd_the_row() {
        for (on_doubt, ring_timeout_ms, at_most) in [
            ("retry", 45_000, Duration::from_secs(45)),
            ("retry", i64::MAX, Duration::from_mins(10)),
            ("retry", -1, Duration::ZERO),
            ("hold", 45_000, crate::call::DOUBT_ENDS_AFTER),
            ("whatever", 45_000, crate::call::DOUBT_ENDS_AFTER),
        ] {
            let job = Claimed {
                job_id: 1,
                attempt: 1,
                app: String::new(),
                robot_account: String::new(),
                callees: Vec::new(),
                media_type: String::new(),
                room_id: String::new(),
                room_id_type: 2,
                ring_timeout_ms,
                user_data: None,
                offline_push: None,
                random: 7,
                priority: 1,
                due_at: DateTime::UNIX_EPOCH,
                late: Duration::ZERO,
                expires_in: None,
                claimed_at_unix_s: 0.0,
                attempts_used: 0,
                max_attempts: 5,
                on_doubt: on_doubt.to_owned(),
                retry_callees: false,
            };
            let result = lost(&job, Uuid::nil());
            assert_eq!(result.attempt_state, AttemptState::Unknown);
            assert_eq!(result.transition.next, NextState::InDoubt);
            assert_eq!(result.transition.delay, Some(at_most), "{on_doubt}");
        }
    }
}
