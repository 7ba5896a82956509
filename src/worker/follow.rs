//! Duty: what became of calls. Whatever a record or a callback tells is put together with what is
//! known of its call already, and settled.
//!
//! A call whose reply was lost is found by its room. That is a late reply like any other: it goes
//! through the record statement, which knows what it makes of a job that was given up, put back or
//! tried again meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::app::App;
use super::context::Context;
use super::media;
use super::weigh::{stream_news, suspect, weigh};
use crate::call::{CallbackEvent, Evidence, Family, Record, Sighting, Transition, culprit};
use crate::store::{
    AttemptState, Followed, Heeded, Hint, Look, OpenCall, Settlement, StoreError, WriteBack,
};
use crate::tencent::read_callback;

/// The most callbacks of one look.
const HINTS_MAX: usize = 500;

/// The most calls that are settled by one statement.
const BATCH_MAX: usize = 200;

/// How often calls are weighed again that somebody else settles at the same moment. What is left
/// then is locked by a person's session: callbacks stay stored, and a record is asked for again.
const TRIES_MAX: u32 = 5;

/// When a callback of a call that is not known is looked at again: it may be faster than the reply
/// it belongs to, and a lost reply is known for lost when the lease has ended.
const AGAIN_S: [u64; 6] = [1, 5, 30, 60, 300, 3600];

/// How often callbacks are looked for without a notification.
const POLL: Duration = Duration::from_secs(2);

/// What was learnt, before it is known of which attempts.
#[derive(Default)]
pub(super) struct News {
    pub records: Vec<Record>,
    pub events: Vec<CallbackEvent>,
    /// Attempts to weigh, whether there is news of them or not.
    pub attempts: Vec<(i64, i32)>,
}

/// Follows the callbacks of an app until the context is stopped, while this worker reads its
/// records.
pub(super) async fn run(ctx: Arc<Context>, app: Arc<App>) {
    while !ctx.stop.is_cancelled() {
        let more = if app.follows.load(Ordering::Relaxed) && ctx.store.history_is_open() {
            let heeded = tokio::select! {
                heeded = heed(&ctx, &app) => heeded,
                () = ctx.stop.cancelled() => return,
            };
            heeded.unwrap_or_else(|error| {
                ctx.health.failed(&error);
                false
            })
        } else {
            false
        };
        if more {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = app.hints.notified() => {}
            () = ctx.stop.cancelled() => {}
        }
    }
}

/// Looks at callbacks that came; true if there may be more.
async fn heed(ctx: &Arc<Context>, app: &App) -> Result<bool, StoreError> {
    let hints = ctx.store.hints(&app.name, HINTS_MAX).await?;
    if hints.is_empty() {
        return Ok(false);
    }
    let read = |hint: &Hint| read_callback(hint.command.as_deref(), &hint.body).ok();
    let events: Vec<Option<CallbackEvent>> = hints.iter().map(read).collect();
    let news = News {
        events: events.iter().flatten().cloned().collect(),
        ..News::default()
    };
    let mut known = learn(ctx, app, news).await?;
    let told = events.iter().flatten().map(|event| &event.call_id);
    let unknown: HashSet<&String> = told.filter(|id| !known.contains_key(*id)).collect();
    if !unknown.is_empty() {
        let unknown: Vec<String> = unknown.into_iter().cloned().collect();
        known.extend(ctx.store.settled_calls(&app.name, &unknown).await?);
    }
    let heeded = hints.iter().zip(&events).map(|(hint, event)| {
        let attempt = event
            .as_ref()
            .and_then(|event| known.get(&event.call_id).copied());
        let looks = usize::try_from(hint.looks).unwrap_or(usize::MAX);
        let again = match (event, attempt) {
            (Some(_), None) => AGAIN_S.get(looks).copied().map(Duration::from_secs),
            _ => None,
        };
        Heeded {
            id: hint.id,
            attempt,
            again,
        }
    });
    ctx.store.heed(&heeded.collect::<Vec<_>>()).await?;
    Ok(hints.len() == HINTS_MAX)
}

/// Settles what can be settled with this news; returns the attempts of the calls that it is of.
/// News of calls that are not followed is nobody's.
pub(super) async fn learn(
    ctx: &Arc<Context>,
    app: &App,
    news: News,
) -> Result<HashMap<String, (i64, i32)>, StoreError> {
    let sightings: Vec<Sighting> = sightings(&news);
    let mut which = Followed {
        call_ids: distinct(&news),
        rooms: sightings.iter().map(|s| s.room_id.clone()).collect(),
        attempts: news.attempts.clone(),
    };
    let mut known = HashMap::new();
    for _ in 0..TRIES_MAX {
        let mut calls = ctx.store.open_calls(&app.name, &which).await?;
        let seen = seen(&calls, &sightings, &which.call_ids);
        if file_late_replies(ctx, app, &calls, &seen).await? {
            which.attempts = calls.iter().map(|c| (c.job_id, c.attempt)).collect();
            calls = ctx.store.open_calls(&app.name, &which).await?;
        }
        if settle(ctx, app, &calls, &news, &seen, &mut known).await? {
            break;
        }
    }
    Ok(known)
}

/// Whoever was seen to ring though his reply was lost has a late reply; whether there were any. Of
/// the same job one after the other, as for every result.
async fn file_late_replies(
    ctx: &Arc<Context>,
    app: &App,
    calls: &[OpenCall],
    seen: &HashMap<(i64, i32), String>,
) -> Result<bool, StoreError> {
    let replies = late_replies(calls, seen);
    let any = !replies.is_empty();
    for reply in replies {
        for recorded in ctx.store.record(&[reply]).await? {
            tracing::info!(
                job.id = recorded.job_id,
                job.attempt = recorded.attempt,
                app = app.name,
                state = recorded.state,
                "a call whose reply was lost was seen to take place"
            );
        }
    }
    Ok(any)
}

/// Every place where a call shows its room.
fn sightings(news: &News) -> Vec<Sighting> {
    let records = news.records.iter().filter_map(Sighting::of_record);
    let events = news.events.iter().filter_map(Sighting::of_callback);
    records.chain(events).collect()
}

fn distinct(news: &News) -> Vec<String> {
    let records = news.records.iter().map(|record| &record.call_id);
    let events = news.events.iter().map(|event| &event.call_id);
    let all: HashSet<&String> = records.chain(events).collect();
    all.into_iter().cloned().collect()
}

/// The `CallId`s of calls that had none: by their rooms. And of those in doubt whose reply named
/// one, by that, if there is news of it (`told`): it tells that they took place.
fn seen(
    calls: &[OpenCall],
    sightings: &[Sighting],
    told: &[String],
) -> HashMap<(i64, i32), String> {
    let known: HashSet<&str> = calls.iter().filter_map(|c| c.call_id.as_deref()).collect();
    let (mut unnamed, mut suspects) = (Vec::new(), Vec::new());
    for call in calls.iter().filter(|call| call.call_id.is_none()) {
        if let Some(job) = &call.job {
            unnamed.push(call);
            suspects.push(suspect(call, job));
        }
    }
    let mut seen: HashMap<(i64, i32), String> = HashMap::new();
    for call in calls.iter().filter(|call| is_in_doubt(call)) {
        if let Some(call_id) = call.call_id.as_ref().filter(|id| told.contains(id)) {
            seen.insert((call.job_id, call.attempt), call_id.clone());
        }
    }
    for sighting in sightings {
        if known.contains(sighting.call_id.as_str()) {
            continue;
        }
        if let Some(call) = culprit(sighting, &suspects).and_then(|place| unnamed.get(place)) {
            seen.insert((call.job_id, call.attempt), sighting.call_id.clone());
        }
    }
    seen
}

fn is_in_doubt(call: &OpenCall) -> bool {
    call.class.as_deref() == Some("in_doubt")
}

/// What those are to the record statement that are still in doubt.
fn late_replies(calls: &[OpenCall], seen: &HashMap<(i64, i32), String>) -> Vec<WriteBack> {
    let doubtful = calls.iter().filter(|call| is_in_doubt(call));
    doubtful
        .filter_map(|call| {
            let call_id = seen.get(&(call.job_id, call.attempt))?;
            Some(WriteBack {
                class: Family::Accepted,
                attempt_state: AttemptState::Replied,
                call_id: Some(call_id.clone()),
                replied_after: Some(call.claimed_ago),
                ..write_back(call, Transition::seen())
            })
        })
        .collect()
}

/// A result of an attempt that nobody's reply told.
pub(super) fn write_back(call: &OpenCall, transition: Transition) -> WriteBack {
    WriteBack {
        job_id: call.job_id,
        attempt: call.attempt,
        claim_token: call.claim_token,
        attempt_state: AttemptState::Unknown,
        class: Family::Safe,
        transition,
        http_status: None,
        error_code: None,
        error_info: None,
        request_id: None,
        call_id: None,
        callee_results: None,
        sent_after: call.sent_after,
        replied_after: None,
    }
}

/// Settles what is known now; false if somebody else was faster with one of the calls, or has it
/// locked: what he knows has to be weighed together with this news.
async fn settle(
    ctx: &Arc<Context>,
    app: &App,
    calls: &[OpenCall],
    news: &News,
    seen: &HashMap<(i64, i32), String>,
    known: &mut HashMap<String, (i64, i32)>,
) -> Result<bool, StoreError> {
    let mut told = told(ctx, app, calls, news, seen).await?;
    tell_streams(ctx, app, calls, &told, seen).await?;
    let mut batch: Vec<Settlement<'_>> = Vec::new();
    let mut all = true;
    for call in calls {
        let named = seen.get(&(call.job_id, call.attempt));
        if named.is_some() && is_in_doubt(call) {
            // Its late reply could not be filed, because somebody has its rows locked. Without it
            // the job would stay in doubt when nobody follows the call any more.
            all = false;
            continue;
        }
        let Some(call_id) = call.call_id.as_ref().or(named) else {
            batch.extend(weigh(call, Vec::new(), None));
            continue;
        };
        known.insert(call_id.clone(), (call.job_id, call.attempt));
        let evidence = told.remove(call_id).unwrap_or_default();
        batch.extend(weigh(call, evidence, Some(call_id.clone())));
    }
    for some in batch.chunks(BATCH_MAX) {
        for settled in ctx.store.settle_calls(some).await? {
            all &= settled.settled;
            if settled.state.as_deref() == Some("completed") {
                ctx.metrics.completed(&app.name);
            }
        }
    }
    Ok(all)
}

/// Has media know of it first: somebody may be listening already.
async fn tell_streams(
    ctx: &Context,
    app: &App,
    calls: &[OpenCall],
    told: &HashMap<String, Vec<Evidence>>,
    seen: &HashMap<(i64, i32), String>,
) -> Result<(), StoreError> {
    let with_media = calls
        .iter()
        .filter(|call| call.job.as_ref().is_some_and(|job| job.has_media));
    let news = with_media.filter_map(|call| {
        let named = seen.get(&(call.job_id, call.attempt));
        let told = call.call_id.as_ref().or(named).and_then(|id| told.get(id));
        stream_news(call, told.map_or(&[], Vec::as_slice))
    });
    let news: Vec<_> = news.collect();
    if news.is_empty() {
        return Ok(());
    }
    let ended = ctx.store.hear_of_streams(&app.name, &news, Look::AtThese);
    media::tell(ctx, app, ended.await?);
    app.media.notify_one();
    Ok(())
}

/// What is known of each call, by its `CallId`: this news, and every callback there was. The record
/// of a call to one callee says all.
async fn told(
    ctx: &Arc<Context>,
    app: &App,
    calls: &[OpenCall],
    news: &News,
    seen: &HashMap<(i64, i32), String>,
) -> Result<HashMap<String, Vec<Evidence>>, StoreError> {
    let mut told: HashMap<String, Vec<Evidence>> = HashMap::new();
    let recorded: HashSet<&String> = news.records.iter().map(|r| &r.call_id).collect();
    let asked = calls.iter().filter_map(|call| {
        let named = seen.get(&(call.job_id, call.attempt));
        let call_id = call.call_id.as_ref().or(named)?.clone();
        let job = call.job.as_ref()?;
        (job.callees.len() > 1 || !recorded.contains(&call_id)).then_some(call_id)
    });
    let asked: Vec<String> = asked.collect();
    if !asked.is_empty() {
        for (call_id, command, body) in ctx.store.callbacks_of(&app.name, &asked).await? {
            if let Ok(event) = read_callback(command.as_deref(), &body) {
                told.entry(call_id)
                    .or_default()
                    .push(Evidence::Callback(event));
            }
        }
    }
    for event in &news.events {
        let of_call = told.entry(event.call_id.clone()).or_default();
        of_call.push(Evidence::Callback(event.clone()));
    }
    for record in &news.records {
        let of_call = told.entry(record.call_id.clone()).or_default();
        of_call.push(Evidence::Record(record.clone()));
    }
    Ok(told)
}
