-- callq report minutes: how long phones rang and how long was talked, by robot.
--
-- $1, $2: the first and the last day. $3, $4: the app and the schedule, NULL: all.
-- Index: the primary key of the counts, by their quarters of an hour.
SELECT row_to_json(t)::text AS "row!" FROM (
    SELECT c.robot, sum(c.legs)::bigint AS legs, coalesce(sum(c.legs) FILTER (WHERE c.outcome = 'answered'), 0)::bigint AS answered,
        round(sum(c.ring_seconds) / 60.0, 2) AS ring_minutes, round(sum(c.talk_seconds) / 60.0, 2) AS talk_minutes,
        max(c.longest_talk_seconds) AS longest_talk_seconds
    FROM callq.outcome_counts AS c
    WHERE c.at >= (SELECT $1::date::timestamp AT TIME ZONE z.zone FROM callq.report_clock AS z)
        AND c.at < (SELECT ($2::date + 1)::timestamp AT TIME ZONE z.zone FROM callq.report_clock AS z)
        AND ($3::text IS NULL OR c.app = $3) AND ($4::text IS NULL OR c.schedule = $4)
    GROUP BY c.robot ORDER BY sum(c.talk_seconds) DESC, c.robot LIMIT 1000
) AS t
