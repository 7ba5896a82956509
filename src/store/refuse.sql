-- Fails scheduled jobs that no claim ever asks for, at most $1 a call: of a priority that does not exist,
-- or due at no time. Such rows were written with the rules switched off, as by a restore that went around
-- the triggers; they would wait for ever.
--
-- Guarantees: only such jobs; one that may have rung ends as unresolved, as everywhere.
-- Index: jobs_due, entered six times per app: below, above and at the far end of the claim's levels.
WITH RECURSIVE app(name) AS (
    SELECT (SELECT j.app FROM callq.jobs AS j WHERE j.state = 'scheduled' ORDER BY j.app LIMIT 1)
    UNION ALL
    SELECT (SELECT j.app FROM callq.jobs AS j WHERE j.state = 'scheduled' AND j.app > app.name ORDER BY j.app LIMIT 1)
    FROM app WHERE app.name IS NOT NULL
), misfit AS MATERIALIZED (
    SELECT j.at
    FROM app
    CROSS JOIN LATERAL (
        (SELECT j.ctid AS at FROM callq.jobs AS j
         WHERE j.state = 'scheduled' AND j.app = app.name AND j.priority < 0 LIMIT $1)
        UNION ALL
        (SELECT j.ctid FROM callq.jobs AS j
         WHERE j.state = 'scheduled' AND j.app = app.name AND j.priority > 3 LIMIT $1)
        UNION ALL
        (SELECT j.at FROM (VALUES (0), (1), (2), (3)) AS level(priority)
         CROSS JOIN LATERAL (
             SELECT j.ctid AS at FROM callq.jobs AS j
             WHERE j.state = 'scheduled' AND j.app = app.name AND j.priority = level.priority AND j.due_at IN ('infinity', '-infinity')
             LIMIT $1) AS j)) AS j
    LIMIT $1
), locked AS MATERIALIZED (
    SELECT j.ctid AS at FROM callq.jobs AS j
    WHERE j.ctid = ANY (ARRAY(SELECT at FROM misfit))
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE callq.jobs AS j SET
    state = CASE WHEN callq.may_have_rung(j.id, j.attempt + 1) THEN 'unresolved' ELSE 'failed' END::callq.job_state,
    reason = CASE WHEN callq.may_have_rung(j.id, j.attempt + 1) THEN 'earlier_in_doubt' ELSE 'invalid_request' END,
    reason_detail = CASE WHEN j.priority BETWEEN 0 AND 3 THEN format('due_at is %s: must be a time', j.due_at)
        ELSE format('priority is %s: must be from 0 to 3', j.priority) END,
    finished_at = now()
WHERE j.ctid = ANY (ARRAY(SELECT at FROM locked))
