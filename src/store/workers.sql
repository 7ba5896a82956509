-- Every worker as it last told of itself, by name; silent ones up to an hour.
SELECT w.worker AS "worker!", w.state AS "state!", w.version AS "version!", w.apps AS "apps!", w.in_flight AS "in_flight!",
    w.concurrency AS "concurrency!", w.unrecorded AS "unrecorded!", w.listener_deaf AS "listener_deaf!",
    w.started_at AS "started_at!", w.seen_at AS "seen_at!"
FROM callq.worker_status AS w ORDER BY w.worker
