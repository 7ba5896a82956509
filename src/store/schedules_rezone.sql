-- Has every schedule looked at anew that was reckoned with older zone data than the caller's ($1): a step of at
-- most $3 schedules behind the id $2. Returns how many rows the step read and its last id.
--
-- Guarantees: rows that somebody else has locked are passed over; whoever holds them changes them, and then
-- they are looked at anyway. Those that never fire again stay as they are, unless they are at fault: a zone that the older
-- data did not know may be known now. Index: the primary key.
WITH step AS MATERIALIZED (
    SELECT s.id, s.zone_data, s.check_at IS NOT NULL OR s.error IS NOT NULL AS fires FROM callq.schedules AS s
    WHERE s.id > $2 ORDER BY s.id LIMIT $3
), locked AS MATERIALIZED (
    SELECT s.id FROM callq.schedules AS s
    WHERE s.id = ANY (ARRAY(SELECT t.id FROM step AS t
        WHERE t.fires AND (left(t.zone_data, 4), length(t.zone_data), t.zone_data) < (left($1, 4), length($1), $1::text)))
    ORDER BY s.id
    FOR NO KEY UPDATE SKIP LOCKED
), moved AS (
    UPDATE callq.schedules AS s SET check_at = now(), turn = s.turn + 1
    WHERE s.id = ANY (ARRAY(SELECT l.id FROM locked AS l))
    RETURNING s.id
)
SELECT (SELECT count(*) FROM step) AS "rows!", (SELECT max(t.id) FROM step AS t) AS last_id, (SELECT count(*) FROM moved) AS "moved!"
