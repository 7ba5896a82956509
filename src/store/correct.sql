-- Adds $2 tokens to the bucket of app $1, or takes them from it when $2 is below zero: tokens that were
-- granted and not used, and tokens that lay idle so long that the bucket gained others meanwhile.
--
-- Guarantees: the bucket never holds more than callq.burst. It may come into debt; then nothing is
-- granted until it is paid, and the answer is in how many seconds that will be.
UPDATE callq.pace AS p SET (tokens, refilled_at) = (
    SELECT least(callq.burst(rate), least(callq.burst(rate), p.tokens
            + greatest(0, extract(epoch FROM at - p.refilled_at)::float8) * rate * callq.pace_share(p.factor, p.factor_at, at))
        + $2::float8), at
    FROM (SELECT clock_timestamp() AS at, a.calls_per_second AS rate FROM callq.apps AS a WHERE a.app = p.app) AS clock)
FROM callq.apps AS a
WHERE p.app = $1 AND a.app = $1
RETURNING greatest(0, -p.tokens) / (a.calls_per_second * callq.pace_share(p.factor, p.factor_at, p.refilled_at)) AS "debt_s!"
