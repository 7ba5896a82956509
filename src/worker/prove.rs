//! The proof that a request in doubt led to no call, after which its job may ring again.
//!
//! It is a window of records of its own, over the whole span in which the call can have begun and
//! ended: whether a window is meant of beginnings or of ends, which is not documented, such a call
//! would be in it.

use std::collections::HashSet;
use std::time::Duration;

use super::follow::{self, News, learn};
use super::sweep::{EVERY, Fault, LOOK_AGAIN_MAX, Sweeper};
use super::weigh::{Clocks, Proof, is_given_up, proof, weigh};
use crate::call::{OnDoubt, Policy, Record, RefusedCallees, Transition};
use crate::store::{DueCall, FollowedJob, OpenCall};

/// The longest wait until it is looked whether a doubt's time has come.
const DOUBT_AGAIN_MAX: Duration = Duration::from_secs(15);

/// How long to wait until a span is read again that could not be read whole: it can be long.
const READ_AGAIN: Duration = Duration::from_mins(1);

/// The most pages of a proof: a million records. Beyond that a person decides.
const PROOF_PAGES_MAX: u32 = 100_000;

impl Sweeper {
    /// Looks for the calls of doubts, once every one of them must have its record.
    pub(super) async fn doubts(&mut self, due: Vec<DueCall>) -> Result<(), Fault> {
        let Some(tencent_unix) = self.pages.tencent_now().filter(|_| !due.is_empty()) else {
            return Ok(());
        };
        let calls = self.read_calls(&due).await?;
        let now = Clocks {
            tencent_unix,
            database_unix: self.pages.database_now(),
            kind: self.app.client.host().kind(),
        };
        let (mut later, mut ready, mut over) = (Vec::new(), Vec::new(), News::default());
        for call in calls {
            let key = (call.job_id, call.attempt);
            if weigh(&call, Vec::new(), None).is_some_and(|settlement| settlement.closes) {
                over.attempts.push(key);
                continue;
            }
            match proof(&call, now) {
                Some(proof) if proof.left_s < 0 => ready.push((proof, call)),
                Some(proof) => {
                    let left = u64::try_from(proof.left_s).unwrap_or(0) + 1;
                    let wait = Duration::from_secs(left).min(DOUBT_AGAIN_MAX);
                    later.push((key.0, key.1, wait));
                }
                None => later.push((key.0, key.1, EVERY)),
            }
        }
        learn(&self.ctx, &self.app, over).await?;
        self.put_off(&later).await?;
        for (proof, doubts) in together(ready) {
            self.prove(&doubts, proof.from_unix, proof.to_unix).await?;
        }
        Ok(())
    }

    /// Reads the whole span of these doubts. Those whose calls are not in it did not take place.
    async fn prove(&mut self, doubts: &[OpenCall], from: i64, to: i64) -> Result<(), Fault> {
        let (mut span, mut records) = self.pages.begin(from, to).await?;
        if span.pages() > PROOF_PAGES_MAX {
            tracing::warn!(
                app = self.app.name,
                doubts = doubts.len(),
                "Tencent has too many records of the time of requests in doubt to prove that they \
                 led to no call: a person has to settle them"
            );
            let key = |call: &OpenCall| (call.job_id, call.attempt, LOOK_AGAIN_MAX);
            return self
                .put_off(&doubts.iter().map(key).collect::<Vec<_>>())
                .await;
        }
        let mut seen = Seen::default();
        loop {
            seen.note(&records);
            self.pass_on(records).await?;
            match self.pages.next(&mut span).await? {
                Some(more) => records = more,
                None => break,
            }
            self.renew().await?;
        }
        if !self.pages.is_complete(&span).await? {
            let key = |call: &OpenCall| (call.job_id, call.attempt, READ_AGAIN);
            return self
                .put_off(&doubts.iter().map(key).collect::<Vec<_>>())
                .await;
        }
        let asked: Vec<DueCall> = doubts.iter().map(DueCall::from).collect();
        let mut later = Vec::new();
        let mut disproved = News::default();
        // What was found has been settled.
        for call in self.read_calls(&asked).await? {
            let key = (call.job_id, call.attempt);
            let Some(job) = call.job.as_ref().filter(|_| call.call_id.is_none()) else {
                continue;
            };
            if may_ring_again(&call, job) && !seen.may_be(&call, job) {
                self.disprove(&call, job).await?;
                disproved.attempts.push(key);
            } else {
                later.push((key.0, key.1, LOOK_AGAIN_MAX));
            }
        }
        learn(&self.ctx, &self.app, disproved).await?;
        self.put_off(&later).await
    }

    /// There was no such call: the job may ring.
    async fn disprove(&self, call: &OpenCall, job: &FollowedJob) -> Result<(), Fault> {
        let policy = Policy {
            attempts_used: u32::try_from(job.attempts_used).unwrap_or(0),
            max_attempts: u32::try_from(job.max_attempts).unwrap_or(1),
            on_doubt: OnDoubt::Reconcile,
            ring_timeout: Duration::ZERO,
            refused_callees: RefusedCallees::LeaveAlone,
        };
        let transition = Transition::disproved(&policy, job.deadline_left);
        let result = [follow::write_back(call, transition)];
        for recorded in self.ctx.store.record(&result).await? {
            tracing::warn!(
                job.id = recorded.job_id,
                job.attempt = recorded.attempt,
                app = self.app.name,
                state = recorded.state,
                "Tencent's records show no call of a request in doubt: nobody was rung"
            );
        }
        self.ctx.wake.news();
        Ok(())
    }
}

/// Doubts whose spans overlap are proven by one reading, the newest first. What lies between others
/// is not read: one that has waited for days would make a fresh one wait for all of them.
fn together<T>(mut ready: Vec<(Proof, T)>) -> Vec<(Proof, Vec<T>)> {
    ready.sort_by_key(|(proof, _)| proof.from_unix);
    let mut spans: Vec<(Proof, Vec<T>)> = Vec::new();
    for (proof, doubt) in ready {
        match spans.last_mut() {
            Some((span, doubts)) if proof.from_unix <= span.to_unix => {
                span.to_unix = span.to_unix.max(proof.to_unix);
                doubts.push(doubt);
            }
            _ => spans.push((proof, vec![doubt])),
        }
    }
    spans.reverse();
    spans
}

/// Whether the job waits for this proof.
fn may_ring_again(call: &OpenCall, job: &FollowedJob) -> bool {
    job.state == "in_doubt"
        && job.on_doubt == "reconcile"
        && job.newest == call.attempt
        && job.reason.as_deref() != Some("history_lost")
        && !is_given_up(call)
}

/// What was seen in a span that speaks against a proof.
#[derive(Default)]
struct Seen {
    rooms: HashSet<String>,
    /// Who called in records that name no room; a record without a caller speaks against all.
    without_room: HashSet<Option<String>>,
}

impl Seen {
    fn note(&mut self, records: &[Record]) {
        for record in records {
            match &record.room_id {
                Some(room) => drop(self.rooms.insert(room.clone())),
                None => drop(self.without_room.insert(record.caller.clone())),
            }
        }
    }

    /// Whether a record may be this call's, though it could not be told that it is.
    fn may_be(&self, call: &OpenCall, job: &FollowedJob) -> bool {
        self.rooms.contains(&call.room_id)
            || self.without_room.contains(&None)
            || self.without_room.contains(&Some(job.robot.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubts_are_proven_together_where_their_spans_overlap_and_the_newest_first() {
        let ready = [
            (500, 600, 'd'),
            (0, 100, 'a'),
            (100, 120, 'b'),
            (50, 90, 'c'),
        ];
        let ready = ready.map(|(from_unix, to_unix, doubt)| {
            let left_s = -1;
            let proof = Proof {
                from_unix,
                to_unix,
                left_s,
            };
            (proof, doubt)
        });
        let spans = together(ready.to_vec());
        let spans: Vec<(i64, i64, String)> = spans
            .into_iter()
            .map(|(span, doubts)| (span.from_unix, span.to_unix, doubts.into_iter().collect()))
            .collect();
        let expected = [(500, 600, "d".to_owned()), (0, 120, "acb".to_owned())];
        assert_eq!(spans, expected);
    }
}
