-- Withdraws what the schedule $1 made ahead, if its turn is still $2: newer zone data says that it rings at other
-- instants. It is then looked at anew from now on. Index: the primary key.
WITH locked AS MATERIALIZED (
    SELECT s.id, s.turn FROM callq.schedules AS s WHERE s.id = $1 FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE callq.schedules AS s SET turn = s.turn + 1, check_at = now(), cursor_at = least(s.cursor_at, now())
FROM locked AS l
WHERE s.id = l.id AND l.turn = $2 AND callq.withdraw_firings(l.id, 'superseded') >= 0
