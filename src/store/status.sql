-- The time, and the pause of everything if there is one.
SELECT now() AS "now!", s.paused_at, s.pause_reason, s.paused_by FROM callq.settings AS s
