//! `callq apps`

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::{callq_on, json_lines, rows_read, sql};
use crate::support::Database;
use crate::support::statements;

/// A served app, and one that only a job names.
const TWO_APPS: &str = "
    INSERT INTO callq.apps (app, kind, host, served_at, calls_per_second, last_success_at)
    VALUES ('clinic', 'live', 'console.tim.qq.com', now(), 100, now());
    INSERT INTO callq.jobs (app, robot_account, callees, run_at)
    VALUES ('shop', 'bot', '{jack}', now() + interval '1 day');
    INSERT INTO callq.attempts (job_id, attempt, claim_token, app, worker, room_id, room_id_type, random, due_at,
        claimed_at, sent_at)
    SELECT i, 1, gen_random_uuid(), 'clinic', 'w', 'r', 2, 1, now(), now(), now() - s * interval '1 second'
    FROM unnest('{5, 10, 100, 200}'::int[]) WITH ORDINALITY AS t(s, i);";

async fn two_apps() -> Database {
    let database = Database::new().await;
    sql(&database, TWO_APPS).await;
    database
}

/// The reason of an app's pause, if it is paused.
async fn paused(database: &Database, app: &str) -> Option<String> {
    sqlx::query_scalar("SELECT pause_reason FROM callq.apps WHERE app = $1")
        .bind(app)
        .fetch_optional(database.pool())
        .await
        .unwrap()
        .flatten()
}

#[tokio::test]
async fn apps_are_listed_with_pace_calls_and_who_serves_them() {
    let database = two_apps().await;
    let ended = callq_on(&database, &["apps", "list", "--json"])
        .await
        .with_code(0);
    let apps = json_lines(&ended);
    assert_eq!(apps.len(), 2, "{ended}");
    assert_eq!(
        (&apps[0]["app"], &apps[1]["app"]),
        (&"clinic".into(), &"shop".into())
    );
    assert_eq!(apps[0]["calls_last_minute"], 2, "those sent 5 and 10 s ago");
    assert_eq!(apps[0]["served"], true);
    assert_eq!(
        (&apps[1]["served"], &apps[1]["waiting"]),
        (&false.into(), &true.into())
    );
    let ended = callq_on(&database, &["apps", "list"]).await.with_code(0);
    for word in ["clinic", "live, console.tim.qq.com", "100", "shop", "never"] {
        assert!(ended.text().contains(word), "{word}: {ended}");
    }
}

#[tokio::test]
async fn an_app_is_paused_and_resumed_with_its_reason() {
    let database = two_apps().await;
    let pause = ["apps", "pause", "clinic", "--reason", "wrong prompt"];
    callq_on(&database, &pause).await.with_code(0);
    assert_eq!(
        paused(&database, "clinic").await.as_deref(),
        Some("wrong prompt")
    );
    let ended = callq_on(&database, &["apps", "list"]).await.with_code(0);
    assert!(ended.text().contains("wrong prompt, since "), "{ended}");
    let resume = ["apps", "resume", "clinic"];
    let ended = callq_on(&database, &resume).await.with_code(0);
    assert_eq!(ended.text(), "app clinic is resumed\n");
    assert_eq!(paused(&database, "clinic").await, None);
    let ended = callq_on(&database, &resume).await.with_code(0);
    assert_eq!(ended.text(), "app clinic was not paused by itself\n");
}

#[tokio::test]
async fn a_mistyped_app_is_refused_with_the_nearest_and_nothing_is_made() {
    let database = two_apps().await;
    let pause = ["apps", "pause", "clinci", "--reason", "x"];
    let ended = callq_on(&database, &pause).await.with_code(3);
    let says = "callq: there is no app clinci\nhint: did you mean clinic? To pause it before its first job, add --new.\n";
    assert_eq!(ended.stderr, says);
    let resume = ["apps", "resume", "warehouse"];
    let ended = callq_on(&database, &resume).await.with_code(3);
    assert_eq!(
        ended.stderr,
        "callq: there is no app warehouse\nhint: `callq apps list` shows them.\n"
    );
    assert_eq!(paused(&database, "clinci").await, None);
    let new = ["apps", "pause", "clinci", "--reason", "x", "--new"];
    callq_on(&database, &new).await.with_code(0);
    assert_eq!(paused(&database, "clinci").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn an_app_that_only_a_job_names_can_be_paused() {
    let database = two_apps().await;
    let pause = ["apps", "pause", "shop", "--reason", "not yet"];
    callq_on(&database, &pause).await.with_code(0);
    assert_eq!(paused(&database, "shop").await.as_deref(), Some("not yet"));
}

#[tokio::test]
async fn everything_is_paused_and_resumed_and_what_stays_paused_is_named() {
    let database = two_apps().await;
    sql(&database, "SELECT callq.pause_app('shop', 'moving house')").await;
    let pause = ["apps", "pause", "--all", "--reason", "fire drill"];
    callq_on(&database, &pause).await.with_code(0);
    let ended = callq_on(&database, &["apps", "list"]).await.with_code(0);
    assert!(
        ended.text().contains("Everything is paused since "),
        "{ended}"
    );
    assert!(ended.text().contains("fire drill"), "{ended}");
    let resume = ["apps", "resume", "--all"];
    let ended = callq_on(&database, &resume).await.with_code(0);
    assert_eq!(
        ended.text(),
        "the pause of everything has ended\nstill paused by itself: shop\n"
    );
}

#[tokio::test]
async fn a_pause_without_words_is_refused() {
    let database = two_apps().await;
    let pause = ["apps", "pause", "clinic", "--reason", " "];
    let ended = callq_on(&database, &pause).await.with_code(2);
    assert!(ended.stderr.contains("--reason is empty"), "{ended}");
}

#[tokio::test]
async fn the_apps_are_read_without_the_jobs_of_the_future_and_old_attempts() {
    let database = two_apps().await;
    let mut session = PgConnection::connect(database.url()).await.unwrap();
    let load = "INSERT INTO callq.jobs (app, robot_account, callees, run_at)
        SELECT 'app' || i % 3, 'bot', '{jack}', now() + interval '1 day' FROM generate_series(1, 20000) AS i;
        INSERT INTO callq.attempts (job_id, attempt, claim_token, app, worker, room_id, room_id_type, random, due_at,
            claimed_at)
        SELECT i, 2, gen_random_uuid(), 'clinic', 'w', 'r', 2, 1, now(), now() FROM generate_series(1, 20000) AS i;
        ANALYZE callq.jobs, callq.attempts;
        SET jit = off; SET enable_seqscan = off;";
    let (prepare, name) = statements::apps().prepare();
    let load = AssertSqlSafe(format!("{load} {prepare}"));
    sqlx::raw_sql(load).execute(&mut session).await.unwrap();
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let explain = format!(
            "SET plan_cache_mode = {mode}; EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {name}(100000, 5, 10)"
        );
        let row = sqlx::raw_sql(AssertSqlSafe(explain))
            .fetch_one(&mut session)
            .await
            .unwrap();
        let plan: Value = row.get(0);
        let jobs = rows_read(&plan[0]["Plan"], "jobs", &mut Vec::new());
        assert!(jobs < 50.0, "{mode}: {jobs} jobs: {plan:#}");
        let attempts = rows_read(&plan[0]["Plan"], "attempts", &mut Vec::new());
        assert!(attempts < 1000.0, "{mode}: {attempts} attempts: {plan:#}");
    }
}
