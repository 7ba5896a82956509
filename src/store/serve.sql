-- A worker says that it serves app $1 (SDKAppID $2, kind $3, host $4, calls per second $5 or NULL), and with which defaults for
-- its jobs: ring_policy $6, max_call_seconds $7, both or NULL, and the longest call in seconds $8.
--
-- If nobody served it until now, that time becomes a row of callq.app_holds: what expired in it expired
-- for want of a worker, and what is overdue because of it is ramped up.
--
-- An app without a bucket (it is new, or the server crashed or is another: the table is UNLOGGED) gets an
-- empty one, which fills from now on: else the first jobs of all that are due together would find it empty.
-- Where jobs are due already, the first grant makes it, and decides whether they are ramped up.
--
-- Guarantees: the first to say so decides the kind; a worker of the other kind changes nothing and
-- gets no row. The bucket is empty, so what another worker was granted before is not granted again.
-- Index: jobs_due, for a due job in each level.
WITH before AS MATERIALIZED (
    SELECT callq.unserved_since($1) AS unserved_since
), served AS (
    INSERT INTO callq.apps AS a (app, sdk_app_id, kind, host, calls_per_second, served_at, served_since, ring_policy, max_call_seconds, longest_call_s)
    VALUES ($1, $2, $3, $4, coalesce($5::float8, 180), now(), now(), $6::text::jsonb, $7::int, $8::int)
    ON CONFLICT (app) DO UPDATE SET
        sdk_app_id = excluded.sdk_app_id, kind = excluded.kind, host = excluded.host,
        calls_per_second = coalesce($5::float8, a.calls_per_second),
        served_since = CASE WHEN (SELECT b.unserved_since FROM before AS b) IS NULL THEN coalesce(a.served_since, now()) ELSE now() END,
        served_at = now(), unserved_since = NULL,
        ring_policy = excluded.ring_policy, max_call_seconds = excluded.max_call_seconds, longest_call_s = excluded.longest_call_s
    WHERE a.kind IS NULL OR a.kind = excluded.kind
    RETURNING a.app
)
SELECT s.app AS "app!",
    CASE WHEN b.unserved_since IS NOT NULL THEN callq.note_hold(s.app, 'no_worker', b.unserved_since)::text END AS noted,
    CASE WHEN (SELECT max(p.revision) FROM callq.pace AS p WHERE p.app = s.app) IS NULL
        AND NOT EXISTS (
            SELECT FROM (VALUES (0), (1), (2), (3)) AS level(priority)
            CROSS JOIN LATERAL (
                SELECT FROM callq.jobs AS j
                WHERE j.state = 'scheduled' AND j.app = s.app AND j.priority = level.priority AND j.due_at <= now()
                LIMIT 1) AS j)
        THEN callq.make_bucket(s.app, 0)::text END AS made
FROM served AS s CROSS JOIN before AS b
