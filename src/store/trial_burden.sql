-- Inserts $2 jobs for measurements, the first with the number $1 of the whole backlog, $3 seconds apart: due in the future, or
-- ended in the past ($4) together with their attempts. The rules are switched off by the session. Only ever run in
-- a database that was made for it.
WITH made AS (
    INSERT INTO callq.jobs (robot_account, callees, run_at, expires_at, due_at, state, reason, attempt, attempts_used, call_id, callee_results,
        error_code, request_id, sent_at, placed_at, finished_at)
    SELECT 'bench', ARRAY['callee-' || t.n], t.at, t.at + interval '1 hour', t.at,
        CASE WHEN $4 THEN 'placed' ELSE 'scheduled' END::callq.job_state, CASE WHEN $4 THEN 'accepted' END, $4::int, $4::int,
        CASE WHEN $4 THEN 'call-' || t.n END, CASE WHEN $4 THEN '[{"Callee_Account": "callee", "ResultCode": 0}]'::jsonb END,
        CASE WHEN $4 THEN 0 END, CASE WHEN $4 THEN 'request-' || t.n END, t.ended, t.ended, t.ended
    FROM generate_series($1::bigint, $1 + $2::bigint - 1) AS s(n)
    CROSS JOIN LATERAL (
        SELECT s.n, now() + (3600 + s.n * $3::float8) * CASE WHEN $4::bool THEN -1 ELSE 1 END * interval '1 second' AS at) AS u
    CROSS JOIN LATERAL (SELECT u.n, u.at, CASE WHEN $4 THEN u.at END AS ended) AS t
    RETURNING id, due_at, sent_at, call_id, callee_results, request_id
)
INSERT INTO callq.attempts (job_id, attempt, claim_token, state, app, worker, room_id, room_id_type, random, due_at, claimed_at, sent_at,
    replied_at, class, http_status, error_code, request_id, call_id, callee_results)
SELECT m.id, 1, gen_random_uuid(), 'replied', 'default', 'host-1-abcdef', format('callq_%s_1_0123456789abcdef', m.id), 2, 7,
    m.due_at, m.due_at, m.sent_at, m.sent_at, 'accepted', 200, 0, m.request_id, m.call_id, m.callee_results
FROM made AS m WHERE $4
