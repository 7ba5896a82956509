-- Finished calls of 90 days, for measuring reports and retention: psql -v legs=10000000 -f benches/reports.sql on a
-- database that `callq migrate` has made and nobody needs. One leg per job; each job that was placed is completed,
-- one in 50 ended without a call, one in 20 was refused once before. 20 schedules, six robots, every outcome,
-- from 8 to 20 o'clock; the same rows each time.
\set ON_ERROR_STOP on
\timing on
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
ALTER TABLE callq.jobs DISABLE TRIGGER USER;
ALTER TABLE callq.attempts DISABLE TRIGGER USER;
INSERT INTO callq.schedules (name, cron, tz, robot_account, callees)
SELECT 's' || i, '0 9 * * *', 'UTC', 'robot', '{callee}' FROM generate_series(1, 20) AS i ON CONFLICT DO NOTHING;

CREATE TEMP TABLE made AS
SELECT i, date_trunc('day', now()) - interval '90 days' + d.day * interval '1 day' + interval '8 hours'
        + (i * 90.0 / :legs - d.day) * interval '12 hours' AS at,
    h, CASE WHEN h % 10 < 3 THEN (SELECT min(id) FROM callq.schedules) + (h / 10) % 20 END AS schedule_id,
    CASE WHEN h % 10 < 3 THEN 'robot' ELSE 'robot' || (h / 10) % 5 END AS robot,
    (ARRAY['answered', 'answered', 'answered', 'answered', 'no_answer', 'no_answer', 'busy', 'declined', 'unreachable', 'unknown',
        'interrupted', 'cancelled'])[1 + (h / 1000) % 12] AS outcome,
    (h / 100000) % 50 = 0 AS refused, (h / 100000) % 20 = 1 AS twice, (10 * exp(((h / 7) % 1000) / 160.0)) AS late_ms
FROM generate_series(1, :legs) AS i
CROSS JOIN LATERAL (SELECT floor((i - 1) * 90.0 / :legs)::int AS day, hashint8(i)::bigint & 2147483647 AS h) AS d;

INSERT INTO callq.jobs (app, robot_account, callees, run_at, expires_at, due_at, created_at, state, reason, outcome, attempt, call_id,
    error_code, request_id, sent_at, placed_at, finished_at, schedule_id, nominal_at, nominal_local, nominal_fold, idempotency_key)
SELECT 'default', m.robot, ARRAY['callee' || m.h % 100000], m.at, m.at + interval '1 hour', m.at, m.at - interval '1 minute',
    CASE WHEN m.refused THEN 'failed' ELSE 'completed' END::callq.job_state, CASE WHEN m.refused THEN 'refused' ELSE 'accepted' END,
    CASE WHEN NOT m.refused THEN m.outcome END, 1 + m.twice::int, 'call-' || m.i, CASE WHEN m.refused THEN 70001 ELSE 0 END, 'request-' || m.i,
    m.at + m.late_ms * interval '1 ms', CASE WHEN NOT m.refused THEN m.at + interval '1 second' END, m.at + interval '1 minute',
    m.schedule_id, CASE WHEN m.schedule_id IS NOT NULL THEN m.at END, CASE WHEN m.schedule_id IS NOT NULL THEN m.at AT TIME ZONE 'UTC' END,
    CASE WHEN m.schedule_id IS NOT NULL THEN 0 END, CASE WHEN m.i % 2 = 0 THEN 'key-' || m.i END
FROM made AS m ORDER BY m.i;

INSERT INTO callq.attempts (job_id, attempt, claim_token, state, app, worker, room_id, room_id_type, random, due_at, claimed_at, sent_at,
    replied_at, class, http_status, error_code, request_id, call_id, callee_results)
SELECT m.first_id + m.i, t.n, gen_random_uuid(), 'replied', 'default', 'host-1-abcdef', format('callq_%s_%s_0123456789abcdef', m.i, t.n), 2, m.h,
    m.at, m.at, m.at + m.late_ms * interval '1 ms', m.at + interval '1 second', t.class, 200, t.code, 'request-' || m.i || '-' || t.n,
    CASE WHEN t.code = 0 THEN 'call-' || m.i END,
    CASE WHEN t.code = 0 THEN jsonb_build_array(jsonb_build_object('Callee_Account', 'callee' || m.h % 100000, 'ResultCode', 0)) END
FROM (SELECT made.*, (SELECT max(id) FROM callq.jobs) - :legs AS first_id FROM made) AS m
CROSS JOIN LATERAL (
    SELECT 1, 'safe', 60011 WHERE m.twice
    UNION ALL
    SELECT 1 + m.twice::int, CASE WHEN m.refused THEN 'cannot' ELSE 'accepted' END, CASE WHEN m.refused THEN 70001 ELSE 0 END) AS t(n, class, code)
ORDER BY m.i;

INSERT INTO callq.legs (job_id, attempt, callee_no, callee, outcome, source, accepted_at, ended_at, ring_seconds, talk_seconds, settled_at)
SELECT m.first_id + m.i, 1 + m.twice::int, 1, 'callee' || m.h % 100000, m.outcome, CASE m.outcome WHEN 'unknown' THEN 'nothing' ELSE 'record' END,
    CASE m.outcome WHEN 'answered' THEN m.at + interval '9 seconds' END, m.at + interval '1 minute', m.h % 45,
    CASE m.outcome WHEN 'answered' THEN m.h % 600 ELSE 0 END, m.at + interval '70 seconds'
FROM (SELECT made.*, (SELECT max(id) FROM callq.jobs) - :legs AS first_id FROM made) AS m
WHERE NOT m.refused ORDER BY m.i;

-- The counts, as the statements and triggers that were switched off would have made them.
INSERT INTO callq.leg_counts (quarter, app, schedule_id, robot, media_type, ring_no, outcome, legs, ring_seconds, talk_seconds, longest_talk_seconds)
SELECT date_bin('15 minutes', a.sent_at, 'epoch'), j.app, coalesce(j.schedule_id, 0), j.robot_account, j.media_type, j.ring_no, l.outcome,
    count(*), sum(l.ring_seconds), sum(l.talk_seconds), max(l.talk_seconds)
FROM callq.legs AS l JOIN callq.jobs AS j ON j.id = l.job_id JOIN callq.attempts AS a ON a.job_id = l.job_id AND a.attempt = l.attempt
GROUP BY 1, 2, 3, 4, 5, 6, 7;
INSERT INTO callq.request_counts (quarter, app, schedule_id, bucket, requests, latest_ms)
SELECT date_bin('15 minutes', a.sent_at, 'epoch'), a.app, coalesce(j.schedule_id, 0), callq.lateness_bucket(l.ms), count(*), max(l.ms)
FROM callq.attempts AS a JOIN callq.jobs AS j ON j.id = a.job_id
CROSS JOIN LATERAL (SELECT greatest(0, extract(epoch FROM a.sent_at - a.due_at)::float8 * 1000) AS ms) AS l
GROUP BY 1, 2, 3, 4;
INSERT INTO callq.refusal_counts (quarter, app, schedule_id, class, error_code, replies, last_replied_at, last_request_id)
SELECT date_bin('15 minutes', a.replied_at, 'epoch'), a.app, coalesce(j.schedule_id, 0), a.class, a.error_code, count(*), max(a.replied_at),
    (array_agg(a.request_id ORDER BY a.replied_at DESC))[1]
FROM callq.attempts AS a JOIN callq.jobs AS j ON j.id = a.job_id
WHERE a.class <> 'accepted' GROUP BY 1, 2, 3, 4, 5;
INSERT INTO callq.not_called_counts (quarter, app, schedule_id, state, reason, jobs)
SELECT date_bin('15 minutes', j.run_at, 'epoch'), j.app, coalesce(j.schedule_id, 0), j.state::text, j.reason, count(*)
FROM callq.jobs AS j WHERE j.state IN ('failed', 'expired', 'cancelled', 'unresolved') GROUP BY 1, 2, 3, 4, 5;
ALTER TABLE callq.jobs ENABLE TRIGGER USER;
ALTER TABLE callq.attempts ENABLE TRIGGER USER;
VACUUM (ANALYZE) callq.jobs, callq.attempts, callq.legs, callq.leg_counts, callq.request_counts, callq.refusal_counts,
    callq.not_called_counts, callq.schedules;
