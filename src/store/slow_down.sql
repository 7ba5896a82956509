-- Halves the pace of app $1 from what it is now, at most once a second and not below 1 %.
--
-- Guarantees: concurrent refusals of one burst count once. The bucket's tokens are taken away too:
-- what was saved up belongs to the faster pace.
WITH noted AS (
    UPDATE callq.apps SET throttled_at = now(),
        throttled_since = CASE WHEN throttled_at > now() - interval '1 minute' THEN coalesce(throttled_since, throttled_at) ELSE now() END
    WHERE app = $1 AND (throttled_at IS NULL OR throttled_at < now() - interval '1 second')
    RETURNING app
)
UPDATE callq.pace AS p SET
    revision = p.revision + 1,
    tokens = least(0, p.tokens),
    factor = greatest(0.01, callq.pace_share(p.factor, p.factor_at, now()) / 2),
    factor_at = now()
FROM noted AS n
-- By the value alone, so that the key is looked up.
WHERE p.app = $1 AND p.revision >= (SELECT max(q.revision) FROM callq.pace AS q WHERE q.app = $1)
