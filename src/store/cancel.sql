-- Cancels the job $1 and answers with a word, see callq.cancel. Index: the primary key.
SELECT callq.cancel($1) AS "word!"
