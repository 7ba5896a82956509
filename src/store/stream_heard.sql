-- What is known of calls with media: news of them ($2, $3, each with whether somebody answered, $4, and whether it is
-- over, $5), and which of an app ($1) are over, as the database has it, if that is asked for ($6).
--
-- A call is over when nothing is followed of it any more, when its record came, when it is to be ended, or when it
-- cannot last any longer. Then what plays is to be stopped, and where nothing can play, its media ends here.
-- If a task may run whose TaskId is not known, it ends as media_lost when no reply can come any more: nothing can be
-- stopped without it. One that ended unanswered and is told to have been answered all the same failed.
--
-- Guarantees: nothing that is over becomes due to be started. News waits for a row that somebody has locked, the look
-- at all of them does not. Index: streams_open, streams_due, and the primary keys of streams and calls.
WITH told AS (
    SELECT g.job_id, g.attempt, bool_or(g.answered) AS answered, bool_or(g.over) AS over
    FROM unnest($2::bigint[], $3::int[], $4::bool[], $5::bool[]) AS g(job_id, attempt, answered, over)
    GROUP BY g.job_id, g.attempt
), named AS MATERIALIZED (
    SELECT s.job_id, s.attempt, t.answered, t.over FROM callq.streams AS s JOIN told AS t ON t.job_id = s.job_id AND t.attempt = s.attempt
    ORDER BY s.job_id, s.attempt FOR NO KEY UPDATE OF s
), found AS MATERIALIZED (
    SELECT s.job_id, s.attempt FROM callq.streams AS s
    LEFT JOIN callq.calls AS c ON c.job_id = s.job_id AND c.attempt = s.attempt
    WHERE $6::bool AND s.app = $1::text AND s.over_at IS NULL AND s.state <> 'ended'
      AND (c.job_id IS NULL OR c.record IS NOT NULL OR c.live_until <= now() OR c.end_at <= now() OR c.ends > 0)
    ORDER BY s.job_id, s.attempt FOR NO KEY UPDATE OF s SKIP LOCKED
), lost AS MATERIALIZED (
    SELECT s.job_id, s.attempt FROM callq.streams AS s
    WHERE $6::bool AND s.app = $1::text AND s.duty = 'settle' AND s.look_at <= now()
    ORDER BY s.job_id, s.attempt FOR NO KEY UPDATE OF s SKIP LOCKED
), news AS (
    SELECT n.job_id, n.attempt, n.answered, n.over, false AS lost FROM named AS n
    UNION ALL
    SELECT f.job_id, f.attempt, false, true, false FROM found AS f
    UNION ALL
    SELECT l.job_id, l.attempt, false, true, true FROM lost AS l
)
UPDATE callq.streams AS s SET
    answered_at = CASE WHEN n.answered THEN coalesce(s.answered_at, now()) ELSE s.answered_at END,
    over_at = CASE WHEN n.over THEN coalesce(s.over_at, now()) ELSE s.over_at END,
    state = CASE WHEN n.over AND s.tasks = '{}' AND (s.doubts = 0 OR n.lost) THEN 'ended'
                 WHEN n.answered AND s.state = 'waiting' THEN 'answered' ELSE s.state END,
    reason = CASE WHEN s.state = 'ended' THEN CASE WHEN n.answered AND s.reason = 'media_unanswered' THEN 'media_too_late' ELSE s.reason END
                  WHEN n.lost AND s.tasks = '{}' THEN 'media_lost'
                  WHEN n.over AND s.tasks = '{}' AND s.doubts = 0
                  THEN CASE WHEN s.answered_at IS NULL AND NOT n.answered THEN 'media_unanswered' ELSE 'media_too_late' END END,
    tries = CASE WHEN n.over OR (n.answered AND s.state = 'waiting') THEN 0 ELSE s.tries END,
    look_at = CASE WHEN s.state = 'ended' OR (n.over AND s.tasks = '{}' AND (s.doubts = 0 OR n.lost)) THEN NULL
                   WHEN n.over AND s.tasks <> '{}' THEN now()
                   -- A request may be under way until then.
                   WHEN n.over THEN coalesce(s.look_at, now())
                   WHEN n.answered AND s.state = 'waiting' THEN now() ELSE s.look_at END
FROM news AS n
WHERE s.job_id = n.job_id AND s.attempt = n.attempt
  AND ((n.over AND s.over_at IS NULL) OR (n.answered AND s.answered_at IS NULL) OR (n.lost AND s.tasks = '{}'))
RETURNING s.job_id AS "job_id!", s.attempt AS "attempt!", s.state AS "state!", s.reason
