-- Notes that a call of app $1 was accepted, at most every 5 s, and lifts a pause that a fault brought
-- (it has a fingerprint; a person's has none). No row: there was nothing to note.
WITH noted AS (
    UPDATE callq.apps AS a SET
        last_success_at = now(),
        paused_at = CASE WHEN a.pause_fingerprint IS NULL THEN a.paused_at END,
        pause_reason = CASE WHEN a.pause_fingerprint IS NULL THEN a.pause_reason END,
        pause_detail = CASE WHEN a.pause_fingerprint IS NULL THEN a.pause_detail END,
        paused_by = CASE WHEN a.pause_fingerprint IS NULL THEN a.paused_by END,
        resumed_at = CASE WHEN a.pause_fingerprint IS NULL THEN a.resumed_at ELSE now() END,
        pause_fingerprint = NULL, probe_at = NULL, probes = 0
    WHERE a.app = $1
      AND (a.pause_fingerprint IS NOT NULL OR a.last_success_at IS NULL OR a.last_success_at < now() - interval '5 seconds')
    -- Not asked of a second reading of the row: under a lock that would be the row as it was before.
    RETURNING coalesce(a.resumed_at = now(), false) AS resumed
)
SELECT resumed AS "resumed!", CASE WHEN resumed THEN pg_notify('callq_pauses', '')::text END AS notified FROM noted
