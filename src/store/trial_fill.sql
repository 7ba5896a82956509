-- Inserts $1 jobs for measurements: the first due in $2 seconds, each further one $3 seconds later, every one for a
-- callee of its own. Only ever run in a database that was made for it.
WITH filled AS (
    INSERT INTO callq.jobs (robot_account, callees, run_at, ttl, user_data)
    SELECT 'bench', ARRAY['callee-' || n], now() + ($2::float8 + (n - 1) * $3::float8) * interval '1 second', interval '1 day', '{"n":' || n || '}'
    FROM generate_series(1, $1::bigint) AS n
    RETURNING id
)
SELECT min(f.id) AS "first!" FROM filled AS f
