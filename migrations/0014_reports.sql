-- Reports in SQL that cost the same however many calls there were, and that stay when old rows are deleted.
--
-- What became of calls is counted already (callq.leg_counts). Here the rest is counted: how late requests left,
-- what Tencent refused, and which jobs ended without a call. A trigger writes what a statement changed in these
-- counts as rows of callq.count_changes, in the transaction of the change and by whichever path it comes; workers
-- fold them into the counts (callq.fold_counts), and the views add what is not folded yet. So a report is exact
-- at all times, a verdict that changes later is counted anew, and nobody waits for a row of the counts: a person
-- who has cancelled a job and leaves the transaction open holds up no worker.

ALTER TABLE callq.settings
    ADD COLUMN keep_finished_for interval,
    ADD CONSTRAINT finished_jobs_are_kept_for_a_week CHECK (keep_finished_for >= interval '7 days');
COMMENT ON COLUMN callq.settings.keep_finished_for IS 'How long after its end a job is kept, with its attempts, legs and idempotency key; then a worker deletes it. At least 7 days; NULL, the default: for ever. Reports of days that are deleted stay.';
COMMENT ON COLUMN callq.settings.report_time_zone IS 'The time zone of days and hours in the report views, an IANA name. SET callq.report_time_zone = ''Asia/Shanghai'' reads them in another one, in this session.';

CREATE TABLE callq.request_counts (
    quarter     timestamptz NOT NULL,
    app         text        NOT NULL,
    schedule_id bigint      NOT NULL,
    bucket      smallint    NOT NULL,
    requests    bigint      NOT NULL,
    latest_ms   double precision NOT NULL,
    PRIMARY KEY (quarter, app, schedule_id, bucket)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE callq.request_counts IS 'Requests that were sent, counted by how late they left; those of rows that were deleted stay counted. callq.lateness adds what is not folded in yet.';
COMMENT ON COLUMN callq.request_counts.quarter IS 'The quarter of an hour in which the request was sent.';
COMMENT ON COLUMN callq.request_counts.app IS 'The app.';
COMMENT ON COLUMN callq.request_counts.schedule_id IS 'The schedule of the job, or of the first job of its chain; 0: none.';
COMMENT ON COLUMN callq.request_counts.bucket IS 'How late: 0 is less than 1 ms, n from 1 on is from 1.1^(n-1) to 1.1^n ms.';
COMMENT ON COLUMN callq.request_counts.requests IS 'How many.';
COMMENT ON COLUMN callq.request_counts.latest_ms IS 'The latest of them, in milliseconds.';

CREATE TABLE callq.refusal_counts (
    quarter         timestamptz NOT NULL,
    app             text        NOT NULL,
    schedule_id     bigint      NOT NULL,
    class           text        NOT NULL,
    error_code      bigint,
    replies         bigint      NOT NULL,
    last_replied_at timestamptz,
    last_request_id text,
    CONSTRAINT refusals_are_counted_once UNIQUE NULLS NOT DISTINCT (quarter, app, schedule_id, class, error_code)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE callq.refusal_counts IS 'Replies that were no acceptance, counted; those of rows that were deleted stay counted. callq.errors adds what is not folded in yet.';
COMMENT ON COLUMN callq.refusal_counts.quarter IS 'The quarter of an hour in which the reply was read.';
COMMENT ON COLUMN callq.refusal_counts.app IS 'The app.';
COMMENT ON COLUMN callq.refusal_counts.schedule_id IS 'The schedule of the job, or of the first job of its chain; 0: none.';
COMMENT ON COLUMN callq.refusal_counts.class IS 'attempts.class.';
COMMENT ON COLUMN callq.refusal_counts.error_code IS 'ErrorCode.';
COMMENT ON COLUMN callq.refusal_counts.replies IS 'How many.';
COMMENT ON COLUMN callq.refusal_counts.last_replied_at IS 'When the newest of them was read.';
COMMENT ON COLUMN callq.refusal_counts.last_request_id IS 'Its RequestId.';

CREATE TABLE callq.not_called_counts (
    quarter     timestamptz NOT NULL,
    app         text        NOT NULL,
    schedule_id bigint      NOT NULL,
    state       text        NOT NULL,
    reason      text        NOT NULL,
    jobs        bigint      NOT NULL,
    PRIMARY KEY (quarter, app, schedule_id, state, reason)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE callq.not_called_counts IS 'Jobs that ended without a call that is known of, counted; those that were deleted stay counted. callq.not_called adds what is not folded in yet.';
COMMENT ON COLUMN callq.not_called_counts.quarter IS 'The quarter of an hour of run_at.';
COMMENT ON COLUMN callq.not_called_counts.app IS 'The app.';
COMMENT ON COLUMN callq.not_called_counts.schedule_id IS 'The schedule of the job, or of the first job of its chain; 0: none.';
COMMENT ON COLUMN callq.not_called_counts.state IS 'failed, expired, cancelled or unresolved.';
COMMENT ON COLUMN callq.not_called_counts.reason IS 'jobs.reason.';
COMMENT ON COLUMN callq.not_called_counts.jobs IS 'How many.';

-- Without an index: it is written with every call and read as a whole.
CREATE TABLE callq.count_changes (
    quarter         timestamptz NOT NULL,
    app             text        NOT NULL,
    schedule_id     bigint      NOT NULL,
    added           bigint      NOT NULL,
    bucket          smallint,
    latest_ms       double precision,
    class           text,
    error_code      bigint,
    last_replied_at timestamptz,
    last_request_id text,
    state           text,
    reason          text,
    CONSTRAINT a_change_is_of_one_count CHECK (num_nonnulls(bucket, class, state) = 1)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 1,
    autovacuum_vacuum_insert_threshold = -1);
COMMENT ON TABLE callq.count_changes IS 'What has changed in request_counts (rows with a bucket), refusal_counts (with a class) and not_called_counts (with a state) and is not folded in yet; the views add it. Workers fold it in every few seconds.';
COMMENT ON COLUMN callq.count_changes.quarter IS 'As in the counts.';
COMMENT ON COLUMN callq.count_changes.app IS 'The app.';
COMMENT ON COLUMN callq.count_changes.schedule_id IS 'As in the counts.';
COMMENT ON COLUMN callq.count_changes.added IS 'How many more; below zero: fewer.';
COMMENT ON COLUMN callq.count_changes.bucket IS 'As request_counts.bucket.';
COMMENT ON COLUMN callq.count_changes.latest_ms IS 'As request_counts.latest_ms.';
COMMENT ON COLUMN callq.count_changes.class IS 'As refusal_counts.class.';
COMMENT ON COLUMN callq.count_changes.error_code IS 'As refusal_counts.error_code.';
COMMENT ON COLUMN callq.count_changes.last_replied_at IS 'As refusal_counts.last_replied_at.';
COMMENT ON COLUMN callq.count_changes.last_request_id IS 'As refusal_counts.last_request_id.';
COMMENT ON COLUMN callq.count_changes.state IS 'As not_called_counts.state.';
COMMENT ON COLUMN callq.count_changes.reason IS 'As not_called_counts.reason.';

-- Only schedules that are known by the job itself or by the first of its chain; one look at a job by its key,
-- whatever the statistics say.
CREATE FUNCTION callq.schedule_of(p_job_id bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    v_schedule bigint;
    v_root bigint;
BEGIN
    SELECT j.schedule_id, j.root_id INTO v_schedule, v_root FROM callq.jobs AS j WHERE j.id = p_job_id;
    IF v_schedule IS NULL AND v_root IS NOT NULL THEN
        SELECT j.schedule_id INTO v_schedule FROM callq.jobs AS j WHERE j.id = v_root;
    END IF;
    RETURN coalesce(v_schedule, 0);
END $$;
COMMENT ON FUNCTION callq.schedule_of IS 'The schedule of a job, or of the first job of its chain; 0: none.';

CREATE FUNCTION callq.lateness_bucket(p_ms double precision) RETURNS smallint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_ms < 1 THEN 0 ELSE 1 + floor(ln(least(p_ms, 1e15)) / ln(1.1::double precision)) END::smallint
$$;
COMMENT ON FUNCTION callq.lateness_bucket IS 'The bucket of request_counts for so many milliseconds.';

-- What the new rows count less what the old ones did: rows that count the same cancel out, so nothing is joined.
CREATE FUNCTION callq.count_attempts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO callq.count_changes (quarter, app, schedule_id, bucket, latest_ms, added)
    SELECT d.quarter, d.app, d.schedule_id, d.bucket, coalesce(max(d.ms) FILTER (WHERE d.added > 0), 0), sum(d.added)
    FROM (
        SELECT date_bin('15 minutes', a.sent_at, 'epoch') AS quarter, a.app, callq.schedule_of(a.job_id) AS schedule_id,
            callq.lateness_bucket(a.ms) AS bucket, a.ms, a.added
        FROM (
            SELECT n.sent_at, n.app, n.job_id, greatest(0, extract(epoch FROM n.sent_at - n.due_at)::float8 * 1000) AS ms, 1 AS added
            FROM changed AS n WHERE n.sent_at IS NOT NULL
            UNION ALL
            SELECT o.sent_at, o.app, o.job_id, greatest(0, extract(epoch FROM o.sent_at - o.due_at)::float8 * 1000), -1
            FROM unchanged AS o WHERE o.sent_at IS NOT NULL) AS a) AS d
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

CREATE FUNCTION callq.count_jobs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO callq.count_changes (quarter, app, schedule_id, state, reason, added)
    SELECT date_bin('15 minutes', d.run_at, 'epoch'), d.app,
        coalesce(d.schedule_id, CASE WHEN d.root_id IS NOT NULL THEN callq.schedule_of(d.root_id) END, 0), d.state::text, d.reason, sum(d.added)
    FROM (
        SELECT n.schedule_id, n.root_id, n.run_at, n.app, n.state, n.reason, 1 AS added
        FROM changed AS n WHERE n.state IN ('failed', 'expired', 'cancelled', 'unresolved')
        UNION ALL
        SELECT o.schedule_id, o.root_id, o.run_at, o.app, o.state, o.reason, -1
        FROM unchanged AS o WHERE o.state IN ('failed', 'expired', 'cancelled', 'unresolved')) AS d
    GROUP BY 1, 2, 3, 4, 5
    HAVING sum(d.added) <> 0;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION callq.count_jobs IS 'Trigger of callq.jobs: writes callq.count_changes.';

CREATE FUNCTION callq.fold_counts(p_rows integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_folded integer;
BEGIN
    -- Of two workers one folds.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('callq.fold_counts', 0)) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM callq.count_changes AS c
        WHERE c.ctid = ANY (ARRAY(SELECT t.ctid FROM callq.count_changes AS t LIMIT p_rows))
        RETURNING c.*
    ), requests AS (
        INSERT INTO callq.request_counts AS n (quarter, app, schedule_id, bucket, requests, latest_ms)
        SELECT t.quarter, t.app, t.schedule_id, t.bucket, sum(t.added), max(t.latest_ms)
        FROM taken AS t WHERE t.bucket IS NOT NULL GROUP BY 1, 2, 3, 4
        ON CONFLICT (quarter, app, schedule_id, bucket) DO UPDATE SET
            requests = n.requests + excluded.requests, latest_ms = greatest(n.latest_ms, excluded.latest_ms)
    ), refusals AS (
        INSERT INTO callq.refusal_counts AS n (quarter, app, schedule_id, class, error_code, replies, last_replied_at, last_request_id)
        SELECT t.quarter, t.app, t.schedule_id, t.class, t.error_code, sum(t.added), max(t.last_replied_at),
            (array_agg(t.last_request_id ORDER BY t.last_replied_at DESC NULLS LAST))[1]
        FROM taken AS t WHERE t.class IS NOT NULL GROUP BY 1, 2, 3, 4, 5
        ON CONFLICT ON CONSTRAINT refusals_are_counted_once DO UPDATE SET
            replies = n.replies + excluded.replies, last_replied_at = greatest(n.last_replied_at, excluded.last_replied_at),
            last_request_id = CASE WHEN excluded.last_replied_at >= n.last_replied_at OR n.last_replied_at IS NULL
                THEN coalesce(excluded.last_request_id, n.last_request_id) ELSE n.last_request_id END
    ), not_called AS (
        INSERT INTO callq.not_called_counts AS n (quarter, app, schedule_id, state, reason, jobs)
        SELECT t.quarter, t.app, t.schedule_id, t.state, t.reason, sum(t.added)
        FROM taken AS t WHERE t.state IS NOT NULL GROUP BY 1, 2, 3, 4, 5
        ON CONFLICT (quarter, app, schedule_id, state, reason) DO UPDATE SET jobs = n.jobs + excluded.jobs
    )
    SELECT count(*) INTO v_folded FROM taken;
    RETURN v_folded;
END $$;
COMMENT ON FUNCTION callq.fold_counts IS 'Folds at most so many rows of callq.count_changes into the counts, and answers with how many; 0 if another session does. No report changes by it.';

-- What is there already. The locks are those that the triggers need, held while everything is counted once.
LOCK TABLE callq.jobs, callq.attempts IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO callq.request_counts (quarter, app, schedule_id, bucket, requests, latest_ms)
SELECT date_bin('15 minutes', a.sent_at, 'epoch'), a.app, coalesce(j.schedule_id, r.schedule_id, 0), callq.lateness_bucket(l.ms), count(*), max(l.ms)
FROM callq.attempts AS a
LEFT JOIN callq.jobs AS j ON j.id = a.job_id
LEFT JOIN callq.jobs AS r ON r.id = j.root_id
CROSS JOIN LATERAL (SELECT greatest(0, extract(epoch FROM a.sent_at - a.due_at)::float8 * 1000) AS ms) AS l
WHERE a.sent_at IS NOT NULL GROUP BY 1, 2, 3, 4;
INSERT INTO callq.refusal_counts (quarter, app, schedule_id, class, error_code, replies, last_replied_at, last_request_id)
SELECT date_bin('15 minutes', a.replied_at, 'epoch'), a.app, coalesce(j.schedule_id, r.schedule_id, 0), a.class, a.error_code, count(*),
    max(a.replied_at), (array_agg(a.request_id ORDER BY a.replied_at DESC))[1]
FROM callq.attempts AS a
LEFT JOIN callq.jobs AS j ON j.id = a.job_id
LEFT JOIN callq.jobs AS r ON r.id = j.root_id
WHERE a.state = 'replied' AND a.class <> 'accepted' GROUP BY 1, 2, 3, 4, 5;
INSERT INTO callq.not_called_counts (quarter, app, schedule_id, state, reason, jobs)
SELECT date_bin('15 minutes', j.run_at, 'epoch'), j.app, coalesce(j.schedule_id, r.schedule_id, 0), j.state::text, j.reason, count(*)
FROM callq.jobs AS j LEFT JOIN callq.jobs AS r ON r.id = j.root_id
WHERE j.state IN ('failed', 'expired', 'cancelled', 'unresolved') GROUP BY 1, 2, 3, 4, 5;
CREATE TRIGGER attempts_are_counted AFTER UPDATE ON callq.attempts
    REFERENCING NEW TABLE AS changed OLD TABLE AS unchanged
    FOR EACH STATEMENT EXECUTE FUNCTION callq.count_attempts();
CREATE TRIGGER jobs_are_counted AFTER UPDATE ON callq.jobs
    REFERENCING NEW TABLE AS changed OLD TABLE AS unchanged
    FOR EACH STATEMENT EXECUTE FUNCTION callq.count_jobs();

-- Attempts by time, for whoever reads call_legs of some days: a few bytes for every 32 pages, and no entry of it
-- changes when an attempt does.
CREATE INDEX attempts_by_time ON callq.attempts USING brin (claimed_at) WITH (pages_per_range = 32, autosummarize = on);

-- The views. Days and hours are in callq.report_clock's zone, which is asked for once and not for each row. What is counted has the day on which the request was
-- sent; what was never sent, the day of run_at.
CREATE VIEW callq.report_clock AS
SELECT coalesce(nullif(current_setting('callq.report_time_zone', true), ''), s.report_time_zone) AS zone
FROM callq.settings AS s;
COMMENT ON VIEW callq.report_clock IS 'One row: the time zone that the reports are in.';
COMMENT ON COLUMN callq.report_clock.zone IS 'An IANA name: the session''s setting callq.report_time_zone, else callq.settings.report_time_zone.';

CREATE VIEW callq.outcome_counts AS
SELECT l.at::date AS day, l.at AS quarter, n.app, n.schedule_id, s.name AS schedule, n.robot, n.media_type, n.ring_no, n.outcome,
    n.legs, n.ring_seconds, n.talk_seconds, n.longest_talk_seconds, n.quarter AS at
FROM (
    SELECT c.quarter, c.app, c.schedule_id, c.robot, c.media_type, c.ring_no, c.outcome, c.legs, c.ring_seconds, c.talk_seconds,
        c.longest_talk_seconds
    FROM callq.leg_counts AS c WHERE c.legs <> 0
    UNION ALL
    -- Of calls that are followed, callees of whom nothing is known.
    SELECT date_bin('15 minutes', coalesce(a.sent_at, a.claimed_at), 'epoch'), c.app, coalesce(j.schedule_id, 0), j.robot_account,
        j.media_type, j.ring_no, 'pending', cardinality(j.callees) - g.legs, 0, 0, 0
    FROM callq.calls AS c
    JOIN callq.attempts AS a ON a.job_id = c.job_id AND a.attempt = c.attempt
    JOIN callq.jobs AS j ON j.id = c.job_id
    CROSS JOIN LATERAL (SELECT count(*) AS legs FROM callq.legs AS l WHERE l.job_id = c.job_id AND l.attempt = c.attempt) AS g
    WHERE a.class IN ('accepted', 'in_doubt') AND cardinality(j.callees) > g.legs
) AS n
CROSS JOIN LATERAL (SELECT n.quarter AT TIME ZONE (SELECT z.zone FROM callq.report_clock AS z) AS at) AS l
LEFT JOIN callq.schedules AS s ON s.id = n.schedule_id;
COMMENT ON VIEW callq.outcome_counts IS 'What became of callees who were rung, or may have been, counted by everything that is counted; the reports of outcomes are sums of it. A leg is one callee of one call.';
COMMENT ON COLUMN callq.outcome_counts.day IS 'Day on which the request was sent, in the report time zone.';
COMMENT ON COLUMN callq.outcome_counts.quarter IS 'The quarter of an hour, in the report time zone.';
COMMENT ON COLUMN callq.outcome_counts.app IS 'The app.';
COMMENT ON COLUMN callq.outcome_counts.schedule_id IS 'The schedule that made the job; 0: none.';
COMMENT ON COLUMN callq.outcome_counts.schedule IS 'Its name; NULL: none, or it was removed.';
COMMENT ON COLUMN callq.outcome_counts.robot IS 'The robot account that called.';
COMMENT ON COLUMN callq.outcome_counts.media_type IS 'Audio or Video.';
COMMENT ON COLUMN callq.outcome_counts.ring_no IS '1, or more for a follow-up job.';
COMMENT ON COLUMN callq.outcome_counts.outcome IS 'answered, declined, busy, no_answer, cancelled, interrupted, unreachable, unknown (no evidence came) or pending (not settled yet, doubts included).';
COMMENT ON COLUMN callq.outcome_counts.legs IS 'How many legs.';
COMMENT ON COLUMN callq.outcome_counts.ring_seconds IS 'How long it rang, together.';
COMMENT ON COLUMN callq.outcome_counts.talk_seconds IS 'How long was talked, together.';
COMMENT ON COLUMN callq.outcome_counts.longest_talk_seconds IS 'The longest talk of one.';
COMMENT ON COLUMN callq.outcome_counts.at IS 'The quarter of an hour as an instant: a condition on it uses an index, and none on day does.';

CREATE VIEW callq.outcomes_daily AS
SELECT d.*, round(d.answered::numeric / nullif(d.legs - d.unreachable - d.unknown - d.pending, 0), 4) AS answer_rate
FROM (
    SELECT n.day, n.app, n.schedule_id, n.schedule, sum(n.legs)::bigint AS legs,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'answered'), 0)::bigint AS answered,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'declined'), 0)::bigint AS declined,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'busy'), 0)::bigint AS busy,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'no_answer'), 0)::bigint AS no_answer,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'cancelled'), 0)::bigint AS cancelled,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'interrupted'), 0)::bigint AS interrupted,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'unreachable'), 0)::bigint AS unreachable,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'unknown'), 0)::bigint AS unknown,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'pending'), 0)::bigint AS pending
    FROM callq.outcome_counts AS n
    GROUP BY n.day, n.app, n.schedule_id, n.schedule
) AS d;
COMMENT ON VIEW callq.outcomes_daily IS 'What became of callees who were rung, or may have been, by day, app and schedule. What never rang is in callq.not_called.';
COMMENT ON COLUMN callq.outcomes_daily.day IS 'Day on which the request was sent, in the report time zone.';
COMMENT ON COLUMN callq.outcomes_daily.app IS 'The app.';
COMMENT ON COLUMN callq.outcomes_daily.schedule_id IS 'The schedule that made the job; 0: none.';
COMMENT ON COLUMN callq.outcomes_daily.schedule IS 'Its name; NULL: none, or it was removed.';
COMMENT ON COLUMN callq.outcomes_daily.legs IS 'Callees of calls: the sum of the next nine columns.';
COMMENT ON COLUMN callq.outcomes_daily.answered IS 'The callee picked up.';
COMMENT ON COLUMN callq.outcomes_daily.declined IS 'The callee refused the call.';
COMMENT ON COLUMN callq.outcomes_daily.busy IS 'The callee was in another call.';
COMMENT ON COLUMN callq.outcomes_daily.no_answer IS 'It rang out.';
COMMENT ON COLUMN callq.outcomes_daily.cancelled IS 'The ring was ended from our side.';
COMMENT ON COLUMN callq.outcomes_daily.interrupted IS 'The network ended it, answered first or not.';
COMMENT ON COLUMN callq.outcomes_daily.unreachable IS 'The phone did not ring.';
COMMENT ON COLUMN callq.outcomes_daily.unknown IS 'No evidence came while there could be any; never counted as a failure.';
COMMENT ON COLUMN callq.outcomes_daily.pending IS 'Not settled yet: it rings, is talked, or waits for its record; doubts included.';
COMMENT ON COLUMN callq.outcomes_daily.answer_rate IS 'answered / (legs - unreachable - unknown - pending); NULL: of none.';

CREATE VIEW callq.answer_heatmap AS
SELECT d.day, d.app, d.schedule_id, s.name AS schedule, date_part('isodow', d.day)::integer AS weekday, d.hour,
    d.rung, d.answered, round(d.answered::numeric / nullif(d.rung, 0), 4) AS answer_rate
FROM (
    SELECT n.day, date_part('hour', n.quarter)::integer AS hour, n.app, n.schedule_id,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome NOT IN ('unreachable', 'unknown', 'pending')), 0)::bigint AS rung,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'answered'), 0)::bigint AS answered
    FROM callq.outcome_counts AS n
    GROUP BY n.day, date_part('hour', n.quarter)::integer, n.app, n.schedule_id
) AS d
LEFT JOIN callq.schedules AS s ON s.id = d.schedule_id;
COMMENT ON VIEW callq.answer_heatmap IS 'Who was rung and who answered, by weekday and hour: SELECT weekday, hour, sum(answered) / nullif(sum(rung), 0) ... GROUP BY weekday, hour.';
COMMENT ON COLUMN callq.answer_heatmap.day IS 'Day on which the request was sent, in the report time zone.';
COMMENT ON COLUMN callq.answer_heatmap.app IS 'The app.';
COMMENT ON COLUMN callq.answer_heatmap.schedule_id IS 'The schedule that made the job; 0: none.';
COMMENT ON COLUMN callq.answer_heatmap.schedule IS 'Its name; NULL: none, or it was removed.';
COMMENT ON COLUMN callq.answer_heatmap.weekday IS 'The day''s weekday: 1 is Monday, 7 is Sunday.';
COMMENT ON COLUMN callq.answer_heatmap.hour IS 'The hour, 0 to 23.';
COMMENT ON COLUMN callq.answer_heatmap.rung IS 'Legs less those that are unreachable, unknown or pending.';
COMMENT ON COLUMN callq.answer_heatmap.answered IS 'Of these, who picked up.';
COMMENT ON COLUMN callq.answer_heatmap.answer_rate IS 'answered / rung; NULL: of none.';

CREATE VIEW callq.attempts_to_answer AS
SELECT d.day, d.app, d.schedule_id, d.schedule, d.ring_no, d.legs, d.reached,
    sum(d.reached) OVER upto::bigint AS reached_so_far, sum(d.legs) FILTER (WHERE d.ring_no = 1) OVER whole::bigint AS callees,
    round(100 * sum(d.reached) OVER upto / nullif(sum(d.legs) FILTER (WHERE d.ring_no = 1) OVER whole, 0), 2) AS cumulative_percent
FROM (
    SELECT n.day, n.app, n.schedule_id, n.schedule, n.ring_no, sum(n.legs)::bigint AS legs,
        coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'answered'), 0)::bigint AS reached
    FROM callq.outcome_counts AS n
    GROUP BY n.day, n.app, n.schedule_id, n.schedule, n.ring_no
) AS d
WINDOW whole AS (PARTITION BY d.day, d.app, d.schedule_id), upto AS (PARTITION BY d.day, d.app, d.schedule_id ORDER BY d.ring_no);
COMMENT ON VIEW callq.attempts_to_answer IS 'How many rings it took to reach a callee: ring 1 is the job itself, later ones are its follow-up jobs. Each ring counts on its own day. Over several days: SELECT ring_no, sum(reached) ... GROUP BY ring_no.';
COMMENT ON COLUMN callq.attempts_to_answer.day IS 'Day on which the request was sent, in the report time zone.';
COMMENT ON COLUMN callq.attempts_to_answer.app IS 'The app.';
COMMENT ON COLUMN callq.attempts_to_answer.schedule_id IS 'The schedule that made the job; 0: none.';
COMMENT ON COLUMN callq.attempts_to_answer.schedule IS 'Its name; NULL: none, or it was removed.';
COMMENT ON COLUMN callq.attempts_to_answer.ring_no IS 'Which ring of the callee.';
COMMENT ON COLUMN callq.attempts_to_answer.legs IS 'How many callees had that ring.';
COMMENT ON COLUMN callq.attempts_to_answer.reached IS 'How many of them answered it.';
COMMENT ON COLUMN callq.attempts_to_answer.reached_so_far IS 'How many answered this ring or an earlier one.';
COMMENT ON COLUMN callq.attempts_to_answer.callees IS 'How many callees had a first ring.';
COMMENT ON COLUMN callq.attempts_to_answer.cumulative_percent IS '100 * reached_so_far / callees.';

CREATE VIEW callq.talk_minutes AS
SELECT n.day, n.app, n.schedule_id, n.schedule, n.robot, n.media_type, sum(n.legs)::bigint AS legs,
    coalesce(sum(n.legs) FILTER (WHERE n.outcome = 'answered'), 0)::bigint AS answered,
    round(sum(n.ring_seconds) / 60.0, 2) AS ring_minutes, round(sum(n.talk_seconds) / 60.0, 2) AS talk_minutes,
    max(n.longest_talk_seconds) AS longest_talk_seconds
FROM callq.outcome_counts AS n
GROUP BY n.day, n.app, n.schedule_id, n.schedule, n.robot, n.media_type;
COMMENT ON VIEW callq.talk_minutes IS 'How long phones rang and how long was talked, by robot account.';
COMMENT ON COLUMN callq.talk_minutes.day IS 'Day on which the request was sent, in the report time zone.';
COMMENT ON COLUMN callq.talk_minutes.app IS 'The app.';
COMMENT ON COLUMN callq.talk_minutes.schedule_id IS 'The schedule that made the job; 0: none.';
COMMENT ON COLUMN callq.talk_minutes.schedule IS 'Its name; NULL: none, or it was removed.';
COMMENT ON COLUMN callq.talk_minutes.robot IS 'The robot account that called.';
COMMENT ON COLUMN callq.talk_minutes.media_type IS 'Audio or Video.';
COMMENT ON COLUMN callq.talk_minutes.legs IS 'Callees of its calls.';
COMMENT ON COLUMN callq.talk_minutes.answered IS 'Of these, who picked up.';
COMMENT ON COLUMN callq.talk_minutes.ring_minutes IS 'Minutes of ringing, summed over callees, as far as they are known.';
COMMENT ON COLUMN callq.talk_minutes.talk_minutes IS 'Minutes of talk, likewise.';
COMMENT ON COLUMN callq.talk_minutes.longest_talk_seconds IS 'The longest talk of one callee.';

CREATE OR REPLACE VIEW callq.not_called AS
SELECT (n.quarter AT TIME ZONE (SELECT z.zone FROM callq.report_clock AS z))::date AS day, n.app, n.state::callq.job_state AS state, n.reason, r.sentence, sum(n.jobs)::bigint AS jobs,
    n.schedule_id, s.name AS schedule, r.next_step
FROM (
    SELECT c.quarter, c.app, c.schedule_id, c.state, c.reason, c.jobs FROM callq.not_called_counts AS c
    UNION ALL
    SELECT c.quarter, c.app, c.schedule_id, c.state, c.reason, c.added FROM callq.count_changes AS c WHERE c.state IS NOT NULL
) AS n
LEFT JOIN callq.schedules AS s ON s.id = n.schedule_id
LEFT JOIN callq.reasons AS r ON r.reason = n.reason
GROUP BY 1, n.app, n.state, n.reason, r.sentence, n.schedule_id, s.name, r.next_step
HAVING sum(n.jobs) <> 0;
COMMENT ON VIEW callq.not_called IS 'Jobs that ended without a call that is known of, and why. Nobody was rung, as far as any reply says; of those that are unresolved nobody knows.';
COMMENT ON COLUMN callq.not_called.state IS 'failed, expired, cancelled or unresolved.';
COMMENT ON COLUMN callq.not_called.schedule_id IS 'The schedule that made the job; 0: none.';
COMMENT ON COLUMN callq.not_called.schedule IS 'Its name; NULL: none, or it was removed.';
COMMENT ON COLUMN callq.not_called.next_step IS 'What to do.';

CREATE OR REPLACE VIEW callq.errors AS
SELECT date_trunc('hour', n.quarter AT TIME ZONE (SELECT z.zone FROM callq.report_clock AS z)) AS hour, n.app, n.error_code,
    coalesce(e.meaning, 'not a code that callq knows') AS meaning, n.class, sum(n.replies)::bigint AS count,
    (array_agg(n.last_request_id ORDER BY n.last_replied_at DESC NULLS LAST))[1] AS last_request_id,
    date_trunc('hour', n.quarter AT TIME ZONE (SELECT z.zone FROM callq.report_clock AS z))::date AS day, n.schedule_id, s.name AS schedule, max(n.last_replied_at) AS last_replied_at
FROM (
    SELECT c.quarter, c.app, c.schedule_id, c.class, c.error_code, c.replies, c.last_replied_at, c.last_request_id FROM callq.refusal_counts AS c
    UNION ALL
    SELECT c.quarter, c.app, c.schedule_id, c.class, c.error_code, c.added, c.last_replied_at, c.last_request_id
    FROM callq.count_changes AS c WHERE c.class IS NOT NULL
) AS n
LEFT JOIN callq.schedules AS s ON s.id = n.schedule_id
LEFT JOIN callq.error_codes AS e ON e.code = n.error_code
GROUP BY 1, n.app, n.error_code, e.meaning, n.class, n.schedule_id, s.name
HAVING sum(n.replies) <> 0;
COMMENT ON VIEW callq.errors IS 'Tencent''s refusals by hour, app, schedule and code. A reply whose verdict was changed later counts as what it is now.';
COMMENT ON COLUMN callq.errors.day IS 'Day of the reply in the report time zone.';
COMMENT ON COLUMN callq.errors.schedule_id IS 'The schedule of the job, or of the first job of its chain; 0: none.';
COMMENT ON COLUMN callq.errors.last_replied_at IS 'When the newest reply was read.';
COMMENT ON COLUMN callq.errors.schedule IS 'Its name; NULL: none, or it was removed.';

CREATE VIEW callq.lateness_counts AS
SELECT date_trunc('hour', n.quarter AT TIME ZONE (SELECT z.zone FROM callq.report_clock AS z)) AS hour, (n.quarter AT TIME ZONE (SELECT z.zone FROM callq.report_clock AS z))::date AS day,
    n.app, n.schedule_id, s.name AS schedule, n.bucket,
    CASE n.bucket WHEN 0 THEN 0.5 ELSE power(1.1::double precision, n.bucket - 0.5) END AS about_ms,
    n.requests, n.latest_ms, n.quarter AS at
FROM (
    SELECT c.quarter, c.app, c.schedule_id, c.bucket, c.requests, c.latest_ms FROM callq.request_counts AS c
    UNION ALL
    SELECT c.quarter, c.app, c.schedule_id, c.bucket, c.added, c.latest_ms FROM callq.count_changes AS c WHERE c.bucket IS NOT NULL
) AS n
LEFT JOIN callq.schedules AS s ON s.id = n.schedule_id;
COMMENT ON VIEW callq.lateness_counts IS 'Requests by how late they left (sent_at - due_at): the histogram that callq.lateness is read from. Rows of the same hour, app, schedule and bucket add up.';
COMMENT ON COLUMN callq.lateness_counts.hour IS 'Hour of sending in the report time zone.';
COMMENT ON COLUMN callq.lateness_counts.day IS 'Day of sending in the report time zone.';
COMMENT ON COLUMN callq.lateness_counts.app IS 'The app.';
COMMENT ON COLUMN callq.lateness_counts.schedule_id IS 'The schedule of the job, or of the first job of its chain; 0: none.';
COMMENT ON COLUMN callq.lateness_counts.schedule IS 'Its name; NULL: none, or it was removed.';
COMMENT ON COLUMN callq.lateness_counts.bucket IS 'How late: 0 is less than 1 ms, n from 1 on is from 1.1^(n-1) to 1.1^n ms.';
COMMENT ON COLUMN callq.lateness_counts.about_ms IS 'What stands for the bucket: at most 5 % from any lateness in it, above 1 ms.';
COMMENT ON COLUMN callq.lateness_counts.requests IS 'How many requests.';
COMMENT ON COLUMN callq.lateness_counts.at IS 'The quarter of an hour as an instant: a condition on it uses an index, and none on day does.';
COMMENT ON COLUMN callq.lateness_counts.latest_ms IS 'The latest of them, exactly.';

CREATE OR REPLACE VIEW callq.lateness AS
SELECT n.hour, n.app, n.requests, n.p50_ms, n.p95_ms, n.p99_ms, n.max_ms, n.hour::date AS day, n.schedule_id, s.name AS schedule
FROM (
    SELECT u.hour, u.app, u.schedule_id, sum(u.requests)::bigint AS requests,
        min(u.ms) FILTER (WHERE u.upto >= 0.50 * u.total) AS p50_ms,
        min(u.ms) FILTER (WHERE u.upto >= 0.95 * u.total) AS p95_ms,
        min(u.ms) FILTER (WHERE u.upto >= 0.99 * u.total) AS p99_ms,
        max(u.latest_ms) AS max_ms
    FROM (
        SELECT b.*, least(CASE b.bucket WHEN 0 THEN 0.5 ELSE power(1.1::double precision, b.bucket - 0.5) END, b.latest_ms) AS ms,
            sum(b.requests) OVER (PARTITION BY b.hour, b.app, b.schedule_id ORDER BY b.bucket) AS upto,
            sum(b.requests) OVER (PARTITION BY b.hour, b.app, b.schedule_id) AS total
        FROM (
            SELECT c.hour, c.app, c.schedule_id, c.bucket, sum(c.requests)::bigint AS requests, max(c.latest_ms) AS latest_ms
            FROM callq.lateness_counts AS c
            GROUP BY c.hour, c.app, c.schedule_id, c.bucket
            HAVING sum(c.requests) <> 0) AS b
    ) AS u
    GROUP BY u.hour, u.app, u.schedule_id
) AS n
LEFT JOIN callq.schedules AS s ON s.id = n.schedule_id;
COMMENT ON VIEW callq.lateness IS 'How late requests left (sent_at - due_at), by hour, app and schedule. Percentiles come from counts and are at most 5 % off above 1 ms; for several schedules together see callq.lateness_counts.';
COMMENT ON COLUMN callq.lateness.p50_ms IS 'Median, in milliseconds, within 5 %.';
COMMENT ON COLUMN callq.lateness.p95_ms IS '95th percentile, in milliseconds, within 5 %.';
COMMENT ON COLUMN callq.lateness.p99_ms IS '99th percentile, in milliseconds, within 5 %.';
COMMENT ON COLUMN callq.lateness.max_ms IS 'The latest, in milliseconds, exactly.';
COMMENT ON COLUMN callq.lateness.day IS 'Day of sending in the report time zone.';
COMMENT ON COLUMN callq.lateness.schedule_id IS 'The schedule of the job, or of the first job of its chain; 0: none.';
COMMENT ON COLUMN callq.lateness.schedule IS 'Its name; NULL: none, or it was removed.';

CREATE OR REPLACE VIEW callq.in_doubt AS
SELECT (j.run_at AT TIME ZONE z.zone)::date AS day, j.app, j.id AS job_id, j.attempt, a.room_id, a.room_id_type,
    j.robot_account AS robot, j.callees, j.reason, j.reason_detail, j.on_doubt, a.claimed_at, now() - a.claimed_at AS age,
    CASE WHEN j.reason = 'history_lost' THEN 'a person'
         WHEN j.on_doubt = 'retry' THEN 'a late reply' || CASE WHEN c.job_id IS NULL THEN '' ELSE ' or Tencent''s record of the call' END || ', then another ring'
         WHEN c.job_id IS NULL THEN 'a late reply or a person'
         WHEN j.on_doubt = 'reconcile' THEN 'a late reply, Tencent''s record of the call, the proof that there is none, or a person'
         ELSE 'a late reply, Tencent''s record of the call, or a person' END AS evidence_looked_for,
    j.lease_until AS resolves_at, coalesce(j.schedule_id, 0) AS schedule_id, s.name AS schedule
FROM callq.jobs AS j
CROSS JOIN callq.report_clock AS z
LEFT JOIN callq.attempts AS a ON a.job_id = j.id AND a.attempt = j.attempt
LEFT JOIN callq.calls AS c ON c.job_id = j.id AND c.attempt = j.attempt
LEFT JOIN callq.schedules AS s ON s.id = j.schedule_id
WHERE j.state = 'in_doubt';
COMMENT ON COLUMN callq.in_doubt.schedule_id IS 'The schedule that made the job; 0: none.';
COMMENT ON COLUMN callq.in_doubt.schedule IS 'Its name; NULL: none, or it was removed.';

CREATE OR REPLACE VIEW callq.call_legs AS
SELECT (coalesce(a.sent_at, a.claimed_at) AT TIME ZONE z.zone)::date AS day, j.app, a.job_id, a.attempt, j.ring_no, c.callee,
    j.robot_account AS robot, j.media_type, j.metadata, a.room_id, a.call_id, j.run_at, a.due_at, a.sent_at,
    CASE WHEN a.class = 'accepted' THEN a.replied_at END AS placed_at,
    r.result_code, a.state AS attempt_state, a.class, a.error_code, a.request_id,
    coalesce(j.schedule_id, 0) AS schedule_id, s.name AS schedule, a.claimed_at, l.accepted_at, l.ended_at, l.ring_seconds, l.talk_seconds,
    coalesce(l.outcome, CASE WHEN k.job_id IS NOT NULL AND a.class IN ('accepted', 'in_doubt') THEN 'pending' END) AS outcome,
    l.source AS outcome_source
FROM callq.attempts AS a
JOIN callq.jobs AS j ON j.id = a.job_id
CROSS JOIN callq.report_clock AS z
CROSS JOIN LATERAL unnest(j.callees) WITH ORDINALITY AS c(callee, callee_no)
LEFT JOIN callq.callee_results AS r ON r.job_id = a.job_id AND r.attempt = a.attempt AND r.callee = c.callee
LEFT JOIN callq.legs AS l ON l.job_id = a.job_id AND l.attempt = a.attempt AND l.callee_no = c.callee_no
LEFT JOIN callq.calls AS k ON k.job_id = a.job_id AND k.attempt = a.attempt
LEFT JOIN callq.schedules AS s ON s.id = j.schedule_id;
COMMENT ON VIEW callq.call_legs IS 'One row per callee per attempt, refused requests included. For some days of many, ask by claimed_at, which has an index.';
COMMENT ON COLUMN callq.call_legs.day IS 'Day on which the request was sent, or claimed if that is not known, in the report time zone.';
COMMENT ON COLUMN callq.call_legs.schedule_id IS 'The schedule that made the job; 0: none.';
COMMENT ON COLUMN callq.call_legs.schedule IS 'Its name; NULL: none, or it was removed.';
COMMENT ON COLUMN callq.call_legs.claimed_at IS 'When the attempt was claimed, just before it was sent.';
COMMENT ON COLUMN callq.call_legs.accepted_at IS 'When the callee picked up, of Tencent''s clock; answered is that it is not NULL.';
COMMENT ON COLUMN callq.call_legs.ended_at IS 'When it was over for the callee, of Tencent''s clock.';
COMMENT ON COLUMN callq.call_legs.ring_seconds IS 'How long it rang; NULL: not known.';
COMMENT ON COLUMN callq.call_legs.talk_seconds IS 'How long was talked; NULL: not known.';
COMMENT ON COLUMN callq.call_legs.outcome IS 'As in callq.outcome_counts, pending included; NULL: the request was refused or not sent, so nobody was rung, or outcomes are not found out.';
COMMENT ON COLUMN callq.call_legs.outcome_source IS 'Where the outcome is known from: record, callback, reply or nothing.';

CREATE OR REPLACE VIEW callq.job_status AS
SELECT (j.run_at AT TIME ZONE z.zone)::date AS day, j.app, j.id, j.state, j.reason,
    r.sentence, r.next_step, j.reason_detail,
    CASE j.state WHEN 'scheduled' THEN j.due_at WHEN 'dialing' THEN j.lease_until WHEN 'in_doubt' THEN j.lease_until END AS next_at,
    j.expires_at, j.attempt AS attempts, a.rings, cardinality(j.callees) AS callees,
    CASE WHEN j.error_code <> 0 THEN j.error_code || coalesce(' ' || nullif(j.error_info, ''), '') END AS last_error,
    coalesce(j.schedule_id, 0) AS schedule_id, s.name AS schedule, j.outcome, l.answered, j.ring_no, j.root_id
FROM callq.jobs AS j
CROSS JOIN callq.report_clock AS z
LEFT JOIN callq.reasons AS r ON r.reason = j.reason
LEFT JOIN callq.schedules AS s ON s.id = j.schedule_id
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE a.class = 'accepted' OR a.state = 'unknown' OR a.class = 'in_doubt') AS rings
    FROM callq.attempts AS a WHERE a.job_id = j.id) AS a ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE l.outcome = 'answered') AS answered
    FROM callq.legs AS l WHERE l.job_id = j.id) AS l ON true;
COMMENT ON COLUMN callq.job_status.schedule_id IS 'The schedule that made the job; 0: none.';
COMMENT ON COLUMN callq.job_status.schedule IS 'Its name; NULL: none, or it was removed.';
COMMENT ON COLUMN callq.job_status.outcome IS 'jobs.outcome.';
COMMENT ON COLUMN callq.job_status.answered IS 'How many callees answered, as far as is known.';
COMMENT ON COLUMN callq.job_status.ring_no IS '1, or more for a follow-up job.';
COMMENT ON COLUMN callq.job_status.root_id IS 'The first job of the chain; NULL: this is.';

CREATE VIEW callq.schedule_health AS
SELECT (now() AT TIME ZONE z.zone)::date AS day, s.app, s.id AS schedule_id, s.name AS schedule,
    CASE WHEN s.error IS NOT NULL THEN 'at fault' WHEN s.paused_at IS NOT NULL THEN 'paused' WHEN NOT s.enabled THEN 'disabled'
         WHEN s.next_fire_at IS NOT NULL THEN 'on' WHEN s.check_at IS NOT NULL THEN 'not looked at yet' ELSE 'ended' END AS state,
    s.next_fire_at AS next_at, s.last_nominal_at, newest.id AS last_job_id, newest.state AS last_state, newest.outcome AS last_outcome,
    coalesce(k.missed, 0)::bigint AS missed_7d, coalesce(k.skipped, 0)::bigint AS skipped_7d, streak.unanswered AS unanswered_streak, s.error
FROM callq.schedules AS s
CROSS JOIN callq.report_clock AS z
LEFT JOIN LATERAL (
    SELECT j.id, j.state, j.outcome FROM callq.jobs AS j
    WHERE j.schedule_id = s.id AND j.nominal_local IS NOT NULL AND j.state NOT IN ('scheduled', 'dialing')
    ORDER BY j.nominal_local DESC, j.nominal_fold DESC LIMIT 1) AS newest ON true
LEFT JOIN LATERAL (
    SELECT sum(f.firings) FILTER (WHERE f.reason = 'missed') AS missed, sum(f.firings) FILTER (WHERE f.reason <> 'missed') AS skipped
    FROM callq.skipped_firings AS f WHERE f.schedule_id = s.id AND f.at > now() - interval '7 days') AS k ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS unanswered
    FROM (
        SELECT bool_or(t.reached) OVER (ORDER BY t.nominal_local DESC, t.nominal_fold DESC) AS since
        FROM (
            SELECT j.nominal_local, j.nominal_fold, j.outcome = 'answered' OR EXISTS (
                SELECT FROM callq.jobs AS f WHERE f.root_id = j.id AND f.outcome = 'answered') AS reached
            FROM callq.jobs AS j
            WHERE j.schedule_id = s.id AND j.nominal_local IS NOT NULL AND j.state IN ('completed', 'failed', 'expired')
            ORDER BY j.nominal_local DESC, j.nominal_fold DESC LIMIT 100) AS t) AS w
    WHERE w.since IS NOT TRUE) AS streak ON true;
COMMENT ON VIEW callq.schedule_health IS 'One row per schedule: whether it rings, and whether anybody answers.';
COMMENT ON COLUMN callq.schedule_health.day IS 'Today, in the report time zone.';
COMMENT ON COLUMN callq.schedule_health.app IS 'The app.';
COMMENT ON COLUMN callq.schedule_health.schedule_id IS 'callq.schedules.id.';
COMMENT ON COLUMN callq.schedule_health.schedule IS 'Its name.';
COMMENT ON COLUMN callq.schedule_health.state IS 'on; at fault (see error); paused; disabled; ended: it never rings again; not looked at yet: no worker has reckoned when it rings.';
COMMENT ON COLUMN callq.schedule_health.next_at IS 'When it rings next, before jitter.';
COMMENT ON COLUMN callq.schedule_health.last_nominal_at IS 'When its newest firing that was made rings or rang, before jitter.';
COMMENT ON COLUMN callq.schedule_health.last_job_id IS 'The job of the newest firing that was tried.';
COMMENT ON COLUMN callq.schedule_health.last_state IS 'Its state.';
COMMENT ON COLUMN callq.schedule_health.last_outcome IS 'Its outcome; NULL: not known yet, or nobody was rung.';
COMMENT ON COLUMN callq.schedule_health.missed_7d IS 'Firings of the last 7 days that were not made because no worker ran.';
COMMENT ON COLUMN callq.schedule_health.skipped_7d IS 'Firings of the last 7 days that were not made for another reason; see callq.skipped_firings.';
COMMENT ON COLUMN callq.schedule_health.unanswered_streak IS 'How many of its newest firings in a row ended without anybody answering, follow-ups included, failed and expired ones too; counted up to 100.';
COMMENT ON COLUMN callq.schedule_health.error IS 'What is wrong with it.';

-- Retention. Everything that a report counts is counted before, so deleting a row changes no count.
CREATE TABLE callq.pruning (
    only_row    boolean PRIMARY KEY DEFAULT true,
    after_id    bigint      NOT NULL DEFAULT 0,
    rests_until timestamptz NOT NULL DEFAULT '-infinity',
    pruned_at   timestamptz,
    CONSTRAINT there_is_one_row CHECK (only_row)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO callq.pruning DEFAULT VALUES;
COMMENT ON TABLE callq.pruning IS 'One row: how far old rows have been deleted, and when the next are. It keeps the pace of all workers together.';
COMMENT ON COLUMN callq.pruning.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN callq.pruning.after_id IS 'Jobs up to this id have been looked at in this round.';
COMMENT ON COLUMN callq.pruning.rests_until IS 'No worker deletes anything before.';
COMMENT ON COLUMN callq.pruning.pruned_at IS 'When something was last deleted.';

-- A page of jobs in the order of their ids, so that neighbours on disk go together. The jobs are locked before
-- anything of them is deleted, and looked at again then: one that was retried, or whose late reply came, stays.
CREATE FUNCTION callq.prune_jobs(older_than interval, after_id bigint DEFAULT 0, page integer DEFAULT 500, dry_run boolean DEFAULT false,
    OUT next_id bigint, OUT jobs bigint, OUT attempts bigint, OUT legs bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v_before timestamptz := now() - older_than;
    v_seen integer;
    v_last bigint;
    v_oldest timestamptz;
    v_old bigint[];
BEGIN
    IF (older_than >= interval '7 days') IS NOT TRUE THEN
        RAISE EXCEPTION USING MESSAGE = format('older_than is %s: it must be at least 7 days, for which Tencent keeps the records of calls', coalesce(older_than::text, 'NULL')),
            ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT count(*), max(p.id), min(p.created_at), coalesce(array_agg(p.id) FILTER (WHERE p.is_old), '{}')
    INTO v_seen, v_last, v_oldest, v_old
    FROM (
        SELECT j.id, j.created_at, j.finished_at < v_before AND j.state NOT IN ('scheduled', 'dialing', 'in_doubt')
            AND NOT EXISTS (SELECT FROM callq.calls AS c WHERE c.job_id = j.id)
            -- A chain goes together, its first job last.
            AND NOT EXISTS (SELECT FROM callq.jobs AS f WHERE f.root_id = j.id AND (f.finished_at < v_before) IS NOT TRUE) AS is_old
        FROM callq.jobs AS j WHERE j.id > prune_jobs.after_id ORDER BY j.id LIMIT page) AS p;
    -- What comes behind was inserted later, and has not ended before it was.
    next_id := CASE WHEN v_seen = page AND (v_oldest < v_before OR v_old <> '{}') THEN v_last END;
    IF dry_run THEN
        jobs := cardinality(v_old);
        SELECT count(*) INTO attempts FROM callq.attempts AS a WHERE a.job_id = ANY (v_old);
        SELECT count(*) INTO legs FROM callq.legs AS l WHERE l.job_id = ANY (v_old);
        RETURN;
    END IF;
    WITH locked AS MATERIALIZED (
        SELECT j.id FROM callq.jobs AS j
        WHERE j.id = ANY (v_old) AND j.finished_at < v_before AND j.state NOT IN ('scheduled', 'dialing', 'in_doubt')
        ORDER BY j.id FOR UPDATE SKIP LOCKED
    ), l AS (
        DELETE FROM callq.legs AS l WHERE l.job_id = ANY (ARRAY(SELECT id FROM locked)) RETURNING 1
    ), a AS (
        DELETE FROM callq.attempts AS a WHERE a.job_id = ANY (ARRAY(SELECT id FROM locked)) RETURNING 1
    ), j AS (
        DELETE FROM callq.jobs AS j WHERE j.id = ANY (ARRAY(SELECT id FROM locked)) RETURNING 1
    )
    SELECT (SELECT count(*) FROM j), (SELECT count(*) FROM a), (SELECT count(*) FROM l) INTO jobs, attempts, legs;
END $$;
COMMENT ON FUNCTION callq.prune_jobs IS 'Deletes, of the next so many jobs behind after_id, those that ended longer ago than older_than (at least 7 days), with their attempts, legs and idempotency keys; never one that is open, locked, followed, or the first of a chain of which another stays. next_id: where to go on; NULL: nothing older is left. dry_run: only counts. Reports keep what they counted. For the owner of the schema; callq prune calls it.';

CREATE FUNCTION callq.prune_step(OUT jobs bigint, OUT attempts bigint, OUT legs bigint, OUT events bigint, OUT callbacks bigint, OUT wait_s double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v_page constant integer := 500;
    v_rows constant integer := 2000;
    v_after bigint;
    v_keep interval := (SELECT s.keep_finished_for FROM callq.settings AS s);
    v_next bigint;
    v_rest integer;
BEGIN
    jobs := 0; attempts := 0; legs := 0; events := 0; callbacks := 0;
    SELECT p.after_id INTO v_after FROM callq.pruning AS p WHERE p.rests_until <= now() FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        SELECT least(60, greatest(1, extract(epoch FROM p.rests_until - now()))) INTO wait_s FROM callq.pruning AS p;
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM callq.events AS e
        WHERE e.id = ANY (ARRAY(SELECT o.id FROM callq.events AS o ORDER BY o.id LIMIT v_rows FOR UPDATE SKIP LOCKED))
          AND e.at < now() - interval '7 days' RETURNING 1)
    SELECT count(*) INTO events FROM gone;
    WITH gone AS (
        DELETE FROM callq.callbacks AS b
        WHERE b.id = ANY (ARRAY(SELECT o.id FROM callq.callbacks AS o ORDER BY o.id LIMIT v_rows FOR UPDATE SKIP LOCKED))
          AND b.received_at < now() - interval '8 days' RETURNING 1)
    SELECT count(*) INTO callbacks FROM gone;
    IF v_keep IS NOT NULL THEN
        SELECT p.next_id, p.jobs, p.attempts, p.legs INTO v_next, jobs, attempts, legs FROM callq.prune_jobs(v_keep, v_after, v_page) AS p;
    END IF;
    v_rest := CASE WHEN v_next IS NOT NULL OR events = v_rows OR callbacks = v_rows THEN 1 ELSE 600 END;
    UPDATE callq.pruning AS p SET after_id = coalesce(v_next, 0), rests_until = now() + v_rest * interval '1 second',
        pruned_at = CASE WHEN jobs + events + callbacks > 0 THEN now() ELSE p.pruned_at END;
    wait_s := least(60, v_rest);
END $$;
COMMENT ON FUNCTION callq.prune_step IS 'Deletes a page of what is old: finished jobs as callq.settings.keep_finished_for says, events after 7 days, callbacks after 8. However many workers call it, a page is deleted once a second at most, and once in 10 minutes when nothing is left. Answers with what was deleted, and in how many seconds to ask again.';

CREATE OR REPLACE FUNCTION callq.allow_worker(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_worker_of_firings(role_name);
    EXECUTE format('GRANT UPDATE (outcome) ON callq.jobs TO %I', role_name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON callq.calls TO %I', role_name);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON callq.clock_marks TO %I', role_name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON callq.sweeps, callq.legs, callq.leg_counts TO %I', role_name);
    EXECUTE format('GRANT INSERT (event, app, job_id, attempt, callee, outcome, reason, call_id) ON callq.events TO %I', role_name);
    EXECUTE format('GRANT SELECT, UPDATE (look_at, looks, job_id, attempt) ON callq.callbacks TO %I', role_name);
    EXECUTE format('GRANT INSERT (ring_policy, max_call_seconds, follows_id, redials) ON callq.jobs TO %I', role_name);
    EXECUTE format('GRANT INSERT (ring_policy, max_call_seconds, longest_call_s),
        UPDATE (ring_policy, max_call_seconds, longest_call_s) ON callq.apps TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.callees_busy, callq.wake_for_calls TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.fold_counts, callq.prune_step TO %I', role_name);
END $$;

-- Who reads the other reports reads these too.
DO $$
DECLARE
    v_role text;
BEGIN
    FOR v_role IN
        SELECT r.rolname FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS g JOIN pg_roles AS r ON r.oid = g.grantee
        WHERE c.oid = 'callq.job_status'::regclass AND g.privilege_type = 'SELECT' AND g.grantee <> c.relowner
    LOOP
        PERFORM callq.allow_report(v_role);
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION callq.schedule_of, callq.lateness_bucket, callq.count_attempts, callq.count_jobs, callq.fold_counts,
    callq.prune_jobs, callq.prune_step FROM PUBLIC;
UPDATE callq.meta SET schema_version = 11;
