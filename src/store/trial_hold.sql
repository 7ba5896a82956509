-- Holds a snapshot for $1 seconds: while a statement runs, nothing that ends later can be vacuumed.
SELECT pg_sleep($1::float8)::text AS slept
