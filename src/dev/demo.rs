//! Five calls, from INSERT to result, on a stack of their own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::postgres::StartOptions;
use super::stack::{Stack, StackError};
use crate::store::{AttemptRow, JobRow, NewJob, StoreError};

/// How often the rows are looked at. What is shown is what they say.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A claim is seen in the database well within this after the time that it has there.
const SEEN_WITHIN: TimeDelta = TimeDelta::milliseconds(200);

/// The demo gives up after this; it takes about 5 s.
const TIME_MAX: Duration = Duration::from_secs(18);

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The stack did not start or stop.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A call did not reach its end.
    #[error("job {0} is still {1} after 18 s: the demo failed")]
    Unfinished(i64, String),
}

/// What each call of the demo is there to show.
struct Call {
    about: &'static str,
    callees: &'static [&'static str],
    due_in: Duration,
}

const CALLS: [Call; 5] = [
    Call {
        about: "due now",
        callees: &["jack"],
        due_in: Duration::ZERO,
    },
    Call {
        about: "due in 3 s",
        callees: &["rose"],
        due_in: Duration::from_secs(3),
    },
    Call {
        about: "a group call",
        callees: &["ann", "ben", "cleo"],
        due_in: Duration::ZERO,
    },
    Call {
        about: "a busy callee",
        callees: &["busy-ed"],
        due_in: Duration::ZERO,
    },
    Call {
        about: "throttled, tried again",
        callees: &["throttle-1-flo"],
        due_in: Duration::ZERO,
    },
];

/// Runs the demo on a throwaway stack and returns the finished jobs, with what each was there to
/// show. `say` gets one line for each thing that happens.
///
/// # Errors
/// If the stack does not start, or a call does not come to its end in time.
pub async fn demo(say: impl Fn(&str)) -> Result<Vec<(&'static str, JobRow)>, DemoError> {
    say("starting a private PostgreSQL, a sandbox in Tencent's place, and a worker");
    let stack = Stack::start(StartOptions::throwaway()).await?;
    let shown = show(&stack, &say).await;
    let stopped = stack.stop().await;
    let jobs = shown?;
    stopped?;
    Ok(jobs)
}

async fn show(
    stack: &Stack,
    say: &impl Fn(&str),
) -> Result<Vec<(&'static str, JobRow)>, DemoError> {
    let store = stack.store();
    let mut jobs = Vec::new();
    for call in &CALLS {
        let job = NewJob {
            robot_account: "reminder-bot".to_owned(),
            callees: call.callees.iter().map(|c| (*c).to_owned()).collect(),
            due_in: call.due_in,
        };
        let id = store.enqueue(&job).await?;
        say(&format!(
            "job {id}: INSERT, callees {} ({})",
            call.callees.join(", "),
            call.about
        ));
        jobs.push((call.about, id));
    }
    let began = Instant::now();
    let mut log = Log::default();
    loop {
        let (mut rows, mut changed) = (Vec::new(), Vec::new());
        let mut until = Utc::now() - SEEN_WITHIN;
        for (about, id) in &jobs {
            // The job before its attempts: it then says nothing of an attempt that is not there.
            if let Some(job) = store.job(*id).await? {
                let attempts = store.attempts(*id).await?;
                // Its reply may have been read already, and is not in the database yet.
                let under_way = attempts.last().filter(|_| job.state == "dialing");
                until = under_way.map_or(until, |attempt| until.min(attempt.claimed_at));
                changed.push((*id, changes(&job, &attempts)));
                rows.push((*about, job));
            }
        }
        let unfinished = rows.iter().find(|(_, job)| job.finished_at.is_none());
        // What is seen late must not be shown out of its order.
        let until = unfinished.map_or(DateTime::<Utc>::MAX_UTC, |_| until);
        log.lines(changed, until).iter().for_each(|line| say(line));
        match unfinished {
            None => return Ok(rows),
            Some((_, job)) if began.elapsed() > TIME_MAX => {
                return Err(DemoError::Unfinished(job.id, job.state.clone()));
            }
            Some(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// When a job's state changed, and to what.
type Change = (DateTime<Utc>, String);

/// What has been shown.
#[derive(Default)]
struct Log {
    began: Option<DateTime<Utc>>,
    /// How many changes of each job.
    shown: HashMap<i64, usize>,
}

impl Log {
    /// The lines for what happened before `until` and was not shown yet, in its order.
    fn lines(&mut self, changed: Vec<(i64, Vec<Change>)>, until: DateTime<Utc>) -> Vec<String> {
        let mut news = Vec::new();
        for (id, changes) in changed {
            let shown = self.shown.entry(id).or_default();
            let ripe = changes
                .into_iter()
                .skip(*shown)
                .take_while(|(at, _)| *at < until);
            let before = news.len();
            news.extend(ripe.map(|(at, what)| (at, id, what)));
            *shown += news.len() - before;
        }
        news.sort();
        let mut line = |(at, id, what): (DateTime<Utc>, i64, String)| {
            let ms = (at - *self.began.get_or_insert(at)).num_milliseconds();
            format!("{:3}.{:03} s  job {id}: {what}", ms / 1000, ms % 1000)
        };
        news.drain(..).map(&mut line).collect()
    }
}

/// Every change of a job's state until now with its time, oldest first. Read from what the database
/// keeps, so none is missed, however short.
fn changes(job: &JobRow, attempts: &[AttemptRow]) -> Vec<Change> {
    let mut changes = vec![(job.created_at, "scheduled".to_owned())];
    for (n, attempt) in attempts.iter().enumerate() {
        changes.push((
            attempt.claimed_at,
            format!("dialing, attempt {}", attempt.attempt),
        ));
        let newest = n + 1 == attempts.len();
        let known = !newest || (job.attempt == attempt.attempt && job.state != "dialing");
        if let (Some(at), true) = (attempt.replied_at, known) {
            let state = if newest { &job.state } else { "scheduled" };
            let why = match (attempt.error_code, &attempt.meaning, &job.reason) {
                (Some(code), Some(meaning), _) if code != 0 => {
                    format!(" (ErrorCode {code}, {meaning})")
                }
                (Some(code), None, _) if code != 0 => format!(" (ErrorCode {code})"),
                (_, _, Some(reason)) if newest => format!(" ({reason})"),
                _ => String::new(),
            };
            changes.push((at, format!("{state}{why}")));
        }
    }
    changes
}
