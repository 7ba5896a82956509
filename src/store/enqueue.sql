-- Inserts jobs, each of $1 a JSON object with the columns that are given; the others get their
-- defaults, as in callq.enqueue. run_in and expires_in count from the beginning of the transaction.
-- A key that is there already inserts nothing, in silence. The trigger checks every row; ids follow the
-- order of $1. Index: jobs_idempotency_key_is_unique_per_app. enqueue_faults.sql holds this text too.
INSERT INTO callq.jobs (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data,
    offline_push, run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata,
    ring_policy, max_call_seconds, media_url, media_options)
SELECT coalesce(j.app, 'default'), j.robot_account, j.callees, coalesce(j.media_type, 'Audio'), j.room_id,
    coalesce(j.room_id_type, 2), coalesce(j.ring_timeout_ms, 45000), j.user_data, j.offline_push,
    coalesce(j.run_at, now() + j.run_in, now()), j.ttl, coalesce(j.expires_at, now() + j.expires_in),
    coalesce(j.priority, 1), coalesce(j.max_attempts, 5), coalesce(j.on_doubt, 'reconcile'),
    coalesce(j.retry_callees, false), j.idempotency_key, coalesce(j.metadata, '{}'), j.ring_policy, j.max_call_seconds,
    j.media_url, j.media_options
FROM unnest($1::text[]) WITH ORDINALITY AS given(job, n)
CROSS JOIN LATERAL json_to_record(given.job::json) AS j(app text, robot_account text, callees text[], media_type text,
    room_id text, room_id_type integer, ring_timeout_ms bigint, user_data text, offline_push jsonb, run_at timestamptz,
    run_in interval, ttl interval, expires_at timestamptz, expires_in interval, priority integer, max_attempts integer,
    on_doubt text, retry_callees boolean, idempotency_key text, metadata jsonb,
    ring_policy jsonb, max_call_seconds integer, media_url text, media_options jsonb)
ORDER BY given.n
ON CONFLICT (app, idempotency_key) DO NOTHING
RETURNING id
