-- How many requests about media of an app ($1) may leave now, for each kind: ask, start and stop.
--
-- $2 .. $5: the kinds, how many a second, how many at once after a rest, and how many the caller can send at most. It counts
-- what is due, takes as many tokens as are needed and there, and says when something is due next. While media of
-- the app is paused nothing is started, but for one try when its time has come.
--
-- Guarantees: over any span t no more than $4 + t * $3 tokens of a kind are given, by whatever number of workers.
-- Index: streams_due.
WITH asked AS MATERIALIZED (
    SELECT k.*, least(k.most, due.streams) AS wanted
    FROM unnest($2::text[], $3::float8[], $4::float8[], $5::int[]) AS k(request, rate, burst, most)
    CROSS JOIN LATERAL (
        SELECT count(*)::int AS streams FROM (
            SELECT FROM callq.streams AS s
            WHERE s.app = $1::text AND s.duty = k.request AND s.look_at <= now() ORDER BY s.look_at LIMIT k.most) AS s
    ) AS due
), tried AS (
    -- The others wait for what comes of it.
    UPDATE callq.apps AS a SET media_retry_at = now() + interval '15 seconds'
    WHERE a.app = $1::text AND a.media_retry_at <= now() AND EXISTS (SELECT FROM asked AS q WHERE q.request = 'start' AND q.wanted > 0)
    RETURNING a.app
), wanted AS (
    SELECT q.request, q.rate, q.burst,
        CASE WHEN q.request <> 'start' OR a.media_retry_at IS NULL THEN q.wanted
             WHEN EXISTS (SELECT FROM tried) THEN least(q.wanted, 1) ELSE 0 END AS wanted
    FROM asked AS q LEFT JOIN callq.apps AS a ON a.app = $1::text
), taken AS (
    INSERT INTO callq.media_pace AS p (app, request, tokens, given, refilled_at)
    SELECT $1::text, w.request, w.burst - least(w.wanted, floor(w.burst)), least(w.wanted, floor(w.burst)::int), clock_timestamp()
    FROM wanted AS w WHERE w.wanted > 0
    ORDER BY w.request
    ON CONFLICT (app, request) DO UPDATE SET (tokens, given, refilled_at) = (
        SELECT b.full_to - least(w.wanted, floor(b.full_to)), least(w.wanted, floor(b.full_to)::int), b.at
        FROM wanted AS w
        CROSS JOIN LATERAL (SELECT clock_timestamp() AS at) AS clock
        CROSS JOIN LATERAL (
            SELECT clock.at, least(w.burst, p.tokens + greatest(0, extract(epoch FROM clock.at - p.refilled_at)::float8) * w.rate) AS full_to
        ) AS b
        WHERE w.request = p.request)
    RETURNING p.request, p.given, p.tokens
)
SELECT q.request AS "request!", coalesce(t.given, 0) AS "given!",
    -- Until there is one more token; only told when there were too few.
    CASE WHEN t.given < w.wanted THEN (1 - least(t.tokens, 1)) / q.rate END AS next_token_s,
    (SELECT extract(epoch FROM min(s.look_at) - clock_timestamp())::float8
     FROM unnest('{ask,start,settle,stop}'::text[]) AS d(duty)
     CROSS JOIN LATERAL (
        SELECT s.look_at FROM callq.streams AS s
        WHERE s.app = $1::text AND s.duty = d.duty AND s.look_at > now() ORDER BY s.look_at LIMIT 1) AS s) AS next_look_s
FROM asked AS q
JOIN wanted AS w ON w.request = q.request
LEFT JOIN taken AS t ON t.request = q.request
