-- The first report views. Days and hours are in callq.settings.report_time_zone. No view shows
-- user_data or offline_push.

CREATE VIEW callq.callee_results AS
SELECT a.job_id, a.attempt, c.callee,
    CASE WHEN r.item ->> 'ResultCode' ~ '^-?[0-9]{1,18}$' THEN (r.item ->> 'ResultCode')::bigint END AS result_code
FROM callq.attempts AS a
JOIN callq.jobs AS j ON j.id = a.job_id
CROSS JOIN LATERAL unnest(j.callees) AS c(callee)
LEFT JOIN LATERAL (
    SELECT e.item
    FROM jsonb_array_elements(
        CASE jsonb_typeof(a.callee_results) WHEN 'array' THEN a.callee_results ELSE '[]' END) AS e(item)
    WHERE e.item ->> 'Callee_Account' = c.callee
    LIMIT 1) AS r ON true
WHERE a.state = 'replied' AND a.class = 'accepted';
COMMENT ON VIEW callq.callee_results IS 'One row per callee per accepted attempt.';
COMMENT ON COLUMN callq.callee_results.job_id IS 'callq.jobs.id.';
COMMENT ON COLUMN callq.callee_results.attempt IS 'Number of the attempt.';
COMMENT ON COLUMN callq.callee_results.callee IS 'The callee.';
COMMENT ON COLUMN callq.callee_results.result_code IS 'ResultCode; 0 is good, other values are undocumented by Tencent. NULL: none was given, or no number.';

CREATE VIEW callq.call_legs AS
SELECT (j.run_at AT TIME ZONE s.report_time_zone)::date AS day, j.app, a.job_id, a.attempt, j.ring_no, c.callee,
    j.robot_account AS robot, j.media_type, j.metadata, a.room_id, a.call_id, j.run_at, a.due_at, a.sent_at,
    CASE WHEN a.class = 'accepted' THEN a.replied_at END AS placed_at,
    r.result_code, a.state AS attempt_state, a.class, a.error_code, a.request_id
FROM callq.attempts AS a
JOIN callq.jobs AS j ON j.id = a.job_id
CROSS JOIN callq.settings AS s
CROSS JOIN LATERAL unnest(j.callees) AS c(callee)
LEFT JOIN callq.callee_results AS r ON r.job_id = a.job_id AND r.attempt = a.attempt AND r.callee = c.callee;
COMMENT ON VIEW callq.call_legs IS 'One row per callee per attempt.';
COMMENT ON COLUMN callq.call_legs.day IS 'Day of run_at in the report time zone.';
COMMENT ON COLUMN callq.call_legs.app IS 'The app.';
COMMENT ON COLUMN callq.call_legs.job_id IS 'callq.jobs.id.';
COMMENT ON COLUMN callq.call_legs.attempt IS 'Number of the attempt.';
COMMENT ON COLUMN callq.call_legs.ring_no IS '1, or more for a follow-up job.';
COMMENT ON COLUMN callq.call_legs.callee IS 'The callee.';
COMMENT ON COLUMN callq.call_legs.robot IS 'The robot account that calls.';
COMMENT ON COLUMN callq.call_legs.media_type IS 'Audio or Video.';
COMMENT ON COLUMN callq.call_legs.metadata IS 'The job''s metadata.';
COMMENT ON COLUMN callq.call_legs.room_id IS 'The room that the request named.';
COMMENT ON COLUMN callq.call_legs.call_id IS 'Tencent''s CallId.';
COMMENT ON COLUMN callq.call_legs.run_at IS 'When the user wanted it to ring.';
COMMENT ON COLUMN callq.call_legs.due_at IS 'When this attempt was due.';
COMMENT ON COLUMN callq.call_legs.sent_at IS 'When its request was handed to the network.';
COMMENT ON COLUMN callq.call_legs.placed_at IS 'When the acceptance was read.';
COMMENT ON COLUMN callq.call_legs.result_code IS 'The callee''s ResultCode.';
COMMENT ON COLUMN callq.call_legs.attempt_state IS 'claimed, not_sent, replied or unknown.';
COMMENT ON COLUMN callq.call_legs.class IS 'What the answer meant.';
COMMENT ON COLUMN callq.call_legs.error_code IS 'ErrorCode.';
COMMENT ON COLUMN callq.call_legs.request_id IS 'Tencent''s RequestId.';

CREATE VIEW callq.job_status AS
SELECT (j.run_at AT TIME ZONE s.report_time_zone)::date AS day, j.app, j.id, j.state, j.reason,
    r.sentence, r.next_step, j.reason_detail,
    CASE j.state WHEN 'scheduled' THEN j.due_at WHEN 'dialing' THEN j.lease_until WHEN 'in_doubt' THEN j.lease_until END AS next_at,
    j.expires_at, j.attempt AS attempts, a.rings, cardinality(j.callees) AS callees,
    CASE WHEN j.error_code <> 0 THEN j.error_code || coalesce(' ' || nullif(j.error_info, ''), '') END AS last_error
FROM callq.jobs AS j
CROSS JOIN callq.settings AS s
LEFT JOIN callq.reasons AS r ON r.reason = j.reason
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE a.class = 'accepted' OR a.state = 'unknown' OR a.class = 'in_doubt') AS rings
    FROM callq.attempts AS a WHERE a.job_id = j.id) AS a ON true;
COMMENT ON VIEW callq.job_status IS 'One row per job: where it stands, why, and what comes next.';
COMMENT ON COLUMN callq.job_status.day IS 'Day of run_at in the report time zone.';
COMMENT ON COLUMN callq.job_status.app IS 'The app.';
COMMENT ON COLUMN callq.job_status.id IS 'callq.jobs.id.';
COMMENT ON COLUMN callq.job_status.state IS 'The state.';
COMMENT ON COLUMN callq.job_status.reason IS 'Why, as a word.';
COMMENT ON COLUMN callq.job_status.sentence IS 'Why, as a sentence.';
COMMENT ON COLUMN callq.job_status.next_step IS 'What happens next, or what to do.';
COMMENT ON COLUMN callq.job_status.reason_detail IS 'What exactly happened.';
COMMENT ON COLUMN callq.job_status.next_at IS 'When something happens next: the next try, the end of the lease, or when the doubt is settled.';
COMMENT ON COLUMN callq.job_status.expires_at IS 'The deadline.';
COMMENT ON COLUMN callq.job_status.attempts IS 'How many requests were claimed for it.';
COMMENT ON COLUMN callq.job_status.rings IS 'How many of them rang or may have rung.';
COMMENT ON COLUMN callq.job_status.callees IS 'How many callees it has.';
COMMENT ON COLUMN callq.job_status.last_error IS 'Code and text of the newest reply, if it was an error.';

CREATE VIEW callq.not_called AS
SELECT (j.run_at AT TIME ZONE s.report_time_zone)::date AS day, j.app, j.state, j.reason, r.sentence, count(*) AS jobs
FROM callq.jobs AS j
CROSS JOIN callq.settings AS s
LEFT JOIN callq.reasons AS r ON r.reason = j.reason
WHERE j.state IN ('failed', 'expired', 'cancelled')
GROUP BY 1, 2, 3, 4, 5;
COMMENT ON VIEW callq.not_called IS 'Jobs that ended without a call, by day, app and reason.';
COMMENT ON COLUMN callq.not_called.day IS 'Day of run_at in the report time zone.';
COMMENT ON COLUMN callq.not_called.app IS 'The app.';
COMMENT ON COLUMN callq.not_called.state IS 'failed, expired or cancelled.';
COMMENT ON COLUMN callq.not_called.reason IS 'Why, as a word.';
COMMENT ON COLUMN callq.not_called.sentence IS 'Why, as a sentence.';
COMMENT ON COLUMN callq.not_called.jobs IS 'How many jobs.';

CREATE VIEW callq.errors AS
SELECT date_trunc('hour', a.replied_at AT TIME ZONE s.report_time_zone) AS hour, a.app, a.error_code,
    coalesce(e.meaning, 'not a code that callq knows') AS meaning, a.class, count(*) AS count,
    (array_agg(a.request_id ORDER BY a.replied_at DESC))[1] AS last_request_id
FROM callq.attempts AS a
CROSS JOIN callq.settings AS s
LEFT JOIN callq.error_codes AS e ON e.code = a.error_code
WHERE a.state = 'replied' AND a.class <> 'accepted'
GROUP BY 1, 2, 3, 4, 5;
COMMENT ON VIEW callq.errors IS 'Tencent''s refusals by hour, app and code.';
COMMENT ON COLUMN callq.errors.hour IS 'Hour of the reply in the report time zone.';
COMMENT ON COLUMN callq.errors.app IS 'The app.';
COMMENT ON COLUMN callq.errors.error_code IS 'ErrorCode.';
COMMENT ON COLUMN callq.errors.meaning IS 'What the code means.';
COMMENT ON COLUMN callq.errors.class IS 'safe, in_doubt, app or cannot.';
COMMENT ON COLUMN callq.errors.count IS 'How many replies.';
COMMENT ON COLUMN callq.errors.last_request_id IS 'RequestId of the newest, for Tencent''s support.';

CREATE VIEW callq.lateness AS
SELECT date_trunc('hour', a.sent_at AT TIME ZONE s.report_time_zone) AS hour, a.app, count(*) AS requests,
    percentile_cont(0.50) WITHIN GROUP (ORDER BY l.ms) AS p50_ms,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY l.ms) AS p95_ms,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY l.ms) AS p99_ms,
    max(l.ms) AS max_ms
FROM callq.attempts AS a
CROSS JOIN callq.settings AS s
CROSS JOIN LATERAL (SELECT extract(epoch FROM a.sent_at - a.due_at)::double precision * 1000 AS ms) AS l
WHERE a.sent_at IS NOT NULL
GROUP BY 1, 2;
COMMENT ON VIEW callq.lateness IS 'How late requests left: sent_at - due_at of each attempt, in milliseconds.';
COMMENT ON COLUMN callq.lateness.hour IS 'Hour of sending in the report time zone.';
COMMENT ON COLUMN callq.lateness.app IS 'The app.';
COMMENT ON COLUMN callq.lateness.requests IS 'How many requests were sent.';
COMMENT ON COLUMN callq.lateness.p50_ms IS 'Median, in milliseconds.';
COMMENT ON COLUMN callq.lateness.p95_ms IS '95th percentile, in milliseconds.';
COMMENT ON COLUMN callq.lateness.p99_ms IS '99th percentile, in milliseconds.';
COMMENT ON COLUMN callq.lateness.max_ms IS 'The latest, in milliseconds.';

CREATE VIEW callq.in_doubt AS
SELECT (j.run_at AT TIME ZONE s.report_time_zone)::date AS day, j.app, j.id AS job_id, j.attempt, a.room_id, a.room_id_type,
    j.robot_account AS robot, j.callees, j.reason, j.reason_detail, j.on_doubt, a.claimed_at, now() - a.claimed_at AS age,
    CASE j.on_doubt WHEN 'retry' THEN 'a late reply, then another ring' ELSE 'a late reply or a person' END AS evidence_looked_for,
    j.lease_until AS resolves_at
FROM callq.jobs AS j
CROSS JOIN callq.settings AS s
LEFT JOIN callq.attempts AS a ON a.job_id = j.id AND a.attempt = j.attempt
WHERE j.state = 'in_doubt';
COMMENT ON VIEW callq.in_doubt IS 'Jobs whose phone may have rung; each waits for evidence, a policy or a person.';
COMMENT ON COLUMN callq.in_doubt.day IS 'Day of run_at in the report time zone.';
COMMENT ON COLUMN callq.in_doubt.app IS 'The app.';
COMMENT ON COLUMN callq.in_doubt.job_id IS 'callq.jobs.id.';
COMMENT ON COLUMN callq.in_doubt.attempt IS 'The attempt in doubt.';
COMMENT ON COLUMN callq.in_doubt.room_id IS 'Its room, to look for in Tencent''s records.';
COMMENT ON COLUMN callq.in_doubt.room_id_type IS '1: digits, 2: text.';
COMMENT ON COLUMN callq.in_doubt.robot IS 'The robot account that called.';
COMMENT ON COLUMN callq.in_doubt.callees IS 'Who may have been rung.';
COMMENT ON COLUMN callq.in_doubt.reason IS 'Why it is in doubt.';
COMMENT ON COLUMN callq.in_doubt.reason_detail IS 'What exactly happened.';
COMMENT ON COLUMN callq.in_doubt.on_doubt IS 'The job''s policy.';
COMMENT ON COLUMN callq.in_doubt.claimed_at IS 'When the attempt was claimed.';
COMMENT ON COLUMN callq.in_doubt.age IS 'How long ago that was.';
COMMENT ON COLUMN callq.in_doubt.evidence_looked_for IS 'What can settle it.';
COMMENT ON COLUMN callq.in_doubt.resolves_at IS 'When it is settled without evidence: by another ring, or as unresolved.';
