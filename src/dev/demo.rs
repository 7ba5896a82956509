//! Five calls, from INSERT to result, on a stack of their own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::postgres::StartOptions;
use super::stack::{Stack, StackError};
use crate::store::{JobRow, NewJob, StoreError};

/// How often the rows are looked at. What is shown is what they say.
const LOOK_EVERY: Duration = Duration::from_millis(10);

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
    let began = Instant::now();
    let mut jobs = Vec::new();
    for call in &CALLS {
        let job = NewJob {
            robot_account: "reminder-bot".to_owned(),
            callees: call.callees.iter().map(|c| (*c).to_owned()).collect(),
            due_in: call.due_in,
        };
        let id = stack.store().enqueue(&job).await?;
        say(&format!(
            "job {id}: INSERT, callees {} ({})",
            call.callees.join(", "),
            call.about
        ));
        jobs.push((call.about, id));
    }
    let mut seen: HashMap<i64, (String, i32)> = HashMap::new();
    loop {
        let mut rows = Vec::new();
        for (about, id) in &jobs {
            if let Some(row) = stack.store().job(*id).await? {
                let now = (row.state.clone(), row.attempt);
                if seen.get(id) != Some(&now) {
                    say(&change(began.elapsed(), &row));
                    seen.insert(*id, now);
                }
                rows.push((*about, row));
            }
        }
        let unfinished = rows.iter().find(|(_, row)| row.finished_at.is_none());
        match unfinished {
            None => return Ok(rows),
            Some((_, row)) if began.elapsed() > TIME_MAX => {
                return Err(DemoError::Unfinished(row.id, row.state.clone()));
            }
            Some(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

fn change(at: Duration, row: &JobRow) -> String {
    let why = match (&row.reason, row.error_code) {
        (Some(reason), Some(code)) if code != 0 => format!(" ({reason}, ErrorCode {code})"),
        (Some(reason), _) => format!(" ({reason})"),
        (None, _) => String::new(),
    };
    format!(
        "{:6.3} s  job {}: {}{why}",
        at.as_secs_f64(),
        row.id,
        row.state
    )
}
