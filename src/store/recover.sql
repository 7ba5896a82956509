-- Accepts the database as it is and holds every job that may have been rung in what it has forgotten, see
-- callq.recover: since $1 (NULL: nothing was lost) or $2 seconds after now, until $3 or $4 seconds after now;
-- $5: only counts.
--
-- Index: none that matters; it reads the jobs once.
SELECT r.was AS "was!", r.remembers_until AS "remembers_until!", r.due AS "due!", r.dialing AS "dialing!", r.in_doubt AS "in_doubt!"
FROM callq.recover(coalesce($1::timestamptz, now() + $2::float8 * interval '1 second'),
    coalesce($3::timestamptz, now() + $4::float8 * interval '1 second'), $5) AS r
