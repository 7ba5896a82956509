//! `callq apps`

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};

use super::settings::ConfigFile;
use super::table::shown;
use super::when::{ago, time};
use super::{Failure, print};
use crate::call::readable;
use crate::store::{AppRow, Overall, Store};

const EXAMPLES: &str = "Examples:\n  \
    callq apps list\n  \
    callq apps pause clinic --reason 'wrong prompt recorded'\n  \
    callq apps resume clinic\n  \
    callq apps pause --all --reason 'fire drill'";

/// Look at apps: who serves them, their pace and pauses; pause and resume them.
///
/// An app is one SDKAppID with its credentials, by the name that a job's column app and the
/// configuration give it; default where neither says.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Apps {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Pause(Pause),
    Resume(Resume),
}

impl Apps {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        let url = config.database_url()?;
        let store = Store::connect(url.expose(), 1).await?;
        store.check_schema().await?;
        match self.command {
            Command::List(list) => list.run(&store).await,
            Command::Pause(pause) => pause.run(&store).await,
            Command::Resume(resume) => resume.run(&store).await,
        }
    }
}

/// Every app that has open jobs, or was ever served or paused.
///
/// Calls of the last minute are those of all workers. An app is served while a worker says so; one
/// that falls silent is missed after 20 s.
#[derive(Debug, Args)]
struct List {
    /// One JSON object per app, for programs
    #[arg(long)]
    json: bool,
}

impl List {
    async fn run(self, store: &Store) -> Result<(), Failure> {
        let overall = store.overall().await?;
        let apps = store.apps().await?;
        if self.json {
            for app in &apps {
                print::json(app)?;
            }
            return Ok(());
        }
        if let Some(paused) = everything_is_paused(&overall) {
            print::line(&paused)?;
        }
        if apps.is_empty() {
            print::note("there is no app: no worker has ever run here, and no job waits");
            return Ok(());
        }
        print::line(&shown(&table(&apps, overall.now)))
    }
}

/// Keep an app's jobs, or all, from being sent until they are resumed.
///
/// In force within a second. Requests under way are finished. Jobs go on waiting, and expire at
/// their deadline.
#[derive(Debug, Args)]
struct Pause {
    #[command(flatten)]
    which: Which,

    /// Why, for whoever finds it paused
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// The app is not known yet: pause it before its first job
    #[arg(long, conflicts_with = "all")]
    new: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The app's name
    #[arg(value_name = "APP")]
    app: Option<String>,

    /// Every app, also those to come
    #[arg(long)]
    all: bool,
}

impl Pause {
    async fn run(self, store: &Store) -> Result<(), Failure> {
        let reason = self.reason.trim();
        if reason.is_empty() {
            let fault = anyhow::anyhow!("--reason is empty: say why, for whoever finds it paused");
            return Err(Failure::Cannot(fault));
        }
        let Some(app) = self.which.app else {
            store.pause_all(reason).await?;
            return print::line("everything is paused; `callq apps resume --all` ends it");
        };
        if !self.new {
            known(store, &app, " To pause it before its first job, add --new.").await?;
        }
        store.pause_app(&app, reason).await?;
        print::line(&format!(
            "app {0} is paused; `callq apps resume {0}` ends it",
            readable(&app)
        ))
    }
}

/// End a pause: the jobs that are due are sent, at the app's pace.
///
/// Jobs past their deadline are not. The end of a pause of everything leaves apps paused that were
/// paused by themselves.
#[derive(Debug, Args)]
struct Resume {
    #[command(flatten)]
    which: Which,
}

impl Resume {
    async fn run(self, store: &Store) -> Result<(), Failure> {
        let Some(app) = self.which.app else {
            let was_paused = store.resume_all().await?;
            print::line(if was_paused {
                "the pause of everything has ended"
            } else {
                "not everything was paused"
            })?;
            let apps = store.apps().await?;
            let names = apps.iter().filter(|app| app.paused_at.is_some());
            let names: Vec<String> = names.map(|app| readable(&app.app)).collect();
            if !names.is_empty() {
                print::line(&format!("still paused by itself: {}", names.join(", ")))?;
            }
            return Ok(());
        };
        known(store, &app, "").await?;
        let was_paused = store.resume_app(&app).await?;
        let name = readable(&app);
        print::line(&if was_paused {
            format!("app {name} is resumed")
        } else {
            format!("app {name} was not paused by itself")
        })?;
        match everything_is_paused(&store.overall().await?) {
            Some(paused) => print::line(&paused),
            None => Ok(()),
        }
    }
}

/// Refuses a name that no app has, with the nearest that one has.
async fn known(store: &Store, app: &str, way_out: &str) -> Result<(), Failure> {
    let apps = store.apps().await?;
    if apps.iter().any(|known| known.app == app) {
        return Ok(());
    }
    let distance = |known: &&AppRow| strsim::osa_distance(&known.app, app);
    let nearest = apps.iter().min_by_key(distance);
    let nearest = nearest.filter(|near| distance(near) <= app.chars().count().div_ceil(2));
    let name = readable(app);
    let unknown = Failure::NoSuchThing(format!("there is no app {name}"));
    let meant = nearest.map_or_else(
        || "`callq apps list` shows them.".to_owned(),
        |near| format!("did you mean {}?", readable(&near.app)),
    );
    Err(unknown.hint(meant + way_out))
}

/// The pause of everything, as a sentence.
pub(super) fn everything_is_paused(overall: &Overall) -> Option<String> {
    overall.paused_at.map(|at| {
        format!(
            "Everything is paused since {} by {}: {}",
            time(at),
            readable(overall.paused_by.as_deref().unwrap_or("somebody")),
            readable(overall.pause_reason.as_deref().unwrap_or("")),
        )
    })
}

fn table(apps: &[AppRow], now: DateTime<Utc>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "app",
        "kind, host",
        "served",
        "pace/s",
        "calls in a minute",
        "last success",
        "throttled",
        "paused",
    ]);
    for app in apps {
        let since =
            |at: Option<DateTime<Utc>>| at.map_or_else(|| "never".to_owned(), |at| ago(at, now));
        let place = [app.kind.as_deref(), app.host.as_deref()];
        let place: Vec<String> = place.into_iter().flatten().map(readable).collect();
        table.add_row([
            readable(&app.app),
            place.join(", "),
            if app.served {
                served_by(app)
            } else {
                app.served_at.map_or_else(
                    || "never".to_owned(),
                    |at| format!("no, last {}", ago(at, now)),
                )
            },
            pace(app),
            app.calls_last_minute.to_string(),
            since(app.last_success_at),
            since(app.throttled_at),
            pause(app).unwrap_or_default(),
        ]);
    }
    table
}

/// Who serves it. A worker of an earlier version serves without a name.
fn served_by(app: &AppRow) -> String {
    let workers: Vec<String> = app.workers.iter().map(|worker| readable(worker)).collect();
    let workers = match workers.as_slice() {
        [] => "yes".to_owned(),
        workers => workers.join(", "),
    };
    match app.unreachable_since {
        Some(at) => format!("{workers}; host unreachable since {}", time(at)),
        None => workers,
    }
}

/// The pace, and what is left of it after a throttle or an outage.
pub(super) fn pace(app: &AppRow) -> String {
    let whole = app.calls_per_second;
    if app.calls_per_second_now < whole {
        format!("{:.0} of {whole}", app.calls_per_second_now)
    } else {
        whole.to_string()
    }
}

/// The app's own pause: why, since when, by whom.
pub(super) fn pause(app: &AppRow) -> Option<String> {
    let at = app.paused_at?;
    let reason = readable(app.pause_reason.as_deref().unwrap_or(""));
    let detail = app.pause_detail.as_deref().map(readable);
    let detail = detail.map_or_else(String::new, |detail| format!(" ({detail})"));
    let by = readable(app.paused_by.as_deref().unwrap_or("somebody"));
    let next = app.probe_at.map(time);
    let next = next.map_or_else(String::new, |at| {
        format!("; Tencent is asked again at {at}")
    });
    Some(format!(
        "{reason}{detail}, since {} by {by}{next}",
        time(at)
    ))
}
