-- A worker ($2) that reads the records of an app ($1) has read them up to a second of Tencent's clock ($3, NULL:
-- no further than before), or could not ($4, in words). Its last answer had this date ($5), and was asked for
-- so many seconds ago ($6): at most every 10 s that is a mark.
--
-- Index: the primary keys of sweeps and clock_marks.
WITH swept AS (
    UPDATE callq.sweeps AS s SET
        read_until_unix = coalesce($3, s.read_until_unix), failure = left($4, 500),
        swept_at = CASE WHEN $4::text IS NULL THEN now() ELSE s.swept_at END,
        failed_at = CASE WHEN $4::text IS NULL THEN s.failed_at ELSE now() END
    WHERE s.app = $1::text AND s.worker = $2::text
), forgotten AS (
    DELETE FROM callq.clock_marks AS m
    WHERE m.app = $1::text AND m.marked_at IN (
        SELECT o.marked_at FROM callq.clock_marks AS o
        WHERE o.app = $1::text AND o.marked_at < now() - interval '7 days' ORDER BY o.marked_at LIMIT 10)
)
INSERT INTO callq.clock_marks (app, asked_at, tencent_unix)
SELECT $1::text, now() - $6::float8 * interval '1 second', $5::bigint
WHERE $5::bigint IS NOT NULL AND NOT EXISTS (
    SELECT FROM callq.clock_marks AS m WHERE m.app = $1::text AND m.marked_at > now() - interval '10 seconds')
ON CONFLICT (app, marked_at) DO NOTHING
