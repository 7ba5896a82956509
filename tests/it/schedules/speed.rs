//! What a look at schedules, and their firing, reads; how long they take is for `benches/schedules.rs`.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::rig;
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
        let look = cost(
            &mut session,
            statements::schedules_due(),
            "1000, '2026a', '{Europe/Nowhere}'",
        )
        .await;
        assert!(look.0 < 100 && look.1 == 0, "analysed {analysed}: {look:?}");
        let wait = cost(
            &mut session,
            statements::schedules_wait(),
            "'2026a', '{Europe/Nowhere}'",
        )
        .await;
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
