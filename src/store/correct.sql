-- Adds $2 tokens to the bucket of each app $1, or takes them from it when that is below zero: tokens that were
-- granted and not used, and tokens that lay idle so long that the bucket gained others meanwhile.
--
-- Guarantees: no bucket ever holds more than callq.burst. It may come into debt; then nothing is granted of it until
-- it is paid, and the answer is in how many seconds the longest debt will be. Buckets are locked in the order of
-- their apps, as in the grant, so that two workers cannot deadlock. Index: the primary key of pace.
WITH drawn AS MATERIALIZED (
    -- By itself, so that no join changes the order.
    SELECT c.app, t.tokens, t.factor
    FROM (SELECT c.app, c.tokens FROM unnest($1::text[], $2::float8[]) AS c(app, tokens) ORDER BY c.app) AS c
    CROSS JOIN LATERAL callq.draw_tokens(c.app, c.tokens, 0, NULL) AS t
)
SELECT max(greatest(0, -d.tokens) / (a.calls_per_second * d.factor)) AS debt_s
FROM drawn AS d JOIN callq.apps AS a ON a.app = d.app
