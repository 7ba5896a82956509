-- Ends the pause of the schedule $1 of the app $2 and answers with a word, see callq.resume_schedule.
SELECT callq.resume_schedule($1, $2) AS "word!"
