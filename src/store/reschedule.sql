-- Moves run_at of the job $1: to $2; or else to $3 seconds from now; or else by $4 seconds. The
-- trigger refuses a job that is not scheduled, moves the deadline along and wakes the workers.
-- Index: the primary key.
UPDATE callq.jobs AS j
SET run_at = coalesce($2::timestamptz, now() + make_interval(secs => $3::float8), j.run_at + make_interval(secs => $4::float8))
WHERE j.id = $1
RETURNING j.run_at
