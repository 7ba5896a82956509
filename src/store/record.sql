-- Writes a batch of results back: what each request led to, and what that makes of its job.
--
-- A result is fenced by (job, attempt, claim token): only the attempt row that this very claim wrote
-- takes it, and it takes a reply once. A reply that proves nothing takes after it what does: that the call was seen, or
-- that there was none. It stays on the row. The job then follows this table:
--
--   the job now                              the result      becomes
--   dialing or in_doubt, this attempt newest any             the verdict (state $5, reason $6 ...)
--   scheduled or ended                       it rang         placed, reason late_reply: what rang is
--                                                            not rung again
--   dialing or in_doubt, a newer attempt     it rang         unchanged; attempts.second_ring is set. If
--                                                            the newer one rings nobody: placed, as above
--
-- Callees that were refused are rung again by a follow-up job, if retry_callees says so. It is the job's only one of
-- that kind (redials); who was not reached may get another later (outcome.sql).
-- A call that was accepted, or may have been, is followed from here on (callq.calls), and its media (callq.streams).
-- A cancel that was asked for meanwhile is settled here: rang nobody -> cancelled; rang -> placed, and the call is ended.
--
-- Guarantees: rows are locked first, sorted by id, so that two recorders cannot deadlock; a job or an
-- attempt that somebody else has locked is skipped and reported (written = false), to be tried again alone.
-- A batch must not hold two results of one job.
--
-- Index: the primary keys of jobs and attempts. The jobs are updated by id, not by ctid as in the
-- claim: a row that changed since this statement's snapshot must not be missed here.
WITH result AS (
    SELECT * FROM unnest($1::bigint[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::float8[], $9::bool[], $10::text[], $11::int[], $12::bigint[], $13::text[], $14::text[], $15::text[],
        $16::text[], $17::float8[], $18::float8[])
        AS r(job_id, attempt, claim_token, attempt_state, next_state, reason, detail,
             delay_s, counts, class, http_status, error_code, error_info, request_id, call_id,
             callee_results, sent_after_s, replied_after_s)
), locked AS MATERIALIZED (
    SELECT j.id, j.state, j.attempt, j.cancel_requested_at, j.callees, j.ring_timeout_ms, j.max_call_seconds, j.media_url IS NOT NULL AS has_media, j.robot_account
    FROM callq.jobs AS j
    WHERE j.id = ANY ($1::bigint[])
    ORDER BY j.id
    FOR NO KEY UPDATE SKIP LOCKED
), held AS MATERIALIZED (
    SELECT a.job_id, a.attempt
    FROM callq.attempts AS a
    WHERE a.job_id = ANY ($1::bigint[]) AND a.claim_token = ANY ($3::uuid[])
      AND (a.state IN ('claimed', 'unknown') OR a.state = 'replied' AND a.class = 'in_doubt')
      AND (SELECT count(*) FROM locked) >= 0 -- always: the jobs are locked first, here as everywhere
    ORDER BY a.job_id, a.attempt
    FOR NO KEY UPDATE SKIP LOCKED
), ready AS MATERIALIZED (
    -- A job that somebody deleted leaves its attempt behind; that still takes its reply.
    SELECT r.*, l.has_media, l.robot_account, l.callees, l.ring_timeout_ms, l.max_call_seconds, l.cancel_requested_at, l.attempt AS newest, l.state NOT IN ('dialing', 'in_doubt') AS ended, l.state = 'in_doubt' AS doubted,
        earlier.replied_at AS rang_at, earlier.call_id AS rang_call_id,
        CASE WHEN earlier.replied_at IS NOT NULL THEN 'placed'
             WHEN doubt.lingers THEN 'unresolved'
             WHEN r.next_state IN ('scheduled', 'failed', 'expired') AND l.cancel_requested_at IS NOT NULL THEN 'cancelled'
             ELSE r.next_state END::callq.job_state AS becomes,
        CASE WHEN l.state NOT IN ('dialing', 'in_doubt') OR earlier.replied_at IS NOT NULL THEN 'late_reply'
             WHEN doubt.lingers THEN 'earlier_in_doubt'
             WHEN l.cancel_requested_at IS NULL THEN r.reason
             WHEN r.next_state IN ('scheduled', 'failed', 'expired') THEN 'cancelled_by_user'
             WHEN r.next_state = 'placed' THEN CASE WHEN (SELECT s.outcomes FROM callq.settings AS s) THEN 'cancel_ends_call' ELSE 'cancel_too_late' END
             ELSE r.reason END AS because
    FROM result AS r
    LEFT JOIN locked AS l ON l.id = r.job_id
    LEFT JOIN LATERAL (
        SELECT e.replied_at, e.call_id FROM callq.attempts AS e
        WHERE r.next_state IN ('scheduled', 'failed', 'expired') AND e.job_id = r.job_id AND e.attempt < r.attempt AND e.second_ring
        ORDER BY e.attempt DESC LIMIT 1) AS earlier ON true
    CROSS JOIN LATERAL (
        -- It would end without a call, and an earlier attempt may have rung: never call that failed.
        SELECT (r.next_state IN ('failed', 'expired') OR (r.next_state = 'scheduled' AND l.cancel_requested_at IS NOT NULL))
            AND r.attempt > 1 AND callq.may_have_rung(r.job_id, r.attempt) AS lingers) AS doubt
    WHERE (l.id IS NOT NULL OR NOT EXISTS (SELECT FROM callq.jobs AS j WHERE j.id = r.job_id))
      AND (EXISTS (SELECT FROM held AS h WHERE h.job_id = r.job_id AND h.attempt = r.attempt)
           OR NOT EXISTS (SELECT FROM callq.attempts AS a WHERE a.job_id = r.job_id AND a.attempt = r.attempt
                AND a.claim_token = r.claim_token
                AND (a.state IN ('claimed', 'unknown') OR a.state = 'replied' AND a.class = 'in_doubt' AND r.class <> 'in_doubt')))
), filed AS (
    UPDATE callq.attempts AS a SET
        state = CASE WHEN a.state = 'replied' THEN a.state ELSE r.attempt_state::callq.attempt_state END,
        sent_at = a.claimed_at + r.sent_after_s * interval '1 second',
        replied_at = CASE WHEN a.state = 'replied' THEN a.replied_at ELSE a.claimed_at + r.replied_after_s * interval '1 second' END,
        -- What a person has settled is not put in doubt again by a result that knows no more.
        class = CASE WHEN a.class = 'safe' AND r.class = 'in_doubt' THEN a.class ELSE r.class END,
        http_status = coalesce(r.http_status, a.http_status), error_code = coalesce(r.error_code, a.error_code),
        error_info = coalesce(r.error_info, a.error_info), request_id = coalesce(r.request_id, a.request_id),
        call_id = coalesce(r.call_id, a.call_id), callee_results = coalesce(r.callee_results::jsonb, a.callee_results),
        detail = CASE WHEN a.class = 'safe' AND r.class = 'in_doubt' THEN a.detail ELSE r.detail END,
        second_ring = coalesce(r.next_state = 'placed' AND r.newest > a.attempt, false)
    FROM ready AS r
    WHERE a.job_id = r.job_id AND a.attempt = r.attempt AND a.claim_token = r.claim_token
      AND (a.state IN ('claimed', 'unknown') OR a.state = 'replied' AND a.class = 'in_doubt' AND r.class <> 'in_doubt')
    RETURNING a.job_id, a.attempt, a.app, a.class, a.room_id, a.room_id_type, a.call_id, a.sent_at, a.replied_at, a.callee_results, a.second_ring,
        r.has_media, r.robot_account, r.callees, r.ring_timeout_ms, r.max_call_seconds, r.cancel_requested_at
), opened AS (
    -- What rang, or may have, is followed until it is known what became of it.
    INSERT INTO callq.calls AS c (job_id, attempt, app, call_id, room_id, look_at, callees, live_until, max_seconds, end_at, end_why)
    SELECT f.job_id, f.attempt, f.app, f.call_id, f.room_id, now() + interval '5 minutes' * (f.call_id IS NOT NULL)::int,
        rung.callees, rings.until + greatest(a.longest_call_s, most.seconds, 0) * interval '1 second', most.seconds,
        CASE WHEN f.cancel_requested_at IS NOT NULL THEN now() ELSE rings.until + most.seconds * interval '1 second' END,
        CASE WHEN f.cancel_requested_at IS NOT NULL THEN 'cancelled' WHEN most.seconds IS NOT NULL THEN 'max_call_seconds' END
    FROM filed AS f
    LEFT JOIN callq.apps AS a ON a.app = f.app
    CROSS JOIN LATERAL (SELECT coalesce(f.max_call_seconds, a.max_call_seconds) AS seconds) AS most
    CROSS JOIN LATERAL (SELECT now() + least(greatest(f.ring_timeout_ms, 0), 600000) * interval '1 millisecond' AS until) AS rings
    CROSS JOIN LATERAL (
        -- Who was refused does not ring; where nobody was, nobody is looked for.
        SELECT CASE WHEN f.callee_results @? '$[*].ResultCode ? (@ != 0 || @ != "0")' THEN ARRAY(
            SELECT c.callee FROM unnest(f.callees) AS c(callee)
            WHERE NOT EXISTS (
                SELECT FROM jsonb_array_elements(CASE jsonb_typeof(f.callee_results) WHEN 'array' THEN f.callee_results ELSE '[]' END) AS a(item)
                WHERE a.item ->> 'Callee_Account' = c.callee AND a.item ->> 'ResultCode' ~ '^-?[0-9]+$'
                  AND a.item ->> 'ResultCode' !~ '^-?0+$'))
            ELSE coalesce(f.callees, '{}') END AS callees
    ) AS rung
    WHERE f.class IN ('accepted', 'in_doubt') AND ((SELECT s.outcomes FROM callq.settings AS s) OR f.has_media)
    ON CONFLICT (job_id, attempt) DO UPDATE SET
        call_id = coalesce(excluded.call_id, c.call_id), look_at = excluded.look_at, turn = c.turn + 1,
        callees = excluded.callees, live_until = excluded.live_until, max_seconds = excluded.max_seconds,
        end_at = excluded.end_at, end_why = excluded.end_why
), streamed AS (
    -- Its media waits for somebody to answer.
    INSERT INTO callq.streams (job_id, attempt, app, call_id, room_id, room_id_type, robot)
    SELECT f.job_id, f.attempt, f.app, f.call_id, f.room_id, f.room_id_type, f.robot_account
    FROM filed AS f WHERE f.has_media AND f.class = 'accepted'
    ON CONFLICT (job_id, attempt) DO NOTHING
), moved AS (
    UPDATE callq.jobs AS j SET
        state = r.becomes,
        reason = r.because,
        reason_detail = CASE WHEN r.ended THEN NULL ELSE r.detail END,
        due_at = CASE WHEN r.becomes = 'scheduled' AND r.delay_s IS NOT NULL
            THEN now() + r.delay_s * interval '1 second' ELSE j.due_at END,
        -- A doubt has been counted when it arose; a reply that proves it unfounded takes it back.
        attempts_used = j.attempts_used + CASE WHEN r.ended THEN 0 ELSE r.counts::int - r.doubted::int END,
        claim_token = CASE WHEN r.becomes = 'in_doubt' THEN j.claim_token END,
        lease_until = CASE WHEN r.becomes = 'in_doubt' THEN now() + r.delay_s * interval '1 second' END,
        call_id = coalesce(r.call_id, r.rang_call_id, j.call_id),
        callee_results = coalesce(f.callee_results, j.callee_results),
        error_code = coalesce(r.error_code, j.error_code),
        error_info = CASE WHEN r.error_code IS NULL THEN j.error_info ELSE r.error_info END,
        request_id = coalesce(r.request_id, j.request_id),
        sent_at = coalesce(f.sent_at, j.sent_at),
        placed_at = CASE WHEN r.becomes = 'placed' THEN coalesce(r.rang_at, f.replied_at) ELSE j.placed_at END,
        finished_at = CASE WHEN r.becomes IN ('scheduled', 'in_doubt') THEN NULL ELSE now() END
    FROM ready AS r
    JOIN filed AS f ON f.job_id = r.job_id
    WHERE j.id = r.job_id
      AND CASE WHEN r.ended THEN r.next_state = 'placed' AND j.state NOT IN ('placed', 'completed')
               ELSE r.newest = r.attempt END
    RETURNING j.*, r.delay_s, f.callee_results AS answered
), followed AS (
    -- retry_callees: whoever got another result code than 0 is rung again by a job of its own, under
    -- the deadline of the first. UNIQUE (root_id, follows_id, redials): no result makes two.
    INSERT INTO callq.jobs (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data,
        offline_push, run_at, expires_at, priority, max_attempts, on_doubt, retry_callees, metadata, root_id, ring_no,
        ring_policy, max_call_seconds, media_url, media_options, follows_id, redials, schedule_id)
    SELECT m.app, m.robot_account, refused.callees, m.media_type, m.room_id, m.room_id_type, m.ring_timeout_ms, m.user_data,
        m.offline_push, now() + m.delay_s * interval '1 second', m.expires_at, m.priority, m.max_attempts, m.on_doubt,
        true, m.metadata, coalesce(m.root_id, m.id), m.ring_no + 1,
        m.ring_policy, m.max_call_seconds, m.media_url, m.media_options, m.id, m.redials, m.schedule_id
    FROM moved AS m
    CROSS JOIN LATERAL (
        SELECT array_agg(c.callee ORDER BY c.place) AS callees
        FROM unnest(m.callees) WITH ORDINALITY AS c(callee, place)
        WHERE EXISTS (
            SELECT FROM jsonb_array_elements(CASE jsonb_typeof(m.answered) WHEN 'array' THEN m.answered ELSE '[]' END) AS a(item)
            WHERE a.item ->> 'Callee_Account' = c.callee AND a.item ->> 'ResultCode' ~ '^-?[0-9]+$'
              AND a.item ->> 'ResultCode' !~ '^-?0+$')
    ) AS refused
    WHERE m.retry_callees AND m.state IN ('placed', 'failed') AND m.delay_s IS NOT NULL AND refused.callees IS NOT NULL
      AND m.cancel_requested_at IS NULL AND m.ring_no - m.redials < m.max_attempts
      AND now() + m.delay_s * interval '1 second' < m.expires_at
    ON CONFLICT (root_id, follows_id, redials) WHERE root_id IS NOT NULL DO NOTHING
)
SELECT r.job_id AS "job_id!", r.attempt AS "attempt!", d.job_id IS NOT NULL AS "written!", f.job_id IS NOT NULL AS "filed!",
       f.job_id IS NULL AND NOT EXISTS (SELECT FROM callq.attempts AS a WHERE a.job_id = r.job_id AND a.attempt = r.attempt
           AND a.claim_token = r.claim_token) AS "forgotten!",
       coalesce(f.second_ring, false) AS "second_ring!", m.state::text AS state, m.reason,
       -- The other workers do not know of a try that this result puts off.
       CASE WHEN m.state = 'scheduled' AND m.due_at <= now() + interval '60 seconds' THEN callq.wake_workers()::text
            WHEN m.reason = 'cancel_ends_call' THEN callq.wake_for_calls()::text END AS woken
FROM result AS r
LEFT JOIN ready AS d ON d.job_id = r.job_id
LEFT JOIN filed AS f ON f.job_id = r.job_id
LEFT JOIN moved AS m ON m.id = r.job_id
