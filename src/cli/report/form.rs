//! What each report looks like: its columns, its chart, and what its numbers mean.

use serde_json::Value;

use crate::call::readable;
use crate::store::Report;

/// One report as it is shown.
pub(super) struct Form {
    pub title: &'static str,
    pub if_empty: &'static str,
    /// Whether it is of days; else of how things stand now.
    pub spans_days: bool,
    pub columns: &'static [Column],
    pub chart: Chart,
    /// What the numbers mean, a line each.
    pub definitions: &'static [&'static str],
}

/// One column: its name in the data, and how it is shown.
pub(super) struct Column {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: Unit,
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Text,
    Number,
    /// Of 1, shown in percent.
    Share,
    Percent,
    Weekday,
    Seconds,
    /// An hour or an instant: without its fraction.
    Time,
}

/// What is drawn of it.
pub(super) enum Chart {
    None,
    /// A bar in each row, as long as this column's value is.
    Bars(&'static str),
    /// Weekdays by hours, the darker the higher the answer rate.
    Heatmap,
}

const fn column(name: &'static str, title: &'static str, unit: Unit) -> Column {
    Column { name, title, unit }
}

/// A value for programs: NULL is nothing.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Column {
    /// A value for people.
    pub(super) fn shown(&self, value: &Value) -> String {
        let number = value.as_f64();
        match (self.unit, number) {
            (Unit::Share, Some(share)) => format!("{:.1} %", share * 100.0),
            (Unit::Percent, Some(percent)) => format!("{percent:.1} %"),
            (Unit::Weekday, Some(_)) => weekday(value.as_u64()).to_owned(),
            (Unit::Seconds, Some(_)) => seconds(value.as_u64().unwrap_or(0)),
            (Unit::Time, _) => plain(value)
                .split('.')
                .next()
                .unwrap_or_default()
                .replace('T', " "),
            _ => readable(&plain(value)),
        }
    }
}

/// Monday is 1.
pub(super) fn weekday(number: Option<u64>) -> &'static str {
    const NAMES: [&str; 8] = ["", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let number = number.and_then(|n| usize::try_from(n).ok());
    number.and_then(|n| NAMES.get(n)).copied().unwrap_or("")
}

fn seconds(s: u64) -> String {
    match s {
        0..=119 => format!("{s} s"),
        120..=7199 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

impl Form {
    pub(super) const fn of(report: Report) -> &'static Self {
        match report {
            Report::Daily => &DAILY,
            Report::Heatmap => &HEATMAP,
            Report::Attempts => &ATTEMPTS,
            Report::Minutes => &MINUTES,
            Report::Media => &MEDIA,
            Report::NotCalled => &NOT_CALLED,
            Report::Errors => &ERRORS,
            Report::Lateness => &LATENESS,
            Report::Schedules => &SCHEDULES,
            Report::InDoubt => &IN_DOUBT,
        }
    }
}

const NOBODY_RUNG: &str = "nobody was rung on these days";

const RATE: &str =
    "rate: answered / (legs - unreachable - unknown - pending). What never rang is in not-called.";

static DAILY: Form = Form {
    title: "What became of callees who were rung, by day",
    if_empty: NOBODY_RUNG,
    spans_days: true,
    columns: &[
        column("day", "day", Unit::Text),
        column("legs", "legs", Unit::Number),
        column("answered", "answered", Unit::Number),
        column("declined", "declined", Unit::Number),
        column("busy", "busy", Unit::Number),
        column("no_answer", "no answer", Unit::Number),
        column("cancelled", "cancelled", Unit::Number),
        column("interrupted", "interrupted", Unit::Number),
        column("unreachable", "unreachable", Unit::Number),
        column("unknown", "unknown", Unit::Number),
        column("pending", "pending", Unit::Number),
        column("answer_rate", "rate", Unit::Share),
    ],
    chart: Chart::Bars("answer_rate"),
    definitions: &[
        "legs: callees of calls that were rung, or may have been, on the day of the request; the \
         sum of the next nine.",
        "answered: picked up. declined: refused. busy: in another call. no answer: it rang out.",
        "cancelled: the ring was ended from our side. interrupted: the network ended it. \
         unreachable: the phone did not ring.",
        "unknown: no evidence came while there could be any. pending: not settled yet, doubts \
         included.",
        RATE,
    ],
};

static HEATMAP: Form = Form {
    title: "Who answers when: the answer rate by weekday and hour",
    if_empty: NOBODY_RUNG,
    spans_days: true,
    columns: &[
        column("weekday", "weekday", Unit::Weekday),
        column("hour", "hour", Unit::Number),
        column("rung", "rung", Unit::Number),
        column("answered", "answered", Unit::Number),
        column("answer_rate", "rate", Unit::Share),
    ],
    chart: Chart::Heatmap,
    definitions: &[
        "Percent of answered / rung, by the hour of the request; \u{b7} is nobody rung.",
        "rung: legs less those that are unreachable, unknown or pending.",
        "Shades: \u{2591} below 25 %, \u{2592} below 50 %, \u{2593} below 75 %, \u{2588} from \
         there.",
    ],
};

static ATTEMPTS: Form = Form {
    title: "How many rings it took to reach a callee",
    if_empty: NOBODY_RUNG,
    spans_days: true,
    columns: &[
        column("ring_no", "ring", Unit::Number),
        column("legs", "callees", Unit::Number),
        column("reached", "answered", Unit::Number),
        column("reached_so_far", "so far", Unit::Number),
        column("cumulative_percent", "of all", Unit::Percent),
    ],
    chart: Chart::Bars("cumulative_percent"),
    definitions: &[
        "ring: 1 is the job itself, later ones are its follow-up jobs; each counts on its own day.",
        "of all: who answered this ring or an earlier one, of the callees who had a first ring.",
    ],
};

static MINUTES: Form = Form {
    title: "How long phones rang and how long was talked, by robot",
    if_empty: NOBODY_RUNG,
    spans_days: true,
    columns: &[
        column("robot", "robot", Unit::Text),
        column("legs", "legs", Unit::Number),
        column("answered", "answered", Unit::Number),
        column("ring_minutes", "ring minutes", Unit::Number),
        column("talk_minutes", "talk minutes", Unit::Number),
        column("longest_talk_seconds", "longest talk", Unit::Seconds),
    ],
    chart: Chart::Bars("talk_minutes"),
    definitions: &[
        "Minutes are summed over callees, as far as they are known; the most talk first.",
        "longest talk: of one callee.",
    ],
};

static MEDIA: Form = Form {
    title: "What was played into calls, by day and robot",
    if_empty: "no call of these days had a media_url and was answered",
    spans_days: true,
    columns: &[
        column("day", "day", Unit::Text),
        column("robot", "robot", Unit::Text),
        column("started", "started", Unit::Number),
        column("minutes", "minutes", Unit::Number),
        column("failed", "failed", Unit::Number),
    ],
    chart: Chart::Bars("minutes"),
    definitions: &[
        "minutes: from when it was known to run until it was known to be stopped; what ended by \
         itself was billed for less.",
        "failed: somebody answered and it did not start, or was lost sight of; callq.streams has \
         why.",
    ],
};

static NOT_CALLED: Form = Form {
    title: "Jobs that ended without a call, and why",
    if_empty: "every job of these days that has ended was called",
    spans_days: true,
    columns: &[
        column("state", "state", Unit::Text),
        column("reason", "reason", Unit::Text),
        column("jobs", "jobs", Unit::Number),
        column("sentence", "why", Unit::Text),
    ],
    chart: Chart::Bars("jobs"),
    definitions: &[
        "By the day of run_at. failed, expired, cancelled: nobody was rung, as far as any reply \
         says.",
        "unresolved: nobody knows whether the phone rang; these are not in any answer rate.",
    ],
};

static ERRORS: Form = Form {
    title: "What Tencent refused, by hour and code",
    if_empty: "Tencent refused nothing on these days",
    spans_days: true,
    columns: &[
        column("hour", "hour", Unit::Time),
        column("error_code", "code", Unit::Number),
        column("class", "class", Unit::Text),
        column("count", "replies", Unit::Number),
        column("meaning", "meaning", Unit::Text),
        column("last_request_id", "last RequestId", Unit::Text),
    ],
    chart: Chart::Bars("count"),
    definitions: &[
        "By the hour of the reply. One job may have several: each request counts.",
        "class: safe (tried again), app (the app is paused), cannot (the job fails), in_doubt (it \
         may have rung).",
    ],
};

static LATENESS: Form = Form {
    title: "How late requests left, in milliseconds, by hour",
    if_empty: "no request was sent on these days",
    spans_days: true,
    columns: &[
        column("hour", "hour", Unit::Time),
        column("requests", "requests", Unit::Number),
        column("p50_ms", "p50", Unit::Number),
        column("p95_ms", "p95", Unit::Number),
        column("p99_ms", "p99", Unit::Number),
        column("max_ms", "max", Unit::Number),
    ],
    chart: Chart::Bars("p99_ms"),
    definitions: &[
        "sent_at - due_at of every request, retries included; half of them left within p50.",
        "Percentiles are within 5 % (above 1 ms), the maximum is exact.",
    ],
};

static SCHEDULES: Form = Form {
    title: "Schedules, as they stand",
    if_empty: "there is no such schedule",
    spans_days: false,
    columns: &[
        column("app", "app", Unit::Text),
        column("schedule", "schedule", Unit::Text),
        column("state", "state", Unit::Text),
        column("next_at", "next", Unit::Time),
        column("last_nominal_at", "last", Unit::Time),
        column("last_state", "last state", Unit::Text),
        column("last_outcome", "outcome", Unit::Text),
        column("missed_7d", "missed", Unit::Number),
        column("skipped_7d", "skipped", Unit::Number),
        column("unanswered_streak", "unanswered", Unit::Number),
        column("error", "error", Unit::Text),
    ],
    chart: Chart::None,
    definitions: &[
        "missed, skipped: firings of the last 7 days that were not made: because no worker ran, or \
         for another reason.",
        "unanswered: how many of its newest firings in a row ended without anybody answering, up \
         to 100.",
    ],
};

static IN_DOUBT: Form = Form {
    title: "Jobs whose phone may have rung",
    if_empty: "no job is in doubt",
    spans_days: false,
    columns: &[
        column("job_id", "job", Unit::Number),
        column("app", "app", Unit::Text),
        column("attempt", "attempt", Unit::Number),
        column("robot", "robot", Unit::Text),
        column("room_id", "room", Unit::Text),
        column("age_s", "age", Unit::Seconds),
        column("reason", "reason", Unit::Text),
        column("evidence_looked_for", "what can settle it", Unit::Text),
        column("resolves_at", "resolves at", Unit::Time),
    ],
    chart: Chart::None,
    definitions: &[
        "resolves at: when it is settled without evidence: by another ring if on_doubt = retry, \
         else as unresolved.",
    ],
};
