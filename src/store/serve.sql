-- A worker says that it serves app $1 (SDKAppID $2, kind $3, host $4, calls per second $5 or NULL).
--
-- Guarantees: the first to say so decides the kind; a worker of the other kind changes nothing and
-- gets no row. served_since begins anew after a minute in which nobody said so.
INSERT INTO callq.apps AS a (app, sdk_app_id, kind, host, calls_per_second, served_at, served_since)
VALUES ($1, $2, $3, $4, coalesce($5::float8, 180), now(), now())
ON CONFLICT (app) DO UPDATE SET
    sdk_app_id = excluded.sdk_app_id, kind = excluded.kind, host = excluded.host,
    calls_per_second = coalesce($5::float8, a.calls_per_second),
    served_since = CASE WHEN a.served_at > now() - interval '1 minute' THEN a.served_since ELSE now() END,
    served_at = now()
WHERE a.kind IS NULL OR a.kind = excluded.kind
RETURNING a.app
