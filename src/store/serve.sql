-- A worker says that it serves app $1 (SDKAppID $2, kind $3, host $4, calls per second $5 or NULL).
--
-- If nobody served it until now, that time becomes a row of callq.app_holds: what expired in it expired
-- for want of a worker, and what is overdue because of it is ramped up.
--
-- Guarantees: the first to say so decides the kind; a worker of the other kind changes nothing and
-- gets no row.
WITH before AS MATERIALIZED (
    SELECT callq.unserved_since($1) AS unserved_since
), served AS (
    INSERT INTO callq.apps AS a (app, sdk_app_id, kind, host, calls_per_second, served_at, served_since)
    VALUES ($1, $2, $3, $4, coalesce($5::float8, 180), now(), now())
    ON CONFLICT (app) DO UPDATE SET
        sdk_app_id = excluded.sdk_app_id, kind = excluded.kind, host = excluded.host,
        calls_per_second = coalesce($5::float8, a.calls_per_second),
        served_since = CASE WHEN (SELECT b.unserved_since FROM before AS b) IS NULL THEN coalesce(a.served_since, now()) ELSE now() END,
        served_at = now(), unserved_since = NULL
    WHERE a.kind IS NULL OR a.kind = excluded.kind
    RETURNING a.app
)
SELECT s.app AS "app!",
    CASE WHEN b.unserved_since IS NOT NULL THEN callq.note_hold(s.app, 'no_worker', b.unserved_since)::text END AS noted
FROM served AS s CROSS JOIN before AS b
