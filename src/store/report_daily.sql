-- callq report daily: what became of callees who were rung, by day.
--
-- $1, $2: the first and the last day. $3, $4: the app and the schedule, NULL: all.
-- Index: the primary key of the counts, by their quarters of an hour.
SELECT row_to_json(t)::text AS "row!" FROM (
    SELECT d.*, round(d.answered::numeric / nullif(d.legs - d.unreachable - d.unknown - d.pending, 0), 4) AS answer_rate
    FROM (
        SELECT c.day, sum(c.legs)::bigint AS legs,
            coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'answered'), 0)::bigint AS answered,
            coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'declined'), 0)::bigint AS declined,
            coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'busy'), 0)::bigint AS busy,
            coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'no_answer'), 0)::bigint AS no_answer,
            coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'cancelled'), 0)::bigint AS cancelled,
            coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'interrupted'), 0)::bigint AS interrupted,
            coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'unreachable'), 0)::bigint AS unreachable,
            coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'unknown'), 0)::bigint AS unknown,
            coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'pending'), 0)::bigint AS pending
        FROM callq.outcome_counts AS c
        WHERE c.at >= (SELECT $1::date::timestamp AT TIME ZONE z.zone FROM callq.report_clock AS z)
        AND c.at < (SELECT ($2::date + 1)::timestamp AT TIME ZONE z.zone FROM callq.report_clock AS z)
        AND ($3::text IS NULL OR c.app = $3) AND ($4::text IS NULL OR c.schedule = $4)
        GROUP BY c.day) AS d
    ORDER BY d.day
) AS t
