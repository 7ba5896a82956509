-- Every app whose call records are read: by which worker, when last, why not, and how many calls wait for
-- their record, of which $1 are counted at most.
--
-- Index: calls_to_look_for.
SELECT s.app AS "app!", CASE WHEN s.lease_until > now() THEN s.worker END AS "worker?", s.swept_at AS "read_at?",
    CASE WHEN s.failed_at > coalesce(s.swept_at, '-infinity') THEN s.failure END AS "failure?",
    (SELECT count(*) FROM (
        SELECT FROM callq.calls AS c WHERE c.app = s.app AND c.look_at IS NOT NULL AND c.record IS NULL
        LIMIT $1::bigint) AS c) AS "followed!"
FROM callq.sweeps AS s ORDER BY s.app
