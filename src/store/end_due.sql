-- The calls of an app ($1) that are to be ended now, $2 at most, those first that wait longest.
--
-- One whose CallId is not known yet waits until it is. Index: calls_to_end.
SELECT c.job_id AS "job_id!", c.attempt AS "attempt!", c.call_id AS "call_id!", c.ends AS "ends!",
    extract(epoch FROM clock_timestamp())::bigint AS "now_unix!"
FROM callq.calls AS c
WHERE c.app = $1::text AND c.end_at <= now() AND c.call_id IS NOT NULL
ORDER BY c.end_at LIMIT $2
