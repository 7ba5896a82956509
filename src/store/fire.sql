-- Fires schedules: makes the jobs of firings, tells the firings that are not made, and moves the cursors.
--
-- $1 .. $11: per schedule its id; the turn that it was read in; its cursor if nothing is made ahead, and if all is; when it
-- fires next; when to look again; the next firings, as the text of an array; its default ttl; how many firings were
-- skipped for a person; an error or NULL; and the zone data's version ($11, for all).
-- $12 .. $18: per firing its schedule; instant; local time; fold; run_at; expires_at; whether it is ahead of its time.
-- $19 .. $25: per record of what is not made its schedule; reason; first and last instant; first local time; count; detail.
--
-- Guarantees: a schedule that was changed since it was read, by whom ever, or that somebody has locked, is left alone and
-- comes back as not done; so of two workers one fires. A firing has one job for ever: what is there already is left as it
-- is, but for what was withdrawn before anything was sent, which is made again as the schedule is now.
-- Overlaps are decided here, on what is committed: an earlier job of the schedule that is unfinished and can still ring at the
-- firing's time, or may be ringing then. Ahead of its time such a firing is held: the cursor stays before it and it is
-- looked at again, in half the time that is left, until it has come. Then it is told as skipped, or the earlier one is cancelled.
-- At most one firing of a schedule may be ahead if overlaps matter: those of this statement do not see each other.
--
-- What a schedule owed is decided with this.
-- No row of a job is waited for: a schedule of which somebody has locked one that has to change is tried again.
-- Index: the primary keys, firings_made_once for what is there, firings_unfinished for overlaps.
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
        $7::text[], $8::float8[], $9::int[], $10::text[])
        AS g(id, turn, held_at, cursor_at, next_fire_at, check_at, upcoming, default_ttl_s, skips, error)
), locked AS MATERIALIZED (
    SELECT s.id, s.turn, s.overlap, s.app, s.name FROM callq.schedules AS s
    WHERE s.id = ANY ($1::bigint[])
    ORDER BY s.id
    FOR NO KEY UPDATE SKIP LOCKED
), fenced AS MATERIALIZED (
    SELECT g.*, l.overlap, l.app, l.name FROM given AS g JOIN locked AS l ON l.id = g.id AND l.turn = g.turn
), asked AS MATERIALIZED (
    SELECT f.*, s.overlap, a.paused_at IS NULL AND g.paused_at IS NULL AS rings, coalesce(a.longest_call_s, 1800) AS longest_call_s FROM unnest($12::bigint[], $13::timestamptz[], $14::timestamp[], $15::smallint[], $16::timestamptz[],
        $17::timestamptz[], $18::bool[]) AS f(schedule_id, nominal_at, nominal_local, nominal_fold, run_at, expires_at, ahead)
    JOIN fenced AS s ON s.id = f.schedule_id
    LEFT JOIN callq.apps AS a ON a.app = s.app
    LEFT JOIN callq.settings AS g ON g.only_row
), present AS MATERIALIZED (
    SELECT f.schedule_id, f.nominal_at, f.run_at, f.expires_at, f.ahead, j.id,
        j.state = 'cancelled' AND j.attempt = 0 AND j.reason IN ('superseded', 'schedule_paused', 'firing_skipped') AS withdrawn
    FROM asked AS f
    CROSS JOIN LATERAL (
        SELECT j.id, j.state, j.attempt, j.reason FROM callq.jobs AS j
        WHERE j.schedule_id = f.schedule_id AND j.nominal_local = f.nominal_local AND j.nominal_fold = f.nominal_fold
        -- One that waits since before the time zone was changed has no local time any more.
        UNION ALL
        SELECT j.id, j.state, j.attempt, j.reason FROM callq.jobs AS j
        WHERE j.schedule_id = f.schedule_id AND j.state IN ('scheduled', 'dialing', 'in_doubt')
          AND j.nominal_local IS NULL AND j.nominal_at = f.nominal_at
        LIMIT 1) AS j
), earlier AS MATERIALIZED (
    SELECT f.schedule_id, f.nominal_at, f.ahead, f.overlap, j.id
    FROM asked AS f
    CROSS JOIN LATERAL (
        SELECT j.id FROM callq.jobs AS j
        WHERE j.schedule_id = f.schedule_id AND j.state IN ('scheduled', 'dialing', 'in_doubt')
          AND coalesce(j.nominal_at, j.run_at) < f.nominal_at
          AND (j.nominal_local, j.nominal_fold) IS DISTINCT FROM (f.nominal_local, f.nominal_fold)
          -- Ahead of its time, one that waits may be ringing by then, unless its app is paused.
          AND CASE WHEN j.state = 'scheduled' THEN j.expires_at > CASE WHEN f.ahead AND f.rings THEN now() ELSE f.nominal_at END
              -- Its call is over by then: the ring, the longest call and two minutes.
              ELSE coalesce((SELECT a.claimed_at FROM callq.attempts AS a WHERE a.job_id = j.id AND a.attempt = j.attempt LIMIT 1), j.due_at)
                  + least(greatest(j.ring_timeout_ms, 0), 600000) * interval '1 millisecond'
                  + (greatest(f.longest_call_s, j.max_call_seconds) + 120) * interval '1 second' > f.nominal_at END
        LIMIT 1000
    ) AS j
    WHERE f.overlap <> 'allow'
), touched AS (
    SELECT p.schedule_id, p.id FROM present AS p WHERE p.withdrawn
    UNION
    SELECT e.schedule_id, e.id FROM earlier AS e WHERE e.overlap = 'cancel_previous' AND NOT e.ahead
), free AS MATERIALIZED (
    SELECT j.id FROM callq.jobs AS j
    WHERE j.id = ANY (ARRAY(SELECT t.id FROM touched AS t))
    ORDER BY j.id
    FOR NO KEY UPDATE SKIP LOCKED
), stuck AS MATERIALIZED (
    SELECT DISTINCT t.schedule_id FROM touched AS t WHERE NOT EXISTS (SELECT FROM free AS f WHERE f.id = t.id)
), held AS MATERIALIZED (
    SELECT e.schedule_id, min(e.nominal_at) AS nominal_at FROM earlier AS e WHERE e.ahead GROUP BY e.schedule_id
), overlapped AS MATERIALIZED (
    SELECT DISTINCT e.schedule_id, e.nominal_at FROM earlier AS e WHERE e.overlap = 'skip' AND NOT e.ahead
), ready AS MATERIALIZED (
    SELECT s.*, h.nominal_at AS held_firing FROM fenced AS s
    LEFT JOIN held AS h ON h.schedule_id = s.id
    WHERE NOT EXISTS (SELECT FROM stuck AS k WHERE k.schedule_id = s.id)
), makes AS MATERIALIZED (
    SELECT f.* FROM asked AS f
    JOIN ready AS s ON s.id = f.schedule_id
    WHERE NOT (f.ahead AND s.held_firing IS NOT NULL)
      AND NOT EXISTS (SELECT FROM overlapped AS o WHERE o.schedule_id = f.schedule_id AND o.nominal_at = f.nominal_at)
), inserted AS (
    INSERT INTO callq.jobs (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds, media_url, media_options,
        run_at, expires_at, schedule_id, nominal_at, nominal_local, nominal_fold)
    SELECT s.app, s.robot_account, s.callees, s.media_type, s.room_id, s.room_id_type, s.ring_timeout_ms, s.user_data, s.offline_push,
        s.priority, s.max_attempts, s.on_doubt, s.retry_callees, s.metadata, s.ring_policy, s.max_call_seconds, s.media_url, s.media_options, m.run_at, m.expires_at, m.schedule_id, m.nominal_at,
        m.nominal_local, m.nominal_fold
    FROM makes AS m
    JOIN callq.schedules AS s ON s.id = m.schedule_id
    WHERE NOT EXISTS (SELECT FROM present AS p WHERE p.schedule_id = m.schedule_id AND p.nominal_at = m.nominal_at)
    ORDER BY m.run_at
    ON CONFLICT (schedule_id, nominal_local, nominal_fold) WHERE schedule_id IS NOT NULL DO NOTHING
    RETURNING schedule_id, nominal_at
), remade AS MATERIALIZED (
    SELECT m.schedule_id, m.nominal_at, callq.remake_firing(p.id, m.nominal_at, m.run_at, m.expires_at) AS id
    FROM makes AS m
    JOIN present AS p ON p.schedule_id = m.schedule_id AND p.nominal_at = m.nominal_at AND p.withdrawn
), overtaken AS MATERIALIZED (
    SELECT e.schedule_id, callq.overtake_job(e.id) AS state
    FROM (SELECT DISTINCT e.schedule_id, e.id FROM earlier AS e WHERE e.overlap = 'cancel_previous' AND NOT e.ahead) AS e
    JOIN ready AS s ON s.id = e.schedule_id
), told AS (
    INSERT INTO callq.skipped_firings (schedule_id, app, name, reason, first_nominal_at, last_nominal_at, nominal_local, firings, detail)
    SELECT s.id, s.app, s.name, t.reason, t.first_at, t.last_at, t.first_local, t.firings, left(t.detail, 500)
    FROM unnest($19::bigint[], $20::text[], $21::timestamptz[], $22::timestamptz[], $23::timestamp[], $24::bigint[], $25::text[])
        AS t(schedule_id, reason, first_at, last_at, first_local, firings, detail)
    JOIN ready AS s ON s.id = t.schedule_id
    UNION ALL
    SELECT s.id, s.app, s.name, 'overlap', f.nominal_at, f.nominal_at, f.nominal_local, 1,
        'job ' || (SELECT min(e.id) FROM earlier AS e WHERE e.schedule_id = s.id AND e.nominal_at = f.nominal_at) || ' was not finished'
    FROM overlapped AS o
    JOIN ready AS s ON s.id = o.schedule_id
    JOIN asked AS f ON f.schedule_id = o.schedule_id AND f.nominal_at = o.nominal_at
    WHERE NOT EXISTS (SELECT FROM present AS p WHERE p.schedule_id = f.schedule_id AND p.nominal_at = f.nominal_at AND NOT p.withdrawn)
    RETURNING schedule_id, firings
), made AS MATERIALIZED (
    SELECT i.schedule_id, count(*) AS jobs, max(i.nominal_at) AS last_at FROM (
        SELECT n.schedule_id, n.nominal_at FROM inserted AS n
        UNION ALL SELECT r.schedule_id, r.nominal_at FROM remade AS r WHERE r.id IS NOT NULL) AS i
    GROUP BY i.schedule_id
), moved AS (
    UPDATE callq.schedules AS s SET
        turn = s.turn + 1,
        cursor_at = CASE WHEN r.held_firing IS NULL THEN r.cursor_at ELSE r.held_at END,
        next_fire_at = coalesce(r.held_firing, r.next_fire_at),
        check_at = CASE WHEN r.held_firing IS NULL THEN r.check_at
            WHEN r.held_firing - now() < interval '500 milliseconds' THEN r.held_firing
            ELSE now() + (r.held_firing - now()) / 2 END,
        upcoming = CASE WHEN r.held_firing IS NULL THEN r.upcoming::timestamptz[]
            ELSE (ARRAY[r.held_firing] || r.upcoming::timestamptz[])[1:10] END,
        default_ttl = r.default_ttl_s * interval '1 second',
        zone_data = $11::text,
        error = left(r.error, 500),
        error_at = CASE WHEN r.error IS NOT NULL THEN now() END,
        owed = '{}',
        barred_until = NULL,
        barred_reason = NULL,
        skip_next = greatest(0, s.skip_next - r.skips),
        -- Looked up, not joined: the planner takes both for one row, and would compare each with each.
        last_nominal_at = greatest(s.last_nominal_at, ((SELECT jsonb_object_agg(m.schedule_id, m.last_at) FROM made AS m) ->> r.id::text)::timestamptz)
    FROM ready AS r
    WHERE s.id = r.id
    RETURNING s.id
), again AS (
    UPDATE callq.schedules AS s SET check_at = now() + interval '100 milliseconds'
    WHERE s.id = ANY (ARRAY(SELECT k.schedule_id FROM stuck AS k))
)
SELECT g.id AS "id!", v.id IS NOT NULL AS "done!", coalesce(m.jobs, 0) AS "made!", coalesce(t.firings, 0)::bigint AS "told!",
    coalesce(o.jobs, 0) AS "overtaken!"
FROM given AS g
LEFT JOIN moved AS v ON v.id = g.id
LEFT JOIN made AS m ON m.schedule_id = g.id
LEFT JOIN (SELECT t.schedule_id, sum(t.firings) AS firings FROM told AS t GROUP BY t.schedule_id) AS t ON t.schedule_id = g.id
LEFT JOIN (SELECT o.schedule_id, count(o.state) AS jobs FROM overtaken AS o GROUP BY o.schedule_id) AS o ON o.schedule_id = g.id
