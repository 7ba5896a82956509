-- A worker ($1, of version $2, up for $3 seconds, serving the apps $4, with at most $5 requests under way)
-- tells of itself: requests under way ($6), results unrecorded ($7), whether it is deaf ($8) and stopping
-- ($9); and the circuits that are open now: app ($10), since how many seconds ($11), in how many the next
-- try comes ($12), the last failure ($13). A circuit that it told of before and no more is closed: if no
-- worker could reach the app's host until now, that becomes a row of callq.app_holds.
--
-- Rows that have been silent for an hour are swept away.
--
-- Guarantees: nothing but reasons and what people see rests on it. It locks no row that another living
-- worker writes, and flushes no WAL: the table is UNLOGGED. Index: the primary key; the sweep reads the
-- whole table, a row per worker.
WITH before AS MATERIALIZED (
    SELECT c.app, callq.unreachable_since(c.app) AS since
    FROM callq.workers AS w CROSS JOIN LATERAL jsonb_to_recordset(w.circuits) AS c(app text)
    WHERE w.worker = $1 AND c.app <> ALL ($10::text[])
), told AS (
    INSERT INTO callq.workers AS w (worker, version, started_at, seen_at, apps, concurrency, in_flight, unrecorded,
        listener_deaf, stopping, circuits)
    SELECT $1, $2, now() - $3::float8 * interval '1 second', now(), $4::text[], $5, $6, $7, $8, $9,
        coalesce((
            SELECT jsonb_agg(jsonb_build_object('app', c.app, 'since', now() - c.open_s * interval '1 second',
                'next_try_at', now() + c.next_s * interval '1 second', 'failure', c.failure))
            FROM unnest($10::text[], $11::float8[], $12::float8[], $13::text[]) AS c(app, open_s, next_s, failure)), '[]')
    ON CONFLICT (worker) DO UPDATE SET
        seen_at = now(), in_flight = excluded.in_flight, unrecorded = excluded.unrecorded,
        listener_deaf = excluded.listener_deaf, stopping = excluded.stopping, circuits = excluded.circuits
), swept AS (
    DELETE FROM callq.workers AS w WHERE w.seen_at < now() - interval '1 hour' AND w.worker <> $1
)
SELECT callq.note_hold(b.app, 'unreachable', b.since)::text AS noted FROM before AS b WHERE b.since IS NOT NULL
