-- These callbacks ($1) have been looked at: they belong to these attempts ($2, $3, NULL: to none that is
-- known), and are looked at again after so many seconds ($4, NULL: never).
--
-- Index: the primary key of callbacks.
UPDATE callq.callbacks AS b SET
    job_id = coalesce(g.job_id, b.job_id), attempt = coalesce(g.attempt, b.attempt), looks = b.looks + 1,
    look_at = now() + g.again_s * interval '1 second'
FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::float8[]) AS g(id, job_id, attempt, again_s)
WHERE b.id = g.id
