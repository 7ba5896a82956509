//! `callq schedules pause`, `resume`, `run-now`, `skip-next` and `remove`

use clap::Args;
use serde_json::json;

use super::apply::must_ask;
use super::find::Which;
use crate::call::readable;
use crate::cli::{Failure, ask, print};
use crate::store::{ScheduleAnswer, Store};

/// Keep a schedule from ringing until it is resumed.
///
/// Calls that it made ahead are cancelled. What would have rung meanwhile is not made up for, and
/// told in callq.skipped_firings.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    callq schedules pause morning-meds --reason 'Jack is in hospital'")]
pub(super) struct Pause {
    #[command(flatten)]
    which: Which,

    /// Why, for whoever finds it paused
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

impl Pause {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let (app, name) = (self.which.app(), self.which.name());
        let reason = self.reason.as_deref().map(str::trim);
        let reason = reason.filter(|reason| !reason.is_empty());
        let answer = store.pause_schedule(app, name, reason).await?;
        tell(&self.which, store, answer, self.json).await
    }
}

/// End a pause: the schedule's next firing rings.
///
/// What would have rung during the pause is not made up for; `callq schedules show` lists it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  callq schedules resume morning-meds")]
pub(super) struct Resume {
    #[command(flatten)]
    which: Which,

    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

impl Resume {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let (app, name) = (self.which.app(), self.which.name());
        let answer = store.resume_schedule(app, name).await?;
        tell(&self.which, store, answer, self.json).await
    }
}

/// Make a job of a schedule that is due now, beside its firings.
///
/// Works also while the schedule is paused. The job's id is printed; `callq jobs show ID` tells
/// what became of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  callq schedules run-now on-call-alarm-test")]
pub(super) struct RunNow {
    #[command(flatten)]
    which: Which,

    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

impl RunNow {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let (app, name) = (self.which.app(), self.which.name());
        let answer = store.run_schedule_now(app, name).await?;
        tell(&self.which, store, answer, self.json).await
    }
}

/// Leave out the next firing of a schedule; again, the one after it too.
///
/// The next one is the next that has not rung, also if its time has come and it waits for its
/// jitter. A call that was made for it is cancelled. It is told in callq.skipped_firings.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  callq schedules skip-next wake-up-call")]
pub(super) struct SkipNext {
    #[command(flatten)]
    which: Which,

    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

impl SkipNext {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let (app, name) = (self.which.app(), self.which.name());
        let answer = store.skip_next(app, name).await?;
        match &answer {
            ScheduleAnswer::Word(word) if !self.json => {
                let shown = self.which.shown();
                print::line(&format!("{shown}: {}", skip_sentence(word)))
            }
            _ => tell(&self.which, store, answer, self.json).await,
        }
    }
}

/// Remove a schedule. Its jobs stay, but for those that still wait, which are cancelled.
///
/// Where files describe the schedules, remove the file and apply with --prune instead: the next
/// `callq schedules apply` would make it again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  callq schedules remove morning-meds --yes")]
pub(super) struct Remove {
    #[command(flatten)]
    which: Which,

    /// Do not ask; needed where there is no terminal to ask on
    #[arg(long)]
    yes: bool,

    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

impl Remove {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        must_ask(self.yes, "a schedule is removed")?;
        if !self.yes {
            self.which.row(store).await?;
            if !ask::agreed(&format!("remove the {}?", self.which.shown()))? {
                print::note("nothing was changed");
                return Ok(());
            }
        }
        let (app, name) = (self.which.app(), self.which.name());
        let answer = store.remove_schedule(app, name).await?;
        tell(&self.which, store, answer, self.json).await
    }
}

/// Tells what a verb answered.
pub(super) async fn tell(
    which: &Which,
    store: &Store,
    answer: ScheduleAnswer,
    json: bool,
) -> Result<(), Failure> {
    let (app, name) = (which.app(), which.name());
    let shown = which.shown();
    match answer {
        ScheduleAnswer::Word(word) if json => {
            print::json(&json!({ "app": app, "name": name, "answer": word }))
        }
        ScheduleAnswer::Job(id) if json => {
            print::json(&json!({ "app": app, "name": name, "job_id": id }))
        }
        ScheduleAnswer::Word(word) => print::line(&format!("{shown}: {}", sentence(&word))),
        ScheduleAnswer::Job(id) => print::line(&format!("{shown}: job {id} is due now")),
        ScheduleAnswer::NoSuchSchedule => Err(which.missing(store).await?),
        ScheduleAnswer::Refused(why) => Err(Failure::Cannot(anyhow::Error::msg(readable(&why)))),
        ScheduleAnswer::Busy => {
            let text = format!("{shown} is held by another session all the time");
            Err(Failure::CouldNot(anyhow::Error::msg(text)).hint("try again"))
        }
    }
}

/// What a verb's word means.
fn sentence(word: &str) -> &str {
    match word {
        "already_paused" => "is paused already, and the reason stays",
        "not_paused" => "is not paused",
        "disabled" => "is not paused, and does not ring because enabled is false",
        other => other,
    }
}

/// What the word of `skip-next` means: here a pause is why nothing is done.
fn skip_sentence(word: &str) -> &str {
    match word {
        "skipped" => "the next firing is left out",
        "nothing_to_skip" => "never rings again: there is nothing to leave out",
        "paused" => "is paused, and rings nobody: there is nothing to leave out",
        "disabled" => "does not ring because enabled is false: there is nothing to leave out",
        other => other,
    }
}
