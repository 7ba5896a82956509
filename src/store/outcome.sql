-- Settles what became of calls: of a batch of them, what is known by now of each callee.
--
-- $1 .. $8 are of calls: job, attempt, the turn in which it was read, whether nothing more is to be learnt
-- (closes), whether the record came or is given up (ends), the outcome of the whole, the record to keep, and
-- the CallId. $9 .. $18 are of their callees. $19 .. $22 are of calls again, and say who is to be rung again, as a JSON array; after
-- how many seconds; the word for it or for why nobody is (NULL: there is nothing to say); and more of that.
--
--   the job now                    ends     becomes
--   placed, and this is its call   true     completed, with the outcome
--   completed, and this is its     any      completed, with the outcome as it is known now
--   anything else                  any      unchanged
--
-- A job that is completed here and whose callees are to be rung again is followed by another, under the deadline of
-- the first, unless it was cancelled or its schedule is stopped; its reason tells which. UNIQUE (root_id, follows_id, redials):
-- no outcome makes two.
--
-- Guarantees: what was settled in another turn is not settled again, so each leg is counted once and one that
-- is corrected is counted anew; jobs are locked first, sorted, then calls, as everywhere; what somebody else
-- has locked is skipped and stays as it is. Legs, counts, job and events are one transaction.
-- Index: follow_ups_are_made_once, and the primary keys of jobs, schedules, calls, attempts, legs and leg_counts.
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::int[], $3::int[], $4::bool[], $5::bool[], $6::text[], $7::text[], $8::text[],
        $19::text[], $20::float8[], $21::text[], $22::text[])
        AS g(job_id, attempt, turn, closes, ends, outcome, record, call_id, again, again_s, again_why, again_detail)
), locked AS MATERIALIZED (
    SELECT j.id, j.schedule_id, j.robot_account, j.media_type, j.ring_no, j.app, j.state, j.root_id, j.nominal_at, j.expires_at, j.cancel_requested_at
    FROM callq.jobs AS j
    WHERE j.id = ANY ($1::bigint[])
    ORDER BY j.id FOR NO KEY UPDATE SKIP LOCKED
), held AS MATERIALIZED (
    SELECT c.job_id, c.attempt FROM callq.calls AS c JOIN given AS g ON g.job_id = c.job_id AND g.attempt = c.attempt AND g.turn = c.turn
    WHERE c.job_id IN (SELECT l.id FROM locked AS l) OR NOT EXISTS (SELECT FROM callq.jobs AS j WHERE j.id = c.job_id)
    ORDER BY c.job_id, c.attempt FOR UPDATE OF c SKIP LOCKED
), call AS MATERIALIZED (
    SELECT g.* FROM given AS g JOIN held AS h ON h.job_id = g.job_id AND h.attempt = g.attempt
), leg AS MATERIALIZED (
    SELECT g.job_id, g.attempt, g.callee_no, g.callee, c.call_id, g.outcome, g.source,
        to_timestamp(g.accepted_ms / 1000.0) AS accepted_at, to_timestamp(g.ended_ms / 1000.0) AS ended_at, g.ring_seconds, g.talk_seconds,
        was.outcome AS was_outcome, was.ring_seconds AS was_ring_seconds, was.talk_seconds AS was_talk_seconds
    FROM unnest($9::bigint[], $10::int[], $11::int[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::bigint[],
        $17::int[], $18::int[])
        AS g(job_id, attempt, callee_no, callee, outcome, source, accepted_ms, ended_ms, ring_seconds, talk_seconds)
    JOIN call AS c ON c.job_id = g.job_id AND c.attempt = g.attempt
    LEFT JOIN callq.legs AS was ON was.job_id = g.job_id AND was.attempt = g.attempt AND was.callee_no = g.callee_no
    WHERE (was.outcome, was.source, was.accepted_at, was.ended_at, was.ring_seconds, was.talk_seconds) IS DISTINCT FROM
        (g.outcome, g.source, to_timestamp(g.accepted_ms / 1000.0), to_timestamp(g.ended_ms / 1000.0), g.ring_seconds, g.talk_seconds)
), written AS (
    INSERT INTO callq.legs AS l (job_id, attempt, callee_no, callee, call_id, outcome, source, accepted_at, ended_at, ring_seconds, talk_seconds)
    SELECT g.job_id, g.attempt, g.callee_no, g.callee, g.call_id, g.outcome, g.source, g.accepted_at, g.ended_at, g.ring_seconds, g.talk_seconds
    FROM leg AS g
    ON CONFLICT (job_id, attempt, callee_no) DO UPDATE SET call_id = coalesce(l.call_id, excluded.call_id), outcome = excluded.outcome, source = excluded.source,
        accepted_at = excluded.accepted_at, ended_at = excluded.ended_at, ring_seconds = excluded.ring_seconds,
        talk_seconds = excluded.talk_seconds, settled_at = now()
), counted AS (
    INSERT INTO callq.leg_counts AS n (quarter, app, schedule_id, robot, media_type, ring_no, outcome,
        legs, ring_seconds, talk_seconds, longest_talk_seconds)
    SELECT date_bin('15 minutes', coalesce(a.sent_at, a.claimed_at), 'epoch'), j.app, coalesce(j.schedule_id, 0), j.robot_account,
        j.media_type, j.ring_no, d.outcome, sum(d.legs), sum(d.ring_seconds), sum(d.talk_seconds), max(d.longest)
    FROM leg AS g
    JOIN locked AS j ON j.id = g.job_id
    JOIN callq.attempts AS a ON a.job_id = g.job_id AND a.attempt = g.attempt
    CROSS JOIN LATERAL (VALUES
        (g.outcome, 1, coalesce(g.ring_seconds, 0), coalesce(g.talk_seconds, 0), coalesce(g.talk_seconds, 0)),
        (g.was_outcome, -1, -coalesce(g.was_ring_seconds, 0), -coalesce(g.was_talk_seconds, 0), 0)
        ) AS d(outcome, legs, ring_seconds, talk_seconds, longest)
    WHERE d.outcome IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (quarter, app, schedule_id, robot, media_type, ring_no, outcome) DO UPDATE SET
        legs = n.legs + excluded.legs, ring_seconds = n.ring_seconds + excluded.ring_seconds,
        talk_seconds = n.talk_seconds + excluded.talk_seconds,
        longest_talk_seconds = greatest(n.longest_talk_seconds, excluded.longest_talk_seconds)
), named AS (
    -- An acceptance that named no call.
    UPDATE callq.attempts AS a SET call_id = c.call_id FROM call AS c
    WHERE a.job_id = c.job_id AND a.attempt = c.attempt AND a.call_id IS NULL AND c.call_id IS NOT NULL
), ring AS MATERIALIZED (
    SELECT c.job_id, c.attempt, who.callees, now() + c.again_s * interval '1 second' AS at,
        CASE WHEN j.cancel_requested_at IS NOT NULL THEN NULL -- its reason says so
             WHEN c.again_why <> 'ring_again' THEN c.again_why
             WHEN who.callees IS NULL THEN NULL
             WHEN j.schedule_id IS NOT NULL AND (j.nominal_at IS NOT NULL OR j.root_id IS NOT NULL)
                  AND NOT EXISTS (SELECT FROM callq.schedules AS s WHERE s.id = j.schedule_id AND s.stopped_at IS NULL) THEN 'ring_schedule_stopped'
             WHEN now() + c.again_s * interval '1 second' >= j.expires_at THEN 'ring_deadline'
             ELSE 'ring_again' END AS why,
        c.again_detail AS detail
    FROM call AS c
    JOIN locked AS j ON j.id = c.job_id
    CROSS JOIN LATERAL (
        SELECT array_agg(a.callee ORDER BY a.place) AS callees
        FROM json_array_elements_text(coalesce(c.again, '[]')::json) WITH ORDINALITY AS a(callee, place)
        -- A second ring, or another follow-up, may have reached somebody whom this call did not.
        WHERE NOT EXISTS (
            SELECT FROM (SELECT coalesce(j.root_id, j.id) AS id UNION ALL
                         SELECT k.id FROM callq.jobs AS k WHERE k.root_id = coalesce(j.root_id, j.id)) AS chain
            JOIN callq.legs AS l ON l.job_id = chain.id
            WHERE l.callee = a.callee AND l.outcome = 'answered')
    ) AS who
    WHERE c.ends AND j.state = 'placed' AND c.again_why IS NOT NULL
), ended AS (
    UPDATE callq.jobs AS j SET
        reason = coalesce(r.why, j.reason),
        reason_detail = CASE WHEN r.why IS NULL THEN j.reason_detail ELSE left(r.detail, 500) END,
        state = CASE WHEN c.ends THEN 'completed' ELSE j.state END,
        outcome = CASE WHEN c.ends OR j.state = 'completed' THEN c.outcome END,
        call_id = coalesce(j.call_id, c.call_id),
        finished_at = CASE WHEN j.state = 'completed' THEN j.finished_at ELSE now() END
    FROM call AS c
    LEFT JOIN ring AS r ON r.job_id = c.job_id AND r.attempt = c.attempt
    WHERE j.id = c.job_id AND j.state IN ('placed', 'completed')
      AND coalesce(j.call_id = c.call_id, j.attempt = c.attempt)
      AND (c.ends OR j.state = 'completed') AND (j.state, j.outcome) IS DISTINCT FROM ('completed', c.outcome)
    RETURNING j.*, r.why, r.callees AS missed, r.at
), followed AS (
    INSERT INTO callq.jobs (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        run_at, expires_at, priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds, media_url, media_options, schedule_id,
        root_id, ring_no, follows_id, redials)
    SELECT e.app, e.robot_account, e.missed, e.media_type, e.room_id, e.room_id_type, e.ring_timeout_ms, e.user_data, e.offline_push,
        e.at, e.expires_at, e.priority, e.max_attempts, e.on_doubt, e.retry_callees, e.metadata, e.ring_policy, e.max_call_seconds, e.media_url, e.media_options, e.schedule_id,
        coalesce(e.root_id, e.id), e.ring_no + 1, e.id, e.redials + 1
    FROM ended AS e WHERE e.why = 'ring_again'
    ON CONFLICT (root_id, follows_id, redials) WHERE root_id IS NOT NULL DO NOTHING
), told AS (
    INSERT INTO callq.events (event, app, job_id, attempt, callee, outcome, call_id)
    SELECT 'answered', j.app, g.job_id, g.attempt, g.callee, 'answered', c.call_id
    FROM leg AS g JOIN locked AS j ON j.id = g.job_id JOIN call AS c ON c.job_id = g.job_id AND c.attempt = g.attempt
    WHERE g.outcome = 'answered' AND g.was_outcome IS DISTINCT FROM 'answered' AND (SELECT s.events FROM callq.settings AS s)
    ORDER BY g.job_id, g.callee_no
), closed AS (
    DELETE FROM callq.calls AS k USING call AS c
    WHERE k.job_id = c.job_id AND k.attempt = c.attempt AND c.closes
), kept AS (
    UPDATE callq.calls AS k SET turn = k.turn + 1, call_id = coalesce(k.call_id, c.call_id), record = coalesce(c.record::jsonb, k.record),
        -- Callbacks can still tell of callees, and after 6 days nothing does.
        look_at = CASE WHEN c.record IS NULL THEN k.look_at ELSE k.opened_at + interval '6 days' END,
        end_at = CASE WHEN c.record IS NULL AND k.record IS NULL THEN
            CASE WHEN picked_up.at IS NULL OR k.max_seconds IS NULL OR k.end_at IS NULL THEN k.end_at
                 ELSE least(k.end_at, greatest(picked_up.at, k.opened_at) + k.max_seconds * interval '1 second') END END
    FROM call AS c
    CROSS JOIN LATERAL (
        -- Tencent's clock is not ours; a call is picked up after it is placed, and before that is known.
        SELECT CASE WHEN count(*) > 0 THEN least(min(g.accepted_at), now()) END AS at FROM leg AS g
        WHERE g.job_id = c.job_id AND g.attempt = c.attempt AND g.accepted_at IS NOT NULL) AS picked_up
    WHERE k.job_id = c.job_id AND k.attempt = c.attempt AND NOT c.closes
)
SELECT g.job_id AS "job_id!", g.attempt AS "attempt!", c.job_id IS NOT NULL AS "settled!", e.state::text AS "state?"
FROM given AS g
LEFT JOIN call AS c ON c.job_id = g.job_id AND c.attempt = g.attempt
LEFT JOIN ended AS e ON e.id = g.job_id
