-- Settles what became of calls: of a batch of them, what is known by now of each callee.
--
-- $1 .. $8 are of calls: job, attempt, the turn in which it was read, whether nothing more is to be learnt
-- (closes), whether the record came or is given up (ends), the outcome of the whole, the record to keep, and
-- the CallId. $9 .. $18 are of their callees.
--
--   the job now                    ends     becomes
--   placed, and this is its call   true     completed, with the outcome
--   completed, and this is its     any      completed, with the outcome as it is known now
--   anything else                  any      unchanged
--
-- Guarantees: what was settled in another turn is not settled again, so each leg is counted once and one that
-- is corrected is counted anew; jobs are locked first, sorted, then calls, as everywhere; what somebody else
-- has locked is skipped and stays as it is. Legs, counts, job and events are one transaction.
-- Index: the primary keys of jobs, calls, attempts, legs and leg_counts.
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::int[], $3::int[], $4::bool[], $5::bool[], $6::text[], $7::text[], $8::text[])
        AS g(job_id, attempt, turn, closes, ends, outcome, record, call_id)
), locked AS MATERIALIZED (
    SELECT j.id, j.schedule_id, j.robot_account, j.media_type, j.ring_no, j.app FROM callq.jobs AS j
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
), ended AS (
    UPDATE callq.jobs AS j SET
        state = CASE WHEN c.ends THEN 'completed' ELSE j.state END,
        outcome = CASE WHEN c.ends OR j.state = 'completed' THEN c.outcome END,
        call_id = coalesce(j.call_id, c.call_id),
        finished_at = CASE WHEN j.state = 'completed' THEN j.finished_at ELSE now() END
    FROM call AS c
    WHERE j.id = c.job_id AND j.state IN ('placed', 'completed')
      AND coalesce(j.call_id = c.call_id, j.attempt = c.attempt)
      AND (c.ends OR j.state = 'completed') AND (j.state, j.outcome) IS DISTINCT FROM ('completed', c.outcome)
    RETURNING j.id, j.state
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
        look_at = CASE WHEN c.record IS NULL THEN k.look_at END
    FROM call AS c
    WHERE k.job_id = c.job_id AND k.attempt = c.attempt AND NOT c.closes
)
SELECT g.job_id AS "job_id!", g.attempt AS "attempt!", c.job_id IS NOT NULL AS "settled!", e.state::text AS "state?"
FROM given AS g
LEFT JOIN call AS c ON c.job_id = g.job_id AND c.attempt = g.attempt
LEFT JOIN ended AS e ON e.id = g.job_id
