-- Every app whose host a living worker cannot reach.
SELECT c.app AS "app!", c.worker AS "worker!", c.since AS "since!", c.next_try_at AS "next_try_at!", c.failure AS "failure!"
FROM callq.circuits AS c ORDER BY c.app, c.worker
