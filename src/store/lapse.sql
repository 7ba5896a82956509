-- Finds jobs whose worker did not report back within its lease, and puts them in doubt.
--
-- $1: how many at most. $2: the longest time a doubt is kept open, in seconds.
-- The request may have been sent, so the job is not given back: on_doubt decides, at lease_until.
-- Guarantees: only leases that ended on the database's clock; a late reply still finds the attempt. A ring timeout
-- that is out of range, as rows have that were written with the rules switched off, fails no other job's turn.
-- Index: jobs_leases.
WITH lapsed AS MATERIALIZED (
    SELECT j.ctid AS at, j.id, j.attempt FROM callq.jobs AS j
    WHERE j.state = 'dialing' AND j.lease_until < now()
    ORDER BY j.lease_until LIMIT $1
    FOR NO KEY UPDATE SKIP LOCKED
), held AS MATERIALIZED (
    SELECT a.job_id FROM lapsed AS l
    CROSS JOIN LATERAL (
        SELECT a.job_id FROM callq.attempts AS a WHERE a.job_id = l.id AND a.attempt = l.attempt
        FOR NO KEY UPDATE SKIP LOCKED) AS a
), doubted AS (
    UPDATE callq.jobs AS j SET
        state = 'in_doubt', reason = 'lease_lapsed', reason_detail = NULL,
        attempts_used = j.attempts_used + 1,
        lease_until = CASE WHEN j.on_doubt = 'retry' THEN now() + least(greatest(j.ring_timeout_ms, 0), 600000) * interval '1 millisecond'
                           ELSE now() + $2::float8 * interval '1 second' END
    -- One whose attempt somebody has locked waits for the next round; it stops no other.
    WHERE j.ctid = ANY (ARRAY(SELECT l.at FROM lapsed AS l WHERE l.id IN (SELECT h.job_id FROM held AS h)
        OR NOT EXISTS (SELECT FROM callq.attempts AS a WHERE a.job_id = l.id AND a.attempt = l.attempt)))
    RETURNING j.id, j.attempt, j.app, j.claim_token, j.callees, j.ring_timeout_ms, j.max_call_seconds, j.media_url IS NOT NULL AS has_media
), filed AS (
    UPDATE callq.attempts AS a SET state = 'unknown', class = 'in_doubt', detail = 'the lease lapsed before a reply was recorded'
    FROM doubted AS d WHERE a.job_id = d.id AND a.attempt = d.attempt AND a.state = 'claimed'
    RETURNING a.job_id, a.attempt, a.app, a.room_id, d.callees, d.ring_timeout_ms, d.max_call_seconds, d.has_media
), opened AS (
    INSERT INTO callq.calls (job_id, attempt, app, room_id, look_at, callees, live_until, max_seconds, end_at, end_why)
    SELECT f.job_id, f.attempt, f.app, f.room_id, now(), f.callees, rings.until + greatest(a.longest_call_s, most.seconds, 0) * interval '1 second',
        most.seconds, rings.until + most.seconds * interval '1 second', CASE WHEN most.seconds IS NOT NULL THEN 'max_call_seconds' END
    FROM filed AS f
    LEFT JOIN callq.apps AS a ON a.app = f.app
    CROSS JOIN LATERAL (SELECT coalesce(f.max_call_seconds, a.max_call_seconds) AS seconds) AS most
    CROSS JOIN LATERAL (SELECT now() + least(greatest(f.ring_timeout_ms, 0), 600000) * interval '1 millisecond' AS until) AS rings
    WHERE (SELECT s.outcomes FROM callq.settings AS s) OR f.has_media
    ON CONFLICT (job_id, attempt) DO NOTHING
)
SELECT d.id AS "id!", d.attempt AS "attempt!", d.app AS "app!" FROM doubted AS d
