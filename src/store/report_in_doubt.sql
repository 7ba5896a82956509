-- callq report in-doubt: jobs whose phone may have rung, the oldest first.
--
-- $1, $2: the app and the schedule, NULL: all.
-- Index: jobs_leases, which holds no finished job.
SELECT row_to_json(t)::text AS "row!" FROM (
    SELECT d.job_id, d.app, d.attempt, d.robot, d.room_id, d.claimed_at, extract(epoch FROM d.age)::bigint AS age_s, d.reason,
        d.evidence_looked_for, d.resolves_at
    FROM callq.in_doubt AS d
    WHERE ($1::text IS NULL OR d.app = $1) AND ($2::text IS NULL OR d.schedule = $2)
    ORDER BY d.claimed_at, d.job_id LIMIT 10000
) AS t
