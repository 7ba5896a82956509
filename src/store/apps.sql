-- Every app that has open jobs or a row in callq.apps: how its queue stands, who serves it, its pause
-- and its pace against what it used in the last minute. Jobs are counted up to $1; a job is overdue
-- when it has been due for more than $2 seconds.
--
-- Finished and future jobs are never read. Requests of the last minute are counted among the newest
-- $3 pages of callq.attempts, to which rows are appended: at any pace that Tencent allows a few apps
-- that is more than a minute, and the cost does not grow with the table. Where old attempts were
-- deleted, some new rows may lie elsewhere, and the count is low.
--
-- Index: jobs_due (skipping from app to app), jobs_leases.
WITH RECURSIVE waiting(name) AS (
    SELECT (SELECT j.app FROM callq.jobs AS j WHERE j.state = 'scheduled' ORDER BY j.app LIMIT 1)
    UNION ALL
    SELECT (SELECT j.app FROM callq.jobs AS j WHERE j.state = 'scheduled' AND j.app > waiting.name ORDER BY j.app LIMIT 1)
    FROM waiting WHERE waiting.name IS NOT NULL
), leased AS MATERIALIZED (
    SELECT j.app, j.state FROM callq.jobs AS j
    WHERE j.state IN ('dialing', 'in_doubt') AND j.lease_until > '-infinity' LIMIT 2 * $1::bigint
), open AS (
    SELECT l.app, count(*) FILTER (WHERE l.state = 'dialing') AS dialing, count(*) FILTER (WHERE l.state = 'in_doubt') AS in_doubt
    FROM leased AS l GROUP BY l.app
), app(name) AS (
    SELECT name FROM waiting WHERE name IS NOT NULL
    UNION SELECT a.app FROM callq.apps AS a
    UNION SELECT o.app FROM open AS o
), used AS (
    SELECT t.app, count(*) AS requests FROM callq.attempts AS t
    WHERE t.sent_at > now() - interval '1 minute' AND t.ctid >= (
        SELECT format('(%s,0)', greatest(0, pg_relation_size('callq.attempts') / current_setting('block_size')::bigint - $3::bigint))::tid)
    GROUP BY t.app
)
SELECT app.name AS "app!", a.sdk_app_id AS "sdk_app_id?", a.kind AS "kind?", a.host AS "host?",
    coalesce(a.calls_per_second, 180) AS "calls_per_second!",
    coalesce(a.calls_per_second, 180)
        * coalesce(callq.pace_share(p.factor, p.factor_at, now()), 1) AS "calls_per_second_now!",
    coalesce(used.requests, 0) AS "calls_last_minute!",
    a.served_at AS "served_at?", callq.unserved_since(app.name) IS NULL AS "served!",
    ARRAY(SELECT w.worker FROM callq.workers AS w WHERE app.name = ANY (w.apps) AND w.seen_at >= now() - interval '20 seconds' ORDER BY 1) AS "workers!",
    callq.unreachable_since(app.name) AS "unreachable_since?",
    a.last_success_at AS "last_success_at?", a.throttled_at AS "throttled_at?", a.paused_at AS "paused_at?",
    a.pause_reason AS "pause_reason?", a.pause_detail AS "pause_detail?", a.paused_by AS "paused_by?", a.probe_at AS "probe_at?",
    a.media_retry_at AS "media_retry_at?", a.media_failure AS "media_failure?",
    EXISTS (
        SELECT FROM (VALUES (0), (1), (2), (3)) AS level(priority)
        CROSS JOIN LATERAL (
            -- They are looked at every few minutes, as claim.sql has it.
            SELECT j.reason FROM callq.jobs AS j
            WHERE j.state = 'scheduled' AND j.app = app.name AND j.priority = level.priority
              AND j.due_at > now() - interval '5 seconds' AND j.due_at < now() + interval '6 minutes'
            ORDER BY j.due_at LIMIT 1000) AS j
        WHERE j.reason = 'media_no_credentials') AS "media_waits!",
    EXISTS (SELECT FROM waiting AS w WHERE w.name = app.name) AS "waiting!", due.jobs AS "due!", due.overdue AS "overdue!", nullif(oldest.due_at, '-infinity') AS "oldest_due_at?",
    coalesce(open.dialing, 0) AS "dialing!", coalesce(open.in_doubt, 0) AS "in_doubt!"
FROM app
LEFT JOIN callq.apps AS a ON a.app = app.name
LEFT JOIN LATERAL (SELECT * FROM callq.pace AS p WHERE p.app = app.name ORDER BY p.revision DESC LIMIT 1) AS p ON true
LEFT JOIN used ON used.app = app.name
LEFT JOIN open ON open.app = app.name
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs, count(*) FILTER (WHERE head.due_at < now() - make_interval(secs => $2::float8)) AS overdue FROM (
        SELECT j.due_at FROM (VALUES (0), (1), (2), (3)) AS level(priority)
        CROSS JOIN LATERAL (
            SELECT j.due_at FROM callq.jobs AS j
            WHERE j.state = 'scheduled' AND j.app = app.name AND j.priority = level.priority AND j.due_at <= now()
            ORDER BY j.due_at LIMIT $1) AS j
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
ORDER BY app.name
