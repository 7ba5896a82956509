//! How fast schedules fire; for people, in a release build:
//! `cargo test --release --test it schedules::speed -- --ignored --nocapture`.

use std::time::Instant;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{HELD, rig, until};
use crate::support::statements::{self, Statement};

/// How many pages a statement of the worker reads, and the scans of whole tables in its plan.
async fn cost(session: &mut PgConnection, statement: Statement, arguments: &str) -> (u64, usize) {
    let (prepare, name) = statement.prepare();
    let settings =
        "SET jit = off; SET enable_seqscan = off; SET search_path = pg_catalog, pg_temp;";
    let ready = format!("{settings} {prepare}");
    sqlx::raw_sql(AssertSqlSafe(ready))
        .execute(&mut *session)
        .await
        .unwrap();
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name}({arguments})");
    let plan = sqlx::query_scalar(AssertSqlSafe(explain)).persistent(false);
    let plan: Value = plan.fetch_one(session).await.unwrap();
    let blocks = |key: &str| plan[0]["Plan"][key].as_u64().unwrap_or_default();
    let whole = plan.to_string().matches("\"Seq Scan\"").count();
    (
        blocks("Shared Hit Blocks") + blocks("Shared Read Blocks"),
        whole,
    )
}

#[tokio::test]
async fn a_look_reads_what_is_due_and_firing_reads_no_past_however_much_there_is() {
    let rig = rig().await;
    rig.sql("ALTER TABLE callq.schedules DISABLE TRIGGER USER; ALTER TABLE callq.jobs DISABLE TRIGGER USER;
        INSERT INTO callq.schedules (name, cron, tz, robot_account, callees, check_at, cursor_at)
        SELECT 's' || i, '* * * * *', 'UTC', 'robot', '{jack}', now() + interval '1 hour', now() FROM generate_series(1, 20000) AS i;
        UPDATE callq.schedules SET check_at = now() WHERE id <= 3;
        INSERT INTO callq.jobs (robot_account, callees, run_at, due_at, expires_at, state, placed_at, schedule_id, nominal_at, nominal_local, nominal_fold)
        SELECT 'robot', '{jack}', t, t, t + interval '1 min', 'placed', t, 1, t, t AT TIME ZONE 'UTC', 0
        FROM (SELECT now() - i * interval '1 min' AS t FROM generate_series(1, 50000) AS i) AS s;
        ALTER TABLE callq.jobs ENABLE TRIGGER USER")
        .await;
    let mut session = PgConnection::connect(rig.db.url()).await.unwrap();
    // As after a bulk insert that nobody has analysed yet, and then with statistics.
    for analysed in [false, true] {
        if analysed {
            rig.sql("VACUUM (ANALYZE) callq.schedules").await;
            rig.sql("VACUUM (ANALYZE) callq.jobs").await;
        }
        let look = cost(&mut session, statements::schedules_due(), "1000, '2026a'").await;
        assert!(look.0 < 100 && look.1 == 0, "analysed {analysed}: {look:?}");
        let wait = cost(&mut session, statements::schedules_wait(), "'2026a'").await;
        assert!(wait.0 < 100 && wait.1 == 0, "analysed {analysed}: {wait:?}");
        let turn: i64 = rig
            .value("SELECT turn FROM callq.schedules WHERE id = 1")
            .await;
        let (none, now, later) = ("'{}'", "ARRAY[now()]", "ARRAY[now() + interval '1 minute']");
        let fire = format!(
            "'{{1}}', '{{{turn}}}', {now}, {later}, {later}, {later}, '{{\"{{}}\"}}', '{{60}}', '{{0}}', '{{NULL}}', '2026a',
             '{{1}}', {later}, ARRAY[localtimestamp + interval '1 minute'], '{{0}}', {later}, ARRAY[now() + interval '2 minutes'], '{{t}}',
             {none}, {none}, {none}, {none}, {none}, {none}, {none}"
        );
        let fire = cost(&mut session, statements::fire(), &fire).await;
        assert!(fire.0 < 800 && fire.1 == 0, "analysed {analysed}: {fire:?}");
    }
}

const SCHEDULES: i64 = 100_000;

#[tokio::test]
#[ignore = "takes minutes"]
async fn a_hundred_thousand_schedules_of_every_minute_are_fired_by_one_worker() {
    let rig = rig().await;
    // Told one by one, they would be what is measured.
    rig.sql("DROP TRIGGER tell_made ON callq.jobs; DROP TRIGGER tell_moved ON callq.schedules")
        .await;
    rig.sql(HELD).await;
    rig.sql(&format!(
        "INSERT INTO callq.schedules (name, cron, tz, robot_account, callees)
         SELECT 's' || i, '* * * * *', (ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Shanghai'])[1 + i % 4], 'robot', ARRAY['callee' || i]
         FROM generate_series(1, {SCHEDULES}) AS i; ANALYZE callq.schedules"
    ))
    .await;
    let began = Instant::now();
    let worker = rig.worker().await;
    let count = async |sql: &str| rig.value::<i64>(sql).await;
    while count("SELECT count(*) FROM callq.schedules WHERE check_at = '-infinity'").await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    println!(
        "all are checked and fired for the first time after {:?}",
        began.elapsed()
    );
    for _ in 0..3 {
        let minute = "SELECT extract(epoch FROM date_trunc('minute', now()))::bigint + 60";
        let minute = count(minute).await;
        let made = format!(
            "SELECT count(*) FROM callq.jobs WHERE nominal_at = to_timestamp({minute} + 60)"
        );
        while count(&made).await < SCHEDULES {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        let took = format!(
            "SELECT (extract(epoch FROM max(created_at)) - {minute}) * 1000 FROM callq.jobs WHERE nominal_at = to_timestamp({minute} + 60)"
        );
        let took = format!("SELECT ({took})::bigint");
        println!(
            "{SCHEDULES} jobs are there {} ms after the minute before theirs",
            count(&took).await
        );
    }
    until(&rig, "true").await;
    worker.stop().await.unwrap();
}
