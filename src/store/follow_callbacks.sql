-- Everything that callbacks have told of these calls ($2) of an app ($1), as it came.
--
-- $3: how many at most of one call, the oldest first. Index: callbacks_of_a_call.
SELECT g.call_id AS "call_id!", b.command AS "command?", b.body AS "body!"
FROM unnest($2::text[]) AS g(call_id)
CROSS JOIN LATERAL (
    SELECT c.command, c.body FROM callq.callbacks AS c
    WHERE c.call_id = g.call_id AND c.app = $1::text AND c.fault IS NULL
    ORDER BY c.id LIMIT $3) AS b
