//! The record: what each request led to, written back in batches.

use std::borrow::Borrow;
use std::time::Duration;

use uuid::Uuid;

use super::connect::bounded;
use super::{Claimed, Store, StoreError};
use crate::call::{Family, Transition};

/// The result of one attempt, on its way to its rows.
///
/// It has no `Debug`: texts that came from Tencent are for the rows.
#[derive(Clone)]
pub struct WriteBack {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// Number of the attempt.
    pub attempt: i32,
    /// The claim that made it.
    pub claim_token: Uuid,
    /// Whether and how it was answered.
    pub attempt_state: AttemptState,
    /// What the answer meant.
    pub class: Family,
    /// What becomes of the job.
    pub transition: Transition,
    /// The HTTP status.
    pub http_status: Option<u16>,
    /// `ErrorCode`.
    pub error_code: Option<i64>,
    /// `ErrorInfo`.
    pub error_info: Option<String>,
    /// `RequestId`.
    pub request_id: Option<String>,
    /// `CallId`.
    pub call_id: Option<String>,
    /// `CallResult` as JSON text, as it was answered.
    pub callee_results: Option<String>,
    /// When the request was handed to the network, counted from the claim.
    pub sent_after: Option<Duration>,
    /// When the reply was read, counted from the claim.
    pub replied_after: Option<Duration>,
}

impl WriteBack {
    /// The result of a claimed job for which no request was made.
    #[must_use]
    pub fn not_sent(
        job: &Claimed,
        claim_token: Uuid,
        class: Family,
        transition: Transition,
    ) -> Self {
        Self {
            job_id: job.job_id,
            attempt: job.attempt,
            claim_token,
            attempt_state: AttemptState::NotSent,
            class,
            transition,
            http_status: None,
            error_code: None,
            error_info: None,
            request_id: None,
            call_id: None,
            callee_results: None,
            sent_after: None,
            replied_after: None,
        }
    }

    /// Drops every text that came from outside, for a database that refuses them (a zero byte in a
    /// reply, say). What was decided and the numbers stay.
    pub fn strip_texts(&mut self) {
        self.error_info = None;
        self.request_id = None;
        self.call_id = None;
        self.callee_results = None;
        self.transition.detail = Some("the reply's texts could not be stored".to_owned());
    }
}

/// What is known of an attempt's request, once its worker is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptState {
    /// Proven never sent.
    NotSent,
    /// A well-formed reply was read.
    Replied,
    /// May have been sent; no readable reply.
    Unknown,
}

impl AttemptState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Replied => "replied",
            Self::Unknown => "unknown",
        }
    }
}

/// What became of one write-back.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// Number of the attempt.
    pub attempt: i32,
    /// Where it went.
    pub written: Written,
    /// The job's state now, if this result changed it.
    pub state: Option<String>,
    /// The job's reason now, if this result changed it.
    pub reason: Option<String>,
}

/// Where a write-back went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The attempt took it.
    Yes,
    /// The attempt took it, and it tells of a second ring: a newer attempt of the job existed.
    SecondRing,
    /// Somebody has the job's row locked: to be tried again.
    Locked,
    /// No attempt row took it: it has been answered already.
    NoAttempt,
    /// There is no attempt of this claim: the database has forgotten it.
    Forgotten,
}

impl Store {
    /// Writes a batch of results. It must not hold two results of one job.
    ///
    /// # Errors
    /// If the database did not answer: keep the batch and write it again. That is harmless, since
    /// an attempt takes its reply once.
    pub async fn record<B: Borrow<WriteBack> + Sync>(
        &self,
        batch: &[B],
    ) -> Result<Vec<Recorded>, StoreError> {
        let batch: Vec<&WriteBack> = batch.iter().map(Borrow::borrow).collect();
        let job_ids: Vec<i64> = batch.iter().map(|b| b.job_id).collect();
        let attempts: Vec<i32> = batch.iter().map(|b| b.attempt).collect();
        let tokens: Vec<Uuid> = batch.iter().map(|b| b.claim_token).collect();
        let attempt_states = texts(&batch, |b| b.attempt_state.as_str());
        let next_states = texts(&batch, |b| b.transition.next.as_str());
        let reasons = texts(&batch, |b| b.transition.reason.as_str());
        let details = optional(&batch, |b| b.transition.detail.as_deref());
        let delays: Vec<Option<f64>> = batch
            .iter()
            .map(|b| b.transition.delay.map(|d| d.as_secs_f64()))
            .collect();
        let counts: Vec<bool> = batch.iter().map(|b| b.transition.counts()).collect();
        let classes = texts(&batch, |b| b.class.as_str());
        let http: Vec<Option<i32>> = batch.iter().map(|b| b.http_status.map(i32::from)).collect();
        let codes: Vec<Option<i64>> = batch.iter().map(|b| b.error_code).collect();
        let infos = optional(&batch, |b| b.error_info.as_deref());
        let requests = optional(&batch, |b| b.request_id.as_deref());
        let calls = optional(&batch, |b| b.call_id.as_deref());
        let callees = optional(&batch, |b| b.callee_results.as_deref());
        let sent: Vec<Option<f64>> = batch
            .iter()
            .map(|b| b.sent_after.map(|d| d.as_secs_f64()))
            .collect();
        let replied: Vec<Option<f64>> = batch
            .iter()
            .map(|b| b.replied_after.map(|d| d.as_secs_f64()))
            .collect();
        let epoch = self.watch.as_ref().map(|watch| watch.epoch());
        let way = self.for_results();
        let rows = bounded!(
            way,
            "record results",
            fetch_all,
            sqlx::query_file!(
                "src/store/record.sql",
                &job_ids,
                &attempts,
                &tokens,
                &attempt_states as &[&str],
                &next_states as &[&str],
                &reasons as &[&str],
                &details as &[Option<&str>],
                &delays as &[Option<f64>],
                &counts,
                &classes as &[&str],
                &http as &[Option<i32>],
                &codes as &[Option<i64>],
                &infos as &[Option<&str>],
                &requests as &[Option<&str>],
                &calls as &[Option<&str>],
                &callees as &[Option<&str>],
                &sent as &[Option<f64>],
                &replied as &[Option<f64>],
            )
        )?;
        let filed = rows.iter().find(|row| row.filed);
        if let (Some(watch), Some(epoch), Some(row)) = (&self.watch, epoch, filed)
            && let Some(result) = batch.iter().find(|b| b.job_id == row.job_id)
        {
            watch.note_result(epoch, result.job_id, result.attempt, result.claim_token);
        }
        Ok(rows
            .into_iter()
            .map(|row| Recorded {
                job_id: row.job_id,
                attempt: row.attempt,
                written: match (row.written, row.filed, row.second_ring) {
                    (false, _, _) => Written::Locked,
                    (true, false, _) if row.forgotten => Written::Forgotten,
                    (true, false, _) => Written::NoAttempt,
                    (true, true, true) => Written::SecondRing,
                    (true, true, false) => Written::Yes,
                },
                state: row.state,
                reason: row.reason,
            })
            .collect())
    }
}

/// One column of fixed words.
fn texts(batch: &[&WriteBack], word: impl Fn(&WriteBack) -> &'static str) -> Vec<&'static str> {
    batch.iter().map(|b| word(b)).collect()
}

/// One column of texts that not every result has.
fn optional<'a>(
    batch: &[&'a WriteBack],
    text: impl Fn(&'a WriteBack) -> Option<&'a str>,
) -> Vec<Option<&'a str>> {
    batch.iter().map(|b| text(b)).collect()
}
