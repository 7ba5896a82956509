-- Adds $2 tokens to the bucket of each app $1, or takes them from it when that is below zero: tokens that were
-- granted and not used, and tokens that lay idle so long that the bucket gained others meanwhile.
--
-- Guarantees: no bucket ever holds more than callq.burst. It may come into debt; then nothing is granted of it until
-- it is paid, and the answer is in how many seconds the longest debt will be. Buckets are locked in the order of
-- their apps, as in the grant, so that two workers cannot deadlock. Index: the primary key of pace.
WITH held AS MATERIALIZED (
    SELECT p.app FROM callq.pace AS p WHERE p.app = ANY ($1::text[]) ORDER BY p.app FOR NO KEY UPDATE
), corrected AS (
    UPDATE callq.pace AS p SET (tokens, refilled_at) = (
        SELECT least(callq.burst(rate), least(callq.burst(rate), p.tokens
                + greatest(0, extract(epoch FROM at - p.refilled_at)::float8) * rate * callq.pace_share(p.factor, p.factor_at, at))
            + c.tokens), at
        FROM (SELECT clock_timestamp() AS at, a.calls_per_second AS rate FROM callq.apps AS a WHERE a.app = p.app) AS clock)
    FROM unnest($1::text[], $2::float8[]) AS c(app, tokens)
    JOIN callq.apps AS a ON a.app = c.app
    WHERE p.app = c.app AND (SELECT count(*) FROM held) >= 0 -- always: they are locked first
    RETURNING greatest(0, -p.tokens) / (a.calls_per_second * callq.pace_share(p.factor, p.factor_at, p.refilled_at)) AS debt_s
)
SELECT max(c.debt_s) AS debt_s FROM corrected AS c
