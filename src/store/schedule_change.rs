//! What people do to schedules: plan, pause, resume, skip, run, remove, fill the past.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Serialize;

use super::change::{Refusal, refusal};
use super::{ScheduleDefinition, Store, StoreError};

/// One change of a plan.
#[derive(Clone, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum PlanItem {
    /// A schedule that is not there yet.
    Create {
        /// Its app.
        app: String,
        /// Its name.
        name: String,
        /// What it is.
        definition: Box<ScheduleDefinition>,
    },
    /// One that is to become another; what was made ahead by the old one is withdrawn.
    Change {
        /// Its app.
        app: String,
        /// Its name.
        name: String,
        /// The revision that the plan was made from.
        revision: i64,
        /// What it becomes.
        definition: Box<ScheduleDefinition>,
    },
    /// One that is to go.
    Remove {
        /// Its app.
        app: String,
        /// Its name.
        name: String,
        /// The revision that the plan was made from.
        revision: i64,
    },
}

/// What becomes of jobs that the old definition made ahead, when a plan changes a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MadeAhead {
    /// They are cancelled, and made again if the new definition has the same local times.
    #[default]
    Withdraw,
    /// They ring as they are.
    Keep,
}

/// What a verb on a schedule answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduleAnswer {
    /// A word, as the verb's SQL function documents it.
    Word(String),
    /// The job that was made.
    Job(i64),
    /// There is no such schedule.
    NoSuchSchedule,
    /// It cannot be done, and why.
    Refused(String),
    /// Somebody held the schedule's row all the time; it may work later.
    Busy,
}

/// What a plan led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// All of it: app, name and `created`, `changed` or `removed` of each, in order of app and
    /// name.
    All(Vec<(String, String, String)>),
    /// Nothing, and why: a schedule was changed meanwhile, or the database refuses a definition.
    Refused(String),
    /// Nothing: somebody held a schedule's row all the time; it may work later.
    Busy,
}

/// A firing of the past that shall be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backfill {
    /// Its instant.
    pub nominal_at: DateTime<Utc>,
    /// The local time that it is for.
    pub nominal_local: NaiveDateTime,
    /// Which of two equal local times.
    pub nominal_fold: i16,
}

impl Store {
    /// The most firings of one [`Self::backfill_schedule`].
    pub const BACKFILL_MAX: usize = 1000;

    /// Carries out a plan, all of it or nothing.
    ///
    /// # Errors
    /// If the database cannot answer: then it is not known whether the plan was carried out.
    pub async fn apply_schedules(
        &self,
        plan: &[PlanItem],
        made_ahead: MadeAhead,
    ) -> Result<Applied, StoreError> {
        const VERB: &str = "apply a plan of schedules";
        let plan = text(plan);
        let keep = made_ahead == MadeAhead::Keep;
        let said = sqlx::query_file!("src/store/schedule_apply.sql", plan, keep)
            .fetch_all(&self.pool)
            .await;
        match said {
            Ok(rows) => {
                let done = rows.into_iter().map(|row| (row.app, row.name, row.done));
                Ok(Applied::All(done.collect()))
            }
            Err(error) => Ok(match refusal(error, VERB)? {
                Refusal::Missing(said) | Refusal::Said(said) => Applied::Refused(said),
                Refusal::Busy => Applied::Busy,
            }),
        }
    }

    /// Pauses a schedule: `paused` or `already_paused`.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn pause_schedule(
        &self,
        app: &str,
        name: &str,
        reason: Option<&str>,
    ) -> Result<ScheduleAnswer, StoreError> {
        let said = sqlx::query_file_scalar!("src/store/schedule_pause.sql", name, reason, app)
            .fetch_one(&self.pool)
            .await;
        answer(said.map(ScheduleAnswer::Word), "pause a schedule")
    }

    /// Resumes a schedule: `resumed`, `not_paused` or `disabled`.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn resume_schedule(
        &self,
        app: &str,
        name: &str,
    ) -> Result<ScheduleAnswer, StoreError> {
        let said = sqlx::query_file_scalar!("src/store/schedule_resume.sql", name, app)
            .fetch_one(&self.pool)
            .await;
        answer(said.map(ScheduleAnswer::Word), "resume a schedule")
    }

    /// Leaves out the next firing of a schedule: `skipped`, `nothing_to_skip`, `paused` or
    /// `disabled`.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn skip_next(&self, app: &str, name: &str) -> Result<ScheduleAnswer, StoreError> {
        let said = sqlx::query_file_scalar!("src/store/schedule_skip.sql", name, app)
            .fetch_one(&self.pool)
            .await;
        answer(
            said.map(ScheduleAnswer::Word),
            "skip a firing of a schedule",
        )
    }

    /// Makes a job of a schedule that is due now.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn run_schedule_now(
        &self,
        app: &str,
        name: &str,
    ) -> Result<ScheduleAnswer, StoreError> {
        let said = sqlx::query_file_scalar!("src/store/schedule_run.sql", name, app)
            .fetch_one(&self.pool)
            .await;
        answer(said.map(ScheduleAnswer::Job), "run a schedule")
    }

    /// Removes a schedule: `removed`. Its jobs stay, but for those made ahead.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn remove_schedule(
        &self,
        app: &str,
        name: &str,
    ) -> Result<ScheduleAnswer, StoreError> {
        let said = sqlx::query_file_scalar!("src/store/schedule_remove.sql", name, app)
            .fetch_one(&self.pool)
            .await;
        answer(said.map(ScheduleAnswer::Word), "remove a schedule")
    }

    /// Makes firings of the past that have no job, due now: the instant and the job of each that
    /// was made. At most [`Self::BACKFILL_MAX`]; refused if the schedule is no longer of
    /// `revision`.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn backfill_schedule(
        &self,
        app: &str,
        name: &str,
        revision: i64,
        firings: &[Backfill],
    ) -> Result<Result<Vec<(DateTime<Utc>, i64)>, ScheduleAnswer>, StoreError> {
        let at: Vec<_> = firings.iter().map(|f| f.nominal_at).collect();
        let local: Vec<_> = firings.iter().map(|f| f.nominal_local).collect();
        let fold: Vec<_> = firings.iter().map(|f| f.nominal_fold).collect();
        let file = sqlx::query_file!(
            "src/store/schedule_backfill.sql",
            name,
            &at,
            &local,
            &fold,
            revision,
            app
        );
        match file.fetch_all(&self.pool).await {
            Ok(rows) => Ok(Ok(rows.into_iter().map(|r| (r.firing, r.job_id)).collect())),
            Err(error) => {
                let answered = refused(error, "make firings of the past")?;
                Ok(Err(answered))
            }
        }
    }
}

fn text(plan: &[PlanItem]) -> String {
    serde_json::to_string(plan).expect("every field has a JSON form")
}

/// Tells a schedule that refuses from a database that cannot answer.
fn answer(
    said: sqlx::Result<ScheduleAnswer>,
    verb: &'static str,
) -> Result<ScheduleAnswer, StoreError> {
    said.or_else(|error| refused(error, verb))
}

fn refused(error: sqlx::Error, verb: &'static str) -> Result<ScheduleAnswer, StoreError> {
    Ok(match refusal(error, verb)? {
        Refusal::Missing(_) => ScheduleAnswer::NoSuchSchedule,
        Refusal::Said(said) => ScheduleAnswer::Refused(said),
        Refusal::Busy => ScheduleAnswer::Busy,
    })
}
