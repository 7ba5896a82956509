-- Gives back all that one claim ($1) took, for a worker that never saw the claim's answer and so
-- has sent nothing: the attempts are closed as not_sent, the jobs are scheduled as they were.
--
-- Guarantees: only jobs that are still dialing under this very claim; attempt numbers stay used.
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
    state = CASE WHEN j.cancel_requested_at IS NULL THEN 'scheduled' ELSE 'cancelled' END::callq.job_state,
    reason = CASE WHEN j.cancel_requested_at IS NULL THEN 'given_back' ELSE 'cancelled_by_user' END,
    finished_at = CASE WHEN j.cancel_requested_at IS NULL THEN NULL ELSE now() END,
    claim_token = NULL, lease_until = NULL
WHERE j.id = ANY (ARRAY(SELECT id FROM held))
