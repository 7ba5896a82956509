-- Adds $2 tokens to the bucket of each app $1, or takes them from it when that is below zero: tokens that were
-- granted and not used, and tokens that lay idle so long that the bucket gained others meanwhile.
--
-- Guarantees: no bucket ever holds more than callq.burst. It may come into debt; then nothing is granted of it until
-- it is paid, and the answer is in how many seconds the longest debt will be. Buckets are locked in the order of
-- their apps, as in the grant, so that two workers cannot deadlock. Index: the primary key of pace.
WITH newest AS MATERIALIZED (
    SELECT c.app, c.tokens, (SELECT max(p.revision) FROM callq.pace AS p WHERE p.app = c.app) AS revision
    FROM unnest($1::text[], $2::float8[]) AS c(app, tokens)
), locked AS MATERIALIZED (
    SELECT p.app FROM newest AS c JOIN callq.pace AS p ON p.app = c.app AND p.revision >= c.revision
    ORDER BY p.app FOR NO KEY UPDATE OF p
), corrected AS (
    UPDATE callq.pace AS p SET (revision, tokens, refilled_at) = (
        SELECT p.revision + 1, least(callq.burst(rate), least(callq.burst(rate), p.tokens
                + greatest(0, extract(epoch FROM at - p.refilled_at)::float8) * rate * callq.pace_share(p.factor, p.factor_at, at))
            + c.tokens), at
        FROM (SELECT clock_timestamp() AS at, a.calls_per_second AS rate FROM callq.apps AS a WHERE a.app = p.app) AS clock)
    FROM newest AS c JOIN callq.apps AS a ON a.app = c.app
    WHERE p.app = c.app AND p.revision >= c.revision AND (SELECT count(*) FROM locked) >= 0 -- always: they are locked first
    RETURNING greatest(0, -p.tokens) / (a.calls_per_second * callq.pace_share(p.factor, p.factor_at, p.refilled_at)) AS debt_s
)
SELECT max(c.debt_s) AS debt_s FROM corrected AS c
