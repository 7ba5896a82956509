//! When a schedule of the database rings.

use chrono::{DateTime, Utc};

use crate::schedule::{
    Expression, Interval, LocalTimes, Recurrence, Timetable, TimetableFields, Zone,
};
use crate::store::ScheduleDefinition;

/// When it rings; `created_at` is what an interval without `start_at` is counted from.
///
/// # Errors
/// With what is wrong, as the worker says it too: SQL may have given it anything.
pub(super) fn timetable(
    definition: &ScheduleDefinition,
    created_at: DateTime<Utc>,
) -> Result<Timetable, String> {
    let zone = Zone::find(&definition.tz).map_err(|fault| fault.to_string())?;
    let recurrence = recurrence(definition)?;
    let start_at = definition.start_at.as_ref().map(|text| zone.start_at(text));
    let start_at = start_at.transpose().map_err(|fault| fault.to_string())?;
    let end_at = definition.end_at.as_ref().map(|text| zone.end_at(text));
    let end_at = end_at.transpose().map_err(|fault| fault.to_string())?;
    let counted = matches!(recurrence, Recurrence::Every(_)).then_some(created_at);
    let timetable = Timetable::new(TimetableFields {
        recurrence,
        start_at: start_at.or(counted),
        end_at,
        except_dates: [
            definition.except_dates.as_slice(),
            definition.calendar_dates.as_slice(),
        ]
        .concat(),
        zone,
    });
    timetable.map_err(|fault| fault.to_string())
}

fn recurrence(definition: &ScheduleDefinition) -> Result<Recurrence, String> {
    if let Some(cron) = &definition.cron {
        let expression = Expression::parse(cron);
        return expression
            .map(Recurrence::Cron)
            .map_err(|fault| format!("cron: {fault}"));
    }
    if let Some(every) = definition.every {
        let interval = Interval::new(every);
        return interval
            .map(Recurrence::Every)
            .map_err(|fault| fault.to_string());
    }
    let times = definition.on_times.as_deref().unwrap_or_default();
    LocalTimes::parse(times)
        .map(Recurrence::On)
        .map_err(|fault| fault.to_string())
}
