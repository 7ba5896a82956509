//! `callq status`

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::apps::{everything_is_paused, pace, pause};
use super::when::{ago, time};
use super::{Failure, print};
use crate::call::readable;
use crate::config;
use crate::store::{AppRow, Gauge, Overall, Store};

const EXAMPLES: &str = "Examples:\n  \
    callq status\n  \
    callq status --watch\n  \
    callq status --json | jq '.apps[] | select(.waiting and (.served | not))'";

/// Between two looks of `--watch`.
const REFRESH: Duration = Duration::from_secs(1);

/// How the queue stands: what is due, overdue, under way, in doubt, paused, or served by nobody.
///
/// Finished and future jobs are not counted. A job is overdue when it has been due for 5 s. Ends
/// with 0 whatever it shows.
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
    pub(super) async fn run(self) -> Result<(), Failure> {
        let url = config::database_url(&config::Process)?;
        let store = Store::connect(&url, 1).await?;
        store.check_schema().await?;
        loop {
            let overall = store.overall().await?;
            let apps = store.apps().await?;
            if self.json {
                print::json(&json(&overall, &apps))?;
            } else {
                if self.watch {
                    print::clear_screen()?;
                }
                print::line(&screen(&overall, &apps))?;
            }
            if !self.watch {
                return Ok(());
            }
            tokio::time::sleep(REFRESH).await;
        }
    }
}

fn total(apps: &[AppRow], of: impl Fn(&AppRow) -> i64) -> i64 {
    apps.iter().map(of).sum()
}

fn oldest(apps: &[AppRow]) -> Option<DateTime<Utc>> {
    apps.iter().filter_map(|app| app.oldest_due_at).min()
}

fn json(overall: &Overall, apps: &[AppRow]) -> Value {
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

fn screen(overall: &Overall, apps: &[AppRow]) -> String {
    let now = overall.now;
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
    let wrong = troubles(overall, apps);
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
        write!(text, "\n{}", table(apps)).expect("a String takes all");
    }
    text
}

/// What needs somebody, each as a sentence with the way out.
fn troubles(overall: &Overall, apps: &[AppRow]) -> Vec<String> {
    let mut lines = Vec::new();
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
        if app.in_doubt > 0 {
            lines.push(format!(
                "App {name} has {} in doubt: callq jobs list --state in_doubt --app {name}",
                count(app.in_doubt)
            ));
        }
    }
    lines
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
