-- Whether workers go by this history of the database, and if not, why and what to do, in words.
--
-- Index: none; one row, and one for each worker of the last days.
SELECT h.state AS "state!", h.says AS "says!", h.next_step AS "next_step!", h.remembers_until AS "remembers_until!"
FROM callq.history AS h
