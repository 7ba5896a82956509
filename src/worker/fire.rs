//! Duty: firing schedules. Any worker does it for all apps, and none leads: whoever comes first
//! fires, and the others find the schedule's turn gone.
//!
//! A worker that does not know a schedule's zone leaves it for a while to those that do; if there
//! are none, the schedule is at fault.
//!
//! The loop sleeps until a schedule is to be looked at, a notification comes or the poll interval
//! is over. One statement reads what is due, `reckon` decides on the database's clock, and one
//! statement carries it out ([`crate::store::Store::fire`]); a worker that is killed in between has
//! done nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::Context;
use super::reckon::Outcome;
use super::timetables::Timetables;
use crate::call::{Reason, readable};
use crate::schedule::zone_data_version;
use crate::store::{Decision, DueSchedule, Fired, StoreError, Tell};

/// The most schedules of one look.
const BATCH_MAX: usize = 1000;

/// The most jobs and records of one statement, far from its time limit.
const ROWS_MAX: usize = 2000;

/// The most names of unknown zones that are remembered: more than the tz database has.
const UNKNOWN_MAX: usize = 1000;

/// How long the loop waits after the database could not answer.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// How long it waits when a schedule that is due could not be had: another worker was faster, or
/// somebody has it locked. Doubled each time, up to the poll interval.
const LOCKED_AGAIN: Duration = Duration::from_millis(50);

/// Fires until the context is stopped.
pub(super) async fn run(ctx: Arc<Context>) {
    rezone(&ctx).await;
    let mut firer = Firer {
        ctx,
        timetables: Timetables::default(),
        left_alone: false,
        unknown_zones: Vec::new(),
        passed_over: 0,
        failing: false,
    };
    while !firer.ctx.stop.is_cancelled() {
        let wait = match firer.look().await {
            Ok(wait) => {
                firer.failing = false;
                wait
            }
            Err(error) => firer.failed(&error),
        };
        if wait.is_zero() {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = firer.ctx.schedules_changed.notified() => {}
            () = firer.ctx.stop.cancelled() => {}
        }
    }
}

/// Has every schedule looked at that was reckoned with older zone data: 09:00 may be elsewhere now.
async fn rezone(ctx: &Context) {
    let mut after = 0;
    let mut moved = 0;
    while !ctx.stop.is_cancelled() {
        match ctx.store.rezone_schedules(after, zone_data_version()).await {
            Ok((step, next)) => {
                moved += step;
                let Some(next) = next else { break };
                after = next;
            }
            Err(error) => {
                tracing::debug!(%error, "could not look for schedules of older zone data");
                ctx.sleep_or_stop(AFTER_ERROR).await;
            }
        }
    }
    if moved > 0 {
        tracing::info!(
            schedules = moved,
            zone_data = zone_data_version(),
            "schedules are reckoned anew with newer time zone data"
        );
    }
}

struct Firer {
    ctx: Arc<Context>,
    timetables: Timetables,
    /// Whether it was said that some schedules wait for a worker with newer zone data.
    left_alone: bool,
    /// Names of zones that this worker's data does not have, at most [`UNKNOWN_MAX`].
    unknown_zones: Vec<String>,
    /// In how many looks in a row a schedule that was due could not be had.
    passed_over: u32,
    /// Whether it was said that the database does not let it.
    failing: bool,
}

impl Firer {
    /// Looks once; returns how long to wait for the next time.
    async fn look(&mut self) -> Result<Duration, StoreError> {
        if !self.ctx.store.history_is_open() {
            // Firings that were made may be forgotten.
            return Ok(self.ctx.poll_interval);
        }
        let zone_data = zone_data_version();
        let due = self
            .ctx
            .store
            .due_schedules(BATCH_MAX, zone_data, &self.unknown_zones)
            .await?;
        let found = due.len();
        let mut done = 0;
        if found > 0 {
            done = self.carry_out(due).await?;
        }
        if done > 0 && found == BATCH_MAX {
            return Ok(Duration::ZERO);
        }
        let asked = Instant::now();
        let next = self
            .ctx
            .store
            .next_look(zone_data, &self.unknown_zones)
            .await?;
        self.say_if_left_alone(next.left_alone);
        let poll = self.ctx.poll_interval;
        if found > done {
            let wait = LOCKED_AGAIN * (1 << self.passed_over.min(6));
            self.passed_over += 1;
            return Ok(wait.min(poll));
        }
        self.passed_over = 0;
        let due_in = next.due_in.unwrap_or(poll).min(poll);
        // A moment early there would be nothing to find yet.
        let early = Duration::from_micros(200);
        Ok((due_in + early)
            .saturating_sub(asked.elapsed())
            .max(Duration::from_micros(1)))
    }

    /// Says once that it cannot work; returns how long to wait.
    fn failed(&mut self, error: &StoreError) -> Duration {
        if self.failing {
            tracing::debug!(%error, "schedules could not be fired");
        } else {
            tracing::error!(%error, "schedules could not be fired; it is tried until they can");
        }
        self.failing = true;
        AFTER_ERROR
    }

    fn say_if_left_alone(&mut self, left_alone: bool) {
        if left_alone && !self.left_alone {
            tracing::warn!(
                zone_data = zone_data_version(),
                "schedules that were reckoned with newer time zone data are left to workers that \
                 have it; if there are none, update this one"
            );
        }
        self.left_alone = left_alone;
    }

    /// Decides what becomes of these schedules and carries it out; returns for how many that was
    /// done.
    async fn carry_out(&mut self, due: Vec<DueSchedule>) -> Result<usize, StoreError> {
        let mut done = 0;
        let mut faults = Vec::new();
        let mut batch: Vec<(DueSchedule, Decision)> = Vec::new();
        let mut rows = 0;
        for row in due {
            match self.timetables.reckon(&row) {
                Outcome::Decided(decision) => {
                    rows += decision.makes.len() + decision.tells.len();
                    batch.push((row, decision));
                    if rows >= ROWS_MAX {
                        done += self.fire(std::mem::take(&mut batch)).await?;
                        rows = 0;
                    }
                }
                Outcome::LeftToOthers => self.not_ours(&row),
                Outcome::AtFault(fault) => faults.push((row, fault)),
                Outcome::MadeForOtherInstants => {
                    self.ctx.store.withdraw_firings(row.id, row.turn).await?;
                    done += 1;
                }
            }
            // Reckoning may take long, and others have to work too.
            tokio::task::consume_budget().await;
        }
        done += self.fire(batch).await?;
        Ok(done + self.mark(faults).await?)
    }

    /// Remembers a zone that only others know.
    fn not_ours(&mut self, row: &DueSchedule) {
        if self.unknown_zones.len() < UNKNOWN_MAX && !self.unknown_zones.contains(&row.tz) {
            tracing::warn!(
                zone = readable(&row.tz),
                zone_data = zone_data_version(),
                "this worker's time zone data does not have a zone that others know: its \
                 schedules are left to them"
            );
            self.unknown_zones.push(row.tz.clone());
        }
    }

    /// Marks what cannot be reckoned; it stops no other.
    async fn mark(&self, faults: Vec<(DueSchedule, String)>) -> Result<usize, StoreError> {
        if faults.is_empty() {
            return Ok(0);
        }
        let given: Vec<_> = faults
            .iter()
            .map(|(row, fault)| (row.id, row.turn, fault.clone()))
            .collect();
        let marked = self
            .ctx
            .store
            .mark_schedules(&given, zone_data_version())
            .await?;
        for one in &marked {
            self.ctx.metrics.firings_skipped(one.told);
            let found = faults.iter().find(|(row, _)| row.id == one.id);
            if let Some((row, fault)) = found.filter(|_| one.news || one.told > 0) {
                at_fault(row, fault);
            }
        }
        Ok(marked.len())
    }

    /// Fires a batch. What the database refuses is looked for by halves, so that one schedule whose
    /// job cannot be inserted stops no other.
    async fn fire(&self, batch: Vec<(DueSchedule, Decision)>) -> Result<usize, StoreError> {
        if batch.is_empty() {
            return Ok(0);
        }
        let (rows, decisions): (Vec<DueSchedule>, Vec<Decision>) = batch.into_iter().unzip();
        match self.ctx.store.fire(&decisions, zone_data_version()).await {
            Ok(fired) => Ok(self.fired(&rows, &decisions, &fired)),
            Err(error) if decisions.len() > 1 && may_be_about_a_row(&error) => {
                let mut batch: Vec<_> = rows.into_iter().zip(decisions).collect();
                let rest = batch.split_off(batch.len() / 2);
                let done = Box::pin(self.fire(batch)).await?;
                Ok(done + Box::pin(self.fire(rest)).await?)
            }
            Err(error) if is_about_a_row(&error) => {
                self.without_jobs(&rows[0], &decisions[0], &error).await
            }
            Err(error) if may_be_about_a_row(&error) => {
                tracing::warn!(
                    %error,
                    schedule = readable(&rows[0].name),
                    app = readable(&rows[0].app),
                    "a schedule could not be fired yet; it is tried again"
                );
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// A schedule whose jobs the database refuses: they are told as not made, and the schedule goes
    /// on with its next firing.
    async fn without_jobs(
        &self,
        row: &DueSchedule,
        decision: &Decision,
        refusal: &StoreError,
    ) -> Result<usize, StoreError> {
        let said = readable(&refusal.to_string());
        let mut decision = decision.clone();
        let makes = std::mem::take(&mut decision.makes);
        if let (Some(first), Some(last)) = (makes.first(), makes.last()) {
            decision.tells.push(Tell {
                reason: Reason::InsertFailed.as_str().to_owned(),
                first_at: first.nominal_at,
                last_at: last.nominal_at,
                first_local: first.nominal_local,
                firings: makes.len() as u64,
                detail: Some(said.clone()),
            });
        }
        decision.error = Some(said.clone());
        let decisions = [decision];
        let fired = match self.ctx.store.fire(&decisions, zone_data_version()).await {
            Ok(fired) => fired,
            // Not even this can be written of it.
            Err(error) if is_about_a_row(&error) => {
                return self.mark(vec![(row.clone(), said)]).await;
            }
            Err(error) => return Err(error),
        };
        let done = self.fired(std::slice::from_ref(row), &decisions, &fired);
        if done > 0 {
            at_fault(row, &said);
        }
        Ok(done)
    }

    /// Passes on what was done; returns for how many schedules it was.
    fn fired(&self, rows: &[DueSchedule], decisions: &[Decision], fired: &[Fired]) -> usize {
        let mut made = 0;
        let mut done = 0;
        for fired in fired.iter().filter(|fired| fired.done) {
            done += 1;
            made += fired.made;
            if fired.told == 0 {
                continue;
            }
            self.ctx.metrics.firings_skipped(fired.told);
            let place = decisions
                .iter()
                .position(|decision| decision.id == fired.id);
            if let Some(row) = place.and_then(|place| rows.get(place)) {
                tracing::warn!(
                    schedule = readable(&row.name),
                    app = readable(&row.app),
                    firings = fired.told,
                    "firings were not made; callq.skipped_firings says why"
                );
            }
        }
        self.ctx.metrics.firings_made(made);
        if made > 0 {
            // They may be due already.
            self.ctx.wake.news();
        }
        done
    }
}

/// Tells of a schedule that is marked.
fn at_fault(row: &DueSchedule, fault: &str) {
    tracing::error!(
        schedule = readable(&row.name),
        app = readable(&row.app),
        "a schedule is at fault and does not ring: {}",
        readable(fault)
    );
}

/// Whether fewer rows at once may do better: also if they took too long (57014).
fn may_be_about_a_row(error: &StoreError) -> bool {
    is_about_a_row(error) || error.sqlstate().as_deref() == Some("57014")
}

/// Whether the database refuses something of a row, so that others may do better: neither a
/// connection that broke (08), nor a server that is full (53), asked to stop (57) or broken (58),
/// nor a lock (40, 55), nor a standby (25).
fn is_about_a_row(error: &StoreError) -> bool {
    let elsewhere = ["08", "25", "40", "53", "55", "57", "58"];
    matches!(error, StoreError::Statement { .. })
        && error
            .sqlstate()
            .is_some_and(|code| !elsewhere.iter().any(|class| code.starts_with(class)))
}
