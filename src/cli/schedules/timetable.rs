//! When a schedule of the database rings.

use chrono::{DateTime, Utc};

use crate::schedule::{Described, Timetable, TimetableFault};
use crate::store::ScheduleDefinition;

/// When it rings; `created_at` is what an interval without `start_at` is counted from.
///
/// # Errors
/// With what is wrong, as the worker says it too: SQL may have given it anything.
pub(super) fn timetable(
    definition: &ScheduleDefinition,
    created_at: DateTime<Utc>,
) -> Result<Timetable, TimetableFault> {
    let described = Described {
        cron: definition.cron.as_deref(),
        every: definition.every,
        on_times: definition.on_times.as_deref(),
        tz: &definition.tz,
        start_at: definition.start_at.as_deref(),
        end_at: definition.end_at.as_deref(),
        except_dates: [
            definition.except_dates.as_slice(),
            definition.calendar_dates.as_slice(),
        ]
        .concat(),
        created_at,
    };
    described.timetable()
}
