-- Claims due jobs: the committed write-ahead record without which no request leaves.
--
-- For each granted app ($1), at most $2 jobs, most urgent level first, then by due_at, then by id.
-- A claimed job becomes dialing, with the next attempt number, the claim token $3 and a lease of
-- $5 seconds; its attempt row, with the room and the random that the request will carry, is
-- inserted in the same statement, so it is there if and only if the claim is. A job found past its
-- deadline becomes expired instead and comes back as such.
--
-- Guarantees: a job is claimed by one worker at most; no more rows are locked than the sum of $2;
-- the cost does not depend on how many jobs wait for the future, are finished or belong to other
-- apps. now() is used, not clock_timestamp(), which no index condition can use.
--
-- Index: jobs_due, entered once per app and level behind the last job that the caller claimed there (four due times
-- $6 and ids $7 for each app; without them dead entries at the head cost 15-23 ms while a snapshot is held
-- open, and without the ids all that were due at one instant are such a head). The levels are taken lazily: the inner
-- LIMIT stops the scan, so no further row is locked.
-- The rows are then updated by ctid: they are locked, so it cannot change, and no index is read again.
--
-- A follow-up job is claimed only if none of its callees is on another call of ours, or may be; otherwise its due
-- time moves and it comes back as scheduled. Ordinary jobs are not asked about.
--
-- Nor is a job with media claimed by a worker that cannot stream for its app ($8), which waits in the same way.
--
-- Nothing that it returns can fail to be read, whatever stands in a row whose rules were switched off:
-- no number is narrowed, push information is text, a NULL callee is an empty one, a list of lists is
-- none, and no due time is infinite; nor can anything fail to be reckoned: the oldest instants have none before
-- them, so why_expired is asked from 1970 on. One row that could not be read would keep all others from ringing.
WITH picked AS MATERIALIZED (
    SELECT due.ctid AS at, due.follows, due.mute
    FROM unnest($1::text[], $2::int[], $8::bool[]) WITH ORDINALITY AS granted(app, slots, streams, nth)
    CROSS JOIN LATERAL (
        SELECT j.ctid, j.follows, j.mute
        FROM (VALUES (0), (1), (2), (3)) AS level(priority)
        CROSS JOIN LATERAL (
            SELECT j.ctid, j.root_id IS NOT NULL AS follows,
                NOT granted.streams AND j.media_url IS NOT NULL AND j.expires_at > now() AS mute
            FROM callq.jobs AS j
            WHERE j.state = 'scheduled' AND j.app = granted.app AND j.priority = level.priority
              AND (j.due_at, j.id) >= (($6::timestamptz[])[4 * granted.nth - 3 + level.priority], ($7::bigint[])[4 * granted.nth - 3 + level.priority])
              AND j.due_at <= now()
            ORDER BY j.due_at, j.id
            LIMIT granted.slots
            FOR NO KEY UPDATE SKIP LOCKED) AS j
        LIMIT granted.slots) AS due
), again AS MATERIALIZED (
    SELECT j.ctid AS at, j.id, j.app, j.callees FROM callq.jobs AS j
    WHERE j.ctid = ANY (ARRAY(SELECT at FROM picked WHERE follows)) AND j.expires_at > now()
), busy AS MATERIALIZED (
    -- Of two in this very claim the first rings.
    SELECT a.at FROM again AS a
    WHERE EXISTS (SELECT FROM again AS b WHERE b.id < a.id AND b.app = a.app AND b.callees && a.callees)
       OR callq.callees_busy(a.id, a.app, a.callees)
), mute AS MATERIALIZED (
    SELECT p.at FROM picked AS p WHERE p.mute
), later AS MATERIALIZED (
    -- One row, so that it is looked up once.
    SELECT ARRAY(SELECT b.at FROM busy AS b UNION SELECT m.at FROM mute AS m) AS jobs, ARRAY(SELECT m.at FROM mute AS m) AS mute
), claimed AS (
    UPDATE callq.jobs AS j SET
        state = CASE WHEN j.ctid = ANY (l.jobs) THEN 'scheduled' WHEN j.expires_at > now() THEN 'dialing' WHEN callq.may_have_rung(j.id, j.attempt + 1) THEN 'unresolved'
            ELSE 'expired' END::callq.job_state,
        attempt = j.attempt + (j.expires_at > now() AND j.ctid <> ALL (l.jobs))::int,
        -- Twice more before the deadline, if it is near.
        due_at = CASE WHEN j.ctid = ANY (l.jobs)
            THEN least(now() + CASE WHEN j.ctid = ANY (l.mute)
                    -- Many may wait long: ever less often, so that they are in nobody's way.
                    THEN least(greatest(now() - greatest(least(j.run_at, now()), 'epoch'), interval '15 seconds'), interval '5 minutes')
                    ELSE interval '15 seconds' END,
                greatest(j.expires_at - interval '2 seconds', now() + interval '1 second')) ELSE j.due_at END,
        claim_token = CASE WHEN j.expires_at > now() AND j.ctid <> ALL (l.jobs) THEN $3::uuid END,
        lease_until = CASE WHEN j.expires_at > now() AND j.ctid <> ALL (l.jobs) THEN now() + $5::float8 * interval '1 second' END,
        reason = CASE WHEN j.ctid = ANY (l.mute) THEN 'media_no_credentials'
            WHEN j.ctid = ANY (l.jobs) THEN 'callee_busy' WHEN j.expires_at > now() THEN NULL WHEN callq.may_have_rung(j.id, j.attempt + 1) THEN 'earlier_in_doubt'
            ELSE callq.why_expired(j.app, greatest(j.due_at, 'epoch'), j.reason, greatest(j.expires_at, 'epoch')) END,
        reason_detail = CASE WHEN j.expires_at > now() THEN NULL ELSE j.reason_detail END,
        finished_at = CASE WHEN j.expires_at > now() THEN NULL ELSE now() END
    FROM later AS l
    WHERE j.ctid = ANY (ARRAY(SELECT at FROM picked))
    RETURNING j.*, greatest(j.due_at, 'epoch') AS due,
        coalesce(j.room_id, format('callq_%s_%s_%s', j.id, j.attempt, left(replace(gen_random_uuid()::text, '-', ''), 16))) AS room,
        floor(random() * 4294967296)::bigint AS random
), attempted AS (
    INSERT INTO callq.attempts (job_id, attempt, claim_token, app, worker, room_id, room_id_type, random, due_at, claimed_at)
    SELECT c.id, c.attempt, $3::uuid, c.app, $4::text, c.room, CASE c.room_id_type WHEN 1 THEN 1 ELSE 2 END, c.random, c.due, now()
    FROM claimed AS c WHERE c.state = 'dialing'
)
SELECT c.id AS "id!", c.app AS "app!", c.state::text AS "state!", c.reason, c.attempt AS "attempt!",
       c.robot_account AS "robot_account!",
       CASE WHEN array_ndims(c.callees) > 1 THEN '{}' WHEN array_position(c.callees, NULL) IS NULL THEN c.callees
            ELSE ARRAY(SELECT coalesce(e.callee, '') FROM unnest(c.callees) AS e(callee)) END AS "callees!",
       c.media_type AS "media_type!",
       c.room AS "room_id!", c.room_id_type AS "room_id_type!", c.ring_timeout_ms AS "ring_timeout_ms!",
       c.user_data, c.offline_push::text AS offline_push, c.priority AS "priority!", c.due AS "due_at!",
       c.max_attempts AS "max_attempts!", c.attempts_used AS "attempts_used!", c.on_doubt AS "on_doubt!",
       c.retry_callees AS "retry_callees!", c.random AS "random!",
       CASE WHEN isfinite(c.expires_at) THEN extract(epoch FROM c.expires_at - now())::float8 END AS expires_in_s,
       extract(epoch FROM now() - c.due)::float8 AS "late_s!",
       extract(epoch FROM now())::float8 AS "claimed_at_unix_s!"
FROM claimed AS c
ORDER BY c.app, c.priority, c.due, c.id
