//! What became of calls, settled: legs, counts, jobs and events in one statement.

use super::connect::bounded;
use super::{OpenCall, Store, StoreError};
use crate::call::{CallOutcome, Outcome, Reason, Redial, readable};

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
    /// Who is rung again, if the job ends with this.
    pub redial: Redial,
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
        let call_ids: Vec<Option<String>> = calls.clone().map(|s| s.call_id.clone()).collect();
        let again: Vec<Again> = calls.map(Again::of).collect();
        let who: Vec<Option<&str>> = again.iter().map(|a| a.who.as_deref()).collect();
        let after: Vec<Option<f64>> = again.iter().map(|a| a.after_s).collect();
        let why: Vec<Option<&str>> = again.iter().map(|a| a.why).collect();
        let more: Vec<Option<&str>> = again.iter().map(|a| a.more.as_deref()).collect();
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
                &who as &[Option<&str>],
                &after as &[Option<f64>],
                &why as &[Option<&str>],
                &more as &[Option<&str>],
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

/// Who is rung again after a call, or why nobody is.
#[derive(Default)]
struct Again {
    /// A JSON array of callees.
    who: Option<String>,
    after_s: Option<f64>,
    why: Option<&'static str>,
    more: Option<String>,
}

impl Again {
    fn of(settlement: &Settlement<'_>) -> Self {
        let callees = &settlement.outcome.callees;
        let (who, after_s) = match &settlement.redial {
            Redial::Again {
                callees: again,
                after,
            } => {
                let who = again.iter().filter_map(|place| callees.get(*place));
                let who: Vec<&str> = who.map(|callee| callee.callee.as_str()).collect();
                let who = serde_json::to_string(&who).expect("texts have a JSON form");
                (Some(who), Some(after.as_secs_f64()))
            }
            Redial::Nothing | Redial::Total | Redial::Outcome => (None, None),
        };
        let why = settlement.redial.reason().map(Reason::as_str);
        let missed = callees.iter().filter(|c| c.outcome != Outcome::Answered);
        let told = missed.map(|c| format!("{}: {}", readable(&c.callee), c.outcome.as_str()));
        Self {
            who,
            after_s,
            why,
            more: why.map(|_| told.collect::<Vec<_>>().join(", ")),
        }
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
