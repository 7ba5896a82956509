-- Ends scheduled jobs whose deadline has passed though no claim came by: their app is paused, or no
-- worker serves it.
--
-- It walks the due jobs of every app and level in the order of the index, at most $5 rows a call,
-- from behind the place ($1 .. $4) where the caller's last call ended, and returns the next place;
-- an end of the walk is told by no place at all. So a backlog of any size costs a bounded amount.
-- Guarantees: only jobs that are scheduled and whose expires_at has passed on the database's clock.
-- Index: jobs_due, skipping from app to app (a worker may not know the app of a waiting job). The
-- rows are then locked and updated by ctid alone: one that changed since this statement's snapshot has
-- another ctid and is passed over, so nothing need be asked again; a second condition on state would
-- let stale statistics answer with the whole of jobs_due. The oldest instants have none before them, and one
-- row that fails would fail the walk: why_expired is asked from 1970 on.
WITH RECURSIVE app(name) AS (
    -- The app of the last place is not looked up again: before its first job may lie all that has left the queue.
    SELECT CASE WHEN $1::text <> '' THEN $1 ELSE (SELECT j.app FROM callq.jobs AS j WHERE j.state = 'scheduled' ORDER BY j.app LIMIT 1) END
    UNION ALL
    SELECT (SELECT j.app FROM callq.jobs AS j WHERE j.state = 'scheduled' AND j.app > app.name ORDER BY j.app LIMIT 1)
    FROM app WHERE app.name IS NOT NULL
), walked AS MATERIALIZED (
    SELECT j.ctid AS at, j.app, j.priority, j.due_at, j.id, j.expires_at <= now() AS expired
    FROM app
    CROSS JOIN (VALUES (0), (1), (2), (3)) AS level(priority)
    CROSS JOIN LATERAL (
        SELECT j.ctid, j.* FROM callq.jobs AS j
        WHERE j.state = 'scheduled' AND j.app = app.name AND j.priority = level.priority AND j.due_at <= now()
          AND (j.due_at, j.id) > (CASE WHEN app.name = $1 AND level.priority = $2::smallint THEN $3::timestamptz ELSE '-infinity' END, $4::bigint)
        ORDER BY j.due_at, j.id LIMIT $5) AS j
    WHERE app.name IS NOT NULL AND (app.name > $1 OR level.priority >= $2::smallint)
    LIMIT $5
), locked AS MATERIALIZED (
    SELECT j.ctid AS at FROM callq.jobs AS j
    WHERE j.ctid = ANY (ARRAY(SELECT at FROM walked WHERE expired))
    FOR NO KEY UPDATE SKIP LOCKED
), ended AS (
    UPDATE callq.jobs AS j SET
        state = CASE WHEN callq.may_have_rung(j.id, j.attempt + 1) THEN 'unresolved' ELSE 'expired' END::callq.job_state,
        reason = CASE WHEN callq.may_have_rung(j.id, j.attempt + 1) THEN 'earlier_in_doubt'
                      ELSE callq.why_expired(j.app, greatest(j.due_at, 'epoch'), j.reason, greatest(j.expires_at, 'epoch')) END,
        finished_at = now()
    WHERE j.ctid = ANY (ARRAY(SELECT at FROM locked))
    RETURNING j.id
)
SELECT (SELECT count(*) FROM ended) AS "ended!", last.app, last.priority::smallint, greatest(last.due_at, 'epoch') AS due_at, last.id
FROM (SELECT count(*) AS rows FROM walked) AS total
LEFT JOIN LATERAL (
    SELECT w.app, w.priority, w.due_at, w.id FROM walked AS w
    ORDER BY w.app DESC, w.priority DESC, w.due_at DESC, w.id DESC LIMIT 1) AS last ON total.rows >= $5
