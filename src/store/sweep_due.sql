-- The calls of an app ($1) whose records did not come with those of everybody, and whose time has come, $2
-- at most.
--
-- Index: calls_to_look_for.
SELECT c.job_id AS "job_id!", c.attempt AS "attempt!", c.call_id AS "call_id?" FROM callq.calls AS c
WHERE c.app = $1::text AND c.look_at <= now()
ORDER BY c.look_at LIMIT $2
