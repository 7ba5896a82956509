//! The timetables of schedules, kept from one look to the next.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::schedule::{Described, Timetable, TimetableFault, parse_dates};
use crate::store::DueSchedule;

/// The most timetables that are kept between two looks.
const KEPT_MAX: usize = 4096;

/// Timetables by what they are made of: schedules that ring alike share one.
#[derive(Default)]
pub(super) struct Timetables {
    kept: HashMap<String, Result<Arc<Reckoned>, String>>,
}

/// A timetable and what is worth knowing of it once.
pub(super) struct Reckoned {
    pub(super) timetable: Timetable,
    pub(super) period: Option<Duration>,
}

impl Timetables {
    /// The timetable of a row, or what is wrong with it.
    pub(super) fn of(&mut self, row: &DueSchedule) -> Result<Arc<Reckoned>, String> {
        let key = format!(
            "{:?}",
            (
                (&row.cron, row.every_s, &row.on_times, &row.tz),
                (&row.start_at, &row.end_at, &row.except_dates),
                row.every_s.map(|_| row.created_at),
            )
        );
        if self.kept.len() >= KEPT_MAX && !self.kept.contains_key(&key) {
            self.kept.clear();
        }
        let made = || {
            let timetable = timetable_of(row).map_err(|fault| fault.to_string())?;
            let period = timetable.period();
            Ok(Arc::new(Reckoned { timetable, period }))
        };
        self.kept.entry(key).or_insert_with(made).clone()
    }
}

/// The timetable of a row, or what is wrong with it.
fn timetable_of(row: &DueSchedule) -> Result<Timetable, TimetableFault> {
    let described = Described {
        cron: row.cron.as_deref(),
        every: row
            .every_s
            .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()),
        on_times: row.on_times.as_deref(),
        tz: &row.tz,
        start_at: row.start_at.as_deref(),
        end_at: row.end_at.as_deref(),
        except_dates: parse_dates(&row.except_dates)?,
        created_at: row.created_at,
    };
    described.timetable()
}

impl Reckoned {
    /// Why such a jitter is refused; `None`: it is not.
    pub(super) fn jitter_fault(&self, jitter: Duration, ttl: Duration) -> Option<String> {
        let fault = |what: &str, than: Duration| {
            let must = format!("it must be shorter than {what}, which is {than:?}");
            Some(format!("jitter is {jitter:?}: {must}"))
        };
        match self.period {
            _ if jitter.is_zero() => None,
            Some(period) if jitter >= period => fault("the distance between two firings", period),
            _ if jitter >= ttl => fault("ttl", ttl),
            _ => None,
        }
    }

    /// Whether what was made ahead of the schedule's time, if that was with other zone data, is
    /// what this timetable says.
    ///
    /// A firing that a person has cancelled counts as missing: withdrawing the others costs
    /// nothing, they are made again at once, and it is not.
    pub(super) fn made_these(&self, row: &DueSchedule) -> bool {
        row.pending.as_ref().is_none_or(|pending| {
            let decided = self.timetable.firings(row.now, row.cursor_at);
            decided.map(|firing| firing.at).eq(pending.iter().copied())
        })
    }
}
