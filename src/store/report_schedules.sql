-- callq report schedules: whether each schedule rings, and whether anybody answers.
--
-- $1, $2: the app and the schedule, NULL: all.
-- Index: firings_are_made_once, 100 entries of each schedule at most; skipped_firings_by_schedule.
SELECT row_to_json(t)::text AS "row!" FROM (
    SELECT s.app, s.schedule, s.state, s.next_at, s.last_nominal_at, s.last_state, s.last_outcome, s.missed_7d, s.skipped_7d,
        s.unanswered_streak, s.error
    FROM callq.schedule_health AS s
    WHERE ($1::text IS NULL OR s.app = $1) AND ($2::text IS NULL OR s.schedule = $2)
    ORDER BY s.app, s.schedule LIMIT 10000
) AS t
