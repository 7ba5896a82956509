-- How long until a schedule is to be looked at, in seconds; 0: one is now; NULL: none is. And whether there are some
-- that wait for a worker with newer zone data than the caller's ($1), which count nowhere else. Index: schedules_due.
WITH due AS MATERIALIZED (
    SELECT coalesce((left(s.zone_data, 4), length(s.zone_data), s.zone_data) > (left($1, 4), length($1), $1::text), false) AS newer
    FROM callq.schedules AS s WHERE s.check_at <= now()
)
SELECT CASE WHEN EXISTS (SELECT FROM due AS d WHERE NOT d.newer) THEN 0
        ELSE (SELECT extract(epoch FROM min(s.check_at) - clock_timestamp())::float8 FROM callq.schedules AS s
              WHERE s.check_at > now() AND s.check_at < 'infinity') END AS next_s,
    EXISTS (SELECT FROM due AS d WHERE d.newer) AS "left_alone!"
