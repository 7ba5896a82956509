-- Inserts $1 jobs for measurements: the first due in $2 seconds, each further one $3 seconds later, every one for a
-- callee of its own, and in turns for the apps $4. Only ever run in a database that was made for it.
WITH filled AS (
    INSERT INTO callq.jobs (app, robot_account, callees, run_at, ttl, user_data)
    SELECT ($4::text[])[1 + n % cardinality($4::text[])], 'bench', ARRAY['callee-' || n], now() + ($2::float8 + (n - 1) * $3::float8) * interval '1 second', interval '1 day', '{"n":' || n || '}'
    FROM generate_series(1, $1::bigint) AS n
    RETURNING id
)
SELECT min(f.id) AS "first!" FROM filled AS f
