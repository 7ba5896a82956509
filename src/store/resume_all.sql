-- Ends a pause of everything; whether there was one.
SELECT callq.resume_all() AS "was_paused!"
