-- A worker ($1), serving the apps $2, ends in good order: its row goes, and an app that no other worker
-- serves is unserved from now on. (If a worker of an earlier version does, it says so within 10 s.) Circuits
-- that were open end with it.
--
-- Nobody waits for its word after a failover (callq.depart).
--
-- Guarantees: as of beat.sql.
WITH before AS MATERIALIZED (
    SELECT c.app, callq.unreachable_since(c.app) AS since
    FROM callq.workers AS w CROSS JOIN LATERAL jsonb_to_recordset(w.circuits) AS c(app text)
    WHERE w.worker = $1
), gone AS (
    DELETE FROM callq.workers AS w WHERE w.worker = $1
), unserved AS (
    UPDATE callq.apps AS a SET unserved_since = now()
    WHERE a.app = ANY ($2::text[]) AND NOT EXISTS (
        SELECT FROM callq.workers AS w
        WHERE w.worker <> $1 AND a.app = ANY (w.apps) AND NOT w.stopping AND w.seen_at > now() - interval '20 seconds')
)
SELECT callq.depart($1)::text AS noted
UNION ALL SELECT callq.note_hold(b.app, 'unreachable', b.since)::text AS noted FROM before AS b WHERE b.since IS NOT NULL
