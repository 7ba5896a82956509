-- Marks schedules that cannot be reckoned: the ids $1 of the turns $2 with the errors $3, by zone data of the
-- version $4. They do not fire until they are changed, or a worker can reckon them: they are looked at again after a
-- minute, and the older the fault, the less often, at most an hour apart. Returns those that were marked, whether that is
-- news, and how many of their firings are told.
--
-- Firings that were known before the fault are told when it is too late to make up for them, should it be mended now:
-- those are what would have rung.
-- Guarantees: one that was changed since the caller read it is left alone. Index: the primary key.
WITH locked AS MATERIALIZED (
    SELECT s.id, s.turn, s.app, s.name, s.error, s.error_at, s.owed, s.upcoming,
        -- When a firing is too late: a jitter that is at fault itself does not put that off for long.
        greatest(CASE WHEN s.catch_up = 'none' THEN interval '0' ELSE s.catch_up_window END,
            least(s.jitter, interval '10 minutes'), interval '5 seconds') AS late,
        s.stopped_at IS NOT NULL AS stopped
    FROM callq.schedules AS s WHERE s.id = ANY ($1::bigint[]) ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED
), marked AS MATERIALIZED (
    SELECT l.id, l.app, l.name, left(g.error, 500) AS error, l.late, l.stopped, l.owed, l.upcoming,
        l.error IS DISTINCT FROM left(g.error, 500) AS news,
        CASE WHEN l.error = left(g.error, 500) THEN coalesce(l.error_at, now()) ELSE now() END AS error_at
    FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS g(id, turn, error)
    JOIN locked AS l ON l.id = g.id AND l.turn = g.turn
), told AS (
    INSERT INTO callq.skipped_firings (schedule_id, app, name, reason, first_nominal_at, last_nominal_at, firings, detail)
    SELECT m.id, m.app, m.name, 'schedule_at_fault', min(k.at), max(k.at), count(DISTINCT k.at), m.error
    FROM marked AS m CROSS JOIN LATERAL unnest(m.owed || m.upcoming) AS k(at)
    WHERE k.at <= now() - m.late AND NOT m.stopped
    GROUP BY m.id, m.app, m.name, m.error
    RETURNING schedule_id, firings
), moved AS (
    UPDATE callq.schedules AS s SET
        turn = s.turn + 1,
        error = m.error,
        error_at = m.error_at,
        next_fire_at = NULL,
        zone_data = $4,
        -- What is told is decided.
        cursor_at = CASE WHEN m.stopped THEN s.cursor_at
            ELSE greatest(s.cursor_at, (SELECT max(u.at) FROM unnest(m.upcoming) AS u(at) WHERE u.at <= now() - m.late)) END,
        owed = CASE WHEN m.stopped THEN m.owed ELSE ARRAY(SELECT o.at FROM unnest(m.owed) AS o(at) WHERE o.at > now() - m.late) END,
        upcoming = CASE WHEN m.stopped THEN m.upcoming ELSE ARRAY(SELECT u.at FROM unnest(m.upcoming) AS u(at) WHERE u.at > now() - m.late) END,
        check_at = least(now() + least(greatest(now() - m.error_at, interval '1 minute'), interval '1 hour'),
            (SELECT min(k.at) + m.late FROM unnest(m.owed || m.upcoming) AS k(at) WHERE k.at > now() - m.late AND NOT m.stopped))
    FROM marked AS m
    WHERE s.id = m.id
    RETURNING s.id, m.news
)
SELECT v.id AS "id!", v.news AS "news!", coalesce((SELECT t.firings FROM told AS t WHERE t.schedule_id = v.id), 0) AS "told!"
FROM moved AS v
