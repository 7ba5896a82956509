-- Deletes, of the $3 jobs behind $2, those that ended more than $1 seconds ago, with what belongs to them; or only
-- counts them ($4).
--
-- Guarantees: as prune_step.sql. next_id: where to go on; NULL: nothing older is left.
-- Index: the primary keys of jobs, attempts and legs.
SELECT next_id, jobs AS "jobs!", attempts AS "attempts!", legs AS "legs!"
FROM callq.prune_jobs($1::float8 * interval '1 second', $2::bigint, $3::int, $4::bool)
