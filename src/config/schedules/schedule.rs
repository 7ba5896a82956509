//! What a schedule's file means.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate};
use serde_json::{Map, Value as Json};
use toml::de::DeTable;

use super::calendar;
use super::call::{CallTemplate, call};
use super::dates::{calendars, edge, except_dates};
use super::files::name as name_of;
use super::keys;
use super::reader::{Found, Reader, Values};
use super::rings::{Rings, rings};
use super::text::{self, Text};
use super::{Fault, Faults, Place, looks_like_a_secret, shown};
use crate::call::RingPolicy;
use crate::config::duration_shown;
use crate::config::settings::DEFAULT_APP;
use crate::schedule::{Timetable, TimetableFields, Zone};

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The longest name of an app, as in `callq.jobs.app`.
const APP_BYTES_MAX: usize = 64;

/// So many lines of one file are told not to be TOML.
const SYNTAX_FAULTS_MAX: usize = 10;

/// The longest catch-up window.
const WINDOW_MAX: Duration = Duration::from_hours(366 * 24);

/// The deadline of a firing whose schedule says nothing, if its period is not shorter.
const TTL_DEFAULT: Duration = Duration::from_hours(1);

/// A schedule as its file describes it: every rule is kept. `Debug` shows which one it is.
#[derive(Clone, PartialEq)]
pub struct ScheduleFile {
    /// Where its name stands.
    pub place: Place,
    /// The app that places its calls.
    pub app: String,
    /// Its name, unique in the app.
    pub name: String,
    /// When it rings, as it is written.
    pub rings: Rings,
    /// When it rings, as instants.
    pub timetable: Timetable,
    /// Whether it rings at all.
    pub enabled: bool,
    /// How long after its time a call may be placed; `None`: an hour or the period.
    pub ttl: Option<Duration>,
    /// How much later a call is placed at most.
    pub jitter: Duration,
    /// `latest`, `all` or `none`.
    pub catch_up: &'static str,
    /// How old a missed firing may be.
    pub catch_up_window: Duration,
    /// `skip`, `allow` or `cancel_previous`.
    pub overlap: &'static str,
    /// When nothing rings yet, as it is written.
    pub start_at: Option<String>,
    /// When nothing rings any more, as it is written.
    pub end_at: Option<String>,
    /// Dates left out, in order.
    pub except_dates: Vec<NaiveDate>,
    /// The calendars, as they are named.
    pub calendars: Vec<String>,
    /// The dates of all calendars, in order.
    pub calendar_dates: Vec<NaiveDate>,
    /// Who is rung again; `None`: as the app's configuration has it.
    pub ring_policy: Option<Map<String, Json>>,
    /// What each call is.
    pub call: CallTemplate,
}

impl fmt::Debug for ScheduleFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScheduleFile")
            .field("app", &self.app)
            .field("name", &self.name)
            .field("rings", &self.rings)
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

/// The schedule of a file; `None` if anything is wrong with it, which is told.
pub(super) fn schedule(
    path: &Arc<Path>,
    bytes: &[u8],
    faults: &mut Faults,
) -> Option<ScheduleFile> {
    if calendar::is_one(bytes) {
        let what = "holds dates and no schedule: name it in a schedule's file, as \
                    calendars = [\"holidays.txt\"]";
        faults.add(Fault::new(name_of(path), what));
        return None;
    }
    // Who gives it some other file learns that from the first of its lines.
    let mut no_toml = Faults::at_most(SYNTAX_FAULTS_MAX);
    let read = text::read(path, bytes, &mut no_toml);
    faults.take(no_toml.none());
    let Text { lines, table } = read?;
    let mut reader = Reader::of(lines);
    let schedule = understood(&mut reader, table.get_ref());
    let schedule = schedule.filter(|_| reader.is_content());
    reader.tell(faults);
    schedule
}

/// As far as it is understood.
fn understood<'a>(reader: &mut Reader<'a>, table: &DeTable<'a>) -> Option<ScheduleFile> {
    let (top, call_values) = reader.sections(table);
    let name = name(reader, &top);
    let app = app(reader, &top);
    let zone = zone(reader, &top);
    let rings = rings(reader, &top);
    let enabled = reader.truth(&top, keys::ENABLED).unwrap_or(true);
    let catch_up = reader.word(&top, keys::CATCH_UP, &["latest", "all", "none"]);
    let window = reader.duration(&top, keys::CATCH_UP_WINDOW);
    let long = window.as_ref().filter(|window| window.value > WINDOW_MAX);
    if let Some(Found { value, at }) = long {
        reader.refuse(keys::CATCH_UP_WINDOW, *at, duration_shown(*value));
    }
    let overlap = reader.word(&top, keys::OVERLAP, &["skip", "allow", "cancel_previous"]);
    let except_dates = except_dates(reader, &top);
    let (calendars, calendar_dates) = calendars(reader, &top);
    let edges = zone.as_ref().map(|zone| {
        let start = edge(reader, &top, keys::START_AT, |t| zone.start_at(t));
        let end = edge(reader, &top, keys::END_AT, |t| zone.end_at(t));
        (start.unzip(), end.unzip())
    });
    let ttl = reader.duration(&top, keys::TTL);
    if let Some(ttl) = ttl.as_ref().filter(|ttl| ttl.value.is_zero()) {
        reader.refuse(keys::TTL, ttl.at, "0s");
    }
    let jitter = reader.duration(&top, keys::JITTER);
    let ring_policy = ring_policy(reader, &top);
    let call = if let Some(values) = &call_values {
        call(reader, values)
    } else {
        let what = "section [call]: must have one, with robot_account and callees";
        reader.lacks(keys::CALL, what);
        None
    };
    let (zone, rings, ((start, start_at), (end, end_at))) = (zone?, rings?, edges?);
    if start.zip(end).is_some_and(|(start, end)| end < start) {
        let (start, end) = (start_at.as_deref(), end_at.as_deref());
        let (start, end) = (start.unwrap_or_default(), end.unwrap_or_default());
        let what = format!("end_at is {end}: must not be before start_at, {start}");
        reader.fault(top[keys::END_AT.name].span().start, what);
        return None;
    }
    // Without it an interval is counted from when the schedule is made: any instant does here.
    let counted = matches!(rings.written, Rings::Every(_)).then_some(DateTime::UNIX_EPOCH);
    let fields = TimetableFields {
        recurrence: rings.recurrence,
        zone,
        start_at: start.or(counted),
        end_at: end,
        except_dates: [except_dates.clone(), calendar_dates.clone()].concat(),
    };
    let timetable = match Timetable::new(fields) {
        Ok(timetable) => timetable,
        Err(fault) => {
            let dates = [keys::CALENDARS, keys::EXCEPT_DATES];
            let dates = dates.iter().find_map(|key| top.get(key.name));
            reader.fault(dates.map_or(rings.at, |dates| dates.span().start), fault);
            return None;
        }
    };
    if let Some(jitter) = &jitter {
        judge_jitter(reader, &timetable, ttl.as_ref(), jitter);
    }
    let Found { value: name, at } = name?;
    Some(ScheduleFile {
        place: reader.place(at),
        app: app?,
        name,
        rings: rings.written,
        enabled,
        ttl: ttl.map(|ttl| ttl.value),
        jitter: jitter.map_or(Duration::ZERO, |jitter| jitter.value),
        catch_up: catch_up.unwrap_or("latest"),
        catch_up_window: window.map_or(Duration::from_mins(10), |window| window.value),
        overlap: overlap.unwrap_or("skip"),
        start_at,
        end_at,
        except_dates,
        calendars,
        calendar_dates,
        ring_policy,
        call: call?,
        timetable,
    })
}

fn name<'a>(reader: &mut Reader<'a>, top: &Values<'_, 'a>) -> Option<Found<String>> {
    if !top.contains_key(keys::NAME.name) {
        reader.missing(keys::NAME);
    }
    let name = reader.text(top, keys::NAME)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let length = name.value.chars().count();
    let sound = (1..=NAME_CHARS_MAX).contains(&length) && name.value.chars().all(fits);
    if !sound || is_secret(&name.value) {
        reader.refuse(keys::NAME, name.at, shown(&name.value));
        return None;
    }
    Some(name)
}

fn app<'a>(reader: &mut Reader<'a>, top: &Values<'_, 'a>) -> Option<String> {
    if !top.contains_key(keys::APP.name) {
        return Some(DEFAULT_APP.to_owned());
    }
    let app = reader.text(top, keys::APP)?;
    let sound = (1..=APP_BYTES_MAX).contains(&app.value.len());
    if !sound || is_secret(&app.value) {
        reader.refuse(keys::APP, app.at, shown(&app.value));
        return None;
    }
    Some(app.value)
}

fn ring_policy<'a>(reader: &mut Reader<'a>, top: &Values<'_, 'a>) -> Option<Map<String, Json>> {
    let Found { value, at } = reader.object(top, keys::RING_POLICY)?;
    if let Err(fault) = RingPolicy::default().with(&value) {
        reader.fault(at, format_args!("ring_policy is refused: {fault}"));
    }
    Some(value)
}

/// Whether a name is a secret key that strayed there: shorter ones may be names.
fn is_secret(name: &str) -> bool {
    const SECRET_BYTES_MIN: usize = 64;
    name.len() >= SECRET_BYTES_MIN && looks_like_a_secret(name)
}

fn zone<'a>(reader: &mut Reader<'a>, top: &Values<'_, 'a>) -> Option<Zone> {
    if !top.contains_key(keys::TZ.name) {
        reader.missing(keys::TZ);
    }
    let given = reader.text(top, keys::TZ)?;
    if !reader.may_quote(keys::TZ, &given) {
        return None;
    }
    match Zone::find(&given.value) {
        Ok(zone) => Some(zone),
        Err(fault) => {
            reader.fault(given.at, fault);
            None
        }
    }
}

/// A jitter as long as the deadline or the period would let calls expire, or change their order.
fn judge_jitter(
    reader: &mut Reader<'_>,
    timetable: &Timetable,
    ttl: Option<&Found<Duration>>,
    jitter: &Found<Duration>,
) {
    let period = timetable.period();
    let ttl = ttl.map(|ttl| ttl.value);
    let ttl = ttl.unwrap_or_else(|| period.map_or(TTL_DEFAULT, |p| p.min(TTL_DEFAULT)));
    let given = duration_shown(jitter.value);
    if jitter.value.is_zero() {
        return;
    }
    if let Some(period) = period.filter(|period| jitter.value >= *period) {
        let what = format!(
            "jitter is {given}: must be shorter than the period, {}",
            duration_shown(period)
        );
        reader.fault(jitter.at, what);
    } else if jitter.value >= ttl {
        let what = format!(
            "jitter is {given}: must be shorter than ttl, {}",
            duration_shown(ttl)
        );
        reader.fault(jitter.at, what);
    }
}
