-- These calls ($1, $2) are looked for again after so many seconds ($3).
--
-- Index: the primary key of calls.
UPDATE callq.calls AS c SET look_at = CASE WHEN c.look_at IS NOT NULL THEN now() + g.again_s * interval '1 second' END, looks = c.looks + 1
FROM unnest($1::bigint[], $2::int[], $3::float8[]) AS g(job_id, attempt, again_s)
WHERE c.job_id = g.job_id AND c.attempt = g.attempt
