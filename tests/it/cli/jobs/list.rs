//! `callq jobs list`

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::super::{callq_on, json_lines, rows_read, sql};
use super::PRIVATE;
use crate::support::Database;
use crate::support::statements;
use crate::support::terminal::Terminal;

/// Ten jobs of every kind of a filter; their callees are `c1` to `c10`.
async fn ten_jobs() -> Database {
    let database = Database::new().await;
    let insert = format!(
        "INSERT INTO callq.jobs (app, robot_account, callees, run_at, metadata, user_data)
         SELECT CASE WHEN i <= 5 THEN 'clinic' ELSE 'default' END, 'bot', ARRAY['c' || i, 'all'],
             now() + (i - 5.5) * interval '1 hour',
             jsonb_build_object('visit', i, 'ward', 'w' || i % 2), '{PRIVATE}'
         FROM generate_series(1, 10) AS i;
         SELECT callq.cancel(3); SELECT callq.cancel(8);"
    );
    sql(&database, &insert).await;
    database
}

async fn listed(database: &Database, filter: &[&str]) -> Vec<i64> {
    let arguments = [&["jobs", "list", "--json"], filter].concat();
    let ended = callq_on(database, &arguments).await.with_code(0);
    assert!(!ended.text().contains(PRIVATE), "{ended}");
    let ids = json_lines(&ended);
    ids.iter().map(|job| job["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn every_filter_keeps_what_it_names_and_together_they_keep_what_all_name() {
    let database = ten_jobs().await;
    let cases: [(&[&str], &[i64]); 12] = [
        (&[], &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (&["--state", "cancelled"], &[8, 3]),
        (&["--state", "cancelled,placed", "--app", "clinic"], &[3]),
        (&["--reason", "cancelled_by_user"], &[8, 3]),
        (&["--app", "clinic"], &[5, 4, 3, 2, 1]),
        (&["--callee", "c7"], &[7]),
        (&["--callee", "c"], &[]),
        (&["--metadata", "visit=4"], &[4]),
        (&["--metadata", "ward=w1", "--metadata", "visit=4"], &[]),
        (&["--since", "now"], &[10, 9, 8, 7, 6]),
        (&["--since", "3h ago", "--until", "in 2h"], &[7, 6, 5, 4, 3]),
        (&["--until", "2020-01-01T00:00:00Z"], &[]),
    ];
    for (filter, ids) in cases {
        assert_eq!(listed(&database, filter).await, ids, "{filter:?}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let database = ten_jobs().await;
    let page = ["--limit", "4", "--metadata", "ward=w1"];
    assert_eq!(listed(&database, &page).await, [9, 7, 5, 3]);
    let next = [&page[..], &["--after", "3"]].concat();
    assert_eq!(listed(&database, &next).await, [1]);
    let arguments = ["jobs", "list", "--limit", "4"];
    let ended = callq_on(&database, &arguments).await.with_code(0);
    assert_eq!(ended.stderr, "callq: there are more: add --after 7\n");
    let arguments = ["jobs", "list", "--limit", "10"];
    let ended = callq_on(&database, &arguments).await.with_code(0);
    assert_eq!(ended.stderr, "", "there are no more");
}

#[tokio::test]
async fn the_table_shows_no_private_column_and_no_character_that_acts_on_a_terminal() {
    let database = ten_jobs().await;
    sql(
        &database,
        "UPDATE callq.jobs SET app = E'bad\\u202eapp' WHERE id = 10",
    )
    .await;
    let ended = callq_on(&database, &["jobs", "list"]).await.with_code(0);
    let text = ended.text();
    assert!(text.contains("bad\\u{202e}app"), "{ended}");
    assert!(text.contains("cancelled_by_user"), "{ended}");
    assert!(text.contains("c7, all"), "{ended}");
    assert!(!text.contains(PRIVATE), "{ended}");
}

#[tokio::test]
async fn nothing_that_matches_is_said_and_is_no_failure() {
    let database = Database::new().await;
    let ended = callq_on(&database, &["jobs", "list"]).await.with_code(0);
    assert_eq!(ended.stderr, "callq: no job matches\n");
    let ended = callq_on(&database, &["jobs", "list", "--json"]).await;
    assert_eq!(ended.with_code(0).text(), "");
}

#[tokio::test]
async fn a_mistyped_filter_is_refused_with_what_is_allowed() {
    let database = Database::new().await;
    let cases = [
        (["--state", "canceled"], "cancelled"),
        (["--since", "yesterday"], "2h ago"),
        (["--metadata", "visit"], "KEY=VALUE"),
        (["--after", "4711x"], "must be a job's id"),
    ];
    for (filter, says) in cases {
        let arguments = [&["jobs", "list"][..], &filter].concat();
        let ended = callq_on(&database, &arguments).await.with_code(2);
        assert!(ended.stderr.contains(says), "{ended}");
    }
}

#[tokio::test]
async fn a_page_reads_a_range_of_the_primary_key_and_only_what_it_shows_if_statistics_are_there() {
    let database = Database::new().await;
    let mut session = PgConnection::connect(database.url()).await.unwrap();
    let load = "ALTER TABLE callq.jobs SET (autovacuum_enabled = false);
        ANALYZE callq.jobs;
        INSERT INTO callq.jobs (robot_account, callees, run_at)
        SELECT 'bot', '{jack}', now() + interval '1 day' FROM generate_series(1, 20000);
        SET jit = off; SET enable_seqscan = off;";
    let (prepare, name) = statements::list().prepare();
    let load = AssertSqlSafe(format!("{load} {prepare}"));
    sqlx::raw_sql(load).execute(&mut session).await.unwrap();
    // Statistics from when the table was empty, then from now.
    for (analyse, most) in [("", 1000.0), ("ANALYZE callq.jobs;", 50.0)] {
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let set = AssertSqlSafe(format!("{analyse} SET plan_cache_mode = {mode}"));
            sqlx::raw_sql(set).execute(&mut session).await.unwrap();
            let explain = format!(
                "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {name}(15000, 14000, 50, '{{scheduled}}', NULL,
                     'default', NULL, NULL, NULL, '{{}}', '{{}}')"
            );
            let row = sqlx::raw_sql(AssertSqlSafe(explain))
                .fetch_one(&mut session)
                .await
                .unwrap();
            let plan: Value = row.get(0);
            let mut indexes = Vec::new();
            let rows = rows_read(&plan[0]["Plan"], "jobs", &mut indexes);
            assert_eq!(indexes, ["jobs_pkey", "schedules_pkey"], "{mode}: {plan:#}");
            assert!(
                (50.0..=most).contains(&rows),
                "{mode}: {rows} rows: {plan:#}"
            );
        }
    }
}

#[tokio::test]
async fn on_a_terminal_that_is_too_narrow_for_the_table_every_value_has_its_line() {
    let database = ten_jobs().await;
    let terminal = Terminal {
        columns: 40,
        typed: "",
    };
    let (code, shown) = terminal.run(&database, &["jobs", "list"]).await;
    assert_eq!(code, 0, "{shown}");
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    assert!(lines.contains(&"callees   c7, all"), "{shown}");
    assert_eq!(
        lines.iter().filter(|line| line.is_empty()).count(),
        9,
        "{shown}"
    );
}

#[tokio::test]
async fn on_a_terminal_the_table_fits_its_width() {
    let database = ten_jobs().await;
    for columns in [60, 100] {
        let terminal = Terminal { columns, typed: "" };
        let (code, shown) = terminal.run(&database, &["jobs", "list"]).await;
        assert_eq!(code, 0, "{shown}");
        let widest = shown
            .lines()
            .map(|line| line.trim_end().chars().count())
            .max();
        assert!(
            widest.is_some_and(|widest| widest <= columns.into()),
            "{shown}"
        );
        assert!(shown.contains("c7"), "{shown}");
    }
}
