-- What became of the jobs from the number $1 on, and how late their requests were. Index: the primary keys.
SELECT (SELECT count(*) FROM callq.jobs AS j WHERE j.id >= $1::bigint AND j.state IN ('placed', 'completed')) AS "placed!",
    count(*) FILTER (WHERE a.attempt > 1) AS "extra_attempts!",
    percentile_cont(0.5) WITHIN GROUP (ORDER BY l.ms) AS late_p50_ms,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY l.ms) AS late_p99_ms,
    max(l.ms) AS late_max_ms
FROM callq.attempts AS a
CROSS JOIN LATERAL (SELECT extract(epoch FROM a.sent_at - a.due_at)::float8 * 1000 AS ms) AS l
WHERE a.job_id >= $1
