//! What an expired job says had held it.

use callq::call::JobDefaults;
use callq::store::{Served, Store, Walk};
use sqlx::AssertSqlSafe;

use crate::support::Database;
use crate::support::rig::Rig;

/// An app that has been served for a day, and a job of it that was due for the 9 minutes from 10
/// minutes ago.
const HEALTHY: &str = "
    INSERT INTO callq.apps (app, kind, served_at, served_since) VALUES ('default', 'sandbox', now(), now() - interval '1 day');
    INSERT INTO callq.jobs (robot_account, callees, run_at, ttl) VALUES ('bot', '{jack}', now() - interval '10 min', '9 min');";

/// A worker that was heard of so many seconds ago, with these circuits.
fn worker(name: &str, silent_s: u32, circuits: &str) -> String {
    format!(
        "INSERT INTO callq.workers (worker, version, started_at, seen_at, apps, concurrency, in_flight, unrecorded,
            listener_deaf, stopping, circuits)
         VALUES ('{name}', '1', now(), now() - {silent_s} * interval '1 s', '{{default}}', 50, 0, 0, false, false, {circuits});"
    )
}

/// A circuit that has been open for so many minutes.
fn open_for(minutes: u32) -> String {
    format!(
        "jsonb_build_array(jsonb_build_object('app', 'default', 'since', now() - {minutes} * interval '1 min',
            'next_try_at', now(), 'failure', 'connection refused'))"
    )
}

/// A hold that is over: from so many minutes ago to so many.
fn held(hold: &str, from: u32, to: u32) -> String {
    format!(
        "INSERT INTO callq.app_holds VALUES
            ('default', '{hold}', now() - {from} * interval '1 min', now() - {to} * interval '1 min');"
    )
}

async fn sql(database: &Database, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(database.pool());
    done.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The reason of the job once the sweep has been by.
async fn reason(database: &Database, store: &Store) -> String {
    let (ended, _) = store.expire(&Walk::default()).await.unwrap();
    assert_eq!(ended, 1);
    sqlx::query_scalar("SELECT reason FROM callq.jobs")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

/// What each state of the world, made by SQL upon `HEALTHY`, leads to.
async fn assert_reasons(cases: &[(&str, String, &str)]) {
    let database = Database::new().await;
    let store = Store::connect(database.url(), 1).await.unwrap();
    for (what, world, expected) in cases {
        let fresh = "TRUNCATE callq.jobs, callq.apps, callq.workers, callq.app_holds;
            UPDATE callq.settings SET paused_at = NULL, pause_reason = NULL; TRUNCATE callq.app_holds;";
        sql(&database, &format!("{fresh} {HEALTHY} {world}")).await;
        assert_eq!(reason(&database, &store).await, *expected, "{what}");
    }
}

#[tokio::test]
async fn what_held_a_job_until_its_deadline_is_its_reason() {
    let paused = "paused_at = now() - interval '1 hour', pause_reason = 'x'";
    assert_reasons(&[
        ("nothing but the pace", String::new(), "expired_pace"),
        ("nobody ever", "DELETE FROM callq.apps".into(), "expired_no_worker"),
        (
            "nobody since a graceful stop",
            "UPDATE callq.apps SET unserved_since = now() - interval '15 min', served_at = now() - interval '15 min 3 s'".into(),
            "expired_no_worker",
        ),
        (
            "nobody since a crash",
            "UPDATE callq.apps SET served_at = now() - interval '15 min'".into(),
            "expired_no_worker",
        ),
        ("nobody, and somebody again", held("no_worker", 20, 1), "expired_no_worker"),
        ("the app paused", format!("UPDATE callq.apps SET {paused}"), "expired_app_paused"),
        ("everything paused", format!("UPDATE callq.settings SET {paused}"), "expired_app_paused"),
        (
            "the app paused, and resumed",
            format!("UPDATE callq.apps SET {paused}; SELECT callq.resume_app('default')"),
            "expired_app_paused",
        ),
        (
            "everything paused, and resumed",
            format!("UPDATE callq.settings SET {paused}; SELECT callq.resume_all()"),
            "expired_app_paused",
        ),
        ("the host unreachable", worker("w", 1, &open_for(60)), "expired_unreachable"),
        ("unreachable, and reached again", held("unreachable", 20, 1), "expired_unreachable"),
        (
            "throttled all the time",
            "UPDATE callq.apps SET throttled_since = now() - interval '1 hour', throttled_at = now()".into(),
            "expired_throttled",
        ),
        (
            "its own last try, while the circuit was not open yet",
            "UPDATE callq.jobs SET reason = 'unreachable'".into(),
            "expired_unreachable",
        ),
        ("its own last try", "UPDATE callq.jobs SET reason = 'throttled'".into(), "expired_throttled"),
        ("its own last try", "UPDATE callq.jobs SET reason = 'app_fault'".into(), "expired_app_paused"),
    ])
    .await;
}

#[tokio::test]
async fn of_several_holds_the_longest_is_the_reason() {
    let both = |a: String, b: String| a + &b;
    assert_reasons(&[
        ("a pause of 6 of the 9 minutes", held("paused", 20, 4), "expired_app_paused"),
        ("a pause of 2 of the 9 minutes", held("paused", 20, 8), "expired_pace"),
        ("a pause before it was due", held("paused", 20, 10), "expired_pace"),
        ("a pause after its deadline", held("paused", 1, 0), "expired_pace"),
        (
            "no worker for 5 minutes, then an unreachable host for 4",
            both(held("no_worker", 20, 5), held("unreachable", 5, 1)),
            "expired_no_worker",
        ),
        (
            "no worker for 3 minutes, then an unreachable host for 6",
            both(held("no_worker", 20, 7), held("unreachable", 7, 1)),
            "expired_unreachable",
        ),
        (
            "two pauses that are longer together than no worker",
            both(held("paused", 10, 7) + &held("paused", 4, 1), held("no_worker", 7, 4)),
            "expired_app_paused",
        ),
        (
            "a pause that was noted twice counts once",
            both(held("paused", 10, 6) + &held("paused", 9, 6), held("no_worker", 6, 1)),
            "expired_no_worker",
        ),
        (
            "its own try met no host, then there was no worker",
            both("UPDATE callq.jobs SET reason = 'unreachable';".into(), held("no_worker", 8, 1)),
            "expired_no_worker",
        ),
        (
            "a pause of an app that nobody served either",
            both("DELETE FROM callq.apps;".into(), "SELECT callq.pause_app('default', 'x'); UPDATE callq.apps SET paused_at = now() - interval '1 hour'".into()),
            "expired_app_paused",
        ),
        (
            "one worker of two reaches the host",
            both(worker("a", 1, &open_for(60)), worker("b", 1, "'[]'")),
            "expired_pace",
        ),
        (
            "two workers, and both do not",
            both(worker("a", 1, &open_for(60)), worker("b", 1, &open_for(8))),
            "expired_unreachable",
        ),
        (
            "the one that reached it is gone",
            both(worker("a", 1, &open_for(60)), worker("b", 30, "'[]'")),
            "expired_unreachable",
        ),
        ("the one that did not is gone", worker("a", 30, &open_for(60)), "expired_pace"),
    ])
    .await;
}

#[tokio::test]
async fn a_worker_of_an_earlier_version_gets_the_same_reasons() {
    let database = Database::new().await;
    sql(&database, HEALTHY).await;
    sql(&database, &held("no_worker", 20, 0)).await;
    let asked = "SELECT callq.why_expired('default', now() - interval '1 min', NULL)";
    let reason: String = sqlx::query_scalar(asked)
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(reason, "expired_no_worker");
}

/// Holds lengths in seconds against what they are at least; statements take their time.
#[track_caller]
fn assert_spans(spans: &[f64], least: &[f64]) {
    assert_eq!(spans.len(), least.len(), "{spans:?}");
    for (span, least) in spans.iter().zip(least) {
        assert!((0.0..60.0).contains(&(span - least)), "{spans:?}");
    }
}

#[tokio::test]
async fn a_time_without_a_worker_is_noted_by_the_next_one_and_a_short_silence_is_not() {
    let database = Database::new().await;
    let store = Store::connect(database.url(), 1).await.unwrap();
    let served = Served {
        app: "default".to_owned(),
        sdk_app_id: 1,
        kind: "sandbox",
        host: "http://localhost".to_owned(),
        calls_per_second: None,
        defaults: JobDefaults::default(),
    };
    let noted = async |before: &str| -> Vec<f64> {
        sql(&database, before).await;
        store.serve(&served).await.unwrap().unwrap();
        let spans = "SELECT round(extract(epoch FROM until - greatest(since, '2000-01-01')))::float8 FROM callq.app_holds
            WHERE app = 'default' AND hold = 'no_worker' AND isfinite(since) ORDER BY until";
        sqlx::query_scalar(spans)
            .fetch_all(database.pool())
            .await
            .unwrap()
    };
    assert_eq!(
        noted("SELECT 1").await,
        [] as [f64; 0],
        "since ever is no span"
    );
    let silent = |s: u32| format!("UPDATE callq.apps SET served_at = now() - {s} * interval '1 s'");
    assert_eq!(noted(&silent(15)).await, [] as [f64; 0]);
    assert_spans(&noted(&silent(600)).await, &[600.0]);
    let stopped = "UPDATE callq.apps SET served_at = now() - interval '3 s', unserved_since = now() - interval '2 s'";
    assert_spans(&noted(stopped).await, &[600.0, 2.0]);
    let since: bool = sqlx::query_scalar(
        "SELECT served_since = served_at AND unserved_since IS NULL FROM callq.apps",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert!(since, "service began anew");
}

#[tokio::test]
async fn a_job_that_lived_between_two_workers_expired_for_want_of_one() {
    let rig = Rig::new().await;
    rig.worker().await.stop().await.unwrap();
    let id = rig.insert("jack", &[("ttl", "interval '1 ms'")]).await;
    let worker = rig.worker().await;
    let job = rig.until_state(id, "expired").await;
    assert_eq!(job.reason.as_deref(), Some("expired_no_worker"));
    worker.stop().await.unwrap();
}
