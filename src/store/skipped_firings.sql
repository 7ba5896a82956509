-- The newest $2 records of firings that the schedule $1 did not make. Index: skipped_firings_by_schedule.
SELECT f.id, f.reason, r.sentence AS "sentence?", f.first_nominal_at, f.last_nominal_at, f.nominal_local, f.firings, f.detail, f.at
FROM callq.skipped_firings AS f LEFT JOIN callq.reasons AS r ON r.reason = f.reason
WHERE f.schedule_id = $1
ORDER BY f.id DESC
LIMIT $2
