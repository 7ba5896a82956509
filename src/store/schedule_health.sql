-- How the schedules stand, for `callq status` and `callq check`: how many there are, how many are at fault, and
-- how many wait for a worker that does not come. Reads all of them: 100,000 in some tens of milliseconds.
WITH waiting AS (
    SELECT s.error, s.stopped_at, s.zone_data,
        -- One that was just given has no time of its own; what is looked at, is within a second.
        CASE WHEN s.check_at = '-infinity' THEN greatest(s.updated_at, s.cursor_at) ELSE s.check_at END AS since
    FROM callq.schedules AS s
)
SELECT count(*) AS "schedules!",
    count(*) FILTER (WHERE w.error IS NOT NULL) AS "at_fault!",
    count(*) FILTER (WHERE w.stopped_at IS NOT NULL) AS "stopped!",
    count(*) FILTER (WHERE w.since < now() - $1::float8 * interval '1 second') AS "unattended!",
    min(w.since) FILTER (WHERE w.since < now() - $1::float8 * interval '1 second') AS unattended_since,
    max(w.zone_data) AS zone_data
FROM waiting AS w
