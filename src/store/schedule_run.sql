-- Makes a job of the schedule $1 of the app $2 that is due now, see callq.run_schedule_now.
SELECT callq.run_schedule_now($1, $2) AS "id!"
