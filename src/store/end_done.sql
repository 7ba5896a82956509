-- These calls ($1, $2) were asked to end: each is asked again after so many seconds ($3), NULL: it is over. $4: whether
-- Tencent did as it was asked, so that the job says why its call ended.
--
-- Guarantees: whatever is locked stays as it is, and is asked again. Whether the phone rang is the outcome's to say.
-- Index: the primary keys of jobs and calls.
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::int[], $3::float8[], $4::bool[]) AS g(job_id, attempt, again_s, done)
), locked AS MATERIALIZED (
    SELECT j.id FROM callq.jobs AS j WHERE j.id = ANY ($1::bigint[]) ORDER BY j.id FOR NO KEY UPDATE SKIP LOCKED
), held AS MATERIALIZED (
    SELECT c.job_id, c.attempt, c.end_why FROM callq.calls AS c JOIN given AS g ON g.job_id = c.job_id AND g.attempt = c.attempt
    WHERE c.job_id IN (SELECT l.id FROM locked AS l) OR NOT EXISTS (SELECT FROM callq.jobs AS j WHERE j.id = c.job_id)
    ORDER BY c.job_id, c.attempt FOR UPDATE OF c SKIP LOCKED
), said AS (
    UPDATE callq.jobs AS j SET reason = 'max_call_seconds', reason_detail = NULL
    FROM held AS h JOIN given AS g ON g.job_id = h.job_id AND g.attempt = h.attempt
    WHERE j.id = h.job_id AND j.state = 'placed' AND g.done AND h.end_why = 'max_call_seconds'
)
UPDATE callq.calls AS c SET
    end_at = now() + g.again_s * interval '1 second', ends = c.ends + 1,
    live_until = CASE WHEN g.again_s IS NULL THEN now() ELSE c.live_until END
FROM held AS h JOIN given AS g ON g.job_id = h.job_id AND g.attempt = h.attempt
WHERE c.job_id = h.job_id AND c.attempt = h.attempt
