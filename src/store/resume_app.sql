-- Ends the pause of the app $1; whether there was one.
SELECT callq.resume_app($1) AS "was_paused!"
