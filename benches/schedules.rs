//! How fast one worker fires schedules: `make bench-schedules`, which runs this beside the worker
//! of `callq dev --exec`, on a database of its own that is thrown away. That one runs without
//! fsync: what a commit costs on a disk comes on top, once for a firing that is made ahead.
//!
//! Prints how late firings reach the wire that are made ahead, and those that an earlier job holds
//! until their time; how long a schedule of every minute that was away for a year takes until it is
//! decided; and how long after the minute the jobs of 100,000 schedules of every minute are there.
//! The names of parts (`wire`, `held`, `away`, `minute`) as arguments leave out the others.

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::env;
use std::time::{Duration, Instant};

use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, PgPool};

/// Schedules of every minute.
const SCHEDULES: i64 = 100_000;

/// Minutes that are looked at.
const MINUTES: usize = 3;

/// Firings that are followed to the wire, 10 at the beginning of each second.
const FIRINGS: i64 = 200;

/// How often the database is asked whether all is done. No figure depends on it.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Who waits longer has found a fault.
const PATIENCE: Duration = Duration::from_mins(10);

/// Measures in this database.
struct Bench(PgPool);

impl Bench {
    async fn run(&self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.0);
        done.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn number(&self, sql: &str) -> i64 {
        let number = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&self.0);
        number
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    async fn until(&self, sql: &str) {
        let began = Instant::now();
        while self.number(&format!("SELECT ({sql})::int::bigint")).await == 0 {
            assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {sql}");
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// From a firing's time to the wire, made ahead.
    async fn made_ahead(&self) {
        self.run(&format!("DELETE FROM callq.schedules; {}", firings('a')))
            .await;
        self.lateness("made ahead", "created_at < nominal_at").await;
    }

    /// From a firing's time to the wire, if an earlier job of the schedule, due 100 ms before,
    /// holds it until then.
    async fn held(&self) {
        self.run(&format!(
            "DELETE FROM callq.schedules; {};
             INSERT INTO callq.jobs (robot_account, callees, run_at, schedule_id)
             SELECT 'robot', callees, s.on_times[1]::timestamp AT TIME ZONE 'UTC' - interval '100 ms', s.id FROM callq.schedules AS s",
            firings('h')
        ))
        .await;
        self.lateness("held by an earlier job", "created_at >= nominal_at")
            .await;
    }

    /// How late the firings of the schedules that are there reach the wire. All of them must be
    /// made as `how` says, or it is not what was to be measured.
    async fn lateness(&self, what: &str, how: &str) {
        let of = "FROM callq.jobs WHERE nominal_at IS NOT NULL AND schedule_id IN (SELECT id FROM callq.schedules)";
        self.until(&format!("(SELECT count(sent_at) {of}) = {FIRINGS}"))
            .await;
        let so = self
            .number(&format!("SELECT count(*) {of} AND {how}"))
            .await;
        let mut told = String::new();
        for (name, share) in [("p50", "0.5"), ("p99", "0.99"), ("max", "1")] {
            let late = format!(
                "SELECT (percentile_cont({share}) WITHIN GROUP (ORDER BY extract(epoch FROM sent_at - nominal_at)) * 1000)::bigint {of}"
            );
            told = format!("{told} {name} {} ms", self.number(&late).await);
        }
        println!("on the wire, {what} ({so} of {FIRINGS}), 10 at each instant:{told}");
    }

    /// A schedule that nobody has looked at for a year.
    async fn a_year_away(&self) {
        let mut changes = PgListener::connect_with(&self.0)
            .await
            .expect("it is there");
        changes.listen("bench").await.expect("it may listen");
        self.run(
            "CREATE FUNCTION tell_bench() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_notify(''bench'', ''''); RETURN NULL; END';
             CREATE TRIGGER tell AFTER INSERT ON callq.skipped_firings FOR EACH ROW EXECUTE FUNCTION tell_bench();
             INSERT INTO callq.schedules (name, cron, tz, robot_account, callees) VALUES ('away', '* * * * *', 'UTC', 'robot', '{jack}')",
        )
        .await;
        self.until("EXISTS (SELECT FROM callq.schedules WHERE name = 'away' AND check_at > now())")
            .await;
        let began = Instant::now();
        self.run(
            "UPDATE callq.schedules SET cursor_at = now() - interval '1 year', created_at = now() - interval '2 years', check_at = '-infinity'
             WHERE name = 'away'; SELECT pg_notify('callq_schedules', '')",
        )
        .await;
        changes.recv().await.expect("the record is told");
        let took = began.elapsed().as_millis();
        let firings = self
            .number("SELECT max(firings) FROM callq.skipped_firings")
            .await;
        println!(
            "a year away: {firings} firings told as skipped {took} ms after the worker was told"
        );
    }

    /// The jobs of every minute's schedules, while nothing is claimed.
    async fn every_minute(&self) {
        self.run(&format!(
            "SELECT callq.pause_all('a measurement'); DELETE FROM callq.schedules;
             INSERT INTO callq.schedules (name, cron, tz, robot_account, callees)
             SELECT 's' || i, '* * * * *', (ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Shanghai'])[1 + i % 4],
                 'robot', ARRAY['callee' || i]
             FROM generate_series(1, {SCHEDULES}) AS i; ANALYZE callq.schedules"
        ))
        .await;
        let began = Instant::now();
        self.until("NOT EXISTS (SELECT FROM callq.schedules WHERE check_at = '-infinity')")
            .await;
        println!(
            "{SCHEDULES} schedules: looked at for the first time within {} s",
            began.elapsed().as_secs()
        );
        for _ in 0..MINUTES {
            let next = "SELECT extract(epoch FROM date_trunc('minute', now()))::bigint + 60";
            let minute = self.number(next).await;
            // A minute ahead of their time: what is to be looked at next is the minute after.
            self.until(&format!(
                "now() > to_timestamp({minute}) AND NOT EXISTS (SELECT FROM callq.schedules WHERE check_at < to_timestamp({minute} + 60))"
            ))
            .await;
            let made = format!("FROM callq.jobs WHERE nominal_at = to_timestamp({minute} + 60)");
            let jobs = self.number(&format!("SELECT count(*) {made}")).await;
            let took = format!(
                "SELECT ((extract(epoch FROM max(created_at)) - {minute}) * 1000)::bigint {made}"
            );
            let took = self.number(&took).await;
            println!(
                "{SCHEDULES} schedules: {jobs} jobs there {took} ms after the minute{}",
                load()
            );
        }
    }
}

/// Schedules that ring once, ten together at the beginning of each second, ten seconds from now on.
fn firings(name: char) -> String {
    format!(
        "INSERT INTO callq.schedules (name, on_times, tz, robot_account, callees)
         SELECT '{name}' || i, ARRAY[to_char(now() AT TIME ZONE 'UTC' + (10 + (i - 1) / 10) * interval '1 s',
                 'YYYY-MM-DD HH24:MI:SS')],
             'UTC', 'robot', ARRAY['{name}' || i]
         FROM generate_series(1, {FIRINGS}) AS i"
    )
}

/// What else the machine has to do, if it tells.
fn load() -> String {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = told.split_whitespace().next();
    load.map(|load| format!("; load {load}"))
        .unwrap_or_default()
}

#[tokio::main]
async fn main() {
    let url = env::var("DATABASE_URL").expect("DATABASE_URL is set: run `make bench-schedules`");
    let pool = PgPool::connect(&url).await.expect("the database is there");
    // cargo bench passes --bench.
    let parts: Vec<String> = env::args()
        .skip(1)
        .filter(|part| !part.starts_with("--"))
        .collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|one| one == part);
    let bench = Bench(pool);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{cores} cores{}", load());
    if wanted("wire") {
        bench.made_ahead().await;
    }
    if wanted("held") {
        bench.held().await;
    }
    if wanted("away") {
        bench.a_year_away().await;
    }
    if wanted("minute") {
        bench.every_minute().await;
    }
}
