-- Makes the firings $2 (instants), $3 (local times), $4 (folds) of the past of the schedule $1 of the app $6 that
-- have no job, if it is of the revision $5; see callq.backfill_schedule.
SELECT b.firing AS "firing!", b.job_id AS "job_id!" FROM callq.backfill_schedule($1, $2, $3, $4, $5, $6) AS b
