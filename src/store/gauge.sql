-- How many jobs of each app are due, dialing and in doubt, each counted up to $1, for how long the
-- oldest due one has been due, and whether media of the app is paused.
--
-- Finished and future jobs are never read. Index: jobs_due (skipping from app to app), jobs_leases.
WITH RECURSIVE waiting(name) AS (
    SELECT (SELECT j.app FROM callq.jobs AS j WHERE j.state = 'scheduled' ORDER BY j.app LIMIT 1)
    UNION ALL
    SELECT (SELECT j.app FROM callq.jobs AS j WHERE j.state = 'scheduled' AND j.app > waiting.name ORDER BY j.app LIMIT 1)
    FROM waiting WHERE waiting.name IS NOT NULL
), leased AS MATERIALIZED (
    SELECT j.app, j.state FROM callq.jobs AS j
    WHERE j.state IN ('dialing', 'in_doubt') AND j.lease_until > '-infinity' LIMIT 2 * $1::bigint
), app(name) AS (
    SELECT name FROM waiting WHERE name IS NOT NULL
    UNION SELECT a.app FROM callq.apps AS a
    UNION SELECT l.app FROM leased AS l
)
SELECT app.name AS "app!", due.jobs AS "due!",
    (SELECT count(*) FROM leased AS l WHERE l.app = app.name AND l.state = 'dialing') AS "dialing!",
    (SELECT count(*) FROM leased AS l WHERE l.app = app.name AND l.state = 'in_doubt') AS "in_doubt!",
    coalesce(extract(epoch FROM now() - nullif(oldest.due_at, '-infinity'))::float8, 0) AS "oldest_due_s!",
    EXISTS (SELECT FROM callq.apps AS a WHERE a.app = app.name AND a.media_retry_at IS NOT NULL) AS "media_paused!"
FROM app
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs FROM (
        SELECT FROM (VALUES (0), (1), (2), (3)) AS level(priority)
        CROSS JOIN LATERAL (
            SELECT FROM callq.jobs AS j
            WHERE j.state = 'scheduled' AND j.app = app.name AND j.priority = level.priority AND j.due_at <= now()
            LIMIT $1) AS j
        LIMIT $1) AS head
) AS due
CROSS JOIN LATERAL (
    SELECT min(j.due_at) AS due_at
    FROM (VALUES (0), (1), (2), (3)) AS level(priority)
    CROSS JOIN LATERAL (
        SELECT j.due_at FROM callq.jobs AS j
        WHERE j.state = 'scheduled' AND j.app = app.name AND j.priority = level.priority AND j.due_at <= now()
        ORDER BY j.due_at LIMIT 1) AS j
) AS oldest
