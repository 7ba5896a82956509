-- Marks schedules that cannot be reckoned: the ids $1 of the turns $2 with the errors $3, by zone data of the
-- version $4. They do not fire until they are changed. Returns those that were marked.
-- Guarantees: one that was changed since the caller read it is left alone. Index: the primary key.
WITH locked AS MATERIALIZED (
    SELECT s.id, s.turn FROM callq.schedules AS s WHERE s.id = ANY ($1::bigint[]) ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE callq.schedules AS s SET turn = s.turn + 1, error = left(g.error, 500), error_at = now(), check_at = NULL, next_fire_at = NULL,
    upcoming = '{}', zone_data = $4
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS g(id, turn, error)
JOIN locked AS l ON l.id = g.id AND l.turn = g.turn
WHERE s.id = l.id
RETURNING s.id
