-- One job ($1) for people, with its reason in words and what holds its app. user_data, offline_push and
-- media_url stay in their columns. Whatever stands in the row can be read. Index: the primary key.
SELECT j.id, j.app, j.state::text AS "state!", j.reason, r.sentence AS "sentence?", r.next_step AS "next_step?",
    j.reason_detail,
    CASE j.state WHEN 'scheduled' THEN nullif(nullif(j.due_at, 'infinity'), '-infinity') WHEN 'dialing' THEN j.lease_until WHEN 'in_doubt' THEN j.lease_until END AS next_at,
    j.robot_account, ARRAY(SELECT coalesce(c.callee, '') FROM unnest(j.callees) AS c(callee)) AS "callees!", j.media_type, j.room_id,
    j.ring_timeout_ms,
    j.user_data IS NOT NULL AS "has_user_data!", j.offline_push IS NOT NULL AS "has_offline_push!", j.media_url IS NOT NULL AS "has_media_url!",
    least(greatest(j.run_at, '0001-01-01Z'), '9999-12-31Z') AS "run_at!", least(greatest(j.due_at, '0001-01-01Z'), '9999-12-31Z') AS "due_at!", CASE WHEN isfinite(j.expires_at) THEN j.expires_at END AS expires_at, j.priority,
    j.attempt, j.attempts_used, j.max_attempts, j.on_doubt, j.retry_callees, j.idempotency_key, j.metadata AS "metadata: _",
    j.created_at, j.inserted_by, j.cancel_requested_at, j.call_id, j.callee_results, j.error_code, j.error_info,
    j.request_id, j.sent_at, j.placed_at, j.finished_at, j.root_id, j.ring_no,
    j.schedule_id, (SELECT c.name FROM callq.schedules AS c WHERE c.id = j.schedule_id) AS "schedule?",
    CASE WHEN isfinite(j.nominal_at) THEN j.nominal_at END AS nominal_at,
    j.ring_policy, j.max_call_seconds, j.media_options, j.outcome,
    CASE WHEN s.paused_at IS NOT NULL THEN 'everything is paused: ' || s.pause_reason
         WHEN a.paused_at IS NOT NULL THEN a.pause_reason || coalesce(' (' || a.pause_detail || ')', '') END AS app_pause,
    -- As callq.unserved_since has it, which not everybody who may read jobs may call.
    CASE WHEN a.served_at <= a.unserved_since THEN a.unserved_since WHEN a.served_at < now() - interval '20 seconds' THEN a.served_at END AS "app_unserved_since?",
    a.served_at AS "app_served_at?"
FROM callq.jobs AS j
CROSS JOIN callq.settings AS s
LEFT JOIN callq.reasons AS r ON r.reason = j.reason
LEFT JOIN callq.apps AS a ON a.app = j.app
WHERE j.id = $1
