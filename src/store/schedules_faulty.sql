-- How many schedules are at fault, counted up to 1000. Index: schedules_at_fault.
SELECT count(*) AS "count!" FROM (SELECT FROM callq.schedules AS s WHERE s.error IS NOT NULL LIMIT 1000) AS s
