//! `docs/reports.md`: the columns of each view, a SELECT, and what it answers.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, PgPool};
use tokio::process::Command;

use super::pages::{Page, table};
use super::schema::{COLUMNS, rows};
use crate::support::Database;

const PAGE: Page = Page("docs/reports.md");

/// Some days of calls: a clinic's reminders, rung again once, and calls of no schedule.
const CALLS: &str = "
    UPDATE callq.settings SET report_time_zone = 'Europe/Berlin';
    INSERT INTO callq.schedules (app, name, cron, tz, robot_account, callees, enabled) VALUES ('clinic', 'reminder', '0 9 * * *', 'Europe/Berlin', 'nurse', '{jack}', false);
    INSERT INTO callq.leg_counts
    SELECT date_bin('15 minutes', d + h * interval '1 hour', 'epoch'), 'clinic', CASE r WHEN 1 THEN s.id ELSE 0 END, CASE r WHEN 1 THEN 'nurse' ELSE 'desk' END,
        'Audio', ring, o, n, n * 20, CASE o WHEN 'answered' THEN n * 75 ELSE 0 END, CASE o WHEN 'answered' THEN 180 + h ELSE 0 END
    FROM callq.schedules AS s, generate_series(timestamptz '2030-01-07 00:00+00', '2030-01-09 00:00+00', '1 day') AS d,
        (VALUES (8, 1, 1, 'answered', 40), (8, 1, 1, 'no_answer', 30), (8, 1, 1, 'busy', 10), (8, 1, 1, 'unreachable', 5), (9, 1, 2, 'answered', 18),
            (9, 1, 2, 'no_answer', 12), (14, 2, 1, 'answered', 25), (14, 2, 1, 'declined', 8), (14, 2, 1, 'unknown', 2)) AS k(h, r, ring, o, n);
    INSERT INTO callq.error_codes VALUES (60011, 'safe', 'too many requests for this SDKAppID', 'page') ON CONFLICT DO NOTHING;
    INSERT INTO callq.request_counts
    SELECT '2030-01-07 08:00+00', 'clinic', 0, callq.lateness_bucket(ms), n, ms FROM (VALUES (8.0::float8, 60), (15, 30), (90, 9), (700, 1)) AS k(ms, n);
    INSERT INTO callq.refusal_counts VALUES ('2030-01-07 08:00+00', 'clinic', 0, 'safe', 60011, 12, '2030-01-07 08:03+00', '6d8c-17');
    INSERT INTO callq.not_called_counts VALUES ('2030-01-07 08:00+00', 'clinic', 0, 'expired', 'expired_app_paused', 7), ('2030-01-07 08:00+00', 'clinic', 0, 'unresolved', 'unresolved', 1);
    INSERT INTO callq.stream_counts VALUES ('2030-01-07 08:00+00', 'clinic', 0, 'nurse', 170, 12750, 4), ('2030-01-07 09:00+00', 'clinic', 0, 'desk', 25, 1500, 0);
    ALTER TABLE callq.jobs DISABLE TRIGGER USER;
    INSERT INTO callq.jobs (id, app, robot_account, callees, run_at, due_at, expires_at, state, reason, outcome, attempt, placed_at, finished_at, lease_until,
        schedule_id, nominal_local, nominal_fold)
    OVERRIDING SYSTEM VALUE
    SELECT n, 'clinic', 'nurse', '{jack}', t, t, t + interval '1 hour', st::callq.job_state, re, o, 1, CASE st WHEN 'completed' THEN t END, CASE st WHEN 'completed' THEN t END,
        CASE st WHEN 'in_doubt' THEN t + interval '6 days' END, CASE st WHEN 'completed' THEN (SELECT id FROM callq.schedules) END,
        CASE st WHEN 'completed' THEN t AT TIME ZONE 'Europe/Berlin' END,
        CASE st WHEN 'completed' THEN 0 END
    FROM (VALUES (1, '2030-01-07 08:00+00'::timestamptz, 'completed', 'accepted', 'answered'), (2, '2030-01-08 08:00+00', 'completed', 'accepted',
        'no_answer'), (3, '2030-01-09 08:00+00', 'in_doubt', 'reply_unknown', NULL)) AS k(n, t, st, re, o);
    INSERT INTO callq.attempts (job_id, attempt, claim_token, state, class, app, worker, room_id, room_id_type, random, due_at, claimed_at, sent_at, replied_at)
    SELECT id, 1, gen_random_uuid(), CASE state WHEN 'completed' THEN 'replied' ELSE 'unknown' END::callq.attempt_state, CASE state WHEN 'completed' THEN 'accepted' ELSE 'in_doubt' END,
        'clinic', 'w', 'callq_' || id || '_1_0f3a', 2, 1, run_at, run_at, run_at + interval '9 ms', CASE state WHEN 'completed' THEN run_at + interval '40 ms' END FROM callq.jobs;
    INSERT INTO callq.legs (job_id, attempt, callee_no, callee, outcome, source, accepted_at, ended_at, ring_seconds, talk_seconds)
    SELECT id, 1, 1, 'jack', outcome, 'record', CASE outcome WHEN 'answered' THEN run_at + interval '6 s' END, run_at + interval '50 s', 6, 44 FROM callq.jobs WHERE outcome IS NOT NULL;
    INSERT INTO callq.skipped_firings (schedule_id, app, name, reason, first_nominal_at, last_nominal_at, firings) SELECT id, app, name, 'missed', now(), now(), 2 FROM callq.schedules";

/// A question to each view.
const QUESTIONS: [(&str, &str); 15] = [
    (
        "outcomes_daily",
        "SELECT day, sum(legs) AS legs, sum(answered) AS answered,\n\
             round(sum(answered) / sum(legs - unreachable - unknown - pending), 3) AS rate\n\
         FROM callq.outcomes_daily\n\
         WHERE day >= '2030-01-01' AND schedule = 'reminder' GROUP BY day ORDER BY day",
    ),
    (
        "answer_heatmap",
        "SELECT weekday, hour, round(sum(answered) / nullif(sum(rung), 0), 3) AS answer_rate\n\
         FROM callq.answer_heatmap WHERE day BETWEEN '2030-01-01' AND '2030-01-31'\nGROUP BY weekday, hour ORDER BY weekday, hour",
    ),
    (
        "attempts_to_answer",
        "SELECT day, ring_no, reached, reached_so_far, callees, cumulative_percent\n\
         FROM callq.attempts_to_answer WHERE schedule = 'reminder' AND day = '2030-01-07' ORDER BY ring_no",
    ),
    (
        "talk_minutes",
        "SELECT robot, sum(answered) AS answered, sum(talk_minutes) AS minutes, max(longest_talk_seconds) AS longest_s\n\
         FROM callq.talk_minutes WHERE day >= '2030-01-01' GROUP BY robot ORDER BY minutes DESC",
    ),
    (
        "media_minutes",
        "SELECT robot, sum(started) AS started, sum(minutes) AS minutes, sum(failed) AS failed\n\
         FROM callq.media_minutes WHERE day >= '2030-01-01' GROUP BY robot ORDER BY robot",
    ),
    (
        "not_called",
        "SELECT state, reason, sentence, jobs FROM callq.not_called WHERE day = '2030-01-07' ORDER BY jobs DESC",
    ),
    (
        "errors",
        "SELECT hour, error_code, meaning, class, count, last_request_id FROM callq.errors WHERE day = '2030-01-07'",
    ),
    (
        "lateness",
        "SELECT hour, requests, round(p50_ms) AS p50, round(p95_ms) AS p95, round(p99_ms) AS p99, max_ms\nFROM callq.lateness WHERE day = '2030-01-07'",
    ),
    (
        "schedule_health",
        "SELECT schedule, state, last_outcome, missed_7d, skipped_7d, unanswered_streak FROM callq.schedule_health",
    ),
    (
        "in_doubt",
        "SELECT job_id, attempt, room_id, evidence_looked_for FROM callq.in_doubt",
    ),
    (
        "call_legs",
        "SELECT job_id, callee, sent_at - due_at AS late, outcome, outcome_source, ring_seconds, talk_seconds\nFROM callq.call_legs WHERE claimed_at \
            >= '2030-01-07' AND claimed_at < '2030-01-10' ORDER BY job_id",
    ),
    (
        "job_status",
        "SELECT id, state, outcome, attempts, rings, callees, answered FROM callq.job_status WHERE id IN (1, 2, 3) ORDER BY id",
    ),
    (
        "outcome_counts",
        "SELECT robot, outcome, sum(legs) AS legs FROM callq.outcome_counts\n\
         WHERE at >= '2030-01-07' AND at < '2030-01-08' GROUP BY robot, outcome ORDER BY robot, legs DESC",
    ),
    (
        "lateness_counts",
        "SELECT bucket, round(about_ms) AS about_ms, sum(requests) AS requests FROM callq.lateness_counts\nWHERE at >= '2030-01-07' AND at < \
            '2030-01-08' GROUP BY bucket, about_ms ORDER BY bucket",
    ),
    ("report_clock", "SELECT zone FROM callq.report_clock"),
];

async fn columns(pool: &PgPool, view: &str) -> String {
    let columns: Vec<[String; 3]> = rows(pool, COLUMNS, &[view]).await;
    let columns = columns.into_iter().map(|[name, of_type, what]| {
        [
            format!("`{name}`"),
            of_type.replace(", may be NULL", ""),
            what,
        ]
    });
    table(["column", "type", "what"], columns)
}

async fn psql(url: &str, sql: &str) -> String {
    let output = Command::new("psql")
        .args(["-X", "-d", url, "-c", sql])
        .env("PGCLIENTENCODING", "UTF8")
        .env("PGTZ", "UTC")
        .output()
        .await
        .expect("psql is installed");
    assert!(output.status.success(), "psql refused: {sql}");
    String::from_utf8(output.stdout).expect("psql prints UTF-8")
}

#[tokio::test]
async fn every_view_is_told_with_a_question_and_its_answer() {
    let database = Database::new().await;
    sqlx::raw_sql(AssertSqlSafe(CALLS))
        .execute(database.pool())
        .await
        .expect("some calls");
    let mut page = String::new();
    for (view, sql) in QUESTIONS {
        let comment = format!("SELECT obj_description('callq.{view}'::regclass, 'pg_class')");
        let comment: String = sqlx::query_scalar(AssertSqlSafe(comment))
            .fetch_one(database.pool())
            .await
            .unwrap();
        let (columns, answer) = (
            columns(database.pool(), view).await,
            psql(database.url(), sql).await,
        );
        let answer: Vec<&str> = answer.lines().map(str::trim_end).collect();
        let answer = answer.join("\n");
        write!(page, "\n## callq.{view}\n\n{comment}\n\n```sql\n{sql};\n```\n\n```text\n{}\n```\n\n{columns}", answer.trim_end()).expect("a String takes all");
    }
    PAGE.keep("views", &page, str::to_owned);
    let views: Vec<String> = sqlx::query_scalar(
        "SELECT viewname::text FROM pg_views WHERE schemaname = 'callq' ORDER BY 1",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    let elsewhere = [
        "worker_status",
        "callee_results",
        "circuits",
        "next_firings",
        "history",
    ];
    for view in views
        .iter()
        .filter(|view| !elsewhere.contains(&view.as_str()))
    {
        assert!(
            page.contains(&format!("## callq.{view}\n")),
            "{view} is not on the page"
        );
    }
}
