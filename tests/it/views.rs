//! The report views: what they say of jobs and attempts made by hand, and that everything in the schema
//! is explained.

use sqlx::{AssertSqlSafe, PgPool};

use crate::support::Database;

async fn run(pool: &PgPool, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool);
    done.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The rows of `sql`, each as the text of its values, NULL as nothing.
async fn rows(pool: &PgPool, columns: &str, from: &str) -> Vec<String> {
    let sql = format!("SELECT concat_ws('|', {columns}) FROM callq.{from}");
    let rows = sqlx::query_scalar(AssertSqlSafe(sql.clone()))
        .fetch_all(pool)
        .await;
    rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Jobs in every state, made by hand.
///
/// 1 waits. 2 was placed, at first throttled; two callees, of whom one was refused. 3 failed. 4 is in
/// doubt. 5 is dialing. 6 expired. 7 was cancelled, of another app and another day. 8 is unresolved.
async fn made_by_hand() -> Database {
    let database = Database::new().await;
    run(
        database.pool(),
        "ALTER TABLE callq.jobs DISABLE TRIGGER USER;
        ALTER TABLE callq.jobs ENABLE TRIGGER jobs_are_counted;
        ALTER TABLE callq.attempts DISABLE TRIGGER USER;
        UPDATE callq.settings SET report_time_zone = 'Asia/Shanghai';
        INSERT INTO callq.error_codes VALUES (60011, 'safe', 'too many requests', 'page'), (60002, 'cannot', 'malformed', 'page')
            ON CONFLICT (code) DO UPDATE SET meaning = excluded.meaning;
        INSERT INTO callq.jobs (id, app, robot_account, callees, media_type, run_at, expires_at, due_at, metadata)
        OVERRIDING SYSTEM VALUE
        SELECT i, CASE i WHEN 7 THEN 'other' ELSE 'default' END, 'bot', CASE i WHEN 2 THEN '{ann,bob}'::text[] ELSE '{jack}' END, 'Audio',
            t, t + interval '1 hour', t, jsonb_build_object('n', i)
        FROM generate_series(1, 8) AS i,
            LATERAL (SELECT timestamptz '2030-01-01 15:30+00' + CASE i WHEN 7 THEN interval '1 hour' ELSE '0' END AS t) AS at;
        UPDATE callq.jobs SET state = 'placed', reason = 'accepted', attempt = 2, attempts_used = 0, call_id = 'c2', error_code = 0,
            placed_at = run_at, finished_at = run_at WHERE id = 2;
        UPDATE callq.jobs SET state = 'failed', reason = 'refused', attempt = 1, error_code = 60002, error_info = 'bad', finished_at = run_at WHERE id = 3;
        UPDATE callq.jobs SET state = 'in_doubt', reason = 'reply_unknown', reason_detail = 'timeout', attempt = 1, lease_until = run_at + interval '45 seconds',
            on_doubt = 'retry' WHERE id = 4;
        UPDATE callq.jobs SET state = 'dialing', attempt = 1, claim_token = gen_random_uuid(), lease_until = run_at + interval '30 seconds' WHERE id = 5;
        UPDATE callq.jobs SET state = 'expired', reason = 'expired_no_worker', finished_at = run_at WHERE id = 6;
        UPDATE callq.jobs SET state = 'cancelled', reason = 'cancelled_by_user', finished_at = run_at WHERE id = 7;
        UPDATE callq.jobs SET state = 'unresolved', reason = 'unresolved', attempt = 1, finished_at = run_at WHERE id = 8;
        INSERT INTO callq.attempts (job_id, attempt, claim_token, state, app, worker, room_id, room_id_type, random, due_at, claimed_at,
            sent_at, replied_at, class, error_code, request_id, call_id, callee_results)
        SELECT a.job_id, a.attempt, gen_random_uuid(), a.state::callq.attempt_state, 'default', 'w', 'room' || a.job_id || a.attempt, 2, 1,
            run_at, run_at, run_at + late_ms * interval '1 ms', CASE WHEN a.state = 'replied' THEN run_at + interval '1 second' END,
            class, code, request, call, results::jsonb
        FROM (VALUES
            (2, 1, 'replied', 10, 'safe', 60011, 'r21', NULL, NULL),
            (2, 2, 'replied', 20, 'accepted', 0, 'r22', 'c2', '
             [{\"Callee_Account\": \"ann\", \"ResultCode\": 0},
             {\"Callee_Account\": \"bob\", \"ResultCode\": 7},
             {\"Callee_Account\": \"bob\", \"ResultCode\": 8},
             {\"Callee_Account\": \"who\", \"ResultCode\": 9}, 3]'),
            (3, 1, 'replied', 30, 'cannot', 60002, 'r31', NULL, '{}'),
            (4, 1, 'unknown', 40, 'in_doubt', NULL, NULL, NULL, NULL),
            (5, 1, 'claimed', NULL, NULL, NULL, NULL, NULL, NULL),
            (8, 1, 'unknown', NULL, 'in_doubt', NULL, NULL, NULL, NULL)
        ) AS a(job_id, attempt, state, late_ms, class, code, request, call, results)
        JOIN callq.jobs AS j ON j.id = a.job_id;
        -- What is counted is what changes.
        CREATE TEMP TABLE came AS SELECT * FROM callq.attempts;
        UPDATE callq.attempts SET state = 'claimed', sent_at = NULL, replied_at = NULL, class = NULL;
        ALTER TABLE callq.attempts ENABLE TRIGGER USER;
        UPDATE callq.attempts AS a SET state = c.state, sent_at = c.sent_at, replied_at = c.replied_at, class = c.class
        FROM came AS c WHERE c.job_id = a.job_id AND c.attempt = a.attempt",
    )
    .await;
    database
}

#[tokio::test]
async fn everything_in_the_schema_has_a_comment() {
    let database = Database::new().await;
    // What sqlx keeps for itself is not ours to explain.
    let ours = "relnamespace = 'callq'::regnamespace AND relname NOT LIKE '\\_sqlx%'";
    let silent = format!(
        "SELECT c.relname::text FROM pg_class AS c WHERE {ours} AND relkind IN ('r', 'v') AND obj_description(c.oid, 'pg_class') IS NULL
         UNION ALL
         SELECT c.relname || '.' || a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
         WHERE {ours} AND relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL
         UNION ALL
         SELECT p.proname || '()' FROM pg_proc AS p WHERE p.pronamespace = 'callq'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
         UNION ALL
         SELECT t.typname::text FROM pg_type AS t WHERE t.typnamespace = 'callq'::regnamespace AND t.typtype = 'e' AND obj_description(t.oid, 'pg_type') IS NULL"
    );
    let silent: Vec<String> = sqlx::query_scalar(AssertSqlSafe(silent))
        .fetch_all(database.pool())
        .await
        .unwrap();
    assert_eq!(silent, Vec::<String>::new());
    let explained = "SELECT count(*) FROM pg_description WHERE objoid = 'callq.jobs'::regclass AND objsubid > 0";
    let explained: i64 = sqlx::query_scalar(explained)
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert!(explained > 30, "the question finds comments");
}

#[tokio::test]
async fn every_reason_that_the_program_gives_has_a_sentence() {
    let database = Database::new().await;
    let known = rows(database.pool(), "reason", "reasons").await;
    for reason in callq::call::Reason::ALL {
        assert!(
            known.contains(&reason.as_str().to_owned()),
            "{}",
            reason.as_str()
        );
    }
}

#[tokio::test]
async fn job_status_says_where_each_job_stands_and_what_comes_next() {
    let database = made_by_hand().await;
    let columns = "day, app, id, state, reason, to_char(next_at AT TIME ZONE 'UTC', 'HH24:MI:SS'), attempts, rings, callees, last_error";
    assert_eq!(
        rows(database.pool(), columns, "job_status ORDER BY id").await,
        [
            "2030-01-01|default|1|scheduled|15:30:00|0|0|1",
            "2030-01-01|default|2|placed|accepted|2|1|2",
            "2030-01-01|default|3|failed|refused|1|0|1|60002 bad",
            "2030-01-01|default|4|in_doubt|reply_unknown|15:30:45|1|1|1",
            "2030-01-01|default|5|dialing|15:30:30|1|0|1",
            "2030-01-01|default|6|expired|expired_no_worker|0|0|1",
            "2030-01-02|other|7|cancelled|cancelled_by_user|0|0|1",
            "2030-01-01|default|8|unresolved|unresolved|1|1|1",
        ]
    );
    let unexplained =
        "job_status WHERE (reason IS NULL) <> (sentence IS NULL AND next_step IS NULL)";
    assert_eq!(
        rows(database.pool(), "id", unexplained).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn call_legs_has_a_row_for_each_callee_of_each_attempt() {
    let database = made_by_hand().await;
    let columns = "day, app, job_id, attempt, ring_no, callee, robot, media_type, metadata, room_id, call_id,
        extract(epoch FROM sent_at - due_at)::float8 * 1000, placed_at - run_at, result_code, attempt_state, class, error_code, request_id";
    assert_eq!(
        rows(
            database.pool(),
            columns,
            "call_legs ORDER BY job_id, attempt, callee"
        )
        .await,
        [
            r#"2030-01-01|default|2|1|1|ann|bot|Audio|{"n": 2}|room21|10|replied|safe|60011|r21"#,
            r#"2030-01-01|default|2|1|1|bob|bot|Audio|{"n": 2}|room21|10|replied|safe|60011|r21"#,
            r#"2030-01-01|default|2|2|1|ann|bot|Audio|{"n": 2}|room22|c2|20|00:00:01|0|replied|accepted|0|r22"#,
            r#"2030-01-01|default|2|2|1|bob|bot|Audio|{"n": 2}|room22|c2|20|00:00:01|7|replied|accepted|0|r22"#,
            r#"2030-01-01|default|3|1|1|jack|bot|Audio|{"n": 3}|room31|30|replied|cannot|60002|r31"#,
            r#"2030-01-01|default|4|1|1|jack|bot|Audio|{"n": 4}|room41|40|unknown|in_doubt"#,
            r#"2030-01-01|default|5|1|1|jack|bot|Audio|{"n": 5}|room51|claimed"#,
            r#"2030-01-01|default|8|1|1|jack|bot|Audio|{"n": 8}|room81|unknown|in_doubt"#,
        ]
    );
}

#[tokio::test]
async fn callee_results_has_one_row_per_callee_of_an_accepted_call_whatever_was_answered() {
    let database = made_by_hand().await;
    let columns = "job_id, attempt, callee, coalesce(result_code::text, 'NULL')";
    assert_eq!(
        rows(database.pool(), columns, "callee_results ORDER BY callee").await,
        ["2|2|ann|0", "2|2|bob|7"]
    );
    for (answered, then) in [
        ("NULL", "NULL"),
        ("'7'", "NULL"),
        ("'{}'", "NULL"),
        ("'[]'", "NULL"),
        ("'[{\"Callee_Account\": \"ann\"}]'", "NULL"),
        (
            "'[{\"Callee_Account\": \"ann\", \"ResultCode\": \"5\"}]'",
            "5",
        ),
        (
            "'[{\"Callee_Account\": \"ann\", \"ResultCode\": -5}]'",
            "-5",
        ),
        (
            "'[{\"Callee_Account\": \"ann\", \"ResultCode\": \"x\"}]'",
            "NULL",
        ),
        (
            "'[{\"Callee_Account\": \"ann\", \"ResultCode\": 99999999999999999999}]'",
            "NULL",
        ),
        (
            "'[{\"Callee_Account\": \"ann\", \"ResultCode\": {\"a\": 1}}]'",
            "NULL",
        ),
    ] {
        run(
            database.pool(),
            &format!("UPDATE callq.attempts SET callee_results = {answered}"),
        )
        .await;
        let got = rows(database.pool(), columns, "callee_results ORDER BY callee").await;
        assert_eq!(
            got,
            [format!("2|2|ann|{then}"), "2|2|bob|NULL".to_owned()],
            "{answered}"
        );
    }
}

#[tokio::test]
async fn not_called_counts_what_ended_without_a_call() {
    let database = made_by_hand().await;
    let counted = rows(
        database.pool(),
        "day, app, state, reason, jobs",
        "not_called ORDER BY day, state",
    )
    .await;
    assert_eq!(
        counted,
        [
            "2030-01-01|default|failed|refused|1",
            "2030-01-01|default|expired|expired_no_worker|1",
            "2030-01-01|default|unresolved|unresolved|1",
            "2030-01-02|other|cancelled|cancelled_by_user|1",
        ]
    );
    let silent = rows(
        database.pool(),
        "reason",
        "not_called WHERE sentence IS NULL",
    )
    .await;
    assert_eq!(silent, Vec::<String>::new());
}

#[tokio::test]
async fn errors_counts_refusals_by_hour_and_code() {
    let database = made_by_hand().await;
    let pool = database.pool();
    let columns = "hour, app, error_code, meaning, class, count, last_request_id";
    assert_eq!(
        rows(pool, columns, "errors ORDER BY error_code").await,
        [
            "2030-01-01 23:00:00|default|60002|malformed|cannot|1|r31",
            "2030-01-01 23:00:00|default|60011|too many requests|safe|1|r21",
        ]
    );
    run(pool, "UPDATE callq.attempts SET error_code = 4711, class = 'in_doubt', replied_at = replied_at + job_id * interval '1 second' WHERE state = 'replied'").await;
    assert_eq!(
        rows(pool, columns, "errors").await,
        ["2030-01-01 23:00:00|default|4711|not a code that callq knows|in_doubt|3|r31"]
    );
}

#[tokio::test]
async fn lateness_is_from_due_to_sent() {
    let database = made_by_hand().await;
    let columns = "hour, app, requests, p50_ms, round(p95_ms), round(p99_ms), max_ms";
    assert_eq!(
        rows(database.pool(), columns, "lateness").await,
        ["2030-01-01 23:00:00|default|4|20|39|39|40"]
    );
}

#[tokio::test]
async fn in_doubt_shows_each_doubt_with_its_room_and_what_settles_it() {
    let database = made_by_hand().await;
    let columns = "day, app, job_id, attempt, room_id, room_id_type, robot, callees, reason, reason_detail, on_doubt,
        age = now() - claimed_at, evidence_looked_for, to_char(resolves_at AT TIME ZONE 'UTC', 'HH24:MI:SS')";
    assert_eq!(
        rows(database.pool(), columns, "in_doubt").await,
        [
            "2030-01-01|default|4|1|room41|2|bot|{jack}|reply_unknown|timeout|retry|t|a late reply, then another ring|15:30:45"
        ]
    );
    run(database.pool(), "DELETE FROM callq.attempts").await;
    let job = rows(database.pool(), "job_id", "in_doubt").await;
    assert_eq!(job, ["4"], "a doubt is visible also without its attempt");
}

/// A view that joins row by row would take hours for what the worker calls in a day.
#[tokio::test]
async fn no_view_reads_a_table_once_for_each_row_of_another() {
    let database = Database::new().await;
    let pool = database.pool();
    run(
        pool,
        "ALTER TABLE callq.jobs DISABLE TRIGGER USER;
         INSERT INTO callq.jobs (robot_account, callees, run_at, due_at, expires_at, state, attempt, placed_at, finished_at, reason)
         SELECT 'bot', '{jack}', t, t, t, 'placed', 1, t, t, 'accepted' FROM generate_series(1, 20000) AS i, (SELECT now() AS t) AS now;
         INSERT INTO callq.attempts (job_id, attempt, claim_token, state, app, worker, room_id, room_id_type, random, due_at, claimed_at, replied_at, sent_at, class)
         SELECT id, 1, gen_random_uuid(), 'replied', 'default', 'w', 'r', 2, 1, now(), now(), now(), now(), 'accepted' FROM callq.jobs;
         ANALYZE callq.jobs; ANALYZE callq.attempts",
    )
    .await;
    for view in [
        "job_status",
        "call_legs",
        "not_called",
        "errors",
        "lateness",
        "in_doubt",
        "callee_results",
    ] {
        let explain = format!(
            "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) SELECT * FROM callq.{view}"
        );
        let plan: serde_json::Value = sqlx::query_scalar(AssertSqlSafe(explain))
            .fetch_one(pool)
            .await
            .unwrap();
        let blocks = plan[0]["Plan"]["Shared Hit Blocks"].as_u64().unwrap()
            + plan[0]["Plan"]["Shared Read Blocks"].as_u64().unwrap();
        // An index lookup per row is 3 blocks or so; a table per row is hundreds.
        assert!(
            blocks < 20_000 * 8,
            "{view} reads {blocks} blocks for 20,000 jobs"
        );
    }
}
