//! Media of calls: what is due of it, and what came of it. The decision what to do is in the row
//! itself (`callq.streams.duty`); the statements say what each answer makes of it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::connect::bounded;
use super::grant::seconds;
use super::{Store, StoreError};

/// What is known of a call with media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamNews {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// Number of the attempt.
    pub attempt: i32,
    /// Somebody is there to listen, or was.
    pub answered: bool,
    /// The call has ended.
    pub over: bool,
}

/// A kind of requests about media, each with a pace of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamPace {
    /// `ask`, `start` or `stop`.
    pub request: &'static str,
    /// How many a second, of all workers together.
    pub per_second: f64,
    /// How many at once after a rest.
    pub burst: f64,
    /// How many the caller has room for.
    pub most: usize,
}

/// What may be sent now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamGrant {
    /// Questions whether somebody has answered.
    pub asks: i32,
    /// Starts.
    pub starts: i32,
    /// Stops.
    pub stops: i32,
    /// When there is something to do next, as far as the database knows.
    pub next: Option<Duration>,
}

/// What is to be done for a call with media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamDuty {
    /// Ask whether somebody has answered.
    Ask,
    /// Start the media.
    Start,
    /// Stop every task.
    Stop,
}

/// A call with media of which something is due.
///
/// No `Debug`: it holds the URL.
#[derive(Clone)]
pub struct StreamDue {
    /// What is to be done.
    pub duty: StreamDuty,
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// Number of the attempt.
    pub attempt: i32,
    /// The turn in which it was taken up.
    pub turn: i32,
    /// How often it was tried in a row, this time included.
    pub tries: i32,
    /// Its `CallId`.
    pub call_id: Option<String>,
    /// Its room.
    pub room_id: String,
    /// The room's type, as in the call.
    pub room_id_type: i16,
    /// The robot account.
    pub robot: String,
    /// The tasks that are not proven to be stopped.
    pub tasks: Vec<String>,
    /// Who was called.
    pub callees: Vec<String>,
    /// `callq.jobs.media_url`; `None`: somebody has deleted the job.
    pub media_url: Option<String>,
    /// `callq.jobs.media_options`.
    pub media_options: Option<Map<String, Value>>,
    /// How long the call may last, in seconds.
    pub longest_call_s: i64,
    /// The database's time, in seconds since the Unix epoch, by which requests are signed.
    pub now_unix: i64,
}

/// A call whose media has ended: job, attempt, and the reason.
pub type StreamEnded = (i64, i32, String);

/// What was taken up.
#[derive(Default)]
pub struct StreamsTaken {
    /// What is to be done now.
    pub due: Vec<StreamDue>,
    /// What was given up, each with the reason.
    pub given_up: Vec<StreamEnded>,
}

/// What an answer says of a call's media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamSaid {
    /// A task with this id was started.
    Runs(String),
    /// A task of the robot runs in the room, and its id is not known.
    Unnamed,
    /// There is no such room.
    NoRoom,
    /// Nothing was started, and never will be.
    Refused,
    /// Nothing was started by this request.
    NotNow,
    /// It is not known what it led to.
    Unknown,
    /// This task does not run any more.
    Stopped(String),
    /// This one may.
    NotStopped,
}

impl StreamSaid {
    const fn word(&self) -> &'static str {
        match self {
            Self::Runs(_) => "runs",
            Self::Unnamed => "unnamed",
            Self::NoRoom => "no_room",
            Self::Refused => "refused",
            Self::NotNow => "not_now",
            Self::Unknown => "unknown",
            Self::Stopped(_) => "stopped",
            Self::NotStopped => "not_stopped",
        }
    }

    fn task(&self) -> Option<&str> {
        match self {
            Self::Runs(task) | Self::Stopped(task) => Some(task),
            _ => None,
        }
    }
}

/// An answer to a request about media.
#[derive(Clone, Debug)]
pub struct StreamAnswer {
    /// `callq.jobs.id`.
    pub job_id: i64,
    /// Number of the attempt.
    pub attempt: i32,
    /// The turn in which it was taken up.
    pub turn: i32,
    /// What it says.
    pub said: StreamSaid,
    /// The code of a refusal, and Tencent's `RequestId`.
    pub detail: Option<String>,
    /// After how long it is tried again.
    pub again: Option<Duration>,
}

/// What an answer made of a call's media.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamNow {
    /// Why it ended, if it did.
    pub ended: Option<String>,
    /// It began to play: so long after it was known that somebody had answered.
    pub began: Option<Duration>,
}

/// Whether media of an app may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaPause<'a> {
    /// Not for so long, and longer each time, because of this code.
    For(Duration, &'a str),
    /// A request was accepted.
    Lift,
}

impl Store {
    /// Notes what is known of calls with media, and, for [`Look::AtAll`], which others of the app
    /// are over. Returns whose media ended by it, and why.
    ///
    /// # Errors
    /// If the database cannot answer. News is not lost for good: an answer is asked for, and the
    /// end of a call is looked for.
    pub async fn hear_of_streams(
        &self,
        app: &str,
        news: &[StreamNews],
        look: Look,
    ) -> Result<Vec<StreamEnded>, StoreError> {
        let job_ids: Vec<i64> = news.iter().map(|n| n.job_id).collect();
        let attempts: Vec<i32> = news.iter().map(|n| n.attempt).collect();
        let answered: Vec<bool> = news.iter().map(|n| n.answered).collect();
        let over: Vec<bool> = news.iter().map(|n| n.over).collect();
        let rows = bounded!(
            self,
            "note what is known of calls with media",
            fetch_all,
            sqlx::query_file!(
                "src/store/stream_heard.sql",
                app,
                &job_ids,
                &attempts,
                &answered,
                &over,
                look == Look::AtAll,
            )
        )?;
        let ended = rows.into_iter().filter(|row| row.state == "ended");
        let ended = ended.filter_map(|row| Some((row.job_id, row.attempt, row.reason?)));
        Ok(ended.collect())
    }

    /// How many requests about media of an app may leave now.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn grant_streams(
        &self,
        app: &str,
        paces: &[StreamPace],
    ) -> Result<StreamGrant, StoreError> {
        let requests: Vec<String> = paces.iter().map(|p| p.request.to_owned()).collect();
        let rates: Vec<f64> = paces.iter().map(|p| p.per_second).collect();
        let bursts: Vec<f64> = paces.iter().map(|p| p.burst).collect();
        let most: Vec<i32> = paces.iter().map(|p| super::grant::count(p.most)).collect();
        let rows = bounded!(
            self,
            "grant requests about media",
            fetch_all,
            sqlx::query_file!(
                "src/store/stream_grant.sql",
                app,
                &requests,
                &rates,
                &bursts,
                &most,
            )
        )?;
        let mut grant = StreamGrant::default();
        for row in rows {
            match row.request.as_str() {
                "ask" => grant.asks = row.given,
                "start" => grant.starts = row.given,
                _ => grant.stops = row.given,
            }
            let next = [row.next_token_s, row.next_look_s].into_iter().flatten();
            grant.next = next.map(seconds).chain(grant.next).min();
        }
        Ok(grant)
    }

    /// Takes up what is due of the media of an app, as far as it was granted. Nobody else does the
    /// same for `lease`; the start of media counts as a doubt from here on.
    ///
    /// # Errors
    /// If the database cannot answer. What was taken up is taken up again when the lease is over.
    pub async fn take_streams(
        &self,
        app: &str,
        grant: StreamGrant,
        lease: Duration,
    ) -> Result<StreamsTaken, StoreError> {
        let rows = bounded!(
            self,
            "take up media",
            fetch_all,
            sqlx::query_file!(
                "src/store/stream_take.sql",
                app,
                grant.asks,
                grant.starts,
                grant.stops,
                lease.as_secs_f64(),
            )
        )?;
        let mut taken = StreamsTaken::default();
        for row in rows {
            if let Some(reason) = row.reason {
                taken.given_up.push((row.job_id, row.attempt, reason));
                continue;
            }
            taken.due.push(StreamDue {
                duty: match row.duty.as_str() {
                    "ask" => StreamDuty::Ask,
                    "start" => StreamDuty::Start,
                    _ => StreamDuty::Stop,
                },
                job_id: row.job_id,
                attempt: row.attempt,
                turn: row.turn,
                tries: row.tries,
                call_id: row.call_id,
                room_id: row.room_id,
                room_id_type: row.room_id_type,
                robot: row.robot,
                tasks: row.tasks,
                callees: row.callees.unwrap_or_default(),
                media_url: row.media_url,
                media_options: match row.media_options {
                    Some(Value::Object(options)) => Some(options),
                    _ => None,
                },
                longest_call_s: row.longest_call_s.map_or(0, i64::from),
                now_unix: row.now_unix,
            });
        }
        Ok(taken)
    }

    /// Notes what came of a request about media.
    ///
    /// # Errors
    /// If the database cannot answer. Whoever has a `TaskId` must not let go of it.
    pub async fn stream_said(&self, answer: &StreamAnswer) -> Result<StreamNow, StoreError> {
        let row = bounded!(
            self,
            "note what came of a request about media",
            fetch_optional,
            sqlx::query_file!(
                "src/store/stream_said.sql",
                answer.job_id,
                answer.attempt,
                answer.turn,
                answer.said.word(),
                answer.said.task(),
                answer.detail.as_deref(),
                answer.again.map(|again| again.as_secs_f64()),
            )
        )?;
        Ok(row.map_or_else(StreamNow::default, |row| StreamNow {
            ended: row.reason.filter(|_| row.state == "ended"),
            began: row.began.then(|| seconds(row.took_s.unwrap_or_default())),
        }))
    }

    /// Pauses media of an app, or lifts the pause; true if that is news.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn pause_media(&self, app: &str, pause: MediaPause<'_>) -> Result<bool, StoreError> {
        let (wait, detail) = match pause {
            MediaPause::For(wait, detail) => (wait, Some(detail)),
            MediaPause::Lift => (Duration::ZERO, None),
        };
        let row = bounded!(
            self,
            "pause media of an app",
            fetch_optional,
            sqlx::query_file!(
                "src/store/stream_pause.sql",
                app,
                detail,
                wait.as_secs_f64()
            )
        )?;
        Ok(row.is_some())
    }
}

/// Which calls are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Those that there is news of.
    AtThese,
    /// All with media, whether they are over.
    AtAll,
}
