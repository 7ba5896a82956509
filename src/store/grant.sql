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
-- An app whose bucket is missing gets nothing and is named: callq.make_bucket makes it, and the caller asks again.
--
-- Index: jobs_due, read from low0 .. low3 ($4 .. $7), the due times of the caller's last claim in
-- each level, so that dead entries at the head of the index are not read again and again. The primary key of pace,
-- from its highest revision.
-- $3 is the fingerprint of the caller's credentials per app; $8 the seconds until the next probe.
-- $9 says per app whether the caller's host is live or a sandbox: an app of the other kind gets nothing.
WITH asked AS (
    SELECT q.app, q.slots, q.low0, q.low1, q.low2, q.low3, a.calls_per_second,
           CASE WHEN s.paused_at IS NOT NULL THEN true
                WHEN a.paused_at IS NULL OR a.pause_fingerprint NOT IN ('*', q.fingerprint) THEN false
                ELSE a.probe_at IS NULL OR a.probe_at > now() END AS paused,
           (s.paused_at IS NULL AND a.paused_at IS NOT NULL AND a.probe_at <= now()
            AND a.pause_fingerprint IN ('*', q.fingerprint)) IS TRUE AS probing
    FROM unnest($1::text[], $2::int[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
                $7::timestamptz[], $9::text[]) AS q(app, slots, fingerprint, low0, low1, low2, low3, kind)
    JOIN callq.apps AS a ON a.app = q.app AND a.kind = q.kind
    CROSS JOIN callq.settings AS s
), wanted AS (
    SELECT q.app, q.paused, q.probing, q.calls_per_second,
           CASE WHEN q.probing THEN least(due.jobs, 1) ELSE due.jobs END AS jobs, nullif(next.due_at, 'infinity') AS next_due_at
    FROM asked AS q
    CROSS JOIN LATERAL (
        SELECT count(*)::int AS jobs FROM (
            SELECT FROM (VALUES (0, q.low0), (1, q.low1), (2, q.low2), (3, q.low3)) AS level(priority, low)
            CROSS JOIN LATERAL (
                SELECT FROM callq.jobs AS j
                WHERE j.state = 'scheduled' AND j.app = q.app AND j.priority = level.priority
                  AND j.due_at >= level.low AND j.due_at <= now()
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
), newest AS MATERIALIZED (
    -- Behind it lie, while a snapshot is held, all that the bucket ever was.
    SELECT w.app, (SELECT max(p.revision) FROM callq.pace AS p WHERE p.app = w.app) AS revision FROM wanted AS w WHERE w.jobs > 0
), probed AS (
    UPDATE callq.apps AS a
    SET probe_at = now() + least(300, $8::float8 * 2 ^ least(a.probes, 8)) * interval '1 second', probes = a.probes + 1
    FROM wanted AS w JOIN newest AS n ON n.app = w.app AND n.revision IS NOT NULL
    WHERE w.probing AND a.app = w.app AND a.probe_at <= now()
    RETURNING a.app
), held AS (
    SELECT w.app, h.since, h.until, w.calls_per_second FROM wanted AS w
    JOIN newest AS n ON n.app = w.app
    JOIN callq.pace AS p ON p.app = n.app AND p.revision >= n.revision
    CROSS JOIN LATERAL (
        SELECT h.since, h.until FROM (
            SELECT h.since, h.until FROM callq.app_holds AS h
            WHERE h.app IN (w.app, '') AND (p.asked = 0 OR h.until > p.refilled_at) AND h.hold IN ('paused', 'no_worker')
            UNION ALL SELECT callq.unserved_since(w.app), now()) AS h
        WHERE CASE WHEN isfinite(h.since) THEN h.until - h.since > interval '1 minute' ELSE h.since IS NOT NULL END
        ORDER BY h.since DESC LIMIT 1) AS h
    WHERE NOT w.probing AND (p.ramp_for IS NULL OR h.since > p.ramp_for)
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
), asking AS MATERIALIZED (
    -- Of several workers whose probe is due at once, the one that moved probe_at has it.
    SELECT w.app, w.jobs, n.revision, r.since AS ramp_for
    FROM wanted AS w JOIN newest AS n ON n.app = w.app LEFT JOIN ramp AS r ON r.app = w.app
    WHERE NOT w.probing OR w.app IN (SELECT p.app FROM probed AS p)
), locked AS MATERIALIZED (
    -- Sorted, so that two grants for several apps cannot deadlock.
    SELECT p.app FROM asking AS w JOIN callq.pace AS p ON p.app = w.app AND p.revision >= w.revision
    ORDER BY p.app FOR NO KEY UPDATE OF p
), taken AS (
    UPDATE callq.pace AS p SET (revision, tokens, granted, asked, refilled_at, factor, factor_at, ramp_for) = (
        SELECT p.revision + 1, full_to - given, given, w.jobs, at,
            CASE WHEN ramps THEN least(0.1, share) ELSE p.factor END, CASE WHEN ramps THEN at ELSE p.factor_at END,
            CASE WHEN ramps THEN w.ramp_for ELSE p.ramp_for END
        FROM (SELECT clock_timestamp() AS at, a.calls_per_second AS rate,
                  w.ramp_for IS NOT NULL AND (p.ramp_for IS NULL OR w.ramp_for > p.ramp_for) AS ramps
              FROM callq.apps AS a WHERE a.app = p.app) AS clock
        CROSS JOIN LATERAL (SELECT callq.pace_share(p.factor, p.factor_at, at) AS share) AS cut
        CROSS JOIN LATERAL (
            -- What was saved up belongs to the faster pace.
            SELECT least(CASE WHEN ramps THEN 0 ELSE callq.burst(rate) END,
                p.tokens + greatest(0, extract(epoch FROM at - p.refilled_at)::float8) * rate * share) AS full_to
        ) AS bucket
        CROSS JOIN LATERAL (SELECT least(w.jobs, greatest(0, floor(full_to))) AS given) AS gift)
    FROM asking AS w
    WHERE p.app = w.app AND p.revision >= w.revision AND (SELECT count(*) FROM locked) >= 0 -- always: they are locked first
    RETURNING p.app, p.granted, p.tokens, callq.pace_share(p.factor, p.factor_at, clock_timestamp()) AS factor
)
SELECT q.app AS "app!", coalesce(w.paused, true) AS "paused!", q.probing AS "probing!", coalesce(w.jobs, 0) AS "due!",
       coalesce(t.granted, 0) AS "granted!",
       -- Until one more token is there; only told when the bucket could not give all that is due.
       CASE WHEN t.granted < w.jobs THEN (1 - least(t.tokens, 1)) / (w.calls_per_second * t.factor) END AS next_token_s,
       extract(epoch FROM w.next_due_at - clock_timestamp())::float8 AS next_due_s,
       -- For how long the tokens may lie before the bucket would have overflowed with them.
       (callq.burst(w.calls_per_second) - t.tokens - t.granted) / (w.calls_per_second * t.factor) AS keeps_s,
       w.calls_per_second * t.factor AS pace, n.app IS NOT NULL AND n.revision IS NULL AS "bucketless!"
FROM asked AS q
LEFT JOIN wanted AS w ON w.app = q.app
LEFT JOIN newest AS n ON n.app = q.app
LEFT JOIN taken AS t ON t.app = q.app
