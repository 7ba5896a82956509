//! How fast one worker fires schedules: `make bench-schedules`, which runs this beside the worker
//! of `callq dev --exec`, on a database of its own that is thrown away.
//!
//! Prints how long after the minute the jobs of 100,000 schedules of every minute are there, how
//! late firings reach the wire, and how long a schedule of every minute that was away for a year
//! takes until it is decided.

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::env;
use std::time::{Duration, Instant};

use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, PgPool};

/// Schedules of every minute.
const SCHEDULES: i64 = 100_000;

/// Minutes that are looked at.
const MINUTES: usize = 2;

/// Firings that are followed to the wire, one every 100 ms.
const FIRINGS: i64 = 200;

/// How often the database is asked whether all are there; a reading is late by up to as much.
const ASK_EVERY: Duration = Duration::from_millis(200);

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
        while self.number(&format!("SELECT ({sql})::int::bigint")).await == 0 {
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// From a firing's time to the wire, made ahead.
    async fn lateness(&self) {
        self.run(&format!(
            "INSERT INTO callq.schedules (name, on_times, tz, robot_account, callees)
             SELECT 'l' || i, ARRAY[to_char(now() AT TIME ZONE 'UTC' + (10 + i / 10) * interval '1 s',
                     'YYYY-MM-DD HH24:MI:SS')],
                 'UTC', 'robot', ARRAY['callee' || i]
             FROM generate_series(1, {FIRINGS}) AS i"
        ))
        .await;
        let sent = "SELECT count(sent_at) FROM callq.jobs WHERE schedule_id IS NOT NULL";
        self.until(&format!("({sent}) = {FIRINGS}")).await;
        for (name, of) in [("p50", "0.5"), ("p99", "0.99"), ("max", "1")] {
            let late = format!(
                "SELECT (percentile_cont({of}) WITHIN GROUP (ORDER BY extract(epoch FROM sent_at - nominal_at)) * 1000)::bigint
                 FROM callq.jobs WHERE schedule_id IS NOT NULL"
            );
            println!(
                "wire, {FIRINGS} firings, 10 at each instant: {name} {} ms",
                self.number(&late).await
            );
        }
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
        let firings = self
            .number("SELECT firings FROM callq.skipped_firings")
            .await;
        println!(
            "a year away: {firings} firings told as skipped {:?} after the worker was told",
            began.elapsed()
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
            "{SCHEDULES} schedules: checked and fired for the first time in {:?}",
            began.elapsed()
        );
        for _ in 0..MINUTES {
            let next = "SELECT extract(epoch FROM date_trunc('minute', now()))::bigint + 60";
            let minute = self.number(next).await;
            let made = format!("FROM callq.jobs WHERE nominal_at = to_timestamp({minute} + 60)");
            self.until(&format!("(SELECT count(*) {made}) = {SCHEDULES}"))
                .await;
            let took = format!(
                "SELECT ((extract(epoch FROM max(created_at)) - {minute}) * 1000)::bigint {made}"
            );
            println!(
                "{SCHEDULES} schedules: all jobs there {} ms after the minute",
                self.number(&took).await
            );
        }
    }
}

#[tokio::main]
async fn main() {
    // cargo bench passes --bench.
    let url = env::var("DATABASE_URL").expect("DATABASE_URL is set: run `make bench-schedules`");
    let pool = PgPool::connect(&url).await.expect("the database is there");
    let bench = Bench(pool);
    bench.lateness().await;
    bench.a_year_away().await;
    bench.every_minute().await;
}
