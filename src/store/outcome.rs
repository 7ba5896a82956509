//! What became of calls, settled: legs, counts, jobs and events in one statement.

use super::connect::bounded;
use super::{OpenCall, Store, StoreError};
use crate::call::CallOutcome;

/// What is known by now of one call.
pub struct Settlement<'a> {
    /// The call, as it was read.
    pub call: &'a OpenCall,
    /// What is known of its callees; those of whom nothing is known yet have no leg.
    pub outcome: CallOutcome,
    /// Whether there is nothing more to learn.
    pub closes: bool,
    /// Whether it is over for the job too: the record came, or it is given up.
    pub ends: bool,
    /// The record to keep, as JSON.
    pub record: Option<String>,
    /// Its `CallId`, should the row not have it.
    pub call_id: Option<String>,
}

/// What became of one settlement.
#[derive(Clone, Debug)]
pub struct SettledCall {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// Number of the attempt.
    pub attempt: i32,
    /// Whether it was written; if not, somebody else was faster, or has a row locked.
    pub settled: bool,
    /// The job's state, if this changed the job.
    pub state: Option<String>,
}

impl Store {
    /// Settles a batch of calls.
    ///
    /// # Errors
    /// If the database cannot answer: read the calls again.
    pub async fn settle_calls(
        &self,
        batch: &[Settlement<'_>],
    ) -> Result<Vec<SettledCall>, StoreError> {
        let calls = batch.iter();
        let job_ids: Vec<i64> = calls.clone().map(|s| s.call.job_id).collect();
        let attempts: Vec<i32> = calls.clone().map(|s| s.call.attempt).collect();
        let turns: Vec<i32> = calls.clone().map(|s| s.call.turn).collect();
        let closes: Vec<bool> = calls.clone().map(|s| s.closes).collect();
        let ends: Vec<bool> = calls.clone().map(|s| s.ends).collect();
        let words: Vec<&str> = calls.clone().map(|s| s.outcome.word()).collect();
        let records: Vec<Option<String>> = calls.clone().map(|s| s.record.clone()).collect();
        let call_ids: Vec<Option<String>> = calls.map(|s| s.call_id.clone()).collect();
        let legs = Legs::of(batch);
        let rows = bounded!(
            self,
            "settle what became of calls",
            fetch_all,
            sqlx::query_file!(
                "src/store/outcome.sql",
                &job_ids,
                &attempts,
                &turns,
                &closes,
                &ends,
                &words as &[&str],
                &records as &[Option<String>],
                &call_ids as &[Option<String>],
                &legs.job_ids,
                &legs.attempts,
                &legs.callee_nos,
                &legs.callees as &[&str],
                &legs.outcomes as &[&str],
                &legs.sources as &[&str],
                &legs.accepted_ms as &[Option<i64>],
                &legs.ended_ms as &[Option<i64>],
                &legs.ring_seconds as &[Option<i32>],
                &legs.talk_seconds as &[Option<i32>],
            )
        )?;
        let settled = rows.into_iter().map(|row| SettledCall {
            job_id: row.job_id,
            attempt: row.attempt,
            settled: row.settled,
            state: row.state,
        });
        Ok(settled.collect())
    }
}

/// The callees of a batch, column by column.
#[derive(Default)]
struct Legs<'a> {
    job_ids: Vec<i64>,
    attempts: Vec<i32>,
    callee_nos: Vec<i32>,
    callees: Vec<&'a str>,
    outcomes: Vec<&'static str>,
    sources: Vec<&'static str>,
    accepted_ms: Vec<Option<i64>>,
    ended_ms: Vec<Option<i64>>,
    ring_seconds: Vec<Option<i32>>,
    talk_seconds: Vec<Option<i32>>,
}

impl<'a> Legs<'a> {
    fn of(batch: &'a [Settlement<'_>]) -> Self {
        let mut legs = Self::default();
        let seconds = |s: Option<u32>| s.map(|s| i32::try_from(s).unwrap_or(i32::MAX));
        for settlement in batch {
            for (callee_no, leg) in (1..).zip(&settlement.outcome.callees) {
                if !settlement.ends && leg.is_unknown() {
                    continue;
                }
                legs.job_ids.push(settlement.call.job_id);
                legs.attempts.push(settlement.call.attempt);
                legs.callee_nos.push(callee_no);
                legs.callees.push(&leg.callee);
                legs.outcomes.push(leg.outcome.as_str());
                legs.sources.push(leg.source.as_str());
                legs.accepted_ms.push(leg.accepted_at_ms);
                legs.ended_ms.push(leg.ended_at_ms);
                legs.ring_seconds.push(seconds(leg.ring_seconds));
                legs.talk_seconds.push(seconds(leg.talk_seconds));
            }
        }
        legs
    }
}
