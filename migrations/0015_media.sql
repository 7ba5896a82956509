-- What the robot plays into the room when somebody answers: media_url, pulled by Tencent (StartStreamIngest).
--
-- A call with media that was accepted has a row in callq.streams, written by the statement that writes its result
-- (src/store/record.sql). The row says itself what is due next (streams.duty), so any worker takes it up where another
-- left it, and jobs without media touch nothing of this. StartStreamIngest has no idempotency key: what is sent is
-- counted before (streams.doubts), and a doubt is settled by asking once more in the same room, as long as the call goes
-- on: there can be one task of a robot at most, so that another one that nobody knows cannot come of it.

ALTER TABLE callq.jobs ADD COLUMN media_url text, ADD COLUMN media_options jsonb;
COMMENT ON COLUMN callq.jobs.media_url IS 'What the callee hears, and sees, from when somebody answers until the call ends: a file or stream that Tencent can pull, https://, http:// (HLS too) or rtmp://, at most 1024 bytes. NULL: silence, unless your application supplies it. Stored here and in schedules alone, as it may hold a token.';
COMMENT ON COLUMN callq.jobs.media_options IS 'How media_url is played: an object with repeat (-1 for ever, or 1 to 1000 times; without it once, and rtmp:// for ever), volume (0 to 100, without it 100) and, with repeat -1, max_minutes (1 to 10080, without it as long as a call may last); what is played for ever ends with the call, and after max_minutes whatever happens.';
ALTER TABLE callq.schedules ADD COLUMN media_url text, ADD COLUMN media_options jsonb;
COMMENT ON COLUMN callq.schedules.media_url IS 'As jobs.media_url. Stored here and in the jobs alone.';
COMMENT ON COLUMN callq.schedules.media_options IS 'As jobs.media_options.';

ALTER TABLE callq.apps
    ADD COLUMN media_retry_at timestamptz,
    ADD COLUMN media_failures integer NOT NULL DEFAULT 0,
    ADD COLUMN media_failure  text;
COMMENT ON COLUMN callq.apps.media_retry_at IS 'Media of the app is paused until then, because Tencent refused its CAM credentials or its package; its calls ring on. NULL: it is not.';
COMMENT ON COLUMN callq.apps.media_failures IS 'How many refusals there were in a row, by which the pause grows.';
COMMENT ON COLUMN callq.apps.media_failure IS 'The code of the last, and Tencent''s RequestId.';

CREATE TABLE callq.streams (
    job_id       bigint      NOT NULL,
    attempt      integer     NOT NULL,
    app          text        NOT NULL,
    call_id      text,
    room_id      text        NOT NULL,
    room_id_type smallint    NOT NULL,
    robot        text        NOT NULL,
    state        text        NOT NULL DEFAULT 'waiting',
    opened_at    timestamptz NOT NULL DEFAULT now(),
    answered_at  timestamptz,
    started_at   timestamptz,
    over_at      timestamptz,
    stopped_at   timestamptz,
    task_id      text,
    tasks        text[]      NOT NULL DEFAULT '{}',
    doubts       integer     NOT NULL DEFAULT 0,
    tries        integer     NOT NULL DEFAULT 0,
    turn         integer     NOT NULL DEFAULT 0,
    look_at      timestamptz DEFAULT now() + interval '1 second',
    reason       text,
    detail       text,
    duty         text GENERATED ALWAYS AS (
        CASE WHEN state = 'ended' AND tasks = '{}' THEN NULL
             WHEN over_at IS NOT NULL AND tasks <> '{}' THEN 'stop'
             WHEN over_at IS NOT NULL THEN 'settle'
             WHEN state = 'waiting' THEN 'ask'
             WHEN state = 'answered' THEN 'start' END) STORED,
    PRIMARY KEY (job_id, attempt),
    CONSTRAINT state_is_a_known_word CHECK (state IN ('waiting', 'answered', 'playing', 'ended')),
    CONSTRAINT doubts_are_counted CHECK (doubts >= 0)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1
);
CREATE INDEX streams_due ON callq.streams (app, duty, look_at) WHERE duty IS NOT NULL;
CREATE INDEX streams_open ON callq.streams (app) WHERE over_at IS NULL AND state <> 'ended';
COMMENT ON TABLE callq.streams IS 'One row is the media of one call that was accepted: whether somebody answered, what was started in the room, and whether it was stopped. Calls without media_url have none.';
COMMENT ON COLUMN callq.streams.job_id IS 'callq.jobs.id.';
COMMENT ON COLUMN callq.streams.attempt IS 'Number of the attempt.';
COMMENT ON COLUMN callq.streams.app IS 'The app.';
COMMENT ON COLUMN callq.streams.call_id IS 'Tencent''s CallId; NULL: the acceptance named none.';
COMMENT ON COLUMN callq.streams.room_id IS 'The room of the call.';
COMMENT ON COLUMN callq.streams.room_id_type IS 'Its type, as in the call: 1 digits, 2 text.';
COMMENT ON COLUMN callq.streams.robot IS 'The robot account, in whose name the media is in the room.';
COMMENT ON COLUMN callq.streams.state IS 'waiting (nobody has answered), answered (to be started), playing or ended.';
COMMENT ON COLUMN callq.streams.opened_at IS 'When the call was known to be accepted.';
COMMENT ON COLUMN callq.streams.answered_at IS 'When it was known that somebody answered; NULL: nobody, as far as is known.';
COMMENT ON COLUMN callq.streams.started_at IS 'When it was known that a task runs; NULL: none ever did, as far as is known.';
COMMENT ON COLUMN callq.streams.over_at IS 'When it was known that the call is over, or is to be; from then on nothing is started and what runs is stopped.';
COMMENT ON COLUMN callq.streams.stopped_at IS 'When it was known that nothing runs any more.';
COMMENT ON COLUMN callq.streams.task_id IS 'Tencent''s TaskId, the newest if there were several.';
COMMENT ON COLUMN callq.streams.tasks IS 'The TaskIds that are not proven to be stopped.';
COMMENT ON COLUMN callq.streams.doubts IS 'How many requests to start were sent, or may have been, of which it is not known what they led to: a task may run whose TaskId nobody knows.';
COMMENT ON COLUMN callq.streams.tries IS 'How often the present duty was tried in a row.';
COMMENT ON COLUMN callq.streams.turn IS 'Raised whenever a worker takes the row up: what it learns counts only in that turn, but for a TaskId, which always does.';
COMMENT ON COLUMN callq.streams.look_at IS 'When the duty is due, or is taken up by another worker; NULL: never.';
COMMENT ON COLUMN callq.streams.reason IS 'ended: why, a word of callq.reasons.';
COMMENT ON COLUMN callq.streams.detail IS 'The code of Tencent''s last refusal, and its RequestId.';
COMMENT ON COLUMN callq.streams.duty IS 'What is done when look_at has come: ask (whether somebody has answered), start, stop, or settle (the call is over, and if no TaskId comes any more it is told as media_lost). NULL: nothing, until the call is over.';

-- Tencent takes 20 requests a second of each kind that starts or stops, and 200 questions about calls.
CREATE UNLOGGED TABLE callq.media_pace (
    app         text        NOT NULL,
    request     text        NOT NULL,
    tokens      double precision NOT NULL,
    given       integer     NOT NULL,
    refilled_at timestamptz NOT NULL,
    PRIMARY KEY (app, request)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE callq.media_pace IS 'Buckets of tokens for requests about media, shared by all workers: one for each app and kind of request.';
COMMENT ON COLUMN callq.media_pace.app IS 'The app.';
COMMENT ON COLUMN callq.media_pace.request IS 'ask, start or stop.';
COMMENT ON COLUMN callq.media_pace.tokens IS 'Tokens that were left.';
COMMENT ON COLUMN callq.media_pace.given IS 'How many were given then.';
COMMENT ON COLUMN callq.media_pace.refilled_at IS 'When that was.';

CREATE TABLE callq.stream_counts (
    quarter     timestamptz NOT NULL,
    app         text        NOT NULL,
    schedule_id bigint      NOT NULL,
    robot       text        NOT NULL,
    started     bigint      NOT NULL,
    seconds     bigint      NOT NULL,
    failed      bigint      NOT NULL,
    PRIMARY KEY (quarter, app, schedule_id, robot)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE callq.stream_counts IS 'The rows of callq.streams, counted; rows that are pruned stay counted.';
COMMENT ON COLUMN callq.stream_counts.quarter IS 'The quarter of an hour in which the call was accepted.';
COMMENT ON COLUMN callq.stream_counts.app IS 'The app.';
COMMENT ON COLUMN callq.stream_counts.schedule_id IS 'The schedule of the job, or of the first job of its chain; 0: none.';
COMMENT ON COLUMN callq.stream_counts.robot IS 'The robot account.';
COMMENT ON COLUMN callq.stream_counts.started IS 'Calls in which media was started.';
COMMENT ON COLUMN callq.stream_counts.seconds IS 'How long it ran, together: from when it was known to run until it was known to be stopped.';
COMMENT ON COLUMN callq.stream_counts.failed IS 'Calls that somebody answered and whose media did not start, or was lost sight of.';

INSERT INTO callq.reasons (reason, sentence, next_step) VALUES
    ('media_no_credentials', 'The job has a media_url, and the worker that claimed it has no CAM credentials for the app.', 'Give apps.NAME.cam_secret_id and cam_secret_key_file to every worker of the app; the job waits until expires_at.'),
    ('expired_no_media', 'The deadline passed while the job had a media_url and no worker had CAM credentials for its app.', 'Give them to the workers of the app; insert a new job if the call still makes sense.'),
    ('media_stopped', 'What was played was stopped at the end of the call, or had ended before.', 'Nothing to do.'),
    ('media_unanswered', 'Nobody answered, so nothing was played.', 'Nothing to do.'),
    ('media_refused', 'Tencent refused to play media_url; the code is in detail. The callee heard nothing.', 'Correct media_url or media_options of later jobs.'),
    ('media_room_unknown', 'Tencent knows no room of this number for media, though somebody had answered. The callee heard nothing.', 'If it is so with every call, set apps.NAME.ingest_room_id_type to the other value.'),
    ('media_too_late', 'The call was over before the media could be started; detail has the last refusal, if there was one. The callee heard nothing.', 'See detail, and whether media of the app was paused; short calls may simply end sooner.'),
    ('media_lost', 'A request to start media may have been carried out, its reply was lost, and its TaskId could not be learnt, so it could not be stopped. If it runs, it ends with its file or stream, or after max_minutes.', 'Nothing can be done without a TaskId. With repeat -1 the time is bounded; compare the minutes on Tencent''s bill if there are many.'),
    ('media_not_stopped', 'Tencent did not confirm for 6 days that the media is stopped.', 'See detail; the TaskIds are in callq.streams.tasks.');

-- The same rules as in src/call/media_source.rs.
CREATE FUNCTION callq.media_refusal(p_url text, p_options jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_key text;
    v_value jsonb;
    v_range int4range;
BEGIN
    IF octet_length(p_url) NOT BETWEEN 1 AND 1024 THEN
        RETURN callq.refusal('media_url', callq.length_fault(p_url), 'it must be 1 to 1024 bytes');
    ELSIF p_url !~ '^(https?|rtmp)://[A-Za-z0-9[]' THEN
        RETURN callq.refusal('media_url', 'begins otherwise', 'it must begin with https://, http:// or rtmp:// and a host');
    ELSIF p_url !~ '^[!-~]+$' THEN
        RETURN callq.refusal('media_url', 'has a space or a character that is not ASCII', 'write it percent-encoded');
    ELSIF p_options IS NULL THEN
        RETURN NULL;
    ELSIF p_url IS NULL THEN
        RETURN callq.refusal('media_options', 'stands alone', 'it must be given together with media_url');
    ELSIF jsonb_typeof(p_options) <> 'object' THEN
        RETURN callq.refusal('media_options', 'is ' || callq.json_kind(p_options), 'it must be a JSON object such as {"repeat": -1}');
    END IF;
    FOR v_key, v_value IN SELECT e.key, e.value FROM jsonb_each(p_options) AS e LOOP
        v_range := CASE v_key WHEN 'repeat' THEN '[-1,1000]' WHEN 'volume' THEN '[0,100]' WHEN 'max_minutes' THEN '[1,10080]' END;
        IF v_range IS NULL THEN
            RETURN callq.refusal('media_options', 'has the unknown key ' || callq.quoted(v_key), 'the keys are repeat, volume and max_minutes');
        ELSIF v_value::text !~ '^-?[0-9]{1,5}$' OR NOT v_range @> v_value::text::int OR (v_key = 'repeat' AND v_value::text::int = 0) THEN
            RETURN callq.refusal('media_options', format('has %s %s', v_key, callq.quoted(v_value::text)), CASE v_key
                WHEN 'repeat' THEN 'it must be a whole number from 1 to 1000, or -1 for ever'
                ELSE format('it must be a whole number from %s to %s', lower(v_range), upper(v_range) - 1) END);
        END IF;
    END LOOP;
    IF p_options ? 'max_minutes' AND (p_options ->> 'repeat') IS DISTINCT FROM '-1' THEN
        RETURN callq.refusal('media_options', 'has max_minutes without repeat -1', 'it must be given together with "repeat": -1');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION callq.media_refusal IS 'Why media_url or media_options is refused: the column, the message, which repeats nothing of the URL, and a hint or NULL. NULL: they are not.';

CREATE FUNCTION callq.check_media() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_refusal text[] := callq.media_refusal(NEW.media_url, NEW.media_options);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RAISE EXCEPTION USING MESSAGE = v_refusal[2], ERRCODE = 'check_violation', SCHEMA = 'callq', TABLE = 'jobs', COLUMN = v_refusal[1];
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION callq.check_media IS 'Trigger: checks media_url and media_options of a job that has one of them.';
CREATE TRIGGER media_is_checked BEFORE INSERT OR UPDATE OF media_url, media_options ON callq.jobs FOR EACH ROW
    WHEN (NEW.media_url IS NOT NULL OR NEW.media_options IS NOT NULL) EXECUTE FUNCTION callq.check_media();
DROP TRIGGER only_scheduled_jobs_change ON callq.jobs;
CREATE TRIGGER only_scheduled_jobs_change BEFORE UPDATE OF
        app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata, ring_policy, max_call_seconds,
        media_url, media_options
    ON callq.jobs FOR EACH ROW WHEN (OLD.state <> 'scheduled' AND NEW.state = OLD.state) EXECUTE FUNCTION callq.refuse_late_change();

-- Tells and counts what became of media, whichever statement wrote it.
CREATE FUNCTION callq.note_streams() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_told bigint := 0;
BEGIN
    INSERT INTO callq.stream_counts AS c (quarter, app, schedule_id, robot, started, seconds, failed)
    SELECT date_bin('15 minutes', d.opened_at, 'epoch'), d.app, callq.schedule_of(d.job_id), d.robot, sum(d.started), sum(d.seconds), sum(d.failed)
    FROM (
        SELECT s.job_id, s.opened_at, s.app, s.robot, s.sign * (s.started_at IS NOT NULL)::int AS started,
            s.sign * coalesce(extract(epoch FROM s.stopped_at - s.started_at)::bigint, 0) AS seconds,
            s.sign * (s.state = 'ended' AND s.reason NOT IN ('media_stopped', 'media_unanswered'))::int AS failed
        FROM (SELECT n.*, 1 AS sign FROM changed AS n UNION ALL SELECT o.*, -1 FROM unchanged AS o) AS s
    ) AS d
    GROUP BY 1, 2, 3, 4
    HAVING sum(d.started) <> 0 OR sum(d.seconds) <> 0 OR sum(d.failed) <> 0
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (quarter, app, schedule_id, robot) DO UPDATE SET
        started = c.started + excluded.started, seconds = c.seconds + excluded.seconds, failed = c.failed + excluded.failed;
    IF (SELECT s.events FROM callq.settings AS s) THEN
        INSERT INTO callq.events (event, app, job_id, attempt, reason, call_id)
        SELECT e.event, n.app, n.job_id, n.attempt, n.reason, n.call_id
        FROM changed AS n
        JOIN unchanged AS o ON o.job_id = n.job_id AND o.attempt = n.attempt
        CROSS JOIN LATERAL (
            SELECT 1, 'media_started' AS event WHERE n.started_at IS NOT NULL AND o.started_at IS NULL
            UNION ALL
            SELECT 2, CASE n.reason WHEN 'media_stopped' THEN 'media_stopped' ELSE 'media_failed' END
            WHERE n.state = 'ended' AND o.state <> 'ended' AND n.reason <> 'media_unanswered'
            ORDER BY 1) AS e(place, event)
        ORDER BY n.job_id, n.attempt, e.place;
        GET DIAGNOSTICS v_told = ROW_COUNT;
        IF v_told > 0 AND (SELECT s.notify FROM callq.settings AS s) THEN
            PERFORM pg_notify('callq_events', '');
        END IF;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION callq.note_streams IS 'Trigger of callq.streams: writes callq.stream_counts and callq.events.';
CREATE TRIGGER streams_are_noted AFTER UPDATE ON callq.streams
    REFERENCING NEW TABLE AS changed OLD TABLE AS unchanged
    FOR EACH STATEMENT EXECUTE FUNCTION callq.note_streams();
COMMENT ON COLUMN callq.events.event IS 'placed, answered (one per callee), completed, failed, in_doubt, expired, cancelled or unresolved; media_started, media_stopped or media_failed.';
COMMENT ON COLUMN callq.events.reason IS 'jobs.reason; of media_stopped and media_failed, streams.reason.';
COMMENT ON COLUMN callq.settings.outcomes IS 'Whether it is found out what becomes of calls that are placed from now on; false: placed is the end of a job. Calls with a media_url are followed all the same, as their media must end with them.';

-- Schedules: the two columns beside the others of a job.
CREATE OR REPLACE FUNCTION callq.schedule_refusal(s callq.schedules) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF s.name IS NULL OR s.name !~ '^[A-Za-z0-9._-]{1,64}$' THEN
        RETURN callq.refusal('name', 'is ' || callq.quoted(s.name), 'it must be 1 to 64 letters a-z, digits, dots, underscores and hyphens');
    ELSIF num_nonnulls(s.cron, s.every, s.on_times) <> 1 THEN
        RETURN callq.refusal('cron', CASE num_nonnulls(s.cron, s.every, s.on_times) WHEN 0 THEN 'is NULL, and so are every and on_times'
            ELSE 'is not the only one of cron, every and on_times' END, 'give one of the three');
    ELSIF octet_length(s.cron) NOT BETWEEN 1 AND 512 THEN
        RETURN callq.refusal('cron', callq.length_fault(s.cron), 'it must be 1 to 512 bytes');
    ELSIF s.every NOT BETWEEN interval '1 second' AND interval '366 days' THEN
        RETURN callq.refusal('every', 'is ' || s.every, 'it must be whole seconds, from 1 s to 366 days');
    ELSIF cardinality(s.on_times) NOT BETWEEN 1 AND 10000 OR array_ndims(s.on_times) > 1 OR array_position(s.on_times, NULL) IS NOT NULL THEN
        RETURN callq.refusal('on_times', 'is no list of 1 to 10000 times', 'write {"2026-12-24 09:00"}');
    ELSIF (octet_length(s.tz) BETWEEN 1 AND 64) IS NOT TRUE THEN
        RETURN callq.refusal('tz', callq.length_fault(s.tz), 'it must be the name of an IANA time zone, as Europe/Berlin');
    ELSIF s.enabled IS NULL THEN
        RETURN callq.refusal('enabled', 'is NULL', 'it must be true or false');
    ELSIF (s.ttl > interval '0' AND s.ttl <= interval '100 years') IS FALSE THEN
        RETURN callq.refusal('ttl', 'is ' || s.ttl, 'it must be longer than zero and at most 100 years');
    ELSIF (s.jitter BETWEEN interval '0' AND interval '366 days') IS NOT TRUE THEN
        RETURN callq.refusal('jitter', 'is ' || coalesce(s.jitter::text, 'NULL'), 'it must be from 0 to 366 days');
    ELSIF s.jitter >= s.ttl THEN
        RETURN callq.refusal('jitter', format('is %s with a ttl of %s', s.jitter, s.ttl), 'it must be shorter than ttl');
    ELSIF (s.catch_up IN ('latest', 'all', 'none')) IS NOT TRUE THEN
        RETURN callq.refusal('catch_up', 'is ' || callq.quoted(s.catch_up), 'it must be latest, all or none');
    ELSIF (s.catch_up_window BETWEEN interval '0' AND interval '366 days') IS NOT TRUE THEN
        RETURN callq.refusal('catch_up_window', 'is ' || coalesce(s.catch_up_window::text, 'NULL'), 'it must be from 0 to 366 days');
    ELSIF (s.overlap IN ('skip', 'allow', 'cancel_previous')) IS NOT TRUE THEN
        RETURN callq.refusal('overlap', 'is ' || callq.quoted(s.overlap), 'it must be skip, allow or cancel_previous');
    ELSIF octet_length(s.start_at) NOT BETWEEN 1 AND 64 THEN
        RETURN callq.refusal('start_at', callq.length_fault(s.start_at), 'it must be a date, a local time or an instant');
    ELSIF octet_length(s.end_at) NOT BETWEEN 1 AND 64 THEN
        RETURN callq.refusal('end_at', callq.length_fault(s.end_at), 'it must be a date, a local time or an instant');
    ELSIF (cardinality(s.except_dates) + cardinality(s.calendar_dates) <= 10000) IS NOT TRUE THEN
        RETURN callq.refusal('except_dates', 'is NULL or has with calendar_dates more than 10000 dates', 'it must be a list of at most 10000 dates');
    ELSIF array_position(s.except_dates || s.calendar_dates, NULL) IS NOT NULL
       OR EXISTS (SELECT FROM unnest(s.except_dates || s.calendar_dates) AS d(day) WHERE d.day NOT BETWEEN '0001-01-01' AND '9999-12-31') THEN
        RETURN callq.refusal('except_dates', 'has a date that is NULL or none of the years 1 to 9999', 'each must be a date, as 2026-12-25');
    ELSIF (cardinality(s.calendars) <= 100) IS NOT TRUE OR array_position(s.calendars, NULL) IS NOT NULL THEN
        RETURN callq.refusal('calendars', 'is no list of at most 100 names', 'leave it out, it is for show');
    END IF;
    RETURN coalesce(callq.rings_refusal(s.ring_policy, s.max_call_seconds), callq.media_refusal(s.media_url, s.media_options),
        callq.template_refusal(s.app, s.robot_account, s.callees, s.media_type, s.room_id, s.room_id_type, s.ring_timeout_ms,
        s.user_data, s.offline_push, s.priority, s.max_attempts, s.on_doubt, s.retry_callees, s.metadata));
END $$;

CREATE OR REPLACE FUNCTION callq.check_schedule() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_refusal text[];
    v_stops boolean := NEW.paused_at IS NOT NULL OR NEW.enabled IS FALSE;
    v_withdrawn timestamptz[] := '{}';
    v_missed timestamptz[];
    v_until timestamptz;
    v_item text;
BEGIN
    v_refusal := callq.schedule_refusal(NEW);
    IF v_refusal IS NULL AND TG_OP = 'INSERT' THEN
        v_item := CASE
            WHEN NEW.id IS NULL THEN 'id'
            WHEN NEW.revision IS DISTINCT FROM 1 THEN 'revision'
            WHEN NEW.turn IS DISTINCT FROM 1 THEN 'turn'
            WHEN NEW.cursor_at IS DISTINCT FROM now() THEN 'cursor_at'
            WHEN NEW.next_fire_at IS NOT NULL THEN 'next_fire_at'
            WHEN NEW.check_at IS DISTINCT FROM '-infinity' THEN 'check_at'
            WHEN NEW.upcoming IS DISTINCT FROM '{}' THEN 'upcoming'
            WHEN NEW.owed IS DISTINCT FROM '{}' THEN 'owed'
            WHEN NEW.zone_data IS NOT NULL THEN 'zone_data'
            WHEN NEW.error IS NOT NULL THEN 'error'
            WHEN NEW.error_at IS NOT NULL THEN 'error_at'
            WHEN NEW.paused_at IS NOT NULL THEN 'paused_at'
            WHEN NEW.barred_until IS NOT NULL THEN 'barred_until'
            WHEN NEW.skip_next IS DISTINCT FROM 0 THEN 'skip_next'
            WHEN NEW.last_nominal_at IS NOT NULL THEN 'last_nominal_at'
            WHEN NEW.created_at IS DISTINCT FROM now() THEN 'created_at'
            WHEN NEW.created_by IS NULL THEN 'created_by' END;
        IF v_item IS NOT NULL THEN
            v_refusal := callq.refusal(v_item, 'is given', 'leave it out, callq writes it itself');
        END IF;
    END IF;
    IF v_refusal IS NOT NULL THEN
        IF v_refusal[3] IS NULL THEN
            RAISE EXCEPTION USING MESSAGE = v_refusal[2], ERRCODE = 'check_violation', SCHEMA = 'callq', TABLE = 'schedules',
                COLUMN = v_refusal[1];
        END IF;
        RAISE EXCEPTION USING MESSAGE = v_refusal[2], ERRCODE = 'check_violation', SCHEMA = 'callq', TABLE = 'schedules',
            COLUMN = v_refusal[1], HINT = v_refusal[3];
    END IF;

    IF TG_OP = 'INSERT' THEN
        NEW.stopped_at := CASE WHEN v_stops THEN now() END;
        NEW.default_ttl := NULL;
        PERFORM callq.wake_for_schedules();
        RETURN NEW;
    END IF;

    IF (NEW.app, NEW.name, NEW.cron, NEW.every, NEW.on_times, NEW.tz, NEW.enabled, NEW.ttl, NEW.jitter, NEW.catch_up,
        NEW.catch_up_window, NEW.overlap, NEW.start_at, NEW.end_at, NEW.except_dates, NEW.calendars,
        NEW.calendar_dates, NEW.robot_account, NEW.callees, NEW.media_type, NEW.room_id, NEW.room_id_type,
        NEW.ring_timeout_ms, NEW.user_data, NEW.offline_push, NEW.priority, NEW.max_attempts, NEW.on_doubt,
        NEW.retry_callees, NEW.metadata, NEW.ring_policy, NEW.max_call_seconds, NEW.media_url, NEW.media_options)
        IS DISTINCT FROM
       (OLD.app, OLD.name, OLD.cron, OLD.every, OLD.on_times, OLD.tz, OLD.enabled, OLD.ttl, OLD.jitter, OLD.catch_up,
        OLD.catch_up_window, OLD.overlap, OLD.start_at, OLD.end_at, OLD.except_dates, OLD.calendars,
        OLD.calendar_dates, OLD.robot_account, OLD.callees, OLD.media_type, OLD.room_id, OLD.room_id_type,
        OLD.ring_timeout_ms, OLD.user_data, OLD.offline_push, OLD.priority, OLD.max_attempts, OLD.on_doubt,
        OLD.retry_callees, OLD.metadata, OLD.ring_policy, OLD.max_call_seconds, OLD.media_url, OLD.media_options) THEN
        NEW.revision := OLD.revision + 1;
        NEW.updated_at := now();
        NEW.error := NULL;
        NEW.error_at := NULL;
        -- That a worker has reckoned it tells the others, who may not know its zone, that one does.
        IF NEW.tz <> OLD.tz THEN
            NEW.default_ttl := NULL;
        END IF;
    ELSIF v_stops = (OLD.stopped_at IS NOT NULL) THEN
        RETURN NEW;
    END IF;
    NEW.turn := OLD.turn + 1;
    NEW.check_at := now();
    NEW.next_fire_at := NULL;

    -- Within the transaction of the change, so that no claim sees the one without the other.
    IF v_stops THEN
        v_withdrawn := callq.take_firings_back(OLD.id, 'schedule_paused');
    ELSIF current_setting('callq.keep_firings', true) IS DISTINCT FROM 'on' THEN
        v_withdrawn := callq.take_firings_back(OLD.id, 'superseded');
        -- When it rings is a person's word; whom it rings and what with is the schedule's.
        UPDATE callq.jobs AS j SET (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data,
            offline_push, priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds, media_url, media_options)
            = ROW(NEW.app, NEW.robot_account, NEW.callees, NEW.media_type, NEW.room_id, NEW.room_id_type, NEW.ring_timeout_ms,
            NEW.user_data, NEW.offline_push, NEW.priority, NEW.max_attempts, NEW.on_doubt, NEW.retry_callees, NEW.metadata,
            NEW.ring_policy, NEW.max_call_seconds, NEW.media_url, NEW.media_options)
        WHERE j.schedule_id = OLD.id AND j.state IN ('scheduled', 'dialing', 'in_doubt') AND j.attempt = 0 AND j.moved_at IS NOT NULL;
    END IF;

    IF (NEW.cron, NEW.every, NEW.on_times, NEW.tz, NEW.start_at, NEW.end_at, NEW.except_dates, NEW.calendar_dates)
        IS DISTINCT FROM
       (OLD.cron, OLD.every, OLD.on_times, OLD.tz, OLD.start_at, OLD.end_at, OLD.except_dates, OLD.calendar_dates) THEN
        -- What the old definition missed can no longer be reckoned: it is told as far as it was known.
        v_missed := ARRAY(SELECT u.at FROM unnest(OLD.upcoming) AS u(at) WHERE u.at <= now());
        PERFORM callq.tell_unfired(OLD.id, OLD.app, OLD.name, callq.why_unfired(OLD, 'superseded'), v_missed,
            CASE WHEN OLD.stopped_at IS NULL THEN 'the schedule was changed before a worker made them' ELSE 'the schedule was changed meanwhile' END
            || CASE WHEN cardinality(v_missed) = cardinality(OLD.upcoming) THEN '; later ones are not counted' ELSE '' END);
        -- 09:00 in another zone is another firing, though the clock of yesterday's zone has shown 09:00 today. What was
        -- withdrawn before anything was sent may become that other firing, or each change would leave a row.
        IF NEW.tz <> OLD.tz OR (NEW.every IS NULL) <> (OLD.every IS NULL) THEN
            UPDATE callq.jobs AS j SET nominal_local = NULL
            WHERE j.schedule_id = OLD.id AND j.nominal_local > now() AT TIME ZONE 'UTC' - interval '2 days'
              AND NOT (j.state = 'cancelled' AND j.attempt = 0 AND j.reason IN ('superseded', 'schedule_paused', 'firing_skipped'));
        END IF;
        NEW.cursor_at := now();
        NEW.barred_until := NULL;
        NEW.barred_reason := NULL;
        NEW.owed := callq.instants(ARRAY(SELECT o.at FROM unnest(OLD.owed || v_withdrawn || OLD.upcoming) AS o(at) WHERE o.at <> ALL (v_missed)));
        NEW.upcoming := '{}';
    ELSE
        NEW.cursor_at := least(OLD.cursor_at, now());
        NEW.owed := callq.instants(OLD.owed || ARRAY(SELECT w.at FROM unnest(v_withdrawn) AS w(at) WHERE w.at <= now()));
        NEW.upcoming := callq.instants(OLD.upcoming || ARRAY(SELECT w.at FROM unnest(v_withdrawn) AS w(at) WHERE w.at > now()));
    END IF;

    IF v_stops AND OLD.stopped_at IS NULL THEN
        NEW.stopped_at := now();
    ELSIF NOT v_stops AND OLD.stopped_at IS NOT NULL THEN
        NEW.stopped_at := NULL;
        NEW.barred_until := now();
        NEW.barred_reason := 'schedule_paused';
    END IF;
    -- Of a pause nothing is made up for. What is behind the cursor is a worker's to decide, as far as it still is.
    v_until := CASE WHEN v_stops OR OLD.stopped_at IS NOT NULL THEN now() ELSE OLD.barred_until END;
    v_until := least(v_until, NEW.cursor_at, now());
    IF (v_stops OR OLD.stopped_at IS NOT NULL OR OLD.barred_until IS NOT NULL) AND cardinality(NEW.owed) > 0 THEN
        PERFORM callq.tell_unfired(OLD.id, OLD.app, OLD.name,
            CASE WHEN v_stops OR OLD.stopped_at IS NOT NULL THEN 'schedule_paused' ELSE coalesce(OLD.barred_reason, 'schedule_paused') END,
            ARRAY(SELECT o.at FROM unnest(NEW.owed) AS o(at) WHERE o.at <= v_until));
        NEW.owed := ARRAY(SELECT o.at FROM unnest(NEW.owed) AS o(at) WHERE o.at > v_until);
    END IF;
    PERFORM callq.wake_for_schedules();
    RETURN NEW;
END $$;
DROP TRIGGER changed_schedule_is_checked ON callq.schedules;
CREATE TRIGGER changed_schedule_is_checked BEFORE UPDATE OF
        app, name, cron, every, on_times, tz, enabled, ttl, jitter, catch_up, catch_up_window, overlap, start_at,
        end_at, except_dates, calendars, calendar_dates, robot_account, callees, media_type, room_id, room_id_type,
        ring_timeout_ms, user_data, offline_push, priority, max_attempts, on_doubt, retry_callees, metadata,
        ring_policy, max_call_seconds, media_url, media_options, paused_at
    ON callq.schedules FOR EACH ROW EXECUTE FUNCTION callq.check_schedule();

CREATE OR REPLACE FUNCTION callq.run_schedule_now(name text, app text DEFAULT 'default') RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_schedule callq.schedules := callq.lock_schedule(run_schedule_now.name, run_schedule_now.app);
    v_job_id bigint;
BEGIN
    INSERT INTO callq.jobs (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds, media_url, media_options, run_at, ttl, schedule_id)
    VALUES (v_schedule.app, v_schedule.robot_account, v_schedule.callees, v_schedule.media_type, v_schedule.room_id,
        v_schedule.room_id_type, v_schedule.ring_timeout_ms, v_schedule.user_data, v_schedule.offline_push,
        v_schedule.priority, v_schedule.max_attempts, v_schedule.on_doubt, v_schedule.retry_callees,
        v_schedule.metadata, v_schedule.ring_policy, v_schedule.max_call_seconds, v_schedule.media_url, v_schedule.media_options, now(), coalesce(v_schedule.ttl, v_schedule.default_ttl, interval '1 hour'), v_schedule.id)
    RETURNING id INTO v_job_id;
    RETURN v_job_id;
END $$;

CREATE OR REPLACE FUNCTION callq.backfill_schedule(name text, nominal_at timestamptz[], nominal_local timestamp[], nominal_fold smallint[],
    revision bigint, app text DEFAULT 'default')
RETURNS TABLE (firing timestamptz, job_id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_schedule callq.schedules := callq.lock_schedule(backfill_schedule.name, backfill_schedule.app);
BEGIN
    IF v_schedule.revision IS DISTINCT FROM backfill_schedule.revision THEN
        RAISE EXCEPTION USING MESSAGE = format('schedule %s was changed meanwhile', callq.quoted(backfill_schedule.name)),
            ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Look at it again.';
    ELSIF (cardinality(backfill_schedule.nominal_at) <= 1000) IS NOT TRUE THEN
        RAISE EXCEPTION USING MESSAGE = 'nominal_at is NULL or has more than 1000 times: at most 1000 firings are made at once',
            ERRCODE = 'invalid_parameter_value';
    ELSIF EXISTS (SELECT FROM unnest(backfill_schedule.nominal_at) AS f(at) WHERE f.at IS NULL OR f.at > v_schedule.cursor_at OR f.at > now()) THEN
        RAISE EXCEPTION USING MESSAGE = 'nominal_at has a time that is still to come: only the past can be filled', ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    INSERT INTO callq.jobs AS j (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds, media_url, media_options, run_at, ttl, schedule_id, nominal_at, nominal_local, nominal_fold,
        moved_at)
    SELECT v_schedule.app, v_schedule.robot_account, v_schedule.callees, v_schedule.media_type, v_schedule.room_id,
        v_schedule.room_id_type, v_schedule.ring_timeout_ms, v_schedule.user_data, v_schedule.offline_push,
        v_schedule.priority, v_schedule.max_attempts, v_schedule.on_doubt, v_schedule.retry_callees,
        v_schedule.metadata, v_schedule.ring_policy, v_schedule.max_call_seconds, v_schedule.media_url, v_schedule.media_options, now(), coalesce(v_schedule.ttl, v_schedule.default_ttl, interval '1 hour'), v_schedule.id, f.at, f.local, f.fold,
        now()
    FROM unnest(backfill_schedule.nominal_at, backfill_schedule.nominal_local, backfill_schedule.nominal_fold) AS f(at, local, fold)
    -- A job that was made before the time zone was changed has no local time any more.
    WHERE NOT EXISTS (SELECT FROM callq.jobs AS o
        WHERE o.schedule_id = v_schedule.id AND o.nominal_local IS NULL AND o.nominal_at = f.at)
    ORDER BY f.at
    ON CONFLICT (schedule_id, nominal_local, nominal_fold) WHERE schedule_id IS NOT NULL DO NOTHING
    RETURNING j.nominal_at, j.id;
END $$;

CREATE OR REPLACE FUNCTION callq.apply_schedules(plan jsonb, keep_firings boolean DEFAULT false)
RETURNS TABLE (app text, name text, done text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_item record;
    v_found bigint;
BEGIN
    PERFORM set_config('callq.keep_firings', CASE WHEN keep_firings THEN 'on' ELSE 'off' END, true);
    -- Sorted, so that two plans cannot deadlock.
    FOR v_item IN
        SELECT p.action, coalesce(p.app, 'default') AS app, p.name, p.revision, d.*
        FROM jsonb_to_recordset(plan) AS p(action text, app text, name text, revision bigint, definition jsonb)
        CROSS JOIN LATERAL jsonb_to_record(coalesce(p.definition, '{}')) AS d(
            cron text, every_s float8, on_times text[], tz text, enabled boolean, ttl_s float8, jitter_s float8, catch_up text,
            catch_up_window_s float8, overlap text, start_at text, end_at text, except_dates date[], calendars text[],
            calendar_dates date[], robot_account text, callees text[], media_type text, room_id text, room_id_type integer,
            ring_timeout_ms bigint, user_data text, offline_push jsonb, priority integer, max_attempts integer, on_doubt text,
            retry_callees boolean, metadata jsonb, ring_policy jsonb, max_call_seconds integer,
            media_url text, media_options jsonb)
        ORDER BY 2, 3
    LOOP
        app := v_item.app;
        name := v_item.name;
        BEGIN
            IF v_item.action = 'create' THEN
                INSERT INTO callq.schedules (app, name, cron, every, on_times, tz, enabled, ttl, jitter, catch_up, catch_up_window,
                    overlap, start_at, end_at, except_dates, calendars, calendar_dates, robot_account, callees, media_type, room_id,
                    room_id_type, ring_timeout_ms, user_data, offline_push, priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds, media_url, media_options)
                VALUES (v_item.app, v_item.name, v_item.cron, v_item.every_s * interval '1 second', v_item.on_times, v_item.tz,
                    coalesce(v_item.enabled, true), v_item.ttl_s * interval '1 second',
                    coalesce(v_item.jitter_s, 0) * interval '1 second', coalesce(v_item.catch_up, 'latest'),
                    coalesce(v_item.catch_up_window_s, 600) * interval '1 second', coalesce(v_item.overlap, 'skip'),
                    v_item.start_at, v_item.end_at, coalesce(v_item.except_dates, '{}'),
                    coalesce(v_item.calendars, '{}'), coalesce(v_item.calendar_dates, '{}'), v_item.robot_account,
                    v_item.callees, coalesce(v_item.media_type, 'Audio'), v_item.room_id,
                    coalesce(v_item.room_id_type, 2), coalesce(v_item.ring_timeout_ms, 45000), v_item.user_data,
                    v_item.offline_push, coalesce(v_item.priority, 1), coalesce(v_item.max_attempts, 5),
                    coalesce(v_item.on_doubt, 'reconcile'), coalesce(v_item.retry_callees, false),
                    coalesce(v_item.metadata, '{}'), v_item.ring_policy, v_item.max_call_seconds, v_item.media_url, v_item.media_options)
                ON CONFLICT (app, name) DO NOTHING;
                GET DIAGNOSTICS v_found = ROW_COUNT;
                done := 'created';
            ELSIF v_item.action = 'change' THEN
                UPDATE callq.schedules AS s SET (cron, every, on_times, tz, enabled, ttl, jitter, catch_up, catch_up_window,
                    overlap, start_at, end_at, except_dates, calendars, calendar_dates, robot_account, callees, media_type, room_id,
                    room_id_type, ring_timeout_ms, user_data, offline_push, priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds, media_url, media_options)
                    = ROW(v_item.cron, v_item.every_s * interval '1 second', v_item.on_times, v_item.tz,
                    coalesce(v_item.enabled, true), v_item.ttl_s * interval '1 second',
                    coalesce(v_item.jitter_s, 0) * interval '1 second', coalesce(v_item.catch_up, 'latest'),
                    coalesce(v_item.catch_up_window_s, 600) * interval '1 second', coalesce(v_item.overlap, 'skip'),
                    v_item.start_at, v_item.end_at, coalesce(v_item.except_dates, '{}'),
                    coalesce(v_item.calendars, '{}'), coalesce(v_item.calendar_dates, '{}'), v_item.robot_account,
                    v_item.callees, coalesce(v_item.media_type, 'Audio'), v_item.room_id,
                    coalesce(v_item.room_id_type, 2), coalesce(v_item.ring_timeout_ms, 45000), v_item.user_data,
                    v_item.offline_push, coalesce(v_item.priority, 1), coalesce(v_item.max_attempts, 5),
                    coalesce(v_item.on_doubt, 'reconcile'), coalesce(v_item.retry_callees, false),
                    coalesce(v_item.metadata, '{}'), v_item.ring_policy, v_item.max_call_seconds, v_item.media_url, v_item.media_options)
                WHERE s.app = v_item.app AND s.name = v_item.name AND s.revision = v_item.revision;
                GET DIAGNOSTICS v_found = ROW_COUNT;
                done := 'changed';
            ELSIF v_item.action = 'remove' THEN
                DELETE FROM callq.schedules AS s WHERE s.app = v_item.app AND s.name = v_item.name AND s.revision = v_item.revision;
                GET DIAGNOSTICS v_found = ROW_COUNT;
                done := 'removed';
            ELSE
                RAISE EXCEPTION USING MESSAGE = format('action is %s: it must be create, change or remove', callq.quoted(v_item.action)),
                    ERRCODE = 'invalid_parameter_value';
            END IF;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
            -- The rules name the column; which schedule it is of, only this place knows.
            RAISE EXCEPTION USING MESSAGE = format('schedule %s: %s', callq.quoted(v_item.name), SQLERRM), ERRCODE = SQLSTATE;
        END;
        IF v_found = 0 THEN
            RAISE EXCEPTION USING
                MESSAGE = format(CASE v_item.action WHEN 'create' THEN 'schedule %s of the app %s is there already'
                    ELSE 'schedule %s of the app %s was changed or removed since the plan was made' END,
                    callq.quoted(v_item.name), callq.quoted(v_item.app)),
                ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Nothing was applied; make the plan again.';
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM set_config('callq.keep_firings', 'off', true);
END $$;

CREATE OR REPLACE FUNCTION callq.schedule_definition(s callq.schedules) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'cron', s.cron, 'every_s', extract(epoch FROM s.every)::float8, 'on_times', s.on_times, 'tz', s.tz, 'enabled', s.enabled,
        'ttl_s', extract(epoch FROM s.ttl)::float8, 'jitter_s', extract(epoch FROM s.jitter)::float8, 'catch_up', s.catch_up,
        'catch_up_window_s', extract(epoch FROM s.catch_up_window)::float8, 'overlap', s.overlap, 'start_at', s.start_at,
        'end_at', s.end_at, 'except_dates', s.except_dates, 'calendars', s.calendars, 'calendar_dates', s.calendar_dates))
        -- Not stripped: what a user wrote stays as it is.
        || jsonb_build_object('robot_account', s.robot_account, 'callees', s.callees, 'media_type', s.media_type, 'room_id', s.room_id,
        'room_id_type', s.room_id_type, 'ring_timeout_ms', s.ring_timeout_ms, 'user_data', s.user_data,
        'offline_push', s.offline_push, 'priority', s.priority, 'max_attempts', s.max_attempts, 'on_doubt', s.on_doubt,
        'retry_callees', s.retry_callees, 'metadata', s.metadata, 'ring_policy', s.ring_policy, 'max_call_seconds', s.max_call_seconds,
        'media_url', s.media_url, 'media_options', s.media_options)
$$;

CREATE OR REPLACE FUNCTION callq.remake_firing(p_job_id bigint, p_nominal_at timestamptz, p_run_at timestamptz, p_expires_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_id bigint;
    v_run_at timestamptz := p_run_at;
    v_ttl interval := p_expires_at - p_run_at;
    v_moved_at timestamptz;
BEGIN
    SELECT j.moved_at, greatest(j.run_at, now()), p_expires_at - p_nominal_at INTO v_moved_at, v_run_at, v_ttl FROM callq.jobs AS j
    WHERE j.id = p_job_id AND j.moved_at IS NOT NULL AND j.nominal_at = p_nominal_at;
    IF NOT FOUND THEN
        v_run_at := p_run_at;
        v_ttl := p_expires_at - p_run_at;
    END IF;
    UPDATE callq.jobs AS j SET (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds, media_url, media_options,
            run_at, due_at, ttl, expires_at, nominal_at, moved_at, state, reason, reason_detail, finished_at)
        = (s.app, s.robot_account, s.callees, s.media_type, s.room_id, s.room_id_type, s.ring_timeout_ms,
            s.user_data, s.offline_push, s.priority, s.max_attempts, s.on_doubt, s.retry_callees, s.metadata, s.ring_policy, s.max_call_seconds, s.media_url, s.media_options,
            v_run_at, v_run_at, v_ttl, (v_run_at AT TIME ZONE 'UTC' + v_ttl) AT TIME ZONE 'UTC', p_nominal_at, v_moved_at, 'scheduled', NULL, NULL, NULL)
    FROM callq.schedules AS s
    WHERE j.id = p_job_id AND s.id = j.schedule_id AND j.attempt = 0
      AND j.state = 'cancelled' AND j.reason IN ('superseded', 'schedule_paused', 'firing_skipped')
    RETURNING j.id INTO v_id;
    IF FOUND AND v_run_at <= now() + interval '60 seconds' THEN
        PERFORM callq.wake_workers();
    END IF;
    RETURN v_id;
END $$;

DROP FUNCTION callq.enqueue(text, text[], timestamptz, text, text, text, integer, bigint, text, jsonb, interval, timestamptz, integer,
    integer, text, boolean, text, jsonb, jsonb, integer);
CREATE FUNCTION callq.enqueue(
    robot_account text, callees text[], run_at timestamptz DEFAULT NULL, app text DEFAULT NULL,
    media_type text DEFAULT NULL, room_id text DEFAULT NULL, room_id_type integer DEFAULT NULL,
    ring_timeout_ms bigint DEFAULT NULL, user_data text DEFAULT NULL, offline_push jsonb DEFAULT NULL,
    ttl interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL, priority integer DEFAULT NULL,
    max_attempts integer DEFAULT NULL, on_doubt text DEFAULT NULL, retry_callees boolean DEFAULT NULL,
    idempotency_key text DEFAULT NULL, metadata jsonb DEFAULT NULL, ring_policy jsonb DEFAULT NULL,
    max_call_seconds integer DEFAULT NULL, media_url text DEFAULT NULL, media_options jsonb DEFAULT NULL)
RETURNS TABLE (id bigint, inserted boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_app text := coalesce(enqueue.app, 'default');
    v_id bigint;
BEGIN
    INSERT INTO callq.jobs AS j (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms,
        user_data, offline_push, run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees,
        idempotency_key, metadata, ring_policy, max_call_seconds, media_url, media_options)
    VALUES (v_app, enqueue.robot_account, enqueue.callees, coalesce(enqueue.media_type, 'Audio'), enqueue.room_id,
        coalesce(enqueue.room_id_type, 2), coalesce(enqueue.ring_timeout_ms, 45000), enqueue.user_data,
        enqueue.offline_push, coalesce(enqueue.run_at, now()), enqueue.ttl,
        enqueue.expires_at, coalesce(enqueue.priority, 1), coalesce(enqueue.max_attempts, 5),
        coalesce(enqueue.on_doubt, 'reconcile'), coalesce(enqueue.retry_callees, false), enqueue.idempotency_key,
        coalesce(enqueue.metadata, '{}'), enqueue.ring_policy, enqueue.max_call_seconds, enqueue.media_url, enqueue.media_options)
    ON CONFLICT (app, idempotency_key) DO NOTHING
    RETURNING j.id INTO v_id;
    IF FOUND THEN
        RETURN QUERY SELECT v_id, true;
    ELSE
        RETURN QUERY SELECT j.id, false FROM callq.jobs AS j
            WHERE j.app = v_app AND j.idempotency_key = enqueue.idempotency_key;
    END IF;
END $$;
COMMENT ON FUNCTION callq.enqueue IS 'Inserts one job and returns its id and whether it was inserted: with an idempotency_key that the app has used before, nothing is inserted and the earlier job''s id is returned. NULL means the column''s default.';

-- What held a job that expired may be that no worker could have supplied its media.
CREATE OR REPLACE FUNCTION callq.why_expired(p_app text, p_due_at timestamptz, p_held_by text, p_expires_at timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$
    WITH span AS (
        -- A job that became due at its deadline is asked what held it then.
        SELECT least(p_due_at, p_expires_at - interval '1 second') AS since, p_expires_at AS until
    ), held(hold, rank, since, until) AS (
        SELECT h.hold, CASE h.hold WHEN 'paused' THEN 1 WHEN 'no_worker' THEN 2 ELSE 3 END, h.since, h.until
        FROM callq.app_holds AS h WHERE h.app IN (p_app, '') AND h.until > p_due_at - interval '1 second' AND h.since < p_expires_at
        UNION ALL SELECT 'paused', 1, a.paused_at, 'infinity' FROM callq.apps AS a WHERE a.app = p_app
        UNION ALL SELECT 'paused', 1, s.paused_at, 'infinity' FROM callq.settings AS s
        UNION ALL SELECT 'no_worker', 2, callq.unserved_since(p_app), 'infinity'
        UNION ALL SELECT 'unreachable', 3, callq.unreachable_since(p_app), 'infinity'
        UNION ALL SELECT 'throttled', 4, coalesce(a.throttled_since, a.throttled_at), a.throttled_at + interval '15 seconds'
            FROM callq.apps AS a WHERE a.app = p_app
    ), within AS (
        SELECT h.hold, h.rank, tstzrange(greatest(h.since, s.since), least(h.until, s.until)) AS period
        FROM held AS h CROSS JOIN span AS s
        WHERE greatest(h.since, s.since) < least(h.until, s.until) AND h.since IS NOT NULL
    ), share AS (
        SELECT w.hold, w.rank, range_agg(w.period) AS periods FROM within AS w GROUP BY 1, 2
        UNION ALL
        SELECT CASE WHEN p_held_by IN ('unreachable', 'throttled', 'callee_busy', 'media_no_credentials') THEN p_held_by
                    WHEN p_held_by IN ('app_fault', 'quota_used', 'renewing_user_sig') THEN 'paused'
                    ELSE 'pace' END, 5,
            tstzmultirange(tstzrange(min(s.since), min(s.until))) - coalesce(range_agg(w.period), '{}')
        FROM span AS s LEFT JOIN within AS w ON true
    )
    SELECT CASE s.hold WHEN 'paused' THEN 'expired_app_paused' WHEN 'no_worker' THEN 'expired_no_worker'
        WHEN 'unreachable' THEN 'expired_unreachable' WHEN 'throttled' THEN 'expired_throttled'
        WHEN 'callee_busy' THEN 'expired_callee_busy' WHEN 'media_no_credentials' THEN 'expired_no_media' ELSE 'expired_pace' END
    FROM share AS s
    ORDER BY (SELECT sum(upper(p.period) - lower(p.period)) FROM unnest(s.periods) AS p(period)) DESC NULLS LAST, s.rank
    LIMIT 1
$$;

CREATE OR REPLACE VIEW callq.call_legs AS
SELECT (coalesce(a.sent_at, a.claimed_at) AT TIME ZONE z.zone)::date AS day, j.app, a.job_id, a.attempt, j.ring_no, c.callee,
    j.robot_account AS robot, j.media_type, j.metadata, a.room_id, a.call_id, j.run_at, a.due_at, a.sent_at,
    CASE WHEN a.class = 'accepted' THEN a.replied_at END AS placed_at,
    r.result_code, a.state AS attempt_state, a.class, a.error_code, a.request_id,
    coalesce(j.schedule_id, 0) AS schedule_id, s.name AS schedule, a.claimed_at, l.accepted_at, l.ended_at, l.ring_seconds, l.talk_seconds,
    coalesce(l.outcome, CASE WHEN k.job_id IS NOT NULL AND a.class IN ('accepted', 'in_doubt') THEN 'pending' END) AS outcome,
    l.source AS outcome_source,
    m.answered_at AS media_answered_at, m.started_at AS media_started_at, m.stopped_at AS media_stopped_at,
    round(extract(epoch FROM m.stopped_at - m.started_at))::integer AS media_seconds, m.reason AS media_reason
FROM callq.attempts AS a
JOIN callq.jobs AS j ON j.id = a.job_id
CROSS JOIN callq.report_clock AS z
CROSS JOIN LATERAL unnest(j.callees) WITH ORDINALITY AS c(callee, callee_no)
LEFT JOIN callq.callee_results AS r ON r.job_id = a.job_id AND r.attempt = a.attempt AND r.callee = c.callee
LEFT JOIN callq.legs AS l ON l.job_id = a.job_id AND l.attempt = a.attempt AND l.callee_no = c.callee_no
LEFT JOIN callq.calls AS k ON k.job_id = a.job_id AND k.attempt = a.attempt
LEFT JOIN callq.streams AS m ON m.job_id = a.job_id AND m.attempt = a.attempt
LEFT JOIN callq.schedules AS s ON s.id = j.schedule_id;
COMMENT ON COLUMN callq.call_legs.media_answered_at IS 'When callq knew that somebody had answered, of a call with media_url; of the whole call, as the next columns are.';
COMMENT ON COLUMN callq.call_legs.media_started_at IS 'When callq knew that media_url was played into the room; NULL: it was not, as far as is known.';
COMMENT ON COLUMN callq.call_legs.media_stopped_at IS 'When callq knew that it was played no longer; media that ended by itself was billed for less.';
COMMENT ON COLUMN callq.call_legs.media_seconds IS 'The seconds between the two.';
COMMENT ON COLUMN callq.call_legs.media_reason IS 'Why it ended or was not played, a word of callq.reasons; NULL: the call has no media_url, or is not over.';

CREATE VIEW callq.media_minutes AS
SELECT (c.quarter AT TIME ZONE (SELECT z.zone FROM callq.report_clock AS z))::date AS day, c.app, c.schedule_id, s.name AS schedule, c.robot,
    sum(c.started)::bigint AS started, round(sum(c.seconds) / 60.0, 2) AS minutes, sum(c.failed)::bigint AS failed
FROM callq.stream_counts AS c
LEFT JOIN callq.schedules AS s ON s.id = c.schedule_id
GROUP BY 1, c.app, c.schedule_id, s.name, c.robot
HAVING sum(c.started) <> 0 OR sum(c.failed) <> 0;
COMMENT ON VIEW callq.media_minutes IS 'What was played into calls with a media_url, by robot account. Tencent bills the minutes of the robot and of transcoding.';
COMMENT ON COLUMN callq.media_minutes.day IS 'Day on which the call was accepted, in the report time zone.';
COMMENT ON COLUMN callq.media_minutes.app IS 'The app.';
COMMENT ON COLUMN callq.media_minutes.schedule_id IS 'The schedule that made the job; 0: none.';
COMMENT ON COLUMN callq.media_minutes.schedule IS 'Its name; NULL: none, or it was removed.';
COMMENT ON COLUMN callq.media_minutes.robot IS 'The robot account.';
COMMENT ON COLUMN callq.media_minutes.started IS 'Calls in which media was started.';
COMMENT ON COLUMN callq.media_minutes.minutes IS 'How long it was there, together: until callq knew that it was stopped.';
COMMENT ON COLUMN callq.media_minutes.failed IS 'Calls that were answered and whose media did not start, or was lost sight of.';

-- Media goes with its job.
CREATE OR REPLACE FUNCTION callq.prune_jobs(older_than interval, after_id bigint DEFAULT 0, page integer DEFAULT 500, dry_run boolean DEFAULT false,
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
            AND NOT EXISTS (SELECT FROM callq.streams AS m WHERE m.job_id = j.id AND m.state <> 'ended')
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
    ), m AS (
        DELETE FROM callq.streams AS m WHERE m.job_id = ANY (ARRAY(SELECT id FROM locked))
    ), l AS (
        DELETE FROM callq.legs AS l WHERE l.job_id = ANY (ARRAY(SELECT id FROM locked)) RETURNING 1
    ), a AS (
        DELETE FROM callq.attempts AS a WHERE a.job_id = ANY (ARRAY(SELECT id FROM locked)) RETURNING 1
    ), j AS (
        DELETE FROM callq.jobs AS j WHERE j.id = ANY (ARRAY(SELECT id FROM locked)) RETURNING 1
    )
    SELECT (SELECT count(*) FROM j), (SELECT count(*) FROM a), (SELECT count(*) FROM l) INTO jobs, attempts, legs;
END $$;

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
    EXECUTE format('GRANT INSERT (media_url, media_options) ON callq.jobs TO %I', role_name);
    EXECUTE format('GRANT INSERT (job_id, attempt, app, call_id, room_id, room_id_type, robot),
        UPDATE (call_id, state, answered_at, started_at, over_at, stopped_at, task_id, tasks, doubts, tries, turn, look_at, reason, detail),
        SELECT ON callq.streams TO %I', role_name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON callq.media_pace TO %I', role_name);
    EXECUTE format('GRANT UPDATE (media_retry_at, media_failures, media_failure) ON callq.apps TO %I', role_name);
END $$;

CREATE OR REPLACE FUNCTION callq.allow_producer(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_producer_of_schedules(role_name);
    EXECUTE format('GRANT SELECT ON callq.calls, callq.legs, callq.leg_counts, callq.sweeps, callq.events TO %I', role_name);
    EXECUTE format('GRANT INSERT (ring_policy, max_call_seconds), UPDATE (ring_policy, max_call_seconds)
        ON callq.jobs, callq.schedules TO %I', role_name);
    EXECUTE format('GRANT INSERT (media_url, media_options), UPDATE (media_url, media_options) ON callq.jobs, callq.schedules TO %I', role_name);
    EXECUTE format('GRANT SELECT ON callq.streams, callq.stream_counts TO %I', role_name);
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

REVOKE EXECUTE ON FUNCTION callq.media_refusal, callq.check_media, callq.note_streams, callq.enqueue FROM PUBLIC;
UPDATE callq.meta SET schema_version = 12;
