//! `callq bench`

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::Utc;
use clap::builder::RangedI64ValueParser;
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use super::settings::ConfigFile;
use super::table::shown;
use super::when::duration;
use super::{Failure, logging, print, signals};
use crate::bench::{Answerer, BenchError, Figure, Ground, Machine, Orders, Part, Plan, Where};
use crate::config::{self, settings};
use crate::store::app_name;

const EXAMPLES: &str = "Examples:\n  \
    callq bench                                # some minutes, on a private PostgreSQL\n  \
    callq bench --part throughput --jobs 100000 --json\n  \
    callq bench --part backlog --backlog 10000 --backlog 10000000\n  \
    callq bench --part snapshot --held 10m\n  \
    callq bench --part burst --burst 100000\n  \
    callq bench --beside --part throughput     # on the server of DATABASE_URL";

/// The exit code of a measurement that a signal broke off: what a shell tells of SIGTERM.
const STOPPED: u8 = 128 + 15;

/// Measure callq on this machine: throughput, lateness, what rows and workers cost; rings nobody.
///
/// What is measured is `callq worker` as it is shipped, with its defaults but for concurrency, pace
/// and host. Its requests go to a server of the bench's own on 127.0.0.1 that answers at once, and
/// to no other. Every part works in a database that is made for it and dropped again, also after
/// Ctrl-C; no row that was there before is looked at. Without --beside PostgreSQL is a private one
/// that syncs every commit and is thrown away, and no configuration is read.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Bench {
    /// Only this part; may be given several times
    #[arg(long = "part", value_name = "PART", value_enum)]
    parts: Vec<PartName>,

    /// Jobs of each drain
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = within(1..=10_000_000))]
    jobs: u32,

    /// Requests that a worker has under way at once
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = within(1..=2000))]
    concurrency: u32,

    /// So many jobs for the future and as many that ended; may be given several times [default:
    /// 10000 100000]
    #[arg(long = "backlog", value_name = "N", value_parser = within(0..=100_000_000))]
    backlogs: Vec<u32>,

    /// How long the part `snapshot` holds one while jobs are drained
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = duration)]
    held: Duration,

    /// Jobs of the part `burst`, which go out at 180 a second
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = within(1..=1_000_000))]
    burst: u32,

    /// How long the part `latency` has 200 calls a second; then 20 single jobs for each second
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    latency: Duration,

    /// Numbers of workers for the part `workers` [default: 1 2 4 8]
    #[arg(long, value_name = "N", value_parser = within(1..=64))]
    workers: Vec<u32>,

    /// Numbers of apps for the part `apps` [default: 1 10 50]
    #[arg(long, value_name = "N", value_parser = within(1..=1000))]
    apps: Vec<u32>,

    /// Make the databases on the server of DATABASE_URL, whose login must be allowed to
    #[arg(long)]
    beside: bool,

    /// One JSON object with the machine and all figures, for programs
    #[arg(long)]
    json: bool,

    /// Measure nothing: only answer at this address of this machine until SIGTERM, and then tell
    /// what came; for whoever measures something else the same way
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["parts", "beside"])]
    only_answer: Option<SocketAddr>,
}

fn within(range: RangeInclusive<i64>) -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(range)
}

/// A part, as on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PartName(Part);

impl ValueEnum for PartName {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [PartName; 9] = {
            let mut all = [PartName(Part::Throughput); 9];
            let mut at = 0;
            while at < all.len() {
                all[at] = PartName(Part::ALL[at]);
                at += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()))
    }
}

impl Bench {
    /// Whether it obeys a configuration.
    pub(super) const fn is_configured(&self) -> bool {
        self.beside
    }

    pub(super) async fn run(self, file: &ConfigFile) -> Result<(), Failure> {
        logging::init_for_trying("warn,sqlx=error")?;
        let stop = signals::stop_on_signal()?;
        if let Some(address) = self.only_answer {
            return only_answer(address, stop.cancelled()).await;
        }
        let at = if self.beside {
            Where::Beside(file.database_url()?.expose().to_owned())
        } else {
            Where::Private
        };
        if cfg!(debug_assertions) && !self.json {
            print::note("this build is not optimised: its figures say nothing about callq");
        }
        let tell = Box::new(|figure: &Figure| print::note(&line(figure)));
        let ground = Ground::prepare(at, Box::new(worker_command), tell).await?;
        let plan = self.plan();
        let measured = tokio::select! {
            measured = measure(&ground, &plan) => Some(measured),
            () = stop.cancelled() => None,
        };
        let cleared = ground.clear().await;
        let Some(measured) = measured else {
            cleared?;
            return Err(Failure::Exit(STOPPED));
        };
        let (machine, figures) = measured?;
        cleared?;
        if self.json {
            return print::json(&json!({"machine": machine, "figures": figures}));
        }
        print::line(&shown(&table(&figures)))?;
        print::line(&of_machine(&machine))
    }

    fn plan(&self) -> Plan {
        let or = |given: &[u32], else_: &[u32]| {
            let given = if given.is_empty() { else_ } else { given };
            given.to_vec()
        };
        let parts = match self.parts.as_slice() {
            [] => Part::ALL.to_vec(),
            parts => parts.iter().map(|part| part.0).collect(),
        };
        Plan {
            parts,
            jobs: size(self.jobs),
            concurrency: size(self.concurrency),
            backlogs: or(&self.backlogs, &[10_000, 100_000]),
            held: self.held,
            burst: size(self.burst),
            latency: self.latency,
            workers: or(&self.workers, &[1, 2, 4, 8])
                .into_iter()
                .map(size)
                .collect(),
            apps: or(&self.apps, &[1, 10, 50]).into_iter().map(size).collect(),
        }
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

async fn measure(ground: &Ground, plan: &Plan) -> Result<(Machine, Vec<Figure>), BenchError> {
    let machine = Machine::look(ground).await?;
    Ok((machine, plan.run(ground).await?))
}

/// What a worker signs with; nobody checks it.
const SECRET: &str = "of-a-measurement";

/// Of the first app; each further one has the next.
const SDK_APP_ID: usize = 1_400_000_000;

/// The shipped worker, with nothing of our environment. Of several apps only a file can tell.
fn worker_command(orders: &Orders) -> io::Result<std::process::Command> {
    let program = config::this_program().unwrap_or_else(|| "callq".into());
    let mut command = std::process::Command::new(program);
    command
        .arg("worker")
        .env_clear()
        .current_dir(&orders.folder)
        .env(settings::DATABASE_URL.environment, &orders.database_url)
        .env(
            settings::CONCURRENCY.environment,
            orders.concurrency.to_string(),
        );
    let file = orders.folder.join(settings::DEFAULT_FILE);
    if orders.apps > 1 {
        let secret = orders.folder.join("secret");
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&secret)?
            .write_all(SECRET.as_bytes())?;
        let apps: Vec<String> = (0..orders.apps)
            .map(|n| table_of(n, orders, &secret))
            .collect();
        std::fs::write(file, apps.concat())?;
        return Ok(command);
    }
    if file.exists() {
        std::fs::remove_file(file)?;
    }
    command
        .env(settings::HOST.environment, &orders.host)
        .env(settings::SDK_APP_ID.environment, SDK_APP_ID.to_string())
        .env(settings::ADMIN_ACCOUNT.environment, "bench")
        .env(settings::SECRET_KEY.environment, SECRET)
        .env(
            settings::CALLS_PER_SECOND.environment,
            orders.calls_per_second.to_string(),
        );
    Ok(command)
}

/// The configuration of one of several apps.
fn table_of(number: usize, orders: &Orders, secret: &Path) -> String {
    format!(
        "[apps.{}]\nhost = {:?}\nsdk_app_id = {}\nadmin_account = \"bench\"\n\
         secret_key_file = {:?}\ncalls_per_second = {:?}\n",
        app_name(number),
        orders.host,
        SDK_APP_ID + number,
        secret.display().to_string(),
        orders.calls_per_second,
    )
}

async fn only_answer(address: SocketAddr, stop: impl Future<Output = ()>) -> Result<(), Failure> {
    if !address.ip().is_loopback() {
        let text =
            format!("cannot answer at {address}: it is not an address of this machine alone");
        return Err(Failure::Cannot(anyhow::anyhow!(text)).hint("use 127.0.0.1 and a port"));
    }
    let answerer = Answerer::listen(address)
        .await
        .with_context(|| format!("could not listen on {address}"))?;
    print::note(&format!("answering at {}", answerer.url()));
    stop.await;
    let arrivals = answerer.arrivals();
    let (first, last) = (arrivals.first(), arrivals.last());
    let now = (Instant::now(), Utc::now().timestamp_micros());
    let first_unix_s = first.map(|first| {
        let ago = i64::try_from(now.0.duration_since(first.at).as_micros()).unwrap_or(0);
        Duration::from_micros(u64::try_from(now.1 - ago).unwrap_or(0)).as_secs_f64()
    });
    let seconds = first.zip(last).map(|(first, last)| last.at - first.at);
    let mut jobs: Vec<i64> = arrivals.iter().map(|arrival| arrival.job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    print::json(&json!({
        "requests": arrivals.len(),
        "different": jobs.len(),
        "first_unix_s": first_unix_s,
        "seconds": seconds.unwrap_or_default().as_secs_f64(),
    }))
}

fn line(figure: &Figure) -> String {
    let case = if figure.case.is_empty() {
        String::new()
    } else {
        format!(", {}", figure.case)
    };
    format!(
        "{}{case}: {} {} {}",
        figure.part,
        figure.what,
        value(figure.value),
        figure.unit
    )
    .trim_end()
    .to_owned()
}

/// As many digits as say something.
fn value(of: f64) -> String {
    match of.abs() {
        _ if !of.is_finite() => "none".to_owned(),
        size if size >= 100.0 || of.fract() == 0.0 => format!("{of:.0}"),
        size if size >= 10.0 => format!("{of:.1}"),
        size if size >= 1.0 => format!("{of:.2}"),
        _ => format!("{of:.3}"),
    }
}

fn table(figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["part", "case", "what", "value", "unit"]);
    if let Some(column) = table.column_mut(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for figure in figures {
        table.add_row([
            figure.part.to_owned(),
            figure.case.clone(),
            figure.what.to_owned(),
            value(figure.value),
            figure.unit.to_owned(),
        ]);
    }
    table
}

fn of_machine(machine: &Machine) -> String {
    let processor = machine.processor.as_deref().unwrap_or("processor unknown");
    let load = machine.load.map_or_else(
        || "load unknown".to_owned(),
        |load| format!("load {load} before"),
    );
    format!(
        "callq {}{}, PostgreSQL {}, {} cores ({processor}), {load}",
        machine.callq,
        if machine.optimised {
            ""
        } else {
            " (not optimised)"
        },
        machine.postgresql,
        machine.cores,
    )
}
