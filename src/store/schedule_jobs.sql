-- The jobs of the firings $2 (local times), $3 (folds), $4 (instants) of the schedule $1, in that order. A job that was made before
-- the schedule's time zone was changed has no local time any more, and is known by its instant. Index: firings_are_made_once.
SELECT j.id AS "id?", j.state::text AS "state?"
FROM unnest($2::timestamp[], $3::smallint[], $4::timestamptz[]) WITH ORDINALITY AS f(local, fold, at, n)
LEFT JOIN LATERAL (
    SELECT o.id, o.state FROM callq.jobs AS o
    WHERE o.schedule_id = $1 AND o.nominal_local = f.local AND o.nominal_fold = f.fold
    UNION ALL
    SELECT o.id, o.state FROM callq.jobs AS o
    WHERE o.schedule_id = $1 AND o.nominal_local IS NULL AND o.nominal_at = f.at
    LIMIT 1) AS j ON true
ORDER BY f.n
