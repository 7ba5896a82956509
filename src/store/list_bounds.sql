-- Where a walk over all jobs begins and ends, and what time it is. Index: the primary key.
SELECT now() AS "now!", coalesce(min(j.id), 0) AS "lowest!", coalesce(max(j.id), 0) AS "highest!" FROM callq.jobs AS j
