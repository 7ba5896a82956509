-- What there is to know of the server behind this connection: one row, whatever the schema. Asked by
-- the simple protocol, so that it has an answer behind any pooler.
--
-- Index: none; settings and two short system views. A role without pg_monitor sees of other
-- sessions, and so of the standbys, that they are there, but not how they replicate.
SELECT current_setting('server_version') AS version,
    current_setting('server_version_num')::int AS version_number,
    pg_is_in_recovery() AS in_recovery,
    current_setting('transaction_read_only')::bool AS read_only,
    current_setting('fsync')::bool AS fsync,
    current_setting('full_page_writes')::bool AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('synchronous_standby_names') <> '' AS synchronous_standbys,
    (SELECT count(*) FROM pg_stat_replication) AS standbys,
    coalesce((SELECT s.ssl FROM pg_stat_ssl AS s WHERE s.pid = pg_backend_pid()), false) AS encrypted,
    current_setting('server_encoding') AS encoding
