//! Recurring calls: when a schedule rings.
//!
//! Pure: no sqlx, no reqwest, no async, no clock. Zone data is read once in a process, from the
//! newer of the tz database that is built in and the system's ([`zone_data_version`]).
//!
//! # What an expression means
//!
//! What it means to cronie. Five fields: minute, hour, day of the month, month, day of the week;
//! six with seconds first; `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`,
//! `@annually`. Numbers, names of three letters in any case, lists, ranges, steps of a range or of
//! `*`. 0 and 7 are Sunday. If both day fields are restricted either matches; if one begins with
//! `*`, as in `*/2`, both must match. Anything else is refused in words, and so is what never
//! fires, such as 30 February. The `cron` crate walks the calendar (`calendar.rs`), and sees
//! nothing else.
//!
//! # What a change of the clock does
//!
//! An expression whose minute or hour field begins with `*` follows real time: it rings whenever
//! the clock shows a matching time. Every other one, and every time of a list, is a fixed time: it
//! rings at the first instant at which the clock shows that time or a later one.
//!
//! | local time | fixed time | real time |
//! |---|---|---|
//! | exists once | then | then |
//! | exists twice | at the first | at both |
//! | does not exist | once, at the first instant after the gap | not at all |
//! | its whole day does not exist | not at all; [`Timetable::missing_days`] tells | not at all |
//!
//! Every instant rings once: several fixed times in one gap, and one at its very end, are one
//! firing, which has the name ([`Firing::local`]) of the first of them. A field of seconds changes
//! none of this; its star makes nothing follow real time.
//!
//! Two departures from cronie. It takes a jump of more than three hours for a clock that was set by
//! hand, and loses the fixed times in it; here they ring after the gap as with any other, unless
//! their whole day is missing, for a zone's data is never a correction. (Since 1970 that concerns
//! Antarctica/Vostok alone.) And it starts a job for each of several fixed times in a gap, ten
//! seconds apart; a phone rings once. Whether a change is summer time, winter time as in Dublin or
//! a new standard time makes no difference.
//!
//! An interval ([`Recurrence::Every`]) is real time from `start_at`, and knows the zone for dates
//! that are left out alone.
//!
//! # Bounds
//!
//! Local times of the years 1970 to 2100. At most [`DATES_MAX`] dates or times of a schedule,
//! [`EXPRESSION_BYTES_MAX`] bytes of an expression. What is asked takes microseconds whatever the
//! expression, for each date left out one more step at most; counting and catching up do not walk
//! through firings.

mod calendar;
mod clock;
mod count;
mod dates;
mod described;
mod expression;
mod fault;
mod field;
mod jitter;
mod local;
mod missed;
mod missing;
mod period;
mod recurrence;
mod times;
mod timetable;
mod words;
mod zone;

pub use dates::{parse_calendar, parse_dates};
pub use described::Described;
pub use expression::{EXPRESSION_BYTES_MAX, Expression};
pub use fault::{ExpressionFault, TimetableFault};
pub use jitter::jitter_of;
pub use missed::{CAUGHT_UP_MAX, CatchUp, Missed, SkippedSpan};
pub use missing::MissingDay;
pub use recurrence::{DATES_MAX, Interval, LocalTimes, Recurrence};
pub use timetable::{Firing, Timetable, TimetableFields};
pub use words::ClockChange;
pub use zone::{Zone, zone_data_is_of_the_system, zone_data_version, zone_names};
