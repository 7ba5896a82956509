-- Gives back all that one claim ($1) took, for a worker that never saw the claim's answer and so
-- has sent nothing: the attempts are closed as not_sent, the jobs are scheduled as they were. One that an
-- earlier attempt is known to have rung is placed instead; a cancel that was asked for meanwhile is settled.
--
-- Guarantees: only jobs that are still dialing under this very claim; attempt numbers stay used; what may
-- have rung is neither rung again nor called cancelled, as in record.sql.
-- Index: jobs_leases, no further than an hour ahead: no lease is longer, and the doubts that wait for days
-- are behind it. Then the primary keys: by an array of ids, which no statistics can turn into a scan.
WITH held AS MATERIALIZED (
    SELECT j.id FROM callq.jobs AS j
    WHERE j.state IN ('dialing', 'in_doubt') AND j.lease_until < now() + interval '1 hour'
      AND j.state = 'dialing' AND j.claim_token = $1::uuid
    ORDER BY j.id
    FOR NO KEY UPDATE
), closed AS (
    UPDATE callq.attempts AS a SET state = 'not_sent', class = 'safe', detail = 'the answer to the claim was lost'
    WHERE a.job_id = ANY (ARRAY(SELECT id FROM held)) AND a.claim_token = $1::uuid AND a.state = 'claimed'
)
UPDATE callq.jobs AS j SET
    (state, reason, call_id, placed_at, finished_at) = (
        SELECT v.state,
            CASE v.state WHEN 'placed' THEN 'late_reply' WHEN 'unresolved' THEN 'earlier_in_doubt'
                         WHEN 'cancelled' THEN 'cancelled_by_user' ELSE 'given_back' END,
            coalesce(rang.call_id, j.call_id), coalesce(rang.replied_at, j.placed_at),
            CASE WHEN v.state <> 'scheduled' THEN now() END
        FROM (SELECT) AS always
        LEFT JOIN LATERAL (
            SELECT e.replied_at, e.call_id FROM callq.attempts AS e
            WHERE e.job_id = j.id AND e.attempt < j.attempt AND e.second_ring
            ORDER BY e.attempt DESC LIMIT 1) AS rang ON true
        CROSS JOIN LATERAL (
            SELECT CASE WHEN rang.replied_at IS NOT NULL THEN 'placed'
                        WHEN j.cancel_requested_at IS NULL THEN 'scheduled'
                        WHEN callq.may_have_rung(j.id, j.attempt) THEN 'unresolved'
                        ELSE 'cancelled' END::callq.job_state AS state) AS v),
    claim_token = NULL, lease_until = NULL
WHERE j.id = ANY (ARRAY(SELECT id FROM held))
