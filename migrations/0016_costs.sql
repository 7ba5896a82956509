-- What a call costs the database, as a profile showed it.

-- A reply makes the row of an attempt half as long again, and those of one claim lie together: with less room, half of the
-- updates found none on their page, and wrote the index again.
ALTER TABLE callq.attempts SET (fillfactor = 40);

-- Requests are counted by the schedule of their job, which is looked up in the trigger's own statement. A call of
-- callq.schedule_of for each row, which sets the session's parameters and takes them back each time, was a tenth of
-- what a call cost the database.
CREATE OR REPLACE FUNCTION callq.count_attempts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO callq.count_changes (quarter, app, schedule_id, bucket, latest_ms, added)
    SELECT d.quarter, d.app, d.schedule_id, d.bucket, coalesce(max(d.ms) FILTER (WHERE d.added > 0), 0), sum(d.added)
    FROM (
        SELECT date_bin('15 minutes', a.sent_at, 'epoch') AS quarter, a.app,
            coalesce(j.schedule_id, CASE WHEN j.root_id IS NOT NULL THEN callq.schedule_of(j.root_id) END, 0) AS schedule_id,
            callq.lateness_bucket(a.ms) AS bucket, a.ms, a.added
        FROM (
            SELECT n.sent_at, n.app, n.job_id, greatest(0, extract(epoch FROM n.sent_at - n.due_at)::float8 * 1000) AS ms, 1 AS added
            FROM changed AS n WHERE n.sent_at IS NOT NULL
            UNION ALL
            SELECT o.sent_at, o.app, o.job_id, greatest(0, extract(epoch FROM o.sent_at - o.due_at)::float8 * 1000), -1
            FROM unchanged AS o WHERE o.sent_at IS NOT NULL) AS a
        -- OFFSET 0 keeps it one look by key for each row, whatever the statistics say.
        LEFT JOIN LATERAL (SELECT j.schedule_id, j.root_id FROM callq.jobs AS j WHERE j.id = a.job_id OFFSET 0) AS j ON true) AS d
    GROUP BY 1, 2, 3, 4
    HAVING sum(d.added) <> 0;
    INSERT INTO callq.count_changes (quarter, app, schedule_id, class, error_code, last_replied_at, last_request_id, added)
    SELECT d.quarter, d.app, d.schedule_id, d.class, d.error_code, max(d.replied_at) FILTER (WHERE d.added > 0),
        (array_agg(d.request_id ORDER BY d.replied_at DESC) FILTER (WHERE d.added > 0))[1], sum(d.added)
    FROM (
        SELECT date_bin('15 minutes', a.replied_at, 'epoch') AS quarter, a.app, callq.schedule_of(a.job_id) AS schedule_id,
            a.class, a.error_code, a.replied_at, a.request_id, a.added
        FROM (
            SELECT n.replied_at, n.app, n.job_id, n.class, n.error_code, n.request_id, 1 AS added
            FROM changed AS n WHERE n.state = 'replied' AND n.class <> 'accepted'
            UNION ALL
            SELECT o.replied_at, o.app, o.job_id, o.class, o.error_code, o.request_id, -1
            FROM unchanged AS o WHERE o.state = 'replied' AND o.class <> 'accepted') AS a) AS d
    GROUP BY 1, 2, 3, 4, 5
    HAVING sum(d.added) <> 0;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION callq.count_attempts IS 'Trigger of callq.attempts: writes callq.count_changes.';

-- How long a doubt counts follows from the app's longest call since migration 0013.
COMMENT ON COLUMN callq.schedules.overlap IS 'When an earlier job of the schedule is not finished at a firing''s time: skip (default) does not make it, allow makes it all the same, cancel_previous cancels the earlier one. A job in doubt counts until its call must be over: ring_timeout_ms, the longest call (longest_call_s of the app, 30 minutes by default, or max_call_seconds if that is more) and two minutes after it was claimed.';

UPDATE callq.meta SET schema_version = 13;
