//! Duty: one claimed job becomes one request, or none.
//!
//! The future of a request is never dropped: no time limit but the client's own is put around it,
//! and shutting down waits for it. Dropping it would make its job one in doubt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::app::App;
use super::context::Context;
use super::owed::Owed;
use super::pauses::Probing;
use super::tell;
use crate::call::{
    Answer, AppHealth, Class, Family, OnDoubt, Policy, Reason, RefusedCallees, StartCall,
    StartCallFields, Transition, Tried, decide,
};
use crate::store::{AttemptState, Claimed, Epoch, WriteBack};
use crate::tencent;

/// A request is not sent with less of the lease left than its timeout and this: recording takes
/// time.
pub(super) const RECORDING_MARGIN: Duration = Duration::from_secs(1);

/// One claimed job and the right to send its request.
pub(super) struct Order {
    pub job: Claimed,
    pub app: Arc<App>,
    pub claim_token: Uuid,
    /// When it was claimed, in the history of the database.
    pub epoch: Epoch,
    /// When the claim was sent: lease and deadline are counted from here, which is the safe side.
    pub began: Instant,
    /// Whether it finds out if a paused app works again, and so ignores that pause.
    pub probing: Probing,
    /// The right to have a request under way.
    pub slot: OwnedSemaphorePermit,
    /// The right to have a result unrecorded; goes on with the result.
    pub room: OwnedSemaphorePermit,
}

/// Sends the request, unless something speaks against it at the last moment, and hands the result
/// to the recorder.
pub(super) async fn place(ctx: Arc<Context>, order: Order) {
    let Order {
        job,
        app,
        claim_token,
        epoch,
        began,
        probing,
        slot,
        room,
    } = order;
    let owed = Owed::new(&ctx, &app.name, &job, claim_token, slot, room);
    let result = match ready(&ctx, &job, &app, began, probing, epoch) {
        Err(transition) => not_sent(&job, claim_token, transition),
        Ok((call, policy)) => send(&ctx, &job, &app, &call, &policy, claim_token, began).await,
    };
    owed.pay(result);
}

/// How long the phone rings. A row that is out of every range has a bound here all the same: it
/// fails as invalid, and until then nothing may be computed from it that the database refuses.
fn ring_timeout(job: &Claimed) -> Duration {
    let ms = u64::try_from(job.ring_timeout_ms).unwrap_or(0);
    Duration::from_millis(ms).min(Duration::from_mins(10))
}

/// What the job says about trying again.
pub(super) fn policy(job: &Claimed, on_doubt: OnDoubt) -> Policy {
    Policy {
        attempts_used: u32::try_from(job.attempts_used).unwrap_or(0),
        max_attempts: u32::try_from(job.max_attempts).unwrap_or(1),
        on_doubt,
        ring_timeout: ring_timeout(job),
        refused_callees: if job.retry_callees {
            RefusedCallees::RingAgain
        } else {
            RefusedCallees::LeaveAlone
        },
    }
}

/// Whether a pause that is in force, or is being written, forbids the request. A probe is not held
/// by what it is to find out.
pub(super) fn held(ctx: &Context, app: &App, probing: Probing) -> bool {
    (probing == Probing::No && app.is_about_to_pause())
        || ctx.pauses.hold(&app.name, &app.fingerprint(), probing)
}

/// Everything that can forbid a request, checked immediately before it is sent.
fn ready(
    ctx: &Context,
    job: &Claimed,
    app: &App,
    began: Instant,
    probing: Probing,
    epoch: Epoch,
) -> Result<(StartCall, Policy), Transition> {
    let offline_push = job.offline_push.as_deref().map(serde_json::from_str);
    let offline_push = offline_push
        .transpose()
        .map_err(|fault| Transition::invalid(format!("offline_push cannot be read: {fault}")))?;
    let call = StartCall::new(StartCallFields {
        robot_account: &job.robot_account,
        callees: &job.callees,
        media_type: &job.media_type,
        room_id: &job.room_id,
        room_id_type: i64::from(job.room_id_type),
        ring_timeout_ms: job.ring_timeout_ms,
        user_data: job.user_data.as_deref(),
        offline_push,
    })
    .map_err(|fault| Transition::invalid(fault.to_string()))?;
    let on_doubt = OnDoubt::parse(&job.on_doubt)
        .ok_or_else(|| Transition::invalid("on_doubt is unknown".into()))?;
    if held(ctx, app, probing) {
        return Err(Transition::give_back(
            "the app was paused before the request was sent",
        ));
    }
    if !ctx.store.history_holds(epoch) {
        return Err(Transition::give_back(
            "the database may have lost a part of its history",
        ));
    }
    let elapsed = began.elapsed();
    if job.expires_in.is_some_and(|left| elapsed >= left) {
        return Err(Transition::too_late());
    }
    if ctx.lease.saturating_sub(elapsed) < app.client.request_timeout() + RECORDING_MARGIN {
        return Err(Transition::give_back(
            "too little of the lease was left to send the request",
        ));
    }
    Ok((call, policy(job, on_doubt)))
}

async fn send(
    ctx: &Arc<Context>,
    job: &Claimed,
    app: &Arc<App>,
    call: &StartCall,
    policy: &Policy,
    claim_token: Uuid,
    began: Instant,
) -> WriteBack {
    let sent_after = began.elapsed();
    ctx.metrics.sent(&app.name, job.late + sent_after);
    let signed_at = unix_s(job.claimed_at_unix_s + sent_after.as_secs_f64());
    let signer = app.fingerprint();
    let answer = app
        .client
        .start_call_by_robot(call, job.random, signed_at)
        .await;
    let replied_after = began.elapsed();

    let class = tencent::classify(&answer);
    ctx.metrics.answered(
        &app.name,
        code_label(&answer),
        replied_after.saturating_sub(sent_after),
    );
    let now = Instant::now();
    let health = match class {
        Class::AppFreshSig | Class::AppOrJob => app.health(began + sent_after, now),
        _ => AppHealth::Unproven,
    };
    let tried = Tried {
        attempt: u32::try_from(job.attempt).unwrap_or(1),
        seed: u64::from(job.random),
        deadline_left: job
            .expires_in
            .map(|left| left.saturating_sub(replied_after)),
    };
    let transition = decide(policy, &tried, class, &answer, health);
    tell::tell(ctx, app, &signer, class, &answer, &transition, now);
    log(
        job,
        &answer,
        &transition,
        replied_after.saturating_sub(sent_after),
    );
    write_back(
        job,
        claim_token,
        class.family(),
        transition,
        answer,
        sent_after,
        replied_after,
    )
}

/// One line for what went wrong, at a level that tells who has to act.
fn log(job: &Claimed, answer: &Answer, verdict: &Transition, took: Duration) {
    let (code, text) = match answer {
        Answer::Reply(reply) => (Some(reply.error_code), reply.error_info.as_str()),
        Answer::NotSent { detail, .. } | Answer::Unknown { detail, .. } => (None, detail.as_str()),
    };
    let state = verdict.next.as_str();
    let reason = verdict.reason.as_str();
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if verdict.reason == Reason::Accepted {
        tracing::debug!(
            job.id = job.job_id,
            job.attempt = job.attempt,
            job.app = job.app,
            duration_ms = ms,
            "the call was placed"
        );
    } else {
        tracing::info!(
            job.id = job.job_id,
            job.attempt = job.attempt,
            job.app = job.app,
            duration_ms = ms,
            job.state = state,
            job.reason = reason,
            tencent.code = code,
            tencent.text = text,
            "the call was not placed"
        );
    }
}

/// The result of a job whose request was held back at the last moment.
fn not_sent(job: &Claimed, claim_token: Uuid, transition: Transition) -> WriteBack {
    tracing::info!(
        job.id = job.job_id,
        job.attempt = job.attempt,
        job.app = job.app,
        job.state = transition.next.as_str(),
        job.reason = transition.reason.as_str(),
        detail = transition.detail,
        "the request was not sent"
    );
    let class = match transition.reason {
        Reason::InvalidRequest => Family::Cannot,
        _ => Family::Safe,
    };
    WriteBack::not_sent(job, claim_token, class, transition)
}

/// The result of a request that was made.
fn write_back(
    job: &Claimed,
    claim_token: Uuid,
    class: Family,
    transition: Transition,
    answer: Answer,
    sent_after: Duration,
    replied_after: Duration,
) -> WriteBack {
    let blank = WriteBack::not_sent(job, claim_token, class, transition);
    match answer {
        Answer::NotSent { .. } => blank,
        Answer::Unknown { http_status, .. } => WriteBack {
            attempt_state: AttemptState::Unknown,
            http_status,
            sent_after: Some(sent_after),
            ..blank
        },
        Answer::Reply(reply) => WriteBack {
            attempt_state: AttemptState::Replied,
            http_status: Some(reply.http_status),
            error_code: Some(reply.error_code),
            error_info: Some(reply.error_info),
            request_id: reply.request_id,
            call_id: reply.call_id,
            callee_results: reply.callee_results.map(|raw| raw.get().to_owned()),
            sent_after: Some(sent_after),
            replied_after: Some(replied_after),
            ..blank
        },
    }
}

/// The label of the latency metric: the code, or what stands for it.
fn code_label(answer: &Answer) -> String {
    match answer {
        Answer::Reply(reply) => reply.error_code.to_string(),
        Answer::NotSent { .. } => "not_sent".to_owned(),
        Answer::Unknown { .. } => "none".to_owned(),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "seconds since 1970 are far from 2^63"
)]
fn unix_s(s: f64) -> i64 {
    s as i64
}
