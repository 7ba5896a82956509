//! Firing: the schedules that are to be looked at, and what a worker decided of them.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::connect::{bounded, watched};
use super::schedules::duration;
use super::{Store, StoreError};

/// A schedule that a worker shall look at now; what it is and how it stands.
///
/// No `Debug`: none of it is secret, but what is logged of schedules is their names.
#[derive(Clone)]
#[allow(
    missing_docs,
    reason = "each field is the column of callq.schedules with its comment there"
)]
pub struct DueSchedule {
    pub id: i64,
    pub turn: i64,
    pub app: String,
    pub name: String,
    pub cron: Option<String>,
    /// In seconds, as it stands there: nobody has checked it.
    pub every_s: Option<f64>,
    pub on_times: Option<Vec<String>>,
    pub tz: String,
    pub ttl: Option<Duration>,
    pub jitter: Duration,
    pub catch_up: String,
    pub catch_up_window: Duration,
    pub overlap: String,
    pub start_at: Option<String>,
    pub end_at: Option<String>,
    /// Those of the calendars too, as text.
    pub except_dates: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub cursor_at: DateTime<Utc>,
    pub stopped_at: Option<DateTime<Utc>>,
    pub barred_until: Option<DateTime<Utc>>,
    pub barred_reason: Option<String>,
    pub skip_next: u32,
    /// If it was reckoned with other zone data, or none: the firings that are made ahead of it.
    pub pending: Option<Vec<DateTime<Utc>>>,
    /// Firings that were known when the schedule was changed, in order.
    pub owed: Vec<DateTime<Utc>>,
    /// Whether others have reckoned it, and have had little time to do so again.
    pub others_can: bool,
    /// The database's clock when it was read.
    pub now: DateTime<Utc>,
}

/// What is to become of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Its id.
    pub id: i64,
    /// The turn that it was read in.
    pub turn: i64,
    /// Its cursor if an earlier job holds the firing that is ahead.
    pub held_at: DateTime<Utc>,
    /// Its cursor otherwise.
    pub cursor_at: DateTime<Utc>,
    /// The first firing behind that.
    pub next_fire_at: Option<DateTime<Utc>>,
    /// When to look again; `None`: not before it is changed.
    pub check_at: Option<DateTime<Utc>>,
    /// The firings behind `cursor_at`, at most ten.
    pub upcoming: Vec<DateTime<Utc>>,
    /// How long after its time a firing may ring if the schedule has no ttl.
    pub default_ttl: Duration,
    /// How many of `skip_next` have been used up.
    pub skips: u32,
    /// What is wrong, if the jobs could not be inserted.
    pub error: Option<String>,
    /// The jobs to make, in order; at most one is ahead if overlaps matter.
    pub makes: Vec<Make>,
    /// What is not made.
    pub tells: Vec<Tell>,
}

/// One firing that becomes a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Make {
    /// Its instant.
    pub nominal_at: DateTime<Utc>,
    /// The local time that it is for.
    pub nominal_local: NaiveDateTime,
    /// Which of two equal local times.
    pub nominal_fold: i16,
    /// Its instant with the jitter.
    pub run_at: DateTime<Utc>,
    /// Its deadline.
    pub expires_at: DateTime<Utc>,
    /// Whether its time is still to come.
    pub when: Timeliness,
}

/// Whether a firing's time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeliness {
    /// It is still to come, and an earlier job may be finished by then.
    Ahead,
    /// It has come: an overlap is settled now.
    Come,
}

/// Firings that are not made, of one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// A word of `callq.reasons`.
    pub reason: String,
    /// The instant of the first.
    pub first_at: DateTime<Utc>,
    /// The instant of the last.
    pub last_at: DateTime<Utc>,
    /// The local time of the first.
    pub first_local: NaiveDateTime,
    /// How many.
    pub firings: u64,
    /// What happened, in words.
    pub detail: Option<String>,
}

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The schedule.
    pub id: i64,
    /// False: it was changed or fired by somebody else meanwhile, or is locked.
    pub done: bool,
    /// How many jobs were made.
    pub made: u64,
    /// How many firings are told as not made, overlaps included.
    pub told: u64,
    /// How many earlier jobs were cancelled or asked to be.
    pub overtaken: u64,
}

/// A schedule that was marked as at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// The schedule.
    pub id: i64,
    /// Whether its fault was another one before, or none.
    pub news: bool,
    /// How many firings are told as not made.
    pub told: u64,
}

/// How long until a worker has to look at schedules again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextLook {
    /// Until the next one is to be looked at; `None`: none is.
    pub due_in: Option<Duration>,
    /// Some wait for a worker with newer zone data.
    pub left_alone: bool,
}

impl Store {
    /// How long a row of `callq.skipped_firings` is kept: longer than any schedule's year.
    pub const SKIPPED_KEPT: Duration = Duration::from_hours(400 * 24);

    /// The most of these rows that are read, and deleted, at once.
    pub const SKIPPED_STEP: i64 = 1000;

    /// The schedules to be looked at now, at most `limit`, those that wait longest first; without
    /// those that were reckoned with newer zone data than `zone_data`, and for a while without
    /// those of `unknown_zones` that others have reckoned.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn due_schedules(
        &self,
        limit: usize,
        zone_data: &str,
        unknown_zones: &[String],
    ) -> Result<Vec<DueSchedule>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = bounded!(
            self,
            "look for schedules that are due",
            fetch_all,
            sqlx::query_file!(
                "src/store/schedules_due.sql",
                limit,
                zone_data,
                unknown_zones
            )
        )?;
        let due = rows.into_iter().map(|row| DueSchedule {
            id: row.id,
            turn: row.turn,
            app: row.app,
            name: row.name,
            cron: row.cron,
            every_s: row.every_s,
            on_times: row.on_times,
            tz: row.tz,
            ttl: row.ttl_s.map(|s| duration(s).unwrap_or_default()),
            jitter: duration(row.jitter_s).unwrap_or_default(),
            catch_up: row.catch_up,
            catch_up_window: duration(row.catch_up_window_s).unwrap_or_default(),
            overlap: row.overlap,
            start_at: row.start_at,
            end_at: row.end_at,
            except_dates: row.except_dates,
            created_at: row.created_at,
            cursor_at: row.cursor_at,
            stopped_at: row.stopped.filter(|_| row.is_stopped),
            barred_until: row.barred_until,
            barred_reason: row.barred_reason,
            skip_next: u32::try_from(row.skip_next).unwrap_or(0),
            pending: row.pending,
            owed: row.owed,
            others_can: row.others_can,
            now: row.now,
        });
        Ok(due.collect())
    }

    /// How long until [`Self::due_schedules`] has something.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn next_look(
        &self,
        zone_data: &str,
        unknown_zones: &[String],
    ) -> Result<NextLook, StoreError> {
        let row = bounded!(
            self,
            "look for the next schedule",
            fetch_one,
            sqlx::query_file!("src/store/schedules_wait.sql", zone_data, unknown_zones)
        )?;
        Ok(NextLook {
            due_in: row.next_s.map(|s| duration(s).unwrap_or_default()),
            left_alone: row.left_alone,
        })
    }

    /// Carries decisions out, each all of it or nothing, and all in one statement; a schedule must
    /// be among them once.
    ///
    /// # Errors
    /// If the database refuses a row, then nothing is done; or cannot answer, then it is not known,
    /// and doing it again does nothing twice.
    pub async fn fire(
        &self,
        decisions: &[Decision],
        zone_data: &str,
    ) -> Result<Vec<Fired>, StoreError> {
        let of = Columns::of(decisions);
        let rows = watched!(
            self,
            "fire schedules",
            fetch_all,
            sqlx::query_file!(
                "src/store/fire.sql",
                &of.id,
                &of.turn,
                &of.held_at,
                &of.cursor_at,
                &of.next_fire_at as &[Option<DateTime<Utc>>],
                &of.check_at as &[Option<DateTime<Utc>>],
                &of.upcoming,
                &of.default_ttl_s,
                &of.skips,
                &of.error as &[Option<String>],
                zone_data,
                &of.make_id,
                &of.nominal_at,
                &of.nominal_local,
                &of.nominal_fold,
                &of.run_at,
                &of.expires_at,
                &of.ahead,
                &of.tell_id,
                &of.reason,
                &of.first_at,
                &of.last_at,
                &of.first_local,
                &of.firings,
                &of.detail as &[Option<String>],
            )
        )?;
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        let fired = rows.into_iter().map(|row| Fired {
            id: row.id,
            done: row.done,
            made: count(row.made),
            told: count(row.told),
            overtaken: count(row.overtaken),
        });
        Ok(fired.collect())
    }

    /// Marks schedules that cannot be reckoned, each with its id, the turn it was read in, and what
    /// is wrong. Returns those that had not changed meanwhile.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn mark_schedules(
        &self,
        faults: &[(i64, i64, String)],
        zone_data: &str,
    ) -> Result<Vec<Marked>, StoreError> {
        let ids: Vec<i64> = faults.iter().map(|fault| fault.0).collect();
        let turns: Vec<i64> = faults.iter().map(|fault| fault.1).collect();
        let errors: Vec<String> = faults.iter().map(|fault| fault.2.clone()).collect();
        let rows = watched!(
            self,
            "mark schedules that are at fault",
            fetch_all,
            sqlx::query_file!(
                "src/store/schedules_at_fault.sql",
                &ids,
                &turns,
                &errors,
                zone_data
            )
        )?;
        let marked = rows.into_iter().map(|row| Marked {
            id: row.id,
            news: row.news,
            told: u64::try_from(row.told).unwrap_or(0),
        });
        Ok(marked.collect())
    }

    /// How many schedules are at fault, counted up to 1000.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn schedules_at_fault(&self) -> Result<i64, StoreError> {
        bounded!(
            self,
            "count the schedules at fault",
            fetch_one,
            sqlx::query_file_scalar!("src/store/schedules_faulty.sql")
        )
    }

    /// Deletes the records of firings that were not made and are older than
    /// [`Self::SKIPPED_KEPT`], among the oldest [`Self::SKIPPED_STEP`]. Returns how many it were.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn prune_skipped_firings(&self) -> Result<i64, StoreError> {
        bounded!(
            self,
            "delete old records of firings",
            fetch_one,
            sqlx::query_file_scalar!(
                "src/store/skipped_prune.sql",
                Self::SKIPPED_KEPT.as_secs_f64(),
                Self::SKIPPED_STEP
            )
        )
    }

    /// Withdraws what a schedule made ahead, if its turn is still `turn`, and has it looked at
    /// anew.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn withdraw_firings(&self, id: i64, turn: i64) -> Result<(), StoreError> {
        watched!(
            self,
            "withdraw firings",
            execute,
            sqlx::query_file!("src/store/schedule_withdraw.sql", id, turn)
        )?;
        Ok(())
    }

    /// Has schedules behind the id `after` looked at anew if they were reckoned with zone data that
    /// is older than `zone_data`: a bounded step. Returns how many it found and where to go on;
    /// `None` at the end.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn rezone_schedules(
        &self,
        after: i64,
        zone_data: &str,
    ) -> Result<(i64, Option<i64>), StoreError> {
        const STEP: i64 = 2000;
        let row = bounded!(
            self,
            "look for schedules of older zone data",
            fetch_one,
            sqlx::query_file!("src/store/schedules_rezone.sql", zone_data, after, STEP)
        )?;
        Ok((row.moved, row.last_id.filter(|_| row.rows == STEP)))
    }
}

/// Decisions as the statement takes them.
#[derive(Default)]
struct Columns {
    id: Vec<i64>,
    turn: Vec<i64>,
    held_at: Vec<DateTime<Utc>>,
    cursor_at: Vec<DateTime<Utc>>,
    next_fire_at: Vec<Option<DateTime<Utc>>>,
    check_at: Vec<Option<DateTime<Utc>>>,
    upcoming: Vec<String>,
    default_ttl_s: Vec<f64>,
    skips: Vec<i32>,
    error: Vec<Option<String>>,
    make_id: Vec<i64>,
    nominal_at: Vec<DateTime<Utc>>,
    nominal_local: Vec<NaiveDateTime>,
    nominal_fold: Vec<i16>,
    run_at: Vec<DateTime<Utc>>,
    expires_at: Vec<DateTime<Utc>>,
    ahead: Vec<bool>,
    tell_id: Vec<i64>,
    reason: Vec<String>,
    first_at: Vec<DateTime<Utc>>,
    last_at: Vec<DateTime<Utc>>,
    first_local: Vec<NaiveDateTime>,
    firings: Vec<i64>,
    detail: Vec<Option<String>>,
}

impl Columns {
    fn of(decisions: &[Decision]) -> Self {
        let mut of = Self::default();
        for decision in decisions {
            of.id.push(decision.id);
            of.turn.push(decision.turn);
            of.held_at.push(decision.held_at);
            of.cursor_at.push(decision.cursor_at);
            of.next_fire_at.push(decision.next_fire_at);
            of.check_at.push(decision.check_at);
            of.upcoming.push(array(&decision.upcoming));
            of.default_ttl_s.push(decision.default_ttl.as_secs_f64());
            of.skips
                .push(i32::try_from(decision.skips).unwrap_or(i32::MAX));
            of.error.push(decision.error.clone());
            for make in &decision.makes {
                of.make_id.push(decision.id);
                of.nominal_at.push(make.nominal_at);
                of.nominal_local.push(make.nominal_local);
                of.nominal_fold.push(make.nominal_fold);
                of.run_at.push(make.run_at);
                of.expires_at.push(make.expires_at);
                of.ahead.push(make.when == Timeliness::Ahead);
            }
            for tell in &decision.tells {
                of.tell_id.push(decision.id);
                of.reason.push(tell.reason.clone());
                of.first_at.push(tell.first_at);
                of.last_at.push(tell.last_at);
                of.first_local.push(tell.first_local);
                of.firings
                    .push(i64::try_from(tell.firings).unwrap_or(i64::MAX));
                of.detail.push(tell.detail.clone());
            }
        }
        of
    }
}

/// The text of an array of instants: PostgreSQL knows no arrays of arrays of different lengths.
fn array(instants: &[DateTime<Utc>]) -> String {
    let each: Vec<String> = instants
        .iter()
        .map(|at| format!("{}Z", at.format("%Y-%m-%dT%H:%M:%S")))
        .collect();
    format!("{{{}}}", each.join(","))
}
