//! One request about the media of a call: asks whether somebody has answered, starts, stops; and
//! what the answer says.

use std::time::{Duration, Instant};

use super::app::App;
use super::context::Context;
use crate::call::{Family, MediaSource, Presence, Room, RoomIdType};
use crate::store::{
    Look, MediaPause, StreamAnswer, StreamDue, StreamDuty, StreamNews, StreamNow, StreamSaid,
};
use crate::tencent::{
    Command, IngestClient, IngestError, IngestFault, Judgement, StartIngest, TaskStatus, judge,
};

/// After the first refusal; doubled each time up to the longest, which a stop may have to reach
/// over hours, and a start, for which somebody waits, may not.
const AGAIN: Duration = Duration::from_secs(1);
const START_AGAIN_MAX: Duration = Duration::from_secs(15);
const AGAIN_MAX: Duration = Duration::from_mins(5);

/// How often a room that is said not to be there is tried: Tencent may learn of it later than
/// callq learns of the answer.
const NO_ROOM_TRIES: i32 = 4;

/// How long media of an app is paused at first when its credentials or package are refused.
const PAUSE: Duration = Duration::from_secs(15);

/// A call that Tencent does not know of any more is over, as its record will tell. One that was
/// placed just now it may not know of yet.
const GONE_TRIES: i32 = 4;
const GONE_AGAIN: Duration = Duration::from_secs(10);

/// How often, and after the worker was asked to stop for how long, it is tried to write down a
/// `TaskId`.
const KEEP_EVERY: Duration = Duration::from_secs(1);
const KEEP_AT_LAST: Duration = Duration::from_secs(10);

/// Does what is due for a call.
pub(super) async fn serve(ctx: &Context, app: &App, due: StreamDue) {
    let Some(ingest) = app.ingest.as_deref() else {
        return;
    };
    match due.duty {
        // What rings on is asked about again in its time.
        StreamDuty::Ask => return ask(ctx, app, &due).await,
        StreamDuty::Start => {
            let (said, detail, again) = start(ctx, app, ingest, &due).await;
            note(ctx, app, &due, said, detail, again).await;
        }
        StreamDuty::Stop => {
            for task in &due.tasks {
                let (said, detail, again) = stop(ingest, &due, task).await;
                note(ctx, app, &due, said, detail, again).await;
            }
        }
    }
    // What it led to may be due at once.
    app.media.notify_one();
}

/// What an answer says, the code of a refusal, and after how long it is tried again.
type Said = (StreamSaid, Option<String>, Option<Duration>);

async fn ask(ctx: &Context, app: &App, due: &StreamDue) {
    let Some(call_id) = &due.call_id else {
        return;
    };
    let asking = app
        .client
        .get_call_info(call_id, fastrand::u32(..), due.now_unix);
    let asked = asking.await;
    let is_callee = |account: &String| due.callees.contains(account);
    let there = asked.call.as_ref().is_some_and(|call| {
        let mut users = call.users.iter();
        users.any(|user| is_callee(&user.account) && user.presence == Presence::Calling)
    });
    let again = match judge(Command::GetCallInfo, &asked.answer) {
        Judgement::Done if there => {
            let news = [StreamNews {
                job_id: due.job_id,
                attempt: due.attempt,
                answered: true,
                over: false,
            }];
            let heard = ctx.store.hear_of_streams(&app.name, &news, Look::AtThese);
            if let Err(error) = heard.await {
                ctx.health.failed(&error);
            }
            app.media.notify_one();
            return;
        }
        // It rings: asked again in a second, as it stands in the row.
        Judgement::Done if asked.call.is_some() || due.tries < GONE_TRIES => return,
        Judgement::TryAgain => return,
        Judgement::Done => GONE_AGAIN,
        Judgement::Refused | Judgement::AppFault | Judgement::Unknown => AGAIN_MAX,
    };
    note(ctx, app, due, StreamSaid::Unknown, None, Some(again)).await;
}

async fn start(ctx: &Context, app: &App, ingest: &IngestClient, due: &StreamDue) -> Said {
    let source = match source(due) {
        Ok(source) => source,
        Err(fault) => return (StreamSaid::Refused, Some(fault), None),
    };
    let id_type = RoomIdType::new(i64::from(due.room_id_type));
    let room = match id_type.and_then(|id_type| Room::new(&due.room_id, id_type)) {
        Ok(room) => room,
        Err(fault) => return (StreamSaid::Refused, Some(fault.to_string()), None),
    };
    let Some(user_sig) = app.client.user_sigs().of_account(&due.robot, due.now_unix) else {
        let fault = "a fixed UserSig is the administrator's alone: media needs the secret key";
        return (StreamSaid::NotNow, Some(fault.to_owned()), Some(AGAIN_MAX));
    };
    let small = |number: i64| i16::try_from(number).ok();
    let start = StartIngest {
        room: &room,
        robot_account: &due.robot,
        user_sig: &user_sig,
        stream_url: source.url(),
        repeat: small(source.repeat()).filter(|repeat| *repeat != 1),
        max_minutes: source
            .max_minutes(due.longest_call_s)
            .and_then(|minutes| u16::try_from(minutes).ok()),
        volume: source.volume().and_then(|volume| u8::try_from(volume).ok()),
    };
    match ingest.start(&start, due.now_unix).await {
        Ok(task) => {
            pause(ctx, app, MediaPause::Lift).await;
            (StreamSaid::Runs(task), None, None)
        }
        Err(error) => {
            tell_refusal(app, due, &error, "media was not started");
            if error.class.family() == Family::App {
                app.media_refused.notify_one();
                let code = code(&error);
                pause(ctx, app, MediaPause::For(PAUSE, &code)).await;
            }
            refused_start(due, &error)
        }
    }
}

fn source(due: &StreamDue) -> Result<MediaSource, String> {
    let url = due.media_url.as_deref();
    let url = url.ok_or_else(|| "the job was deleted, or has no media_url".to_owned())?;
    let source = MediaSource::new(url, due.media_options.as_ref());
    source.map_err(|fault| fault.to_string())
}

/// What an error says of the media of this call.
fn refused_start(due: &StreamDue, error: &IngestError) -> Said {
    let detail = Some(code(error));
    let again = Some(doubled(due.tries, START_AGAIN_MAX));
    match (error.fault, error.class.family()) {
        (IngestFault::TaskExist, _) => (StreamSaid::Unnamed, detail, None),
        (IngestFault::RoomNotExist, _) => {
            let again = again.filter(|_| due.tries < NO_ROOM_TRIES);
            (StreamSaid::NoRoom, detail, again)
        }
        (IngestFault::Other, Family::Cannot) => (StreamSaid::Refused, detail, None),
        (IngestFault::Other, Family::Safe | Family::App) => (StreamSaid::NotNow, detail, again),
        (IngestFault::Other, Family::InDoubt | Family::Accepted) => {
            (StreamSaid::Unknown, detail, again)
        }
    }
}

async fn stop(ingest: &IngestClient, due: &StreamDue, task: &str) -> Said {
    let Err(error) = ingest.stop(task, due.now_unix).await else {
        return (StreamSaid::Stopped(task.to_owned()), None, None);
    };
    if error.class.family() == Family::Cannot {
        // It is not to be found, or so it seems.
        let found = ingest.describe(task, due.now_unix).await;
        if matches!(found, Ok(TaskStatus::NotExist)) {
            return (StreamSaid::Stopped(task.to_owned()), None, None);
        }
    }
    let again = doubled(due.tries, AGAIN_MAX);
    (StreamSaid::NotStopped, Some(code(&error)), Some(again))
}

fn doubled(tries: i32, most: Duration) -> Duration {
    (AGAIN * (1 << tries.saturating_sub(1).clamp(0, 10))).min(most)
}

/// A refusal's code, or what happened in words, and the `RequestId`.
fn code(error: &IngestError) -> String {
    let what = error.code.as_deref().unwrap_or(&error.message);
    match &error.request_id {
        Some(request_id) => format!("{what} ({request_id})"),
        None => what.to_owned(),
    }
}

fn tell_refusal(app: &App, due: &StreamDue, error: &IngestError, what: &str) {
    tracing::warn!(
        job.id = due.job_id,
        job.attempt = due.attempt,
        app = app.name,
        request_id = error.request_id,
        %error,
        "{what}"
    );
}

async fn pause(ctx: &Context, app: &App, pause: MediaPause<'_>) {
    match ctx.store.pause_media(&app.name, pause).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            ctx.health.failed(&error);
            return;
        }
    }
    match pause {
        MediaPause::For(_, code) => {
            tracing::error!(
                app = app.name,
                code,
                "media of the app is paused: Tencent refuses its CAM key or its package. Its calls \
                 ring on, in silence; it is tried again by itself"
            );
        }
        MediaPause::Lift => {
            tracing::info!(app = app.name, "media of the app is accepted again");
        }
    }
}

/// Writes down what came of a request. What is not written is found out again when the row's lease
/// is over, but for the id of a task, which nobody else knows: that is tried until it is written.
async fn note(
    ctx: &Context,
    app: &App,
    due: &StreamDue,
    said: StreamSaid,
    detail: Option<String>,
    again: Option<Duration>,
) {
    let answer = StreamAnswer {
        job_id: due.job_id,
        attempt: due.attempt,
        turn: due.turn,
        said,
        detail,
        again,
    };
    let mut stopping: Option<Instant> = None;
    let now = loop {
        match ctx.store.stream_said(&answer).await {
            Ok(now) => break now,
            Err(error) => ctx.health.failed(&error),
        }
        let StreamSaid::Runs(task_id) = &answer.said else {
            return;
        };
        if ctx.stop.is_cancelled() {
            let since = *stopping.get_or_insert_with(Instant::now);
            if since.elapsed() >= KEEP_AT_LAST {
                tracing::error!(
                    job.id = due.job_id,
                    job.attempt = due.attempt,
                    app = app.name,
                    task_id,
                    "the database could not be told of media that was started: stop it by hand"
                );
                return;
            }
        }
        tokio::time::sleep(KEEP_EVERY).await;
    };
    tell(ctx, app, &answer, &now);
}

fn tell(ctx: &Context, app: &App, answer: &StreamAnswer, now: &StreamNow) {
    if let Some(took) = now.began {
        ctx.metrics.media_started(&app.name, took);
        tracing::info!(
            job.id = answer.job_id,
            job.attempt = answer.attempt,
            app = app.name,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            said = ?answer.said,
            "media was started"
        );
    }
    if let Some(reason) = &now.ended {
        ctx.metrics.media_ended(&app.name, reason);
        tracing::info!(
            job.id = answer.job_id,
            job.attempt = answer.attempt,
            app = app.name,
            reason,
            detail = answer.detail,
            "media has ended"
        );
    }
}
