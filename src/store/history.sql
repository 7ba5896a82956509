-- Where the database is now, and whether workers go by it: read with every new connection, and twice a
-- second.
--
-- Index: none; callq.meta has one row.
SELECT p.in_recovery AS "in_recovery!", p.origin AS "origin!", coalesce(p.timeline, 0) AS "timeline!",
    coalesce(p.wal_position, 0) AS "wal_position!", p.server_started AS "server_started!", m.history_no AS "history_no!",
    (m.history_lost_at IS NULL AND p.origin = m.history_origin AND p.timeline = m.history_timeline) IS TRUE AS "accepted!"
FROM callq.meta AS m CROSS JOIN callq.present_history() AS p
