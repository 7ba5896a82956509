-- How long until a schedule is to be looked at, in seconds; 0: one is now; NULL: none is. And whether there are some
-- that wait for a worker with newer zone data than the caller's ($1), which count nowhere else. Nor do those of a zone
-- that the caller does not know ($2), as schedules_due.sql leaves them out. Index: schedules_due.
WITH due AS MATERIALIZED (
    SELECT coalesce((left(s.zone_data, 4), length(s.zone_data), s.zone_data) > (left($1, 4), length($1), $1::text), false) AS newer
    FROM callq.schedules AS s WHERE s.check_at <= now()
      AND NOT (s.tz = ANY ($2::text[]) AND s.default_ttl IS NOT NULL AND s.error IS NULL AND s.check_at > now() - interval '30 seconds')
)
SELECT CASE WHEN EXISTS (SELECT FROM due AS d WHERE NOT d.newer) THEN 0
        ELSE (SELECT extract(epoch FROM min(s.check_at) - clock_timestamp())::float8 FROM callq.schedules AS s
              WHERE s.check_at > now() AND s.check_at < 'infinity') END AS next_s,
    EXISTS (SELECT FROM due AS d WHERE d.newer) AS "left_alone!"
