-- The jobs of the firings $2 (local times), $3 (folds) of the schedule $1, in that order. Index: firings_are_made_once.
SELECT j.id AS "id?", j.state::text AS "state?"
FROM unnest($2::timestamp[], $3::smallint[]) WITH ORDINALITY AS f(local, fold, n)
LEFT JOIN callq.jobs AS j ON j.schedule_id = $1 AND j.nominal_local = f.local AND j.nominal_fold = f.fold
ORDER BY f.n
