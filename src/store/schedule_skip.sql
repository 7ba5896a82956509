-- Leaves out the next firing of the schedule $1 of the app $2 and answers with a word, see callq.skip_next.
SELECT callq.skip_next($1, $2) AS "word!"
