-- Removes the schedule $1 of the app $2 and answers with a word, see callq.remove_schedule.
SELECT callq.remove_schedule($1, $2) AS "word!"
