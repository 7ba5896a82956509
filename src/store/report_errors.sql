-- callq report errors: what Tencent refused, by hour and code.
--
-- $1, $2: the first and the last day. $3, $4: the app and the schedule, NULL: all.
-- Index: none, the counts are read as a whole; their number does not grow with that of the calls.
SELECT row_to_json(t)::text AS "row!" FROM (
    SELECT e.hour, e.error_code, e.class, sum(e.count)::bigint AS count, e.meaning, 
        (array_agg(e.last_request_id ORDER BY e.last_replied_at DESC NULLS LAST))[1] AS last_request_id
    FROM callq.errors AS e
    WHERE e.day BETWEEN $1::date AND $2::date AND ($3::text IS NULL OR e.app = $3) AND ($4::text IS NULL OR e.schedule = $4)
    GROUP BY e.hour, e.error_code, e.class, e.meaning ORDER BY e.hour, e.error_code, e.class
) AS t
