-- What came of a request to start or to stop media: of job $1, attempt $2, taken up in turn $3.
--
-- $4: what the answer means, $5: the task that it is of, $6: the code and RequestId of a refusal, $7: after how many
-- seconds it is tried again, NULL: not any more.
--
--   runs         a task was started; its TaskId is kept whatever the row has become, and stopped if the call is over
--   unnamed      a task of the robot runs in the room, and its TaskId is not known
--   no_room      nothing was started by this request, as there is no such room
--   refused      nothing was started, and never will be
--   not_now      nothing was started by this request
--   unknown      it is not known
--   stopped      the task is proven not to run any more
--   not_stopped  it is not
--
-- Guarantees: what is learnt in an older turn changes nothing, but for facts about a task; what is computed is computed of
-- the row as it is locked, so that no TaskId is lost. Index: the primary key of streams.
WITH held AS MATERIALIZED (
    SELECT s.job_id, s.attempt, s.tasks, s.doubts, s.over_at IS NOT NULL AS over, s.started_at IS NOT NULL AS started
    FROM callq.streams AS s
    WHERE s.job_id = $1::bigint AND s.attempt = $2::int
      AND ((s.turn = $3::int AND s.state <> 'ended') OR $4::text IN ('runs', 'stopped'))
    FOR NO KEY UPDATE
), now_so AS (
    SELECT h.job_id, h.attempt, h.over, h.started, now() + $7::float8 * interval '1 second' AS again_at,
        CASE $4::text WHEN 'runs' THEN array_append(array_remove(h.tasks, $5::text), $5::text)
            WHEN 'stopped' THEN array_remove(h.tasks, $5::text) ELSE h.tasks END AS tasks,
        CASE WHEN $4::text = 'runs' THEN 0
             WHEN $4::text IN ('no_room', 'refused', 'not_now') THEN greatest(h.doubts - 1, 0) ELSE h.doubts END AS doubts
    FROM held AS h
), becomes AS (
    SELECT n.*,
        CASE WHEN n.tasks <> '{}' THEN NULL
             WHEN $4::text = 'refused' OR ($4::text = 'no_room' AND n.again_at IS NULL)
             THEN CASE WHEN n.doubts > 0 THEN 'media_lost' WHEN n.over THEN 'media_too_late'
                       WHEN $4::text = 'refused' THEN 'media_refused' ELSE 'media_room_unknown' END
             WHEN n.doubts > 0 THEN NULL
             WHEN $4::text = 'stopped' THEN 'media_stopped'
             WHEN n.over THEN 'media_too_late' END AS ends
    FROM now_so AS n
)
UPDATE callq.streams AS s SET
    tasks = b.tasks,
    doubts = b.doubts,
    task_id = CASE WHEN $4::text = 'runs' THEN $5::text ELSE s.task_id END,
    state = CASE WHEN b.ends IS NOT NULL THEN 'ended' WHEN $4::text IN ('runs', 'unnamed') THEN 'playing' ELSE s.state END,
    started_at = CASE WHEN $4::text IN ('runs', 'unnamed') THEN coalesce(s.started_at, now()) ELSE s.started_at END,
    stopped_at = CASE WHEN $4::text = 'runs' THEN NULL WHEN b.ends = 'media_stopped' THEN now() ELSE s.stopped_at END,
    tries = CASE WHEN $4::text IN ('runs', 'stopped') THEN 0 ELSE s.tries END,
    reason = b.ends,
    detail = CASE $4::text WHEN 'stopped' THEN s.detail ELSE left($6::text, 200) END,
    look_at = CASE WHEN b.ends IS NOT NULL THEN NULL
                   WHEN b.tasks <> '{}' AND b.over AND $4::text <> 'not_stopped' THEN now()
                   WHEN $4::text IN ('runs', 'unnamed') AND NOT b.over THEN NULL
                   -- Of a call that is over nothing more is started.
                   WHEN b.over AND b.tasks = '{}' THEN now()
                   ELSE coalesce(b.again_at, now()) END
FROM becomes AS b
WHERE s.job_id = b.job_id AND s.attempt = b.attempt
RETURNING s.state AS "state!", s.reason, extract(epoch FROM s.started_at - s.answered_at)::float8 AS took_s,
    s.started_at IS NOT NULL AND NOT b.started AS "began!"
