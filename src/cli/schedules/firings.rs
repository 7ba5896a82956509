//! The firings of a schedule, as a table with what changes of the clock do to them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, SubsecRound as _, TimeDelta, Utc};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::schedule::{ClockChange, Firing, Recurrence, Timetable, Zone};

/// A firing for people and programs.
#[derive(Serialize)]
pub(super) struct Shown {
    /// The instant.
    pub(super) at: DateTime<Utc>,
    /// What the zone's clock shows then.
    pub(super) local: NaiveDateTime,
    /// Local time less UTC, as `+01:00`.
    pub(super) offset: String,
    /// What a change of the clock does to it.
    pub(super) note: Option<String>,
}

impl Shown {
    pub(super) fn of(timetable: &Timetable, firing: &Firing) -> Self {
        let local = timetable.zone().local(firing.at);
        Self {
            at: firing.at,
            local,
            offset: offset_shown(offset(timetable.zone(), firing.at)),
            note: timetable.words(firing),
        }
    }
}

impl Shown {
    /// `Sun 2026-03-08 03:00 -04:00`.
    fn shown(&self) -> String {
        format!("{} {}", local_shown(self.local), self.offset)
    }
}

/// The next firings after `after`, `count` at most.
pub(super) fn next(timetable: &Timetable, after: DateTime<Utc>, count: usize) -> Vec<Shown> {
    let firings = timetable.firings(after, DateTime::<Utc>::MAX_UTC);
    let firings = firings.take(count);
    firings
        .map(|firing| Shown::of(timetable, &firing))
        .collect()
}

/// The firings as a table.
pub(super) fn table(firings: &[Shown], zone: &Zone) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([zone.name(), "UTC"]);
    for firing in firings {
        table.add_row([
            firing.shown(),
            firing.at.to_rfc3339_opts(SecondsFormat::Secs, true),
        ]);
    }
    table
}

/// What is to be known of them: a line for each that has a note, and one for each change of the
/// clock, and each day left out, that no note tells of; at most `most` of these.
pub(super) fn notes(
    timetable: &Timetable,
    firings: &[Shown],
    after: DateTime<Utc>,
    most: usize,
) -> Vec<String> {
    let Some(last) = firings.last() else {
        return Vec::new();
    };
    let noted = firings.iter().filter_map(|firing| {
        let note = firing.note.as_ref()?;
        Some((firing.local.date(), format!("{}: {note}", firing.shown())))
    });
    let noted: Vec<(NaiveDate, String)> = noted.collect();
    // A time that exists twice may be the last one shown.
    let until = last.at + TimeDelta::hours(3);
    let is_told = |change: &ClockChange| {
        let about = |(day, note): &(NaiveDate, String)| {
            let after = (*day - change.day).num_days();
            (0..TOLD_WITHIN_DAYS).contains(&after) && note.contains(&change.what)
        };
        noted.iter().any(about)
    };
    let mut told = Vec::new();
    for change in changes(timetable, after, until, most) {
        if !is_told(&change) {
            let then = match (change.left_out, timetable.recurrence()) {
                (Some(left_out), _) => left_out,
                (None, Recurrence::Every(_)) => "the interval goes on in real time".to_owned(),
                (None, _) => "it touches none of these firings".to_owned(),
            };
            let day = change.day.format("%a %Y-%m-%d");
            told.push(format!("{day}: {}: {then}", change.what));
        }
    }
    for day in timetable.missing_days(after, until) {
        let what = format!("{} does not exist", day.date);
        if noted.iter().all(|(_, note)| !note.contains(&what)) {
            told.push(format!("{what}: firings left out: {}", day.count));
        }
    }
    let noted = noted.into_iter().map(|(_, note)| note);
    noted.chain(told).take(most).collect()
}

/// `Sun 2026-03-08 03:00`, with seconds if there are any.
pub(super) fn local_shown(local: NaiveDateTime) -> String {
    let seconds = local.and_utc().timestamp() % 60 != 0;
    let form = if seconds {
        "%a %Y-%m-%d %H:%M:%S"
    } else {
        "%a %Y-%m-%d %H:%M"
    };
    local.format(form).to_string()
}

fn offset(zone: &Zone, at: DateTime<Utc>) -> TimeDelta {
    zone.local(at) - at.trunc_subsecs(0).naive_utc()
}

fn offset_shown(offset: TimeDelta) -> String {
    let seconds = offset.num_seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.abs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let rest = match rest {
        0 => String::new(),
        rest => format!(":{rest:02}"),
    };
    format!("{sign}{hours:02}:{minutes:02}{rest}")
}

/// A firing tells of a change by which others were left out not much later than this.
const TOLD_WITHIN_DAYS: i64 = 32;

/// The changes of the zone's clock after `from`, up to `until`; at most `most` of them.
fn changes(
    timetable: &Timetable,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    most: usize,
) -> Vec<ClockChange> {
    /// No zone changes its clock and back within less.
    const STEP: TimeDelta = TimeDelta::days(1);
    let zone = timetable.zone();
    let mut found = Vec::new();
    let mut at = from.trunc_subsecs(0);
    while at < until && found.len() < most {
        let next = (at + STEP).min(until);
        if offset(zone, at) != offset(zone, next) {
            let (mut before, mut after) = (at, next);
            while after - before > TimeDelta::seconds(1) {
                let middle = (before + (after - before) / 2).trunc_subsecs(0);
                if offset(zone, middle) == offset(zone, at) {
                    before = middle;
                } else {
                    after = middle;
                }
            }
            found.extend(timetable.clock_change(after));
        }
        at = next;
    }
    found
}
