//! Each report view beside the same counted anew from the rows, in the plainest SQL.

use sqlx::AssertSqlSafe;

use crate::support::Database;

/// A view, or what of it can be counted, and the plain question. `@zone@` is the zone of the reports.
const PAIRS: [(&str, &str, &str); 7] = [
    (
        "outcome_counts",
        "SELECT day, quarter, app, schedule_id, robot, media_type, ring_no, outcome, sum(legs)::bigint, sum(ring_seconds)::bigint, sum(talk_seconds)::bigint
         FROM callq.outcome_counts GROUP BY 1, 2, 3, 4, 5, 6, 7, 8",
        "SELECT day, date_bin('15 minutes', coalesce(sent_at, claimed_at), 'epoch') AT TIME ZONE '@zone@', app, schedule_id, robot, media_type, ring_no,
             outcome, count(*), coalesce(sum(ring_seconds), 0)::bigint, coalesce(sum(talk_seconds), 0)::bigint
         FROM callq.call_legs WHERE outcome IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7, 8",
    ),
    (
        "call_legs",
        "SELECT day, job_id, attempt, callee, outcome, outcome_source FROM callq.call_legs WHERE outcome <> 'pending'",
        "SELECT (coalesce(a.sent_at, a.claimed_at) AT TIME ZONE '@zone@')::date, l.job_id, l.attempt, l.callee, l.outcome, l.source
         FROM callq.legs AS l JOIN callq.attempts AS a ON a.job_id = l.job_id AND a.attempt = l.attempt",
    ),
    (
        "outcomes_daily",
        "SELECT day, app, schedule_id, legs, answered, declined + busy + no_answer + cancelled + interrupted, unreachable, unknown, pending, answer_rate
         FROM callq.outcomes_daily",
        "SELECT day, app, schedule_id, count(*), count(*) FILTER (WHERE outcome = 'answered'),
             count(*) FILTER (WHERE outcome IN ('declined', 'busy', 'no_answer', 'cancelled', 'interrupted')),
             count(*) FILTER (WHERE outcome = 'unreachable'), count(*) FILTER (WHERE outcome = 'unknown'),
             count(*) FILTER (WHERE outcome = 'pending'),
             round(count(*) FILTER (WHERE outcome = 'answered')::numeric
                 / nullif(count(*) FILTER (WHERE outcome NOT IN ('unreachable', 'unknown', 'pending')), 0), 4)
         FROM callq.call_legs WHERE outcome IS NOT NULL GROUP BY 1, 2, 3",
    ),
    (
        "answer_heatmap",
        "SELECT weekday, hour, sum(rung)::bigint, sum(answered)::bigint FROM callq.answer_heatmap GROUP BY 1, 2",
        "SELECT extract(isodow FROM t)::int, extract(hour FROM t)::int, count(*) FILTER (WHERE outcome NOT IN ('unreachable', 'unknown', 'pending')),
             count(accepted_at)
         FROM (SELECT *, coalesce(sent_at, claimed_at) AT TIME ZONE '@zone@' AS t FROM callq.call_legs WHERE outcome IS NOT NULL) AS l GROUP BY 1, 2",
    ),
    (
        "not_called",
        "SELECT day, app, state, reason, schedule_id, jobs FROM callq.not_called",
        "SELECT (j.run_at AT TIME ZONE '@zone@')::date, j.app, j.state, j.reason, coalesce(j.schedule_id, r.schedule_id, 0), count(*)
         FROM callq.jobs AS j LEFT JOIN callq.jobs AS r ON r.id = j.root_id
         WHERE j.state IN ('failed', 'expired', 'cancelled', 'unresolved') GROUP BY 1, 2, 3, 4, 5",
    ),
    (
        "errors",
        "SELECT day, hour, app, schedule_id, error_code, class, count FROM callq.errors",
        "SELECT (a.replied_at AT TIME ZONE '@zone@')::date, date_trunc('hour', a.replied_at AT TIME ZONE '@zone@'), a.app,
             coalesce(j.schedule_id, r.schedule_id, 0), a.error_code, a.class, count(*)
         FROM callq.attempts AS a JOIN callq.jobs AS j ON j.id = a.job_id LEFT JOIN callq.jobs AS r ON r.id = j.root_id
         WHERE a.state = 'replied' AND a.class <> 'accepted' GROUP BY 1, 2, 3, 4, 5, 6",
    ),
    (
        // Percentiles are within 5 %: asked as such.
        "lateness",
        "SELECT l.day, l.hour, l.app, l.schedule_id, l.requests, l.max_ms::numeric(20, 3),
             (SELECT bool_and(abs(p.told - greatest(p.exact, 1)) <= 0.05 * greatest(p.exact, 1) + 0.5 * (p.exact < 1)::int)
              FROM (VALUES (l.p50_ms, e.p50), (l.p95_ms, e.p95), (l.p99_ms, e.p99)) AS p(told, exact))
         FROM callq.lateness AS l LEFT JOIN EXACT AS e ON e.hour = l.hour AND e.app = l.app AND e.schedule_id = l.schedule_id",
        "SELECT e.hour::date, e.hour, e.app, e.schedule_id, e.requests, e.latest::numeric(20, 3), true FROM EXACT AS e",
    ),
];

/// How late requests left, exactly.
const EXACT: &str = "(
    SELECT date_trunc('hour', a.sent_at AT TIME ZONE '@zone@') AS hour, a.app, coalesce(j.schedule_id, r.schedule_id, 0) AS schedule_id, count(*) AS requests,
        percentile_disc(0.50) WITHIN GROUP (ORDER BY l.ms) AS p50, percentile_disc(0.95) WITHIN GROUP (ORDER BY l.ms) AS p95,
        percentile_disc(0.99) WITHIN GROUP (ORDER BY l.ms) AS p99, max(l.ms) AS latest
    FROM callq.attempts AS a JOIN callq.jobs AS j ON j.id = a.job_id LEFT JOIN callq.jobs AS r ON r.id = j.root_id
    CROSS JOIN LATERAL (SELECT greatest(0, extract(epoch FROM a.sent_at - a.due_at)::float8 * 1000) AS ms) AS l
    WHERE a.sent_at IS NOT NULL GROUP BY 1, 2, 3)";

/// Fails unless every view says what the rows say.
pub(crate) async fn views_are_what_the_rows_say(database: &Database, zone: &str) {
    for (view, told, plain) in PAIRS {
        let [told, plain] =
            [told, plain].map(|sql| sql.replace("EXACT", EXACT).replace("@zone@", zone));
        let differ = format!(
            "SELECT coalesce(string_agg(d::text, E'\\n'), '') FROM (
                 SELECT 'view' AS of, t::text FROM ({told} EXCEPT ALL {plain}) AS t
                 UNION ALL SELECT 'rows', t::text FROM ({plain} EXCEPT ALL {told}) AS t) AS d"
        );
        let differ: String = sqlx::query_scalar(AssertSqlSafe(differ))
            .fetch_one(database.pool())
            .await
            .unwrap_or_else(|error| panic!("{view}: {error}"));
        assert_eq!(differ, "", "{view}");
    }
}

/// Everything that the views of counts say, as text.
pub(crate) async fn all_reports(database: &Database) -> String {
    let mut all = String::new();
    for view in [
        "outcome_counts",
        "outcomes_daily",
        "answer_heatmap",
        "attempts_to_answer",
        "talk_minutes",
        "not_called",
        "errors",
        "lateness",
    ] {
        // Rows of one key that add up: a view of details has several.
        let sql = format!(
            "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"), '') FROM callq.{view} AS t"
        );
        let rows: String = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(database.pool())
            .await
            .unwrap();
        all.extend([view, "\n", &rows, "\n"]);
    }
    all
}
