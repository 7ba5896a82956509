//! The database, from the connection to what waits in the queue.

use super::finding::Finding;
use super::report::Report;
use super::{Failure, connection, queue, server};
use crate::call::readable;
use crate::cli::schedules::health::Schedules;
use crate::config::DatabaseUrl;
use crate::store::{AppRow, Inspector, Pooling, Schema, Store, StoreError};

/// Everything that is looked at, in this order.
const CHECKS: [&str; 14] = [
    "database",
    "server version",
    "server role",
    "durability",
    "replication",
    "clock",
    "pooler",
    "database TLS",
    "schema",
    "history",
    "settings",
    "pauses",
    "workers",
    "schedules",
];

/// What the lines about apps need of the database.
#[derive(Default)]
pub(super) struct Known {
    /// How far the database's clock is ahead of this machine's, in seconds; `None`: not known.
    pub(super) clock_ahead_s: Option<f64>,
    /// The apps that it knows.
    pub(super) apps: Vec<AppRow>,
}

/// Tells how everything stands with the database at `url`.
pub(super) async fn look(url: &DatabaseUrl, report: &mut Report) -> Result<Known, Failure> {
    let mut known = Known::default();
    let mut told = Told { report, lines: 0 };
    if let Err(stopped) = steps(url, &mut known, &mut told).await {
        match stopped {
            Stopped::Here(finding) => told.tell(finding)?,
            Stopped::Told => {}
            Stopped::Output(failure) => return Err(failure),
        }
        let left = &CHECKS[told.lines.min(CHECKS.len())..];
        for check in left {
            told.report
                .tell(Finding::skip(check, "something before it fails"))?;
        }
    }
    Ok(known)
}

/// Tells that nothing of it was looked at.
pub(super) fn skip(report: &mut Report, why: &str) -> Result<(), Failure> {
    CHECKS
        .iter()
        .try_for_each(|check| report.tell(Finding::skip(check, why)))
}

/// Counts the lines, so that those that are left out can be named.
struct Told<'a> {
    report: &'a mut Report,
    lines: usize,
}

impl Told<'_> {
    fn tell(&mut self, finding: Finding) -> Result<(), Failure> {
        debug_assert_eq!(CHECKS.get(self.lines), Some(&finding.check));
        self.lines += 1;
        self.report.tell(finding)
    }
}

/// Why the rest is left out.
enum Stopped {
    /// By this line, which is still to be told.
    Here(Finding),
    /// By a line that was told.
    Told,
    Output(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Output(failure)
    }
}

async fn steps(url: &DatabaseUrl, known: &mut Known, told: &mut Told<'_>) -> Result<(), Stopped> {
    let place = url.place();
    let connected = Inspector::connect(url.expose()).await;
    let mut inspector =
        connected.map_err(|error| Stopped::Here(connection::unreachable(&error, &place)))?;
    told.tell(Finding::ok("database", format!("reached at {place}")))?;

    let described = inspector.server().await.map_err(silent("server version"))?;
    for line in server::lines(&described) {
        told.tell(line)?;
    }
    let (ahead_s, exact_s) = inspector.clock_ahead().await.map_err(silent("clock"))?;
    known.clock_ahead_s = Some(ahead_s);
    told.tell(connection::clock(ahead_s, exact_s))?;
    let encryption = inspector.encryption(&described);
    let pooling = inspector.pooling().await;
    let pooling = pooling.map_err(|error| match error {
        StoreError::Silent { .. } => Stopped::Here(connection::too_few()),
        error => Stopped::Here(failed("pooler", &error)),
    })?;
    told.tell(connection::pooler(pooling))?;
    told.tell(connection::encryption(encryption, pooling))?;
    if pooling == Pooling::Transaction {
        return Err(Stopped::Told);
    }

    let store = Store::connect(url.expose(), 2)
        .await
        .map_err(silent("schema"))?;
    let schema = schema(store.check_schema().await);
    let stops = schema.is_failure();
    told.tell(schema)?;
    if stops {
        return Err(Stopped::Told);
    }
    let waiting = store.waiting().await.map_err(denied("history"))?;
    told.tell(queue::history(&waiting))?;
    let settings = store.settings().await.map_err(denied("settings"))?;
    told.tell(queue::settings(&settings))?;
    let overall = store.overall().await.map_err(denied("pauses"))?;
    let apps = store.apps().await.map_err(denied("pauses"))?;
    told.tell(queue::pauses(&overall, &apps))?;
    told.tell(queue::workers(&apps))?;
    let schedules = Schedules::read(&store).await;
    let schedules = schedules.map_err(denied("schedules"))?;
    told.tell(queue::schedules(&schedules, overall.now))?;
    known.apps = apps;
    store.close().await;
    Ok(())
}

fn schema(checked: Result<Schema, StoreError>) -> Finding {
    const CHECK: &str = "schema";
    match checked {
        Ok(Schema::Own) => Finding::ok(CHECK, "the one that this callq was made for"),
        Ok(Schema::Next { found }) => Finding::ok(
            CHECK,
            format!("schema {found} is newer, and allows this version"),
        ),
        Ok(Schema::Hidden) => Finding::skip(CHECK, "this database user may not read its version"),
        Err(StoreError::Schema(fault)) => {
            Finding::could_not(CHECK, fault.to_string(), fault.way_out())
        }
        Err(error @ StoreError::Denied { .. }) => Finding::could_not(
            CHECK,
            readable(&error.to_string()),
            "grant it callq_worker; `callq roles sql` tells how",
        ),
        Err(error) => failed(CHECK, &error),
    }
}

/// For `map_err`: the database gave no answer to this check.
fn silent(check: &'static str) -> impl Fn(StoreError) -> Stopped {
    move |error| Stopped::Here(failed(check, &error))
}

/// The same where a user may lack the right to look.
fn denied(check: &'static str) -> impl Fn(StoreError) -> Stopped {
    move |error| {
        Stopped::Here(if matches!(error, StoreError::Denied { .. }) {
            Finding::skip(check, "this database user may not look")
        } else {
            failed(check, &error)
        })
    }
}

fn failed(check: &'static str, error: &StoreError) -> Finding {
    Finding::could_not(
        check,
        readable(&error.to_string()),
        "see the database's log",
    )
}
