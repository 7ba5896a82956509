-- callq report attempts: how many rings it took to reach a callee.
--
-- $1, $2: the first and the last day. $3, $4: the app and the schedule, NULL: all.
-- Index: the primary key of the counts, by their quarters of an hour.
SELECT row_to_json(t)::text AS "row!" FROM (
    SELECT r.ring_no, r.legs, r.reached, sum(r.reached) OVER (ORDER BY r.ring_no)::bigint AS reached_so_far,
        round(100 * sum(r.reached) OVER (ORDER BY r.ring_no) / nullif(sum(r.legs) FILTER (WHERE r.ring_no = 1) OVER (), 0), 2)
            AS cumulative_percent
    FROM (
        SELECT c.ring_no, sum(c.legs)::bigint AS legs, coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'answered'), 0)::bigint AS reached
        FROM callq.outcome_counts AS c
        WHERE c.at >= (SELECT $1::date::timestamp AT TIME ZONE z.zone FROM callq.report_clock AS z)
        AND c.at < (SELECT ($2::date + 1)::timestamp AT TIME ZONE z.zone FROM callq.report_clock AS z)
        AND ($3::text IS NULL OR c.app = $3) AND ($4::text IS NULL OR c.schedule = $4)
        GROUP BY c.ring_no) AS r
    ORDER BY r.ring_no
) AS t
