-- callq report not-called: jobs that ended without a call, and why.
--
-- $1, $2: the first and the last day. $3, $4: the app and the schedule, NULL: all.
-- Index: none, the counts are read as a whole; their number does not grow with that of the calls.
SELECT row_to_json(t)::text AS "row!" FROM (
    SELECT n.state, n.reason, sum(n.jobs)::bigint AS jobs, n.sentence, n.next_step
    FROM callq.not_called AS n
    WHERE n.day BETWEEN $1::date AND $2::date AND ($3::text IS NULL OR n.app = $3) AND ($4::text IS NULL OR n.schedule = $4)
    GROUP BY n.state, n.reason, n.sentence, n.next_step ORDER BY sum(n.jobs) DESC, n.state, n.reason
) AS t
