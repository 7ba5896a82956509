-- What the server has counted for this database, and how many sessions of others there still are: a session adds what
-- it did when it ends, at the latest.
SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS "wal_bytes!", d.xact_commit AS "commits!", d.deadlocks AS "deadlocks!",
    (SELECT count(*) FROM pg_stat_activity AS a
     WHERE a.datid = d.datid AND a.backend_type = 'client backend' AND a.application_name <> 'callq bench') AS "others!"
FROM pg_stat_database AS d WHERE d.datname = current_database()
