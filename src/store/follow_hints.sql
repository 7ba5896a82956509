-- The callbacks of an app ($1) that are to be looked at, the oldest first, $2 at most.
--
-- Index: callbacks_to_look_at.
SELECT b.id AS "id!", b.command, b.body AS "body!", b.looks AS "looks!"
FROM callq.callbacks AS b
WHERE b.look_at <= now() AND b.app = $1::text
ORDER BY b.look_at LIMIT $2
