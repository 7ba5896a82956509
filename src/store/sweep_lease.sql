-- Makes a worker ($2) the one that reads the records of an app ($1) for so many seconds ($3), unless
-- another is. No row: another is.
--
-- waits: whether there is a call whose record has not come, which is asked for again every 6 hours at least. oldest_s: how long ago the oldest call was opened
-- that is followed, when nothing has been read yet.
-- Index: the primary key of sweeps; calls_to_look_for.
WITH taken AS (
    INSERT INTO callq.sweeps AS s (app, worker, lease_until) VALUES ($1::text, $2::text, now() + $3::float8 * interval '1 second')
    ON CONFLICT (app) DO UPDATE SET worker = excluded.worker, lease_until = excluded.lease_until
        WHERE s.worker = excluded.worker OR s.lease_until < now()
    RETURNING s.app, s.read_until_unix
)
SELECT t.read_until_unix, extract(epoch FROM clock_timestamp())::bigint AS "now_unix!",
    EXISTS (SELECT FROM callq.calls AS c WHERE c.app = t.app AND c.look_at < now() + interval '7 hours') AS "waits!",
    (SELECT extract(epoch FROM now() - min(c.opened_at))::float8 FROM callq.calls AS c
     WHERE c.app = t.app AND t.read_until_unix IS NULL) AS oldest_s
FROM taken AS t
