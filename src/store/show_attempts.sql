-- All attempts of one job ($1), oldest first. Index: the primary key.
SELECT a.attempt, a.state::text AS "state!", a.worker, a.room_id, a.random, a.due_at, a.claimed_at, a.sent_at,
    a.replied_at, extract(epoch FROM a.sent_at - a.due_at)::float8 * 1000 AS late_ms, a.class, a.http_status,
    a.error_code, a.error_info, coalesce(e.meaning) AS "meaning?", a.request_id, a.call_id, a.callee_results, a.detail,
    a.second_ring
FROM callq.attempts AS a
LEFT JOIN callq.error_codes AS e ON e.code = a.error_code
WHERE a.job_id = $1
ORDER BY a.attempt
