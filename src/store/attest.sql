-- A worker says what it knows of the database's history and asks whether it may work, see callq.attest.
--
-- $1: its name. $2: for how many seconds it has been up. $3: the number of the history that it works in. $4: the
-- number of this write, $5 of its newest that was acknowledged. $6, $7, $8: job, attempt and token of its newest
-- claim since that one; $9, $10, $11: of the newest result that it wrote since. $12, $13, $14: where it last saw which
-- position of the write-ahead log.
-- Index: the primary keys.
SELECT a.may_work AS "may_work!", a.history_no, a.origin AS "origin!", a.timeline, a.wal_position,
    a.server_started AS "server_started!"
FROM callq.attest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS a
