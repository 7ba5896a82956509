-- The process of this session on the server's machine, and the server's version.
SELECT pg_backend_pid() AS "pid!", current_setting('server_version') AS "version!"
