-- The last $2 firings of the schedule $1 that have a job, newest first. Index: firings_are_made_once.
SELECT j.id AS job_id, j.nominal_at, j.nominal_local, j.state::text AS "state!", j.reason, j.run_at, j.sent_at
FROM callq.jobs AS j
WHERE j.schedule_id = $1 AND j.nominal_local IS NOT NULL
ORDER BY j.nominal_local DESC, j.nominal_fold DESC
LIMIT $2
