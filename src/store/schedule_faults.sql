-- The schedules at fault, the newest fault first, at most $1. Reads all schedules, as schedule_health.sql.
SELECT s.app, s.name, s.error AS "error!", s.error_at
FROM callq.schedules AS s
WHERE s.error IS NOT NULL
ORDER BY s.error_at DESC NULLS LAST, s.id
LIMIT $1
