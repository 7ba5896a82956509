-- The schedules that a worker shall look at now, those that wait longest first, at most $1.
--
-- $2: the version of the caller's zone data. A schedule that was reckoned with newer data is left alone: its
-- 09:00 may be another instant than the caller believes. With older data, or none: pending holds what is made
-- ahead, for the caller to see whether it would have been made for the same instants.
-- $3: zones that the caller does not know. A schedule of one that somebody has reckoned well is left to whoever did, for
-- 30 seconds: others_can.
-- Guarantees: nothing is locked; fire.sql is fenced by turn. Nothing that it returns can fail to be read, whatever
-- stands in a row whose rules were switched off: dates and times are text, and no instant is infinite.
-- Index: schedules_due, and firings_unfinished for pending: only a scheduled job has no attempt, and to ask for its state
-- would let stale statistics answer with the whole of jobs_due.
SELECT s.id, s.turn, s.app, s.name, s.cron, extract(epoch FROM s.every)::float8 AS every_s, array_remove(s.on_times, NULL) AS on_times,
    s.tz, extract(epoch FROM s.ttl)::float8 AS ttl_s, extract(epoch FROM s.jitter)::float8 AS "jitter_s!", s.catch_up,
    extract(epoch FROM s.catch_up_window)::float8 AS "catch_up_window_s!", s.overlap, s.start_at, s.end_at,
    ARRAY(SELECT d.day::text FROM unnest(s.except_dates || s.calendar_dates) AS d(day) WHERE d.day IS NOT NULL) AS "except_dates!",
    greatest(s.created_at, 'epoch') AS "created_at!", greatest(least(s.cursor_at, '2200-01-01'), 'epoch') AS "cursor_at!",
    greatest(least(s.stopped_at, '2200-01-01'), 'epoch') AS stopped, s.stopped_at IS NOT NULL AS "is_stopped!",
    CASE WHEN isfinite(s.barred_until) THEN s.barred_until END AS barred_until, s.barred_reason, s.skip_next, now() AS "now!",
    ARRAY(SELECT o.at FROM unnest(s.owed) AS o(at) WHERE isfinite(o.at)) AS "owed!",
    (s.default_ttl IS NOT NULL AND s.error IS NULL AND s.check_at > now() - interval '30 seconds') AS "others_can!",
    CASE WHEN s.zone_data IS DISTINCT FROM $2 THEN ARRAY(
        SELECT j.nominal_at FROM callq.jobs AS j
        WHERE j.schedule_id = s.id AND j.state IN ('scheduled', 'dialing', 'in_doubt') AND j.attempt = 0 AND j.nominal_at > now()
          AND j.moved_at IS NULL AND isfinite(j.nominal_at)
        ORDER BY j.nominal_at LIMIT 1000) END AS pending
FROM callq.schedules AS s
WHERE s.check_at <= now()
  AND (s.zone_data IS NULL OR (left(s.zone_data, 4), length(s.zone_data), s.zone_data) <= (left($2, 4), length($2), $2::text))
  AND NOT (s.tz = ANY ($3::text[]) AND s.default_ttl IS NOT NULL AND s.error IS NULL AND s.check_at > now() - interval '30 seconds')
ORDER BY s.check_at
LIMIT $1
