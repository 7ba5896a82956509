//! What is old is deleted, nothing else is, and no report changes by it.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::recount::all_reports;
use super::worked;
use crate::support::program::{callq, run};
use crate::support::rig::Rig;

/// Makes everything that has ended end a year ago.
const AGE: &str = "ALTER TABLE callq.jobs DISABLE TRIGGER USER;
    UPDATE callq.jobs SET created_at = created_at - interval '1 year', finished_at = finished_at - interval '1 year';
    ALTER TABLE callq.jobs ENABLE TRIGGER USER;
    DELETE FROM callq.calls";

/// How many rows there are of jobs, attempts and legs.
const ROWS: &str = "SELECT concat_ws(' ', (SELECT count(*) FROM callq.jobs), (SELECT count(*) FROM callq.attempts), (SELECT count(*) FROM callq.legs))";

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_days_whose_jobs_were_deleted_stay() {
    let rig = worked().await;
    rig.sql(AGE).await;
    let before = all_reports(&rig.db).await;
    let rows: String = rig.value(ROWS).await;
    let prune = |arguments: &[&str]| {
        let mut program = callq(["prune", "--older-than", "90d"]);
        program.args(arguments).env("DATABASE_URL", rig.db.url());
        program
    };
    let counted = run(&mut prune(&["--dry-run"])).await.with_code(0).text();
    assert_eq!(rig.value::<String>(ROWS).await, rows, "only counted");
    let numbers: String = counted
        .split(' ')
        .filter(|word| word.parse::<i64>().is_ok())
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(numbers, rows, "{counted}");
    run(&mut prune(&[])).await.with_code(2);
    let deleted = run(&mut prune(&["--yes"])).await.with_code(0).text();
    assert_eq!(deleted.replace("deleted", "would delete"), counted);
    assert_eq!(rig.value::<String>(ROWS).await, "0 0 0");
    assert_eq!(all_reports(&rig.db).await, before);
    while rig.value::<i32>("SELECT callq.fold_counts(1000)").await > 0 {}
    assert_eq!(all_reports(&rig.db).await, before);
}

#[tokio::test]
async fn what_is_open_young_followed_locked_or_has_a_later_one_in_its_chain_stays() {
    let rig = Rig::new().await;
    rig.sql(
        "ALTER TABLE callq.jobs DISABLE TRIGGER USER;
         INSERT INTO callq.jobs (id, robot_account, callees, run_at, due_at, expires_at, created_at, state, reason, attempt, claim_token, lease_until,
             placed_at, finished_at, root_id, follows_id, ring_no, idempotency_key, outcome) OVERRIDING SYSTEM VALUE
         SELECT n, 'robot', '{jack}', old, old, old, old, s::callq.job_state, 'accepted', 1, gen_random_uuid(), old, old, done, root, root,
        1 + (root IS NOT NULL)::int, 'key' || n, CASE s WHEN 'completed' THEN 'answered' END
         FROM (SELECT now() - interval '100 days' AS old) AS at, LATERAL (VALUES
             (1, 'scheduled', NULL, NULL), (2, 'dialing', NULL, NULL), (3, 'in_doubt', NULL, NULL), (4, 'completed', now() - interval '89 days', NULL),
             (5, 'placed', old, NULL), (6, 'failed', old, NULL), (7, 'completed', old, NULL), (8, 'scheduled', NULL, 7), (9, 'expired', old, NULL),
             (10, 'completed', old, NULL), (11, 'failed', old, 10), (12, 'unresolved', old, NULL)) AS j(n, s, done, root);
         ALTER TABLE callq.jobs ENABLE TRIGGER USER;
         INSERT INTO callq.calls (job_id, attempt, app, room_id) VALUES (5, 1, 'default', 'r')",
    )
    .await;
    let mut person = PgConnection::connect(rig.db.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT FROM callq.jobs WHERE id = 6 FOR NO KEY UPDATE")
        .execute(&mut person)
        .await
        .unwrap();
    let pruned: String = rig
        .value("SELECT p::text FROM callq.prune_jobs('90 days') AS p")
        .await;
    assert_eq!(pruned, "(,4,0,0)", "9 to 12");
    let left = "SELECT string_agg(id::text, ' ' ORDER BY id) FROM callq.jobs";
    assert_eq!(rig.value::<String>(left).await, "1 2 3 4 5 6 7 8");
    sqlx::raw_sql("COMMIT").execute(&mut person).await.unwrap();
    // In pages, each going on where the one before ended.
    let first: String = rig
        .value("SELECT p::text FROM callq.prune_jobs('90 days', 0, 4) AS p")
        .await;
    assert_eq!(first, "(4,0,0,0)");
    let second: String = rig
        .value("SELECT p::text FROM callq.prune_jobs('90 days', 4, 3) AS p")
        .await;
    assert_eq!(second, "(7,1,0,0)");
    rig.sql("INSERT INTO callq.jobs (id, robot_account, callees, idempotency_key) OVERRIDING SYSTEM VALUE VALUES (13, 'robot', '{jack}', 'key6')").await;
    for sooner in ["6 days", "-1 days"] {
        let refused = format!("SELECT callq.prune_jobs('{sooner}')");
        let refused = sqlx::raw_sql(AssertSqlSafe(refused))
            .execute(rig.db.pool())
            .await;
        assert!(refused.unwrap_err().to_string().contains("at least 7 days"));
        let kept = format!("UPDATE callq.settings SET keep_finished_for = '{sooner}'");
        assert!(
            sqlx::raw_sql(AssertSqlSafe(kept))
                .execute(rig.db.pool())
                .await
                .is_err()
        );
    }
}

/// A job that was retried while it was about to be deleted is looked at again once it is locked.
#[tokio::test]
async fn a_job_that_is_retried_meanwhile_stays() {
    let rig = Rig::new().await;
    rig.sql(
        "INSERT INTO callq.jobs (robot_account, callees, run_at) VALUES ('robot', '{jack}', now() + interval '1 hour');
         SELECT callq.cancel(id) FROM callq.jobs;",
    )
    .await;
    rig.sql(AGE).await;
    // Holds the deletion up between its look and its lock: the sum of the page is known by then.
    rig.sql(
        "CREATE FUNCTION callq.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a job was deleted'; END $$;
         CREATE TRIGGER late BEFORE DELETE ON callq.jobs FOR EACH ROW EXECUTE FUNCTION callq.late()",
    )
    .await;
    let mut person = PgConnection::connect(rig.db.url()).await.unwrap();
    let retried = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM callq.jobs";
    sqlx::raw_sql(retried).execute(&mut person).await.unwrap();
    rig.sql("SELECT callq.retry(id) FROM callq.jobs").await;
    let pruned: String = rig
        .value("SELECT p::text FROM callq.prune_jobs('90 days') AS p")
        .await;
    assert_eq!(pruned, "(,0,0,0)");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_delete_what_the_settings_say_and_old_events_and_callbacks() {
    let rig = worked().await;
    rig.sql(AGE).await;
    let before = all_reports(&rig.db).await;
    rig.sql(
        "UPDATE callq.pruning SET rests_until = now();
         UPDATE callq.events SET at = at - interval '8 days' WHERE id % 2 = 0;
         INSERT INTO callq.callbacks (app, call_id, command, body, digest, received_at, look_at)
         SELECT 'default', 'c', 'x', '', sha256(days::text::bytea), now() - days * interval '1 day', NULL FROM generate_series(5, 12) AS days",
    )
    .await;
    let worker = rig.worker().await;
    rig.until_value(
        "SELECT count(*) FROM callq.events WHERE at < now() - interval '7 days'",
        |rows: &i64| *rows == 0,
    )
    .await;
    rig.until_value("SELECT count(*) FROM callq.callbacks", |rows: &i64| {
        *rows == 3 || *rows == 4
    })
    .await;
    let kept: i64 = rig.value("SELECT count(*) FROM callq.jobs").await;
    assert!(
        kept > 0,
        "jobs are kept for ever unless somebody says otherwise"
    );
    rig.sql("UPDATE callq.settings SET keep_finished_for = '1 month'; UPDATE callq.pruning SET rests_until = now()").await;
    worker.stop().await.unwrap();
    let worker = rig.worker().await;
    rig.until_value("SELECT count(*) FROM callq.jobs", |rows: &i64| *rows == 0)
        .await;
    worker.stop().await.unwrap();
    assert_eq!(rig.value::<String>(ROWS).await, "0 0 0");
    assert_eq!(all_reports(&rig.db).await, before);
}

#[tokio::test]
async fn all_workers_together_delete_one_page_a_second() {
    let rig = Rig::new().await;
    rig.sql(
        "UPDATE callq.settings SET keep_finished_for = '1 month';
         ALTER TABLE callq.jobs DISABLE TRIGGER USER;
         INSERT INTO callq.jobs (robot_account, callees, run_at, due_at, expires_at, created_at, state, reason, finished_at)
         SELECT 'robot', '{jack}', t, t, t, t, 'failed', 'refused', t FROM generate_series(1, 1200), (SELECT now() - interval '2 months' AS t) AS at",
    )
    .await;
    let step = "SELECT concat_ws(' ', jobs, wait_s) FROM callq.prune_step()";
    let again = "UPDATE callq.pruning SET rests_until = now()";
    let mut other = PgConnection::connect(rig.db.url()).await.unwrap();
    for told in ["500 1", "500 1", "200 60", "0 60"] {
        // In one transaction no time passes.
        let mut now = other.begin().await.unwrap();
        let said: String = sqlx::query_scalar(step).fetch_one(&mut *now).await.unwrap();
        assert_eq!(said, told);
        let rest = "SELECT wait_s FROM callq.prune_step() WHERE jobs = 0";
        let rest: f64 = sqlx::query_scalar(rest).fetch_one(&mut *now).await.unwrap();
        assert!(rest > 0.0, "it is not time");
        now.commit().await.unwrap();
        rig.sql(again).await;
    }
    sqlx::raw_sql("BEGIN; SELECT FROM callq.pruning FOR UPDATE")
        .execute(&mut other)
        .await
        .unwrap();
    let told: i64 = rig.value("SELECT jobs FROM callq.prune_step()").await;
    assert_eq!(told, 0, "another worker is at it, and is not waited for");
}
