-- The calls that are followed, and all that is needed to judge what became of them: those of these
-- CallIds ($2), those without a CallId in these rooms ($3), and those of these attempts ($4, $5).
--
-- $1: the app. began_from and began_until bound, by marks of Tencent's clock, when the call can have
-- begun: of those that are looked for.
-- Index: calls_by_call_id, calls_by_room, and the primary keys of calls, jobs, attempts and clock_marks.
WITH found AS (
    SELECT c.job_id, c.attempt FROM callq.calls AS c WHERE c.call_id = ANY ($2::text[]) AND c.app = $1::text
    UNION
    SELECT c.job_id, c.attempt FROM callq.calls AS c WHERE c.room_id = ANY ($3::text[]) AND c.call_id IS NULL AND c.app = $1::text
    UNION
    SELECT g.job_id, g.attempt FROM unnest($4::bigint[], $5::int[]) AS g(job_id, attempt)
)
SELECT c.job_id AS "job_id!", c.attempt AS "attempt!", c.turn AS "turn!", c.call_id AS "call_id?", c.room_id AS "room_id!",
    c.looks AS "looks!", c.record::text AS record, extract(epoch FROM now() - c.opened_at)::float8 AS "open_s!",
    j.callees AS "callees?", j.robot_account AS "robot?", j.room_id IS NOT NULL AS "own_room!", j.ring_timeout_ms AS "ring_timeout_ms?",
    j.state::text AS "job_state?", j.attempt AS "newest?", j.on_doubt AS "on_doubt?", j.reason AS "reason?",
    j.redials AS "redials?", j.media_url IS NOT NULL AS "has_media!", j.ring_policy::text AS ring_policy, p.ring_policy::text AS app_ring_policy,
    greatest(p.longest_call_s, j.max_call_seconds, p.max_call_seconds) AS "longest_call_s?",
    j.attempts_used AS "attempts_used?", j.max_attempts AS "max_attempts?",
    CASE WHEN isfinite(j.expires_at) THEN extract(epoch FROM j.expires_at - now())::float8 END AS expires_in_s,
    a.claim_token AS "claim_token?", a.class AS "class?", a.room_id_type AS "room_id_type?", a.callee_results::text AS callee_results,
    extract(epoch FROM a.sent_at - a.claimed_at)::float8 AS sent_after_s,
    extract(epoch FROM now() - a.claimed_at)::float8 AS claimed_ago_s,
    since.tencent_unix AS "began_from?", until.tencent_unix AS "began_until?"
FROM found AS f
JOIN callq.calls AS c ON c.job_id = f.job_id AND c.attempt = f.attempt
LEFT JOIN callq.jobs AS j ON j.id = c.job_id
LEFT JOIN callq.apps AS p ON p.app = c.app
LEFT JOIN callq.attempts AS a ON a.job_id = c.job_id AND a.attempt = c.attempt
LEFT JOIN LATERAL (
    SELECT m.tencent_unix FROM callq.clock_marks AS m
    WHERE (c.call_id IS NULL OR c.look_at <= now()) AND m.app = c.app AND m.marked_at < a.claimed_at
    ORDER BY m.marked_at DESC LIMIT 1) AS since ON true
LEFT JOIN LATERAL (
    -- A mark is asked for before it is made, so those that were asked for later were made later too.
    SELECT m.tencent_unix + 1 AS tencent_unix FROM callq.clock_marks AS m
    WHERE (c.call_id IS NULL OR c.look_at <= now()) AND m.app = c.app AND m.marked_at > c.opened_at AND m.asked_at > c.opened_at
    ORDER BY m.marked_at LIMIT 1) AS until ON true
