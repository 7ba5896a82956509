-- Settles the doubt about the job $1 by the verdict $2, with a note $3 and a CallId $4, see
-- callq.resolve. Index: the primary key.
SELECT callq.resolve($1, $2, $3, $4) AS "word!"
