-- Keeps callbacks of Tencent's as they came: to which app ($1), the command (Tencent's name), call, room and
-- time in milliseconds since 1970 as far as they were understood ($2 to $5), the body ($6), the digest ($7),
-- and why one was not understood ($8). Answers with how many were not there yet; one hint to the workers goes
-- out with the commit.
--
-- Guarantees: what this committed is there, whatever comes again. Two receivers that are given the same callbacks
-- at the same moment wait for each other in one order, that of the digests, and so never for ever. It needs no right to read a
-- callback: nothing is compared or returned. Index: the_same_callback_is_stored_once.
WITH stored AS (
    INSERT INTO callq.callbacks (app, command, call_id, room_id, event_at, body, digest, fault, look_at)
    SELECT g.app, g.command, g.call_id, g.room_id, timestamptz 'epoch' + g.event_ms * interval '1 millisecond',
        g.body, g.digest, g.fault, CASE WHEN g.fault IS NULL THEN now() END
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[], $7::bytea[], $8::text[])
        AS g(app, command, call_id, room_id, event_ms, body, digest, fault)
    ORDER BY g.app, g.digest
    ON CONFLICT DO NOTHING
    RETURNING 1
), counted AS (SELECT count(*) AS n FROM stored)
SELECT c.n AS "stored!", (SELECT pg_notify('callq_callbacks', '')::text FROM callq.settings WHERE notify AND c.n > 0) AS notified
FROM counted AS c
