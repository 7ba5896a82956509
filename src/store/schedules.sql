-- Schedules in order of app and name: of the app $1 and with one of the names $2 if these are given, behind
-- the app $3 and name $4, at most $5. next_at is when each rings next, as callq.next_firings has it.
-- Index: names_are_unique_per_app; firings_unfinished for what is made ahead.
SELECT s.id, s.app, s.name, s.revision, callq.schedule_definition(s)::text AS "definition!",
    s.cursor_at, s.next_fire_at, (SELECT min(f.nominal_at) FROM callq.next_firings AS f WHERE f.schedule_id = s.id AND NOT f.skipped) AS next_at,
    CASE WHEN s.next_fire_at IS NULL THEN '{}' ELSE s.upcoming END AS "upcoming!",
    coalesce(s.check_at <= now() AND s.next_fire_at IS NULL AND s.error IS NULL, false) AS "unchecked!",
    extract(epoch FROM s.default_ttl)::float8 AS default_ttl_s, s.zone_data, s.error, s.error_at, s.paused_at, s.pause_reason,
    s.paused_by, s.stopped_at, s.skip_next, s.last_nominal_at, s.created_at, s.created_by, s.updated_at
FROM callq.schedules AS s
WHERE ($1::text IS NULL OR s.app = $1) AND ($2::text[] IS NULL OR s.name = ANY ($2)) AND (s.app, s.name) > ($3::text, $4::text)
ORDER BY s.app, s.name
LIMIT $5
