//! `callq status`

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::apps::{everything_is_paused, pace, pause};
use super::schedules::health::{Schedules, zone_data};
use super::settings::ConfigFile;
use super::table::shown;
use super::when::{ago, time};
use super::{Failure, print};
use crate::call::readable;
use crate::schedule::zone_data_version;
use crate::store::{AppRow, CircuitRow, Gauge, Overall, RecordsRow, Store, Waiting, WorkerRow};

const EXAMPLES: &str = "Examples:\n  \
    callq status\n  \
    callq status --watch\n  \
    callq status --json | jq '.apps[] | select(.waiting and (.served | not))'";

/// Between two looks of `--watch`.
const REFRESH: Duration = Duration::from_secs(1);

/// How the queue stands: due, overdue, under way, in doubt, paused, or served by nobody; and what
/// keeps schedules from ringing.
///
/// Finished and future jobs are not counted. A job is overdue when it has been due for 5 s. Workers
/// tell of themselves every 5 s; one that has been silent for 20 s counts as gone, and is shown for
/// an hour. Ends with 0 whatever it shows.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Status {
    /// Show it anew every second, until Ctrl-C
    #[arg(long)]
    watch: bool,

    /// One JSON object, or with --watch one per line, for programs
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        let url = config.database_url()?;
        let store = Store::connect(url.expose(), 1).await?;
        store.check_schema().await?;
        loop {
            let seen = Seen::read(&store).await?;
            if self.json {
                print::json(&json(&seen))?;
            } else {
                if self.watch {
                    print::clear_screen()?;
                }
                print::line(&screen(&seen))?;
            }
            if !self.watch {
                return Ok(());
            }
            tokio::time::sleep(REFRESH).await;
        }
    }
}

/// One look at everything.
struct Seen {
    overall: Overall,
    apps: Vec<AppRow>,
    workers: Vec<WorkerRow>,
    circuits: Vec<CircuitRow>,
    records: Vec<RecordsRow>,
    history: Waiting,
    schedules: Schedules,
}

impl Seen {
    async fn read(store: &Store) -> Result<Self, Failure> {
        Ok(Self {
            overall: store.overall().await?,
            apps: store.apps().await?,
            workers: store.workers().await?,
            circuits: store.circuits().await?,
            records: store.records().await?,
            history: store.waiting().await?,
            schedules: Schedules::read(store).await?,
        })
    }
}

fn total(apps: &[AppRow], of: impl Fn(&AppRow) -> i64) -> i64 {
    apps.iter().map(of).sum()
}

fn oldest(apps: &[AppRow]) -> Option<DateTime<Utc>> {
    apps.iter().filter_map(|app| app.oldest_due_at).min()
}

fn json(seen: &Seen) -> Value {
    let (overall, apps) = (&seen.overall, &seen.apps);
    json!({
        "now": overall.now,
        "due": total(apps, |a| a.due),
        "overdue": total(apps, |a| a.overdue),
        "oldest_due_at": oldest(apps),
        "dialing": total(apps, |a| a.dialing),
        "in_doubt": total(apps, |a| a.in_doubt),
        "paused_at": overall.paused_at,
        "pause_reason": overall.pause_reason,
        "paused_by": overall.paused_by,
        "apps": apps,
        "workers": seen.workers,
        "circuits": seen.circuits,
        "records": seen.records,
        "history": seen.history,
        "schedules": seen.schedules.health,
        "schedules_at_fault": seen.schedules.faults,
        "zone_data": zone_data_version(),
    })
}

/// A count, where counting stopped said as such.
fn count(jobs: i64) -> String {
    if jobs >= Gauge::COUNTED_UP_TO {
        format!("{} or more", Gauge::COUNTED_UP_TO)
    } else {
        jobs.to_string()
    }
}

fn screen(seen: &Seen) -> String {
    let (now, apps) = (seen.overall.now, &seen.apps);
    let mut text = format!("{}\n\n", time(now));
    let mut row = |name: &str, value: String| {
        writeln!(text, "{name:<9} {value}").expect("a String takes all");
    };
    row("due", count(total(apps, |a| a.due)));
    let overdue = total(apps, |a| a.overdue);
    let since = oldest(apps).filter(|_| overdue > 0);
    let since = since.map_or_else(String::new, |at| {
        format!(", the oldest since {} ({})", time(at), ago(at, now))
    });
    row("overdue", format!("{}{since}", count(overdue)));
    row("dialing", count(total(apps, |a| a.dialing)));
    row("in doubt", count(total(apps, |a| a.in_doubt)));
    if !seen.records.is_empty() {
        let calls = count(seen.records.iter().map(|of| of.followed).sum());
        row("followed", format!("{calls}, until their record is read"));
    }
    if let Some(schedules) = seen.schedules.count() {
        row(
            "schedules",
            format!("{schedules}; zone data {}", zone_data()),
        );
    }
    let wrong = troubles(seen);
    if wrong.is_empty() {
        text.push_str("\nNothing holds the queue.\n");
    } else {
        text.push('\n');
        for line in wrong {
            text.push_str(&line);
            text.push('\n');
        }
    }
    if !apps.is_empty() {
        writeln!(text, "\n{}", shown(&table(apps))).expect("a String takes all");
    }
    if !seen.workers.is_empty() {
        let workers = shown(&worker_table(&seen.workers, now));
        writeln!(text, "\n{workers}").expect("a String takes all");
    }
    text.truncate(text.trim_end().len());
    text
}

/// What needs somebody, each as a sentence with the way out.
fn troubles(seen: &Seen) -> Vec<String> {
    let (overall, apps) = (&seen.overall, &seen.apps);
    let mut lines = Vec::new();
    if !seen.history.is_accepted() {
        lines.push(format!(
            "Nothing is claimed: {}. To do: {}",
            readable(&seen.history.says),
            readable(&seen.history.next_step)
        ));
    }
    if let Some(paused) = everything_is_paused(overall) {
        lines.push(format!("{paused}. To end it: callq apps resume --all"));
    }
    for app in apps {
        let name = readable(&app.app);
        if let Some(pause) = pause(app) {
            lines.push(format!(
                "App {name} is paused: {pause}. To end it: callq apps resume {name}"
            ));
        }
        if app.waiting && !app.served {
            let last = app.served_at.map_or_else(
                || "none ever did".to_owned(),
                |at| format!("the last one did {}", ago(at, overall.now)),
            );
            lines.push(format!(
                "App {name} has waiting jobs and no worker serves it: {last}. Start one"
            ));
        }
        lines.extend(media(app));
        if app.in_doubt > 0 {
            lines.push(format!(
                "App {name} has {} in doubt: callq jobs list --state in_doubt --app {name}",
                count(app.in_doubt)
            ));
        }
    }
    lines.extend(
        seen.circuits
            .iter()
            .map(|circuit| unreachable(circuit, seen)),
    );
    let gone = |worker: &&WorkerRow| worker.state == "gone";
    lines.extend(seen.workers.iter().filter(gone).map(|worker| {
        format!(
            "Worker {} has been silent since {} ({}): what it had under way becomes in doubt",
            readable(&worker.worker),
            time(worker.seen_at),
            ago(worker.seen_at, overall.now)
        )
    }));
    lines.extend(seen.records.iter().filter_map(|of| unread(of, overall.now)));
    let schedules = seen.schedules.troubles(overall.now).into_iter();
    lines.extend(schedules.map(|(what, way_out)| format!("{what}: {way_out}")));
    lines
}

/// Why nobody learns what became of an app's calls.
fn unread(of: &RecordsRow, now: DateTime<Utc>) -> Option<String> {
    let why = match (&of.failure, &of.worker) {
        (Some(failure), _) => format!("its call records cannot be read: {}", readable(failure)),
        (None, None) if of.followed > 0 => "no worker reads its call records. Start one".to_owned(),
        _ => return None,
    };
    let last = of.read_at.map_or_else(String::new, |at| {
        format!(" They were read last at {} ({})", time(at), ago(at, now))
    });
    Some(format!(
        "App {}: what became of {} calls is not known, because {why}.{last}",
        readable(&of.app),
        count(of.followed)
    ))
}

/// What keeps media of an app from being played.
fn media(app: &AppRow) -> Vec<String> {
    let name = readable(&app.app);
    let mut lines = Vec::new();
    if let Some(retry_at) = app.media_retry_at {
        let failure = readable(app.media_failure.as_deref().unwrap_or("no reason"));
        lines.push(format!(
            "Media of app {name} is paused, its calls ring in silence: {failure}. It is tried \
             again at {}; mend the CAM key or the package",
            time(retry_at)
        ));
    }
    if app.media_waits {
        lines.push(format!(
            "App {name} has jobs with a media_url, and a worker without a CAM key for it: \
             they wait. Give every worker of the app cam_secret_id and cam_secret_key_file"
        ));
    }
    lines
}

/// A host that a worker cannot reach, and whether another can.
fn unreachable(circuit: &CircuitRow, seen: &Seen) -> String {
    let (app, now) = (readable(&circuit.app), seen.overall.now);
    let all = seen
        .apps
        .iter()
        .any(|row| row.app == circuit.app && row.unreachable_since.is_some());
    let others = if all {
        "; no other can"
    } else {
        "; another can"
    };
    format!(
        "App {app}: worker {} cannot reach its host since {} ({}){others}: {}. One job finds out \
         at {}",
        readable(&circuit.worker),
        time(circuit.since),
        ago(circuit.since, now),
        readable(&circuit.failure),
        time(circuit.next_try_at),
    )
}

/// The workers, a row each.
fn worker_table(workers: &[WorkerRow], now: DateTime<Utc>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "worker",
        "state",
        "apps",
        "in flight",
        "unrecorded",
        "seen",
        "version",
    ]);
    for worker in workers {
        let apps: Vec<String> = worker.apps.iter().map(|app| readable(app)).collect();
        let deaf = if worker.listener_deaf {
            ", polls only"
        } else {
            ""
        };
        table.add_row([
            readable(&worker.worker),
            format!("{}{deaf}", readable(&worker.state)),
            apps.join(", "),
            format!("{} of {}", worker.in_flight, worker.concurrency),
            worker.unrecorded.to_string(),
            ago(worker.seen_at, now),
            readable(&worker.version),
        ]);
    }
    table
}

fn table(apps: &[AppRow]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "app",
        "due",
        "overdue",
        "dialing",
        "in doubt",
        "served",
        "pace/s",
        "used in a minute",
    ]);
    for app in apps {
        table.add_row([
            readable(&app.app),
            count(app.due),
            count(app.overdue),
            count(app.dialing),
            count(app.in_doubt),
            if app.served { "yes" } else { "no" }.to_owned(),
            pace(app),
            used(app),
        ]);
    }
    table
}

/// The calls of the last minute, and what share of the pace they are.
#[allow(
    clippy::cast_precision_loss,
    reason = "a share, shown without decimals"
)]
fn used(app: &AppRow) -> String {
    let most = app.calls_per_second * 60.0;
    let share = app.calls_last_minute as f64 / most * 100.0;
    format!("{} ({share:.0} %)", app.calls_last_minute)
}
