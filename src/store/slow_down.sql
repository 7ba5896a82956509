-- Halves the pace of app $1 from what it is now, at most once a second and not below 1 %.
--
-- Guarantees: concurrent refusals of one burst count once. The bucket's tokens are taken away too:
-- what was saved up belongs to the faster pace.
WITH noted AS (
    UPDATE callq.apps SET throttled_at = now()
    WHERE app = $1 AND (throttled_at IS NULL OR throttled_at < now() - interval '1 second')
    RETURNING app
)
UPDATE callq.pace AS p SET
    tokens = 0,
    factor = greatest(0.01, least(1, p.factor * 2 ^ greatest(0, least(30, extract(epoch FROM now() - p.factor_at)::float8 / 15))) / 2),
    factor_at = now()
FROM noted AS n
WHERE p.app = n.app
