-- Pauses the schedule $1 of the app $3 because of $2 and answers with a word, see callq.pause_schedule.
SELECT callq.pause_schedule($1, $2, $3) AS "word!"
