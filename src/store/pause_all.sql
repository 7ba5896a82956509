-- Pauses every app for the reason $1.
SELECT callq.pause_all($1) IS NOT NULL AS "done!"
