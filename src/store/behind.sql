-- The first due job of each app ($1) and level that lies before the place where claims read from: four due times $2
-- and ids $3 for each app. It was locked when a claim passed it, came back, or was inserted late.
--
-- $4: how many seconds before that place it looks; NULL: from the very beginning. While somebody holds a snapshot that
-- meets every job that has left the queue since, 0.2 s for 700,000; the last seconds are as many as those that were
-- claimed in them.
-- Index: jobs_due, once per app and level.
SELECT q.app AS "app!", level.priority AS "priority!", behind.due_at AS "due_at!", behind.id AS "job_id!"
FROM unnest($1::text[]) WITH ORDINALITY AS q(app, nth)
CROSS JOIN (VALUES (0), (1), (2), (3)) AS level(priority)
CROSS JOIN LATERAL (SELECT ($2::timestamptz[])[4 * q.nth - 3 + level.priority] AS due_at, ($3::bigint[])[4 * q.nth - 3 + level.priority] AS id) AS low
CROSS JOIN LATERAL (
    SELECT greatest(j.due_at, '4713-01-01 00:00:00+00 BC') AS due_at, j.id FROM callq.jobs AS j
    WHERE j.state = 'scheduled' AND j.app = q.app AND j.priority = level.priority
      AND j.due_at >= coalesce(greatest(low.due_at, 'epoch') - $4::float8 * interval '1 second', '-infinity')
      AND (j.due_at, j.id) < (low.due_at, low.id) AND j.due_at <= now()
    ORDER BY j.due_at, j.id LIMIT 1) AS behind
