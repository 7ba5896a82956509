-- The attempts of calls of an app ($1) by their CallIds ($2), once what became of them is settled.
--
-- Index: legs_by_call_id; the primary key of attempts.
SELECT l.call_id AS "call_id!", l.job_id AS "job_id!", l.attempt AS "attempt!"
FROM callq.legs AS l
JOIN callq.attempts AS a ON a.job_id = l.job_id AND a.attempt = l.attempt AND a.app = $1::text
WHERE l.callee_no = 1 AND l.call_id = ANY ($2::text[])
