-- How many requests may leave now: the pace of each app, shared by all workers.
--
-- For each app asked for ($1), with at most $2 slots free, it counts the due jobs (no further than
-- the slots), takes as many tokens from the app's bucket as are needed and there, and says when
-- to ask again. A paused app gets nothing, but for one probe when its time has come.
--
-- Guarantees: over any span t no more than callq.burst + t * calls_per_second tokens are given, by
-- whatever number of workers; a bucket row lives in an UNLOGGED table, so the grant flushes no WAL.
-- A clock that was set back gives no tokens for the step, and goes on from there.
-- After a minute and more in which the app was paused or no worker served it, and with more than one
-- minute's pace overdue since then, the pace begins anew with a tenth and doubles every 15 s. The first
-- grant after such a hold decides it, once for each hold (callq.pace.ramp_for); others count nothing.
-- It is a statement of its own because inside the claim its row lock would serialise the workers on
-- snapshots that are already old.
--
-- Index: jobs_due, read from the last job that the caller claimed in each level (four due times $4 and ids $5 for
-- each app), so that dead entries at the head of the index are not read again and again. The primary key of pace,
-- from its highest revision.
-- $3 is the fingerprint of the caller's credentials per app; $6 the seconds until the next probe.
-- $7 says per app whether the caller's host is live or a sandbox: an app of the other kind gets nothing.
WITH asked AS (
    SELECT q.app, q.slots, q.nth, a.calls_per_second,
           CASE WHEN s.paused_at IS NOT NULL THEN true
                WHEN a.paused_at IS NULL OR a.pause_fingerprint NOT IN ('*', q.fingerprint) THEN false
                ELSE a.probe_at IS NULL OR a.probe_at > now() END AS paused,
           (s.paused_at IS NULL AND a.paused_at IS NOT NULL AND a.probe_at <= now()
            AND a.pause_fingerprint IN ('*', q.fingerprint)) IS TRUE AS probing
    FROM unnest($1::text[], $2::int[], $3::text[], $7::text[]) WITH ORDINALITY AS q(app, slots, fingerprint, kind, nth)
    JOIN callq.apps AS a ON a.app = q.app AND a.kind = q.kind
    CROSS JOIN callq.settings AS s
), wanted AS (
    SELECT q.app, q.paused, q.probing, q.calls_per_second,
           CASE WHEN q.probing THEN least(due.jobs, 1) ELSE due.jobs END AS jobs, nullif(next.due_at, 'infinity') AS next_due_at
    FROM asked AS q
    CROSS JOIN LATERAL (
        SELECT count(*)::int AS jobs FROM (
            SELECT FROM (VALUES (0), (1), (2), (3)) AS level(priority)
            CROSS JOIN LATERAL (
                SELECT FROM callq.jobs AS j
                WHERE j.state = 'scheduled' AND j.app = q.app AND j.priority = level.priority
                  AND (j.due_at, j.id) >= (($4::timestamptz[])[4 * q.nth - 3 + level.priority], ($5::bigint[])[4 * q.nth - 3 + level.priority])
                  AND j.due_at <= now()
                ORDER BY j.due_at LIMIT q.slots) AS j
            LIMIT q.slots) AS head
    ) AS due
    CROSS JOIN LATERAL (
        SELECT min(j.due_at) AS due_at
        FROM (VALUES (0), (1), (2), (3)) AS level(priority)
        CROSS JOIN LATERAL (
            SELECT j.due_at FROM callq.jobs AS j
            WHERE j.state = 'scheduled' AND j.app = q.app AND j.priority = level.priority AND j.due_at > now()
            ORDER BY j.due_at LIMIT 1) AS j
    ) AS next
    WHERE NOT q.paused
), probed AS (
    UPDATE callq.apps AS a
    SET probe_at = now() + least(300, $6::float8 * 2 ^ least(a.probes, 8)) * interval '1 second', probes = a.probes + 1
    FROM wanted AS w WHERE w.probing AND w.jobs > 0 AND a.app = w.app AND a.probe_at <= now()
    RETURNING a.app
), held AS (
    SELECT w.app, h.since, h.until, w.calls_per_second FROM wanted AS w
    LEFT JOIN LATERAL (SELECT * FROM callq.pace AS p WHERE p.app = w.app ORDER BY p.revision DESC LIMIT 1) AS p ON true
    CROSS JOIN LATERAL (
        SELECT h.since, h.until FROM (
            SELECT h.since, h.until FROM callq.app_holds AS h
            WHERE h.app IN (w.app, '') AND h.until > coalesce(p.refilled_at, '-infinity') AND h.hold IN ('paused', 'no_worker')
            UNION ALL SELECT callq.unserved_since(w.app), now()) AS h
        WHERE CASE WHEN isfinite(h.since) THEN h.until - h.since > interval '1 minute' ELSE h.since IS NOT NULL END
        ORDER BY h.since DESC LIMIT 1) AS h
    WHERE w.jobs > 0 AND NOT w.probing AND (p.ramp_for IS NULL OR h.since > p.ramp_for)
), ramp AS (
    SELECT h.app, h.since FROM held AS h
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs, min(head.due_at) AS oldest FROM (
            SELECT j.due_at FROM (VALUES (0), (1), (2), (3)) AS level(priority)
            CROSS JOIN LATERAL (
                SELECT j.due_at FROM callq.jobs AS j
                WHERE j.state = 'scheduled' AND j.app = h.app AND j.priority = level.priority AND j.due_at < h.until
                ORDER BY j.due_at LIMIT 60 * h.calls_per_second + 1) AS j
            LIMIT 60 * h.calls_per_second + 1) AS head
    ) AS overdue
    -- An app that had never been served was held for as long as its jobs have been waiting.
    WHERE overdue.jobs > 60 * h.calls_per_second
      AND h.until - CASE WHEN isfinite(h.since) THEN h.since ELSE overdue.oldest END > interval '1 minute'
), taken AS MATERIALIZED (
    SELECT w.app, t.granted, t.tokens, t.factor
    FROM (
        -- Of several workers whose probe is due at once, the one that moved probe_at has it. Sorted, so
        -- that two grants for several apps cannot deadlock.
        SELECT w.app, w.jobs, r.since AS ramp_for FROM wanted AS w LEFT JOIN ramp AS r ON r.app = w.app
        WHERE w.jobs > 0 AND (NOT w.probing OR w.app IN (SELECT p.app FROM probed AS p))
        ORDER BY w.app) AS w
    CROSS JOIN LATERAL callq.draw_tokens(w.app, 0, w.jobs, w.ramp_for) AS t
)
SELECT q.app AS "app!", coalesce(w.paused, true) AS "paused!", q.probing AS "probing!", coalesce(w.jobs, 0) AS "due!",
       coalesce(t.granted, 0) AS "granted!",
       -- Until one more token is there; only told when the bucket could not give all that is due.
       CASE WHEN t.granted < w.jobs THEN (1 - least(t.tokens, 1)) / (w.calls_per_second * t.factor) END AS next_token_s,
       extract(epoch FROM w.next_due_at - clock_timestamp())::float8 AS next_due_s,
       -- For how long the tokens may lie before the bucket would have overflowed with them.
       (callq.burst(w.calls_per_second) - t.tokens - t.granted) / (w.calls_per_second * t.factor) AS keeps_s,
       w.calls_per_second * t.factor AS pace
FROM asked AS q
LEFT JOIN wanted AS w ON w.app = q.app
LEFT JOIN taken AS t ON t.app = q.app
