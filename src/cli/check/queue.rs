//! The settings of the queue, and what keeps its jobs waiting, as lines.

use chrono::{DateTime, Utc};

use super::finding::Finding;
use crate::call::readable;
use crate::cli::apps::{everything_is_paused, pause};
use crate::cli::schedules::health::{Schedules, zone_data};
use crate::store::{AppRow, DatabaseSettings, Overall, Waiting};

/// Whether workers go by this history of the database.
pub(super) fn history(waiting: &Waiting) -> Finding {
    const CHECK: &str = "history";
    match waiting.state.as_str() {
        "accepted" => Finding::ok(CHECK, "workers go by this database"),
        "standby" => Finding::skip(CHECK, "a standby: workers do not connect to it"),
        _ => Finding::could_not(
            CHECK,
            readable(&waiting.says),
            &readable(&waiting.next_step),
        ),
    }
}

/// `callq.settings`.
pub(super) fn settings(settings: &DatabaseSettings) -> Finding {
    const CHECK: &str = "settings";
    let zone = readable(&settings.report_time_zone);
    if !settings.zone_is_known {
        return Finding::warn(
            CHECK,
            format!("the reports' time zone {zone} is not known to PostgreSQL"),
            "UPDATE callq.settings SET report_time_zone to an IANA name, such as Asia/Shanghai",
        );
    }
    if !settings.notify {
        return Finding::warn(
            CHECK,
            "notify is off: a job that is due at once waits for the workers' poll interval",
            "UPDATE callq.settings SET notify = true, unless inserts were too slow with it",
        );
    }
    Finding::ok(CHECK, format!("notify is on, reports are in {zone}"))
}

/// What is paused, and why.
pub(super) fn pauses(overall: &Overall, apps: &[AppRow]) -> Finding {
    const CHECK: &str = "pauses";
    if let Some(paused) = everything_is_paused(overall) {
        return Finding::warn(CHECK, paused, "`callq apps resume --all` ends it");
    }
    let paused = apps.iter().filter_map(|app| {
        let why = pause(app)?;
        Some(format!("app {}: {why}", readable(&app.app)))
    });
    let paused: Vec<String> = paused.collect();
    if paused.is_empty() {
        return Finding::ok(CHECK, "nothing is paused");
    }
    Finding::warn(
        CHECK,
        paused.join("; "),
        "mend the cause, then `callq apps resume APP`",
    )
}

/// Jobs that nobody sends.
pub(super) fn workers(apps: &[AppRow]) -> Finding {
    const CHECK: &str = "workers";
    let left = apps.iter().filter(|app| app.due > 0 && !app.served);
    let left: Vec<String> = left
        .map(|app| format!("app {} has {} due", readable(&app.app), app.due))
        .collect();
    if left.is_empty() {
        return Finding::ok(CHECK, "no job is due that no worker serves");
    }
    Finding::warn(
        CHECK,
        format!("no worker serves jobs: {}", left.join(", ")),
        "start `callq worker` with these apps configured",
    )
}

/// Schedules that do not ring.
pub(super) fn schedules(schedules: &Schedules, now: DateTime<Utc>) -> Finding {
    const CHECK: &str = "schedules";
    let troubles = schedules.troubles(now);
    let Some((_, way_out)) = troubles.first() else {
        let count = schedules.count();
        let count = count.map_or_else(|| "there is none".to_owned(), |count| count + " in all");
        return Finding::ok(CHECK, count);
    };
    let said = troubles.iter().map(|(what, _)| what.as_str());
    let said: Vec<&str> = said.collect();
    Finding::warn(CHECK, said.join("; "), way_out)
}

/// The time zone data that schedules are reckoned with.
pub(super) fn zones() -> Finding {
    Finding::ok("time zones", format!("data of {}", zone_data()))
}
