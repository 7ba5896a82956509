-- Deletes records of firings that were not made, if they are older than $1 seconds: those among the $2 oldest rows. Returns
-- how many it deleted.
-- Guarantees: no more rows than that are read, and nobody but another one that does the same is waited for. Nothing else refers to them. Index: the
-- primary key: what was told first has the lowest number.
WITH oldest AS MATERIALIZED (
    SELECT f.id, f.at FROM callq.skipped_firings AS f ORDER BY f.id LIMIT $2
), gone AS (
    DELETE FROM callq.skipped_firings AS f
    WHERE f.id = ANY (ARRAY(SELECT o.id FROM oldest AS o WHERE o.at < now() - $1::float8 * interval '1 second'))
    RETURNING f.id
)
SELECT count(*) AS "count!" FROM gone AS g
