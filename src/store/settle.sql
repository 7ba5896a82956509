-- Applies on_doubt to jobs in doubt whose time has come without evidence.
--
-- $1: how many at most. $2: the longest time a doubt is kept open, in seconds.
-- retry: scheduled again, unless its deadline, its attempts, a cancel, a late reply that an earlier
-- attempt rang, or a gap in the database's history (callq.recover) speaks against it; otherwise, and for hold and reconcile, it stays in doubt until $2 after the claim and then ends unresolved.
-- Guarantees: nothing rings again past expires_at or max_attempts; nothing is called failed that
-- may have rung.
-- Index: jobs_leases.
WITH due AS MATERIALIZED (
    SELECT j.id, j.ctid AS at FROM callq.jobs AS j
    WHERE j.state = 'in_doubt' AND j.lease_until < now()
    ORDER BY j.lease_until LIMIT $1
    FOR NO KEY UPDATE SKIP LOCKED
), settled AS (
    UPDATE callq.jobs AS j SET
        state = v.state,
        reason = CASE v.state WHEN 'scheduled' THEN 'retried_in_doubt' WHEN 'unresolved' THEN 'unresolved' ELSE j.reason END,
        due_at = CASE v.state WHEN 'scheduled' THEN now() ELSE j.due_at END,
        lease_until = CASE v.state WHEN 'in_doubt' THEN v.gives_up_at END,
        finished_at = CASE v.state WHEN 'unresolved' THEN now() END
    FROM due AS d
    JOIN callq.jobs AS was ON was.ctid = d.at
    LEFT JOIN LATERAL (
        SELECT a.claimed_at FROM callq.attempts AS a
        WHERE a.job_id = was.id AND a.attempt = was.attempt LIMIT 1) AS a ON true
    CROSS JOIN LATERAL (
        -- A job whose attempts were deleted must not stay at the head of the index for ever.
        SELECT coalesce(a.claimed_at, '-infinity') + $2::float8 * interval '1 second' AS at
    ) AS gives_up
    CROSS JOIN LATERAL (
        SELECT gives_up.at AS gives_up_at,
            CASE WHEN was.on_doubt = 'retry' AND was.reason IS DISTINCT FROM 'history_lost' AND was.expires_at > now() AND was.attempts_used < was.max_attempts
                      AND was.cancel_requested_at IS NULL
                      AND NOT EXISTS (SELECT FROM callq.attempts AS e WHERE e.job_id = was.id AND e.second_ring) THEN 'scheduled'
                 WHEN gives_up.at <= now() THEN 'unresolved'
                 ELSE 'in_doubt' END::callq.job_state AS state
    ) AS v
    WHERE j.ctid = d.at
    RETURNING j.id, j.app, j.state
)
SELECT s.id AS "id!", s.app AS "app!", s.state::text AS "state!" FROM settled AS s
