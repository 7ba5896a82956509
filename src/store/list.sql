-- Jobs that match a filter, newest first, at most $3, among the ids below $1 and not below $2.
--
-- NULL in $4 (states), $5 (reasons), $6 (app), $7 (a callee), $8 and $9 (run_at from and to) lets all
-- pass; $10 and $11 are keys of metadata with the text that each must have. user_data and
-- offline_push are not read. Whatever stands in a row can be read, as in claim.sql. Bounded by the range of ids, whatever the filter leaves out of it. The
-- state is compared as text so that no partial index takes the statement over. Index: the primary
-- key, backwards; and that of callq.schedules.
SELECT j.id, j.app, j.state::text AS "state!", j.reason, j.reason_detail, j.robot_account,
    ARRAY(SELECT coalesce(c.callee, '') FROM unnest(j.callees) AS c(callee)) AS "callees!", j.media_type,
    j.room_id, least(greatest(j.run_at, '0001-01-01Z'), '9999-12-31Z') AS "run_at!", least(greatest(j.due_at, '0001-01-01Z'), '9999-12-31Z') AS "due_at!", CASE WHEN isfinite(j.expires_at) THEN j.expires_at END AS expires_at, j.priority,
    j.attempt, j.attempts_used, j.max_attempts, j.on_doubt, j.idempotency_key, j.metadata AS "metadata: _", j.created_at,
    j.cancel_requested_at, j.call_id, j.callee_results, j.error_code, j.error_info, j.request_id, j.sent_at,
    j.placed_at, j.finished_at, j.schedule_id,
    (SELECT s.name FROM callq.schedules AS s WHERE s.id = j.schedule_id) AS "schedule?",
    CASE WHEN isfinite(j.nominal_at) THEN j.nominal_at END AS nominal_at
FROM callq.jobs AS j
WHERE j.id < $1 AND j.id >= $2
    AND ($4::text[] IS NULL OR j.state::text = ANY ($4))
    AND ($5::text[] IS NULL OR j.reason = ANY ($5))
    AND ($6::text IS NULL OR j.app = $6)
    AND ($7::text IS NULL OR $7 = ANY (j.callees))
    AND ($8::timestamptz IS NULL OR j.run_at >= $8)
    AND ($9::timestamptz IS NULL OR j.run_at < $9)
    AND NOT EXISTS (
        SELECT FROM unnest($10::text[], $11::text[]) AS m(key, value)
        WHERE j.metadata ->> m.key IS DISTINCT FROM m.value)
ORDER BY j.id DESC
LIMIT $3
