-- Carries out the plan $1, all of it or nothing; $2: what was made ahead stays. See callq.apply_schedules.
SELECT a.app AS "app!", a.name AS "name!", a.done AS "done!" FROM callq.apply_schedules($1::text::jsonb, $2) AS a
