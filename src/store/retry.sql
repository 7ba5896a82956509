-- Makes the job $1, which rang nobody, due again; with a deadline $2 seconds after that unless $2 is
-- NULL, see callq.retry. Index: the primary key.
SELECT callq.retry($1, make_interval(secs => $2::float8)) AS "word!"
