-- Pauses the app $1 for the reason $2, in a person's name: only a person resumes it.
SELECT callq.pause_app($1, $2) IS NOT NULL AS "done!"
