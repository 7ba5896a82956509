-- callq report heatmap: the answer rate by weekday and hour.
--
-- $1, $2: the first and the last day. $3, $4: the app and the schedule, NULL: all.
-- Index: the primary key of the counts, by their quarters of an hour.
SELECT row_to_json(t)::text AS "row!" FROM (
    SELECT date_part('isodow', q.quarter)::integer AS weekday, date_part('hour', q.quarter)::integer AS hour,
        sum(q.rung)::bigint AS rung, sum(q.answered)::bigint AS answered,
        round(sum(q.answered) / nullif(sum(q.rung), 0), 4) AS answer_rate
    FROM (
        SELECT c.quarter,
            coalesce(sum(c.legs) FILTER (WHERE c.outcome NOT IN ('unreachable', 'unknown', 'pending')), 0) AS rung,
            coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'answered'), 0) AS answered
        FROM callq.outcome_counts AS c
        WHERE c.at >= (SELECT $1::date::timestamp AT TIME ZONE z.zone FROM callq.report_clock AS z)
        AND c.at < (SELECT ($2::date + 1)::timestamp AT TIME ZONE z.zone FROM callq.report_clock AS z)
        AND ($3::text IS NULL OR c.app = $3) AND ($4::text IS NULL OR c.schedule = $4)
        GROUP BY c.quarter) AS q
    GROUP BY 1, 2 ORDER BY 1, 2
) AS t
