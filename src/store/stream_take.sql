-- Takes up what is due of the media of an app ($1): at most $2 questions, $3 starts and $4 stops.
--
-- A start is counted as a doubt from here on: the commit of this statement is the write-ahead record of the request, which
-- has no idempotency key. If nothing is heard of it for $5 seconds, any worker takes it up again. A question is asked
-- again every second whatever comes of it. A stop is tried for 6 days; then it is told that it was in vain.
--
-- Guarantees: of two workers one takes a row up; nothing of a call that is over is started.
-- Index: streams_due; the primary keys of jobs, calls and apps.
WITH due AS MATERIALIZED (
    SELECT s.at, granted.duty
    FROM (VALUES ('ask', $2::int), ('start', $3::int), ('stop', $4::int)) AS granted(duty, slots)
    CROSS JOIN LATERAL (
        SELECT s.ctid AS at FROM callq.streams AS s
        WHERE s.app = $1::text AND s.duty = granted.duty AND s.look_at <= now()
        ORDER BY s.look_at LIMIT granted.slots FOR NO KEY UPDATE SKIP LOCKED) AS s
), taken AS (
    UPDATE callq.streams AS s SET
        turn = s.turn + 1,
        tries = s.tries + 1,
        doubts = s.doubts + (d.duty = 'start')::int,
        look_at = CASE WHEN d.duty = 'ask' THEN now() + interval '1 second'
                       WHEN s.over_at < now() - interval '6 days' THEN NULL
                       ELSE now() + $5::float8 * interval '1 second' END,
        state = CASE WHEN s.over_at < now() - interval '6 days' THEN 'ended' ELSE s.state END,
        reason = CASE WHEN s.over_at < now() - interval '6 days' THEN 'media_not_stopped' END
    FROM due AS d
    WHERE s.ctid = d.at
    RETURNING s.*, d.duty AS does
)
SELECT t.does AS "duty!", t.job_id AS "job_id!", t.attempt AS "attempt!", t.turn AS "turn!", t.tries AS "tries!", t.reason,
    coalesce(t.call_id, c.call_id) AS "call_id?", t.room_id AS "room_id!", t.room_id_type AS "room_id_type!", t.robot AS "robot!",
    t.tasks AS "tasks!", j.callees AS "callees?", j.media_url AS "media_url?", j.media_options AS "media_options?",
    greatest(a.longest_call_s, a.max_call_seconds, j.max_call_seconds) AS "longest_call_s?",
    extract(epoch FROM clock_timestamp())::bigint AS "now_unix!"
FROM taken AS t
LEFT JOIN callq.jobs AS j ON j.id = t.job_id
LEFT JOIN callq.calls AS c ON c.job_id = t.job_id AND c.attempt = t.attempt
LEFT JOIN callq.apps AS a ON a.app = t.app
