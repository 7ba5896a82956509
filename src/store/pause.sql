-- Pauses app $1 because of a fault that concerns all its calls: reason $2, detail $3, found by worker
-- $4 with credentials $5, probed again in $6 seconds. A pause that is in force is left as it is.
--
-- Guarantees: one of many workers that meet the fault at once pauses it; the others get no row.
WITH paused AS (
    UPDATE callq.apps SET paused_at = now(), pause_reason = $2, pause_detail = $3, paused_by = $4,
        pause_fingerprint = $5, probe_at = now() + $6::float8 * interval '1 second', probes = 0
    WHERE app = $1 AND paused_at IS NULL
    RETURNING app
)
SELECT app, pg_notify('callq_pauses', '')::text AS notified FROM paused
