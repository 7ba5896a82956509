//! A timetable from the columns that describe it.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

use super::fault::TimetableFault;
use super::timetable::{Timetable, TimetableFields};
use super::{Expression, Interval, LocalTimes, Recurrence, Zone};

/// When a schedule rings, as its row says it. Nobody has checked that: SQL may have given it
/// anything.
#[derive(Clone, Debug)]
pub struct Described<'a> {
    /// One of these three is given: a cron expression,
    pub cron: Option<&'a str>,
    /// an interval,
    pub every: Option<Duration>,
    /// or local times.
    pub on_times: Option<&'a [String]>,
    /// The IANA name of the zone.
    pub tz: &'a str,
    /// As [`Zone::start_at`] reads it.
    pub start_at: Option<&'a str>,
    /// As [`Zone::end_at`] reads it.
    pub end_at: Option<&'a str>,
    /// Local dates on which nothing rings.
    pub except_dates: Vec<NaiveDate>,
    /// What an interval without `start_at` is counted from.
    pub created_at: DateTime<Utc>,
}

impl Described<'_> {
    /// The timetable.
    ///
    /// # Errors
    /// With what is wrong; of an expression, with its column's name first.
    pub fn timetable(self) -> Result<Timetable, TimetableFault> {
        let zone = Zone::find(self.tz)?;
        let recurrence = match (self.cron, self.every, self.on_times) {
            (Some(cron), None, None) => {
                let expression = Expression::parse(cron);
                Recurrence::Cron(
                    expression.map_err(|fault| TimetableFault(format!("cron: {fault}")))?,
                )
            }
            (None, Some(every), None) => Recurrence::Every(Interval::new(every)?),
            (None, None, Some(times)) => Recurrence::On(LocalTimes::parse(times)?),
            _ => {
                let text = "one of cron, every and on_times must be given";
                return Err(TimetableFault(text.to_owned()));
            }
        };
        let start_at = self.start_at.map(|at| zone.start_at(at)).transpose()?;
        let end_at = self.end_at.map(|at| zone.end_at(at)).transpose()?;
        let counted = matches!(recurrence, Recurrence::Every(_)).then_some(self.created_at);
        Timetable::new(TimetableFields {
            recurrence,
            start_at: start_at.or(counted),
            end_at,
            except_dates: self.except_dates,
            zone,
        })
    }
}
