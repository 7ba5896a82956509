-- callq report media: what was played into calls, by day and robot.
--
-- $1, $2: the first and the last day. $3, $4: the app and the schedule, NULL: all.
-- Index: none; a row for each robot and quarter of an hour with media.
SELECT row_to_json(t)::text AS "row!" FROM (
    SELECT m.day, m.robot, sum(m.started)::bigint AS started, sum(m.minutes) AS minutes, sum(m.failed)::bigint AS failed
    FROM callq.media_minutes AS m
    WHERE m.day BETWEEN $1::date AND $2::date
        AND ($3::text IS NULL OR m.app = $3) AND ($4::text IS NULL OR m.schedule = $4)
    GROUP BY m.day, m.robot ORDER BY m.day, m.robot LIMIT 1000
) AS t
