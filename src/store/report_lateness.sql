-- callq report lateness: how late requests left, by hour.
--
-- $1, $2: the first and the last day. $3, $4: the app and the schedule, NULL: all.
-- Index: the primary key of the counts, by their quarters of an hour.
SELECT row_to_json(t)::text AS "row!" FROM (
    SELECT n.hour, sum(n.requests)::bigint AS requests,
        round((min(n.ms) FILTER (WHERE n.upto >= 0.50 * n.total))::numeric, 1) AS p50_ms,
        round((min(n.ms) FILTER (WHERE n.upto >= 0.95 * n.total))::numeric, 1) AS p95_ms,
        round((min(n.ms) FILTER (WHERE n.upto >= 0.99 * n.total))::numeric, 1) AS p99_ms,
        round(max(n.latest_ms)::numeric, 1) AS max_ms
    FROM (
        SELECT b.hour, b.requests, b.latest_ms,
            least(CASE b.bucket WHEN 0 THEN 0.5 ELSE power(1.1::float8, b.bucket - 0.5) END, b.latest_ms) AS ms,
            sum(b.requests) OVER (PARTITION BY b.hour ORDER BY b.bucket) AS upto, sum(b.requests) OVER (PARTITION BY b.hour) AS total
        FROM (
            SELECT c.hour, c.bucket, sum(c.requests)::bigint AS requests, max(c.latest_ms) AS latest_ms
            FROM callq.lateness_counts AS c
            WHERE c.at >= (SELECT $1::date::timestamp AT TIME ZONE z.zone FROM callq.report_clock AS z)
            AND c.at < (SELECT ($2::date + 1)::timestamp AT TIME ZONE z.zone FROM callq.report_clock AS z)
            AND ($3::text IS NULL OR c.app = $3) AND ($4::text IS NULL OR c.schedule = $4)
            GROUP BY c.hour, c.bucket HAVING sum(c.requests) <> 0) AS b
    ) AS n
    GROUP BY n.hour ORDER BY n.hour
) AS t
