-- Pauses app $1 because of a fault that concerns all its calls: reason $2, detail $3, found by worker
-- $4 with credentials $5, probed again in $6 seconds. A pause that is in force is left as it is, unless
-- other credentials brought it: then it is the app that is at fault, and the pause is for all of them.
--
-- Guarantees: one of many workers that meet the fault at once pauses it; the others get no row.
WITH paused AS (
    UPDATE callq.apps SET paused_at = coalesce(paused_at, now()), pause_reason = $2, pause_detail = $3, paused_by = $4,
        pause_fingerprint = CASE WHEN paused_at IS NULL THEN $5 ELSE '*' END,
        probe_at = now() + $6::float8 * interval '1 second', probes = 0
    WHERE app = $1 AND (paused_at IS NULL OR pause_fingerprint NOT IN ('*', $5))
    RETURNING app
)
SELECT app, pg_notify('callq_pauses', '')::text AS notified FROM paused
