-- Recurring calls. A row of callq.schedules says when a call is placed again and again; a worker makes each
-- firing into an ordinary row of callq.jobs (src/worker/fire.rs). What may not happen: a firing made twice,
-- and one not made in silence.
--
-- One firing is one job, for ever: its key is the schedule and the local time that it is for, not the instant,
-- because two workers with different zone data map one 09:00 to two instants. cursor_at says up to where
-- every firing has been decided: made, or told in callq.skipped_firings.

CREATE TABLE callq.schedules (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What a user gives: when.
    app             text        NOT NULL DEFAULT 'default',
    name            text        NOT NULL,
    cron            text,
    every           interval,
    on_times        text[],
    tz              text        NOT NULL,
    enabled         boolean     NOT NULL DEFAULT true,
    ttl             interval,
    jitter          interval    NOT NULL DEFAULT '0',
    catch_up        text        NOT NULL DEFAULT 'latest',
    catch_up_window interval    NOT NULL DEFAULT '10 minutes',
    overlap         text        NOT NULL DEFAULT 'skip',
    -- As text: of a date alone the whole day is meant, and a timestamp could not tell it from its midnight.
    start_at        text,
    end_at          text,
    except_dates    date[]      NOT NULL DEFAULT '{}',
    calendars       text[]      NOT NULL DEFAULT '{}',
    calendar_dates  date[]      NOT NULL DEFAULT '{}',
    -- What a user gives: the job, with the names, types and defaults of callq.jobs.
    robot_account   text        NOT NULL,
    callees         text[]      NOT NULL,
    media_type      text        NOT NULL DEFAULT 'Audio',
    room_id         text,
    room_id_type    integer     NOT NULL DEFAULT 2,
    ring_timeout_ms bigint      NOT NULL DEFAULT 45000,
    user_data       text,
    offline_push    jsonb,
    priority        integer     NOT NULL DEFAULT 1,
    max_attempts    integer     NOT NULL DEFAULT 5,
    on_doubt        text        NOT NULL DEFAULT 'reconcile',
    retry_callees   boolean     NOT NULL DEFAULT false,
    metadata        jsonb       NOT NULL DEFAULT '{}',
    -- What callq writes.
    revision        bigint      NOT NULL DEFAULT 1,
    turn            bigint      NOT NULL DEFAULT 1,
    cursor_at       timestamptz NOT NULL DEFAULT now(),
    next_fire_at    timestamptz,
    check_at        timestamptz DEFAULT '-infinity',
    upcoming        timestamptz[] NOT NULL DEFAULT '{}',
    default_ttl     interval,
    zone_data       text,
    error           text,
    error_at        timestamptz,
    paused_at       timestamptz,
    pause_reason    text,
    paused_by       text,
    stopped_at      timestamptz,
    barred_until    timestamptz,
    barred_reason   text,
    skip_next       integer     NOT NULL DEFAULT 0,
    last_nominal_at timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    created_by      text        NOT NULL DEFAULT session_user,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT names_are_unique_per_app UNIQUE (app, name)
) WITH (
    -- Written with every firing, as jobs are.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1,
    autovacuum_analyze_scale_factor = 0.2
);
-- What a worker looks at next; schedules that never fire again, are stopped or at fault are not in it.
CREATE INDEX schedules_due ON callq.schedules (check_at) WHERE check_at IS NOT NULL;

-- For the metric and for people; nearly always empty.
CREATE INDEX schedules_at_fault ON callq.schedules (id) WHERE error IS NOT NULL;

COMMENT ON TABLE callq.schedules IS 'One row is one recurring call: when it is placed, and the job that is made each time.';
COMMENT ON COLUMN callq.schedules.id IS 'Our own number of the schedule, as in jobs.schedule_id.';
COMMENT ON COLUMN callq.schedules.app IS 'The app that places the calls, as jobs.app.';
COMMENT ON COLUMN callq.schedules.name IS 'Its name, unique per app: 1 to 64 letters, digits, dots, underscores and hyphens. Required.';
COMMENT ON COLUMN callq.schedules.cron IS 'When it rings: an expression of Unix cron (minute hour day-of-month month day-of-week, or six fields with seconds first, or @daily and the like). Give cron, every or on_times.';
COMMENT ON COLUMN callq.schedules.every IS 'Or: every so often in real time, whole seconds from 1 s to 366 days, counted from start_at, or from created_at if that is not given.';
COMMENT ON COLUMN callq.schedules.on_times IS 'Or: at these local times, as 2026-12-24 09:00; at most 10000.';
COMMENT ON COLUMN callq.schedules.tz IS 'The IANA time zone whose clock is meant, as Europe/Berlin. Required.';
COMMENT ON COLUMN callq.schedules.enabled IS 'false: nothing rings, and what would have rung meanwhile is not made up for. Default true. For a pause of a running schedule there is callq.pause_schedule.';
COMMENT ON COLUMN callq.schedules.ttl IS 'How long after its time a firing may still be placed. NULL, the default: the distance between two firings, at most 1 hour; see default_ttl.';
COMMENT ON COLUMN callq.schedules.jitter IS 'Each firing is placed up to so much later than its time, always by the same for the same firing. Shorter than ttl and than the distance between two firings; default 0.';
COMMENT ON COLUMN callq.schedules.catch_up IS 'Of firings whose time passed while no worker ran, within catch_up_window: latest (default) makes the newest, all makes them oldest first, at most 100, none makes none. What is not made is told in callq.skipped_firings. Up to 5 s late is on time.';
COMMENT ON COLUMN callq.schedules.catch_up_window IS 'How old a missed firing may be to be made up for, default 10 minutes.';
COMMENT ON COLUMN callq.schedules.overlap IS 'When an earlier job of the schedule is not finished at a firing''s time: skip (default) does not make it, allow makes it all the same, cancel_previous cancels the earlier one. A job in doubt counts until its call must be over: ring_timeout_ms and 32 minutes after it was claimed.';
COMMENT ON COLUMN callq.schedules.start_at IS 'Nothing rings before: a date (2026-01-01), a local time (2026-01-01 09:00) or an instant (2026-01-01T09:00:00+01:00).';
COMMENT ON COLUMN callq.schedules.end_at IS 'Nothing rings after: as start_at; of a date the whole day is meant.';
COMMENT ON COLUMN callq.schedules.except_dates IS 'Local dates on which nothing rings.';
COMMENT ON COLUMN callq.schedules.calendars IS 'Names of the calendars that calendar_dates was read from, for show.';
COMMENT ON COLUMN callq.schedules.calendar_dates IS 'Further local dates on which nothing rings: what callq schedules apply read from the calendars.';
COMMENT ON COLUMN callq.schedules.robot_account IS 'As jobs.robot_account. Required.';
COMMENT ON COLUMN callq.schedules.callees IS 'As jobs.callees. Required.';
COMMENT ON COLUMN callq.schedules.media_type IS 'As jobs.media_type.';
COMMENT ON COLUMN callq.schedules.room_id IS 'As jobs.room_id: every call is then in this one room.';
COMMENT ON COLUMN callq.schedules.room_id_type IS 'As jobs.room_id_type.';
COMMENT ON COLUMN callq.schedules.ring_timeout_ms IS 'As jobs.ring_timeout_ms.';
COMMENT ON COLUMN callq.schedules.user_data IS 'As jobs.user_data. Stored here and in the jobs alone.';
COMMENT ON COLUMN callq.schedules.offline_push IS 'As jobs.offline_push. Stored here and in the jobs alone.';
COMMENT ON COLUMN callq.schedules.priority IS 'As jobs.priority.';
COMMENT ON COLUMN callq.schedules.max_attempts IS 'As jobs.max_attempts.';
COMMENT ON COLUMN callq.schedules.on_doubt IS 'As jobs.on_doubt.';
COMMENT ON COLUMN callq.schedules.retry_callees IS 'As jobs.retry_callees.';
COMMENT ON COLUMN callq.schedules.metadata IS 'As jobs.metadata.';
COMMENT ON COLUMN callq.schedules.revision IS 'Raised by each change of what a user gives; a plan of callq schedules apply is fenced by it.';
COMMENT ON COLUMN callq.schedules.turn IS 'Raised by each change, callq''s own included; a firing is fenced by it.';
COMMENT ON COLUMN callq.schedules.cursor_at IS 'Up to here every firing is decided: made into a job, or told in callq.skipped_firings.';
COMMENT ON COLUMN callq.schedules.next_fire_at IS 'When the next firing that is not decided rings, before jitter; NULL: not known yet, or never.';
COMMENT ON COLUMN callq.schedules.check_at IS 'When a worker looks at the schedule next: a minute before next_fire_at. -infinity: at once, to check what was given. NULL: not before it is changed or resumed.';
COMMENT ON COLUMN callq.schedules.upcoming IS 'The next ten firings that are not decided, as the last worker reckoned them; see callq.next_firings.';
COMMENT ON COLUMN callq.schedules.default_ttl IS 'What ttl is if it is not given: the distance between two firings, at most 1 hour; reckoned by a worker.';
COMMENT ON COLUMN callq.schedules.zone_data IS 'The version of the time zone data that it was reckoned with, as 2026e; a worker with older data leaves the schedule alone.';
COMMENT ON COLUMN callq.schedules.error IS 'What is wrong with it, found by a worker: it does not ring until it is changed, or, if a job could not be inserted, that one firing did not.';
COMMENT ON COLUMN callq.schedules.error_at IS 'When that was found.';
COMMENT ON COLUMN callq.schedules.paused_at IS 'Since when it is paused; NULL: it is not. Set it with callq.pause_schedule.';
COMMENT ON COLUMN callq.schedules.pause_reason IS 'Why, in the words of the person who paused.';
COMMENT ON COLUMN callq.schedules.paused_by IS 'The database user who paused.';
COMMENT ON COLUMN callq.schedules.stopped_at IS 'Since when nothing is fired, because it is paused or not enabled; NULL: it fires.';
COMMENT ON COLUMN callq.schedules.barred_until IS 'Firings up to here that are not decided are not made: the end of the last pause, or callq.skip_missed_firings.';
COMMENT ON COLUMN callq.schedules.barred_reason IS 'The reason that is told of them.';
COMMENT ON COLUMN callq.schedules.skip_next IS 'How many of the next firings are skipped; see callq.skip_next.';
COMMENT ON COLUMN callq.schedules.last_nominal_at IS 'When the newest firing that was made rings or rang, before jitter.';
COMMENT ON COLUMN callq.schedules.created_at IS 'When the row was inserted.';
COMMENT ON COLUMN callq.schedules.created_by IS 'The database user of the session that inserted it.';
COMMENT ON COLUMN callq.schedules.updated_at IS 'When what a user gives was last changed.';

-- It outlives its schedule, so it has the name too.
CREATE TABLE callq.skipped_firings (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule_id      bigint      NOT NULL,
    app              text        NOT NULL,
    name             text        NOT NULL,
    reason           text        NOT NULL,
    first_nominal_at timestamptz NOT NULL,
    last_nominal_at  timestamptz NOT NULL,
    nominal_local    timestamp,
    firings          bigint      NOT NULL,
    detail           text,
    at               timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT what_is_skipped_is_counted CHECK (firings > 0 AND first_nominal_at <= last_nominal_at)
);
CREATE INDEX skipped_firings_by_schedule ON callq.skipped_firings (schedule_id, id);
COMMENT ON TABLE callq.skipped_firings IS 'Firings of schedules that were not made, each with its reason; many of one cause are one row.';
COMMENT ON COLUMN callq.skipped_firings.id IS 'Its number; the newest is the highest.';
COMMENT ON COLUMN callq.skipped_firings.schedule_id IS 'callq.schedules.id; the schedule may be gone.';
COMMENT ON COLUMN callq.skipped_firings.app IS 'The app of the schedule.';
COMMENT ON COLUMN callq.skipped_firings.name IS 'The name of the schedule.';
COMMENT ON COLUMN callq.skipped_firings.reason IS 'Why, as a short word; callq.reasons has the sentence and the next step.';
COMMENT ON COLUMN callq.skipped_firings.first_nominal_at IS 'When the first of them would have rung.';
COMMENT ON COLUMN callq.skipped_firings.last_nominal_at IS 'When the last one would have.';
COMMENT ON COLUMN callq.skipped_firings.nominal_local IS 'The local time that the first one is for.';
COMMENT ON COLUMN callq.skipped_firings.firings IS 'How many there are between the two, both included, less those that were made (catch_up = all).';
COMMENT ON COLUMN callq.skipped_firings.detail IS 'What exactly happened, in words; at most 500 characters.';
COMMENT ON COLUMN callq.skipped_firings.at IS 'When that was decided.';

ALTER TABLE callq.jobs
    ADD COLUMN schedule_id   bigint,
    ADD COLUMN nominal_at    timestamptz,
    ADD COLUMN nominal_local timestamp,
    ADD COLUMN nominal_fold  smallint;
COMMENT ON COLUMN callq.jobs.schedule_id IS 'The schedule that made the job, callq.schedules.id; NULL: none did. A schedule that is removed leaves its jobs.';
COMMENT ON COLUMN callq.jobs.nominal_at IS 'The firing''s time; run_at is later by the jitter. NULL: no schedule made it, or callq.run_schedule_now.';
COMMENT ON COLUMN callq.jobs.nominal_local IS 'The local time that the firing is for; with schedule_id and nominal_fold it is the firing''s name, and no firing has two jobs. NULL: as nominal_at, or the schedule''s time zone was changed later.';
COMMENT ON COLUMN callq.jobs.nominal_fold IS '1: the second of two equal local times, when the clocks go back. Else 0.';
-- One firing is one job, for ever. Rows of no schedule are in neither index.
CREATE UNIQUE INDEX firings_are_made_once ON callq.jobs (schedule_id, nominal_local, nominal_fold) WHERE schedule_id IS NOT NULL;
-- The unfinished jobs of a schedule, for overlaps and for what is withdrawn: without it, each firing would
-- read the schedule's past. It cannot take the claim over, which asks for no schedule.
CREATE INDEX firings_unfinished ON callq.jobs (schedule_id)
    WHERE schedule_id IS NOT NULL AND state IN ('scheduled', 'dialing', 'in_doubt');

COMMENT ON TABLE callq.reasons IS 'Every word that jobs.reason and skipped_firings.reason can hold, with its sentence and what a person can do.';
INSERT INTO callq.reasons (reason, sentence, next_step) VALUES
    ('superseded', 'The schedule was changed before this firing''s time.', 'If the changed schedule has a firing at the same local time, it is made again by itself; else nothing to do.'),
    ('schedule_paused', 'The schedule was paused or disabled before this firing''s time.', 'Nothing to do; after SELECT callq.resume_schedule(name) later firings are made, and those of the pause are not made up for.'),
    ('schedule_removed', 'The schedule was removed before this firing''s time.', 'Nothing to do.'),
    ('firing_skipped', 'A person skipped this firing.', 'Nothing to do; the next one rings.'),
    ('overlap', 'An earlier job of the schedule was not finished at this firing''s time, and overlap = skip.', 'Look at the earlier job; set overlap = allow to ring all the same.'),
    ('overlap_cancelled', 'The schedule''s next firing came before this one was finished, and overlap = cancel_previous.', 'Nothing to do.'),
    ('missed', 'The firing''s time passed while no worker ran, and catch_up or catch_up_window says not to make up for it.', 'Start a worker; callq schedules backfill makes what is still wanted.'),
    ('nonexistent_day', 'The zone''s calendar left this day out, so the local time never came.', 'Nothing to do.'),
    ('insert_failed', 'The database refused to insert the firing''s job.', 'Read detail and the schedule''s error, and mend the schedule or what refuses its jobs.'),
    ('firing_forgotten', 'Whether this firing was made cannot be told: the database has lost a part of its history.', 'Find out whether the phone rang; callq schedules backfill makes what is still wanted.');

-- The rules of a call, for jobs and for what schedules make: one place.
CREATE FUNCTION callq.template_refusal(
    p_app text, p_robot_account text, p_callees text[], p_media_type text, p_room_id text, p_room_id_type integer,
    p_ring_timeout_ms bigint, p_user_data text, p_offline_push jsonb, p_priority integer, p_max_attempts integer,
    p_on_doubt text, p_retry_callees boolean, p_metadata jsonb)
RETURNS text[] LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count int;
    v_item text;
    v_fault text;
BEGIN
    IF (octet_length(p_app) BETWEEN 1 AND 64) IS NOT TRUE THEN
        RETURN callq.refusal('app', callq.length_fault(p_app), 'it must be 1 to 64 bytes');
    END IF;
    IF (octet_length(p_robot_account) BETWEEN 1 AND 32) IS NOT TRUE THEN
        RETURN callq.refusal('robot_account', callq.length_fault(p_robot_account), 'it must be 1 to 32 bytes');
    END IF;

    v_count := cardinality(p_callees);
    IF v_count IS NULL THEN
        RETURN callq.refusal('callees', 'is NULL', 'it must be a list of 1 to 100 accounts');
    ELSIF array_ndims(p_callees) > 1 THEN
        RETURN callq.refusal('callees', 'is a list of lists', 'it must be a list of 1 to 100 accounts');
    ELSIF v_count NOT BETWEEN 1 AND 100 THEN
        RETURN callq.refusal('callees', format('has %s accounts', v_count), 'it must have 1 to 100',
            CASE WHEN v_count > 100 THEN 'Callees of one job share one room and see each other; insert one job per callee to ring them apart.' END);
    END IF;
    FOREACH v_item IN ARRAY p_callees LOOP
        IF v_item IS NULL THEN
            RETURN callq.refusal('callees', 'has an account that is NULL', 'each must be 1 to 32 bytes');
        ELSIF octet_length(v_item) NOT BETWEEN 1 AND 32 THEN
            RETURN callq.refusal('callees', format('has the account %s of %s bytes', callq.quoted(v_item), octet_length(v_item)),
                'each must be 1 to 32 bytes');
        END IF;
    END LOOP;
    IF v_count > 1 THEN
        SELECT c INTO v_item FROM unnest(p_callees) AS c GROUP BY c HAVING count(*) > 1 ORDER BY c LIMIT 1;
        IF FOUND THEN
            RETURN callq.refusal('callees', format('has the account %s more than once', callq.quoted(v_item)),
                'each must appear once');
        END IF;
    END IF;

    IF (p_media_type IN ('Audio', 'Video')) IS NOT TRUE THEN
        RETURN callq.refusal('media_type', 'is ' || callq.quoted(p_media_type), 'it must be Audio or Video, spelled so');
    END IF;

    IF (p_room_id_type IN (1, 2)) IS NOT TRUE THEN
        RETURN callq.refusal('room_id_type', 'is ' || coalesce(p_room_id_type::text, 'NULL'),
            'it must be 1 (room_id is a number) or 2 (room_id is text)');
    ELSIF p_room_id IS NULL AND p_room_id_type = 1 THEN
        RETURN callq.refusal('room_id', 'is NULL while room_id_type is 1',
            'it must be a number from 1 to 2147483647, or leave room_id_type at 2 and callq makes a room');
    ELSIF p_room_id_type = 1 AND (CASE WHEN p_room_id ~ '^[1-9][0-9]{0,9}$' THEN p_room_id::bigint > 2147483647 ELSE true END) THEN
        RETURN callq.refusal('room_id', 'is ' || callq.quoted(p_room_id) || ' while room_id_type is 1',
            'it must be a number from 1 to 2147483647 in digits, without sign or leading zero');
    ELSIF octet_length(p_room_id) NOT BETWEEN 1 AND 64 THEN
        RETURN callq.refusal('room_id', callq.length_fault(p_room_id), 'it must be 1 to 64 bytes');
    ELSIF p_room_id !~ '^[]a-zA-Z0-9 !#$%&()+:;<=.>?@[^_{}|~,-]+$' THEN
        RETURN callq.refusal('room_id', 'is ' || callq.quoted(p_room_id),
            'it must be 1 to 64 letters a-z, digits, spaces and !#$%&()+-:;<=.>?@[]^_{}|~,');
    END IF;

    IF (p_ring_timeout_ms BETWEEN 10000 AND 600000) IS NOT TRUE THEN
        RETURN callq.refusal('ring_timeout_ms', 'is ' || coalesce(p_ring_timeout_ms::text, 'NULL'),
            'it must be from 10000 to 600000 milliseconds');
    END IF;

    IF octet_length(p_user_data) > 1000 THEN
        RETURN callq.refusal('user_data', callq.length_fault(p_user_data), 'it must be at most 1000 bytes');
    END IF;

    IF p_offline_push IS NOT NULL THEN
        v_fault := callq.offline_push_fault(p_offline_push);
        IF v_fault IS NOT NULL THEN
            RETURN ARRAY['offline_push', v_fault, NULL];
        END IF;
    END IF;

    IF (p_priority BETWEEN 0 AND 3) IS NOT TRUE THEN
        RETURN callq.refusal('priority', 'is ' || coalesce(p_priority::text, 'NULL'), 'it must be from 0 (most urgent) to 3');
    END IF;
    IF (p_max_attempts BETWEEN 1 AND 100) IS NOT TRUE THEN
        RETURN callq.refusal('max_attempts', 'is ' || coalesce(p_max_attempts::text, 'NULL'), 'it must be from 1 to 100');
    END IF;
    IF (p_on_doubt IN ('hold', 'reconcile', 'retry')) IS NOT TRUE THEN
        RETURN callq.refusal('on_doubt', 'is ' || callq.quoted(p_on_doubt), 'it must be hold, reconcile or retry');
    END IF;
    IF p_retry_callees IS NULL THEN
        RETURN callq.refusal('retry_callees', 'is NULL', 'it must be true or false');
    END IF;
    IF (jsonb_typeof(p_metadata) = 'object') IS NOT TRUE THEN
        RETURN callq.refusal('metadata', 'is ' || coalesce(callq.json_kind(p_metadata), 'NULL'), 'it must be a JSON object of at most 8192 bytes');
    ELSIF octet_length(p_metadata::text) > 8192 THEN
        RETURN callq.refusal('metadata', callq.length_fault(p_metadata::text), 'it must be at most 8192 bytes');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION callq.template_refusal IS 'Why a call of these columns is refused: the column, the message, and a hint or NULL. NULL: it is not.';

CREATE OR REPLACE FUNCTION callq.check_job() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count int;
    v_item text;
    v_run_at timestamp;
    v_refusal text[];
BEGIN
    -- One place raises, so that what a client prints after the message is one line.
    <<checks>>
    BEGIN
    -- Everything is refused here and nothing left to the table's constraints: their DETAIL shows the
    -- whole row, user_data and offline_push included.
    IF TG_OP = 'INSERT' THEN
        v_item := CASE
            WHEN NEW.id IS NULL THEN 'id'
            WHEN NEW.created_at IS NULL THEN 'created_at'
            WHEN NEW.inserted_by IS NULL THEN 'inserted_by'
            WHEN NEW.state IS DISTINCT FROM 'scheduled' THEN 'state'
            WHEN NEW.reason IS NOT NULL THEN 'reason'
            WHEN NEW.reason_detail IS NOT NULL THEN 'reason_detail'
            WHEN NEW.attempt IS DISTINCT FROM 0 THEN 'attempt'
            WHEN NEW.attempts_used IS DISTINCT FROM 0 THEN 'attempts_used'
            WHEN NEW.claim_token IS NOT NULL THEN 'claim_token'
            WHEN NEW.lease_until IS NOT NULL THEN 'lease_until'
            WHEN NEW.cancel_requested_at IS NOT NULL THEN 'cancel_requested_at'
            WHEN NEW.call_id IS NOT NULL THEN 'call_id'
            WHEN NEW.callee_results IS NOT NULL THEN 'callee_results'
            WHEN NEW.error_code IS NOT NULL THEN 'error_code'
            WHEN NEW.error_info IS NOT NULL THEN 'error_info'
            WHEN NEW.request_id IS NOT NULL THEN 'request_id'
            WHEN NEW.sent_at IS NOT NULL THEN 'sent_at'
            WHEN NEW.placed_at IS NOT NULL THEN 'placed_at'
            WHEN NEW.finished_at IS NOT NULL THEN 'finished_at'
            WHEN ((NEW.ring_no > 1) = (NEW.root_id IS NOT NULL)) IS NOT TRUE THEN 'ring_no' END;
        IF v_item IS NOT NULL THEN
            v_refusal := callq.refusal(v_item, 'is given', 'leave it out, callq writes it itself');
            EXIT checks;
        END IF;
    END IF;

    v_refusal := callq.template_refusal(NEW.app, NEW.robot_account, NEW.callees, NEW.media_type, NEW.room_id, NEW.room_id_type,
        NEW.ring_timeout_ms, NEW.user_data, NEW.offline_push, NEW.priority, NEW.max_attempts, NEW.on_doubt, NEW.retry_callees,
        NEW.metadata);
    IF v_refusal IS NOT NULL THEN
        EXIT checks;
    END IF;
    IF octet_length(NEW.idempotency_key) NOT BETWEEN 1 AND 255 THEN
        v_refusal := callq.refusal('idempotency_key', callq.length_fault(NEW.idempotency_key), 'it must be 1 to 255 bytes, or NULL');
        EXIT checks;
    END IF;

    -- Year 10000 and later is milliseconds taken for seconds: such a job would wait in silence.
    IF (isfinite(NEW.run_at) AND NEW.run_at < '10000-01-01 00:00:00+00') IS NOT TRUE THEN
        v_refusal := callq.refusal('run_at', 'is ' || coalesce(NEW.run_at::text, 'NULL'),
            'it must be a point in time before the year 10000');
        EXIT checks;
    END IF;

    -- The deadline. expires_at = run_at + ttl, so that moving run_at moves it. The sum is taken in
    -- UTC: a day of ttl is 24 hours whatever the session's time zone makes of it.
    v_run_at := NEW.run_at AT TIME ZONE 'UTC';
    IF (NEW.ttl > interval '0' AND NEW.ttl <= interval '100 years') IS FALSE THEN
        v_refusal := callq.refusal('ttl', 'is ' || NEW.ttl, 'it must be longer than zero and at most 100 years; expires_at = ''infinity'' means no deadline');
        EXIT checks;
    END IF;
    IF TG_OP = 'INSERT' THEN
        v_count := (NEW.expires_at IS NOT NULL AND NEW.ttl <> interval '1 hour')::int;
        NEW.due_at := NEW.run_at;
    ELSE
        v_count := (NEW.expires_at <> OLD.expires_at AND NEW.ttl <> OLD.ttl)::int;
        IF NEW.expires_at = OLD.expires_at AND (NEW.run_at <> OLD.run_at OR NEW.ttl IS DISTINCT FROM OLD.ttl)
           AND (NEW.ttl IS NOT NULL OR OLD.ttl IS NOT NULL) THEN
            NEW.expires_at := NULL;
        END IF;
    END IF;
    IF v_count = 1 AND (v_run_at + NEW.ttl) AT TIME ZONE 'UTC' <> NEW.expires_at THEN
        v_refusal := callq.refusal('expires_at', 'is given together with another ttl', 'give ttl or expires_at, not both');
        EXIT checks;
    END IF;
    IF NEW.expires_at IS NULL THEN
        NEW.ttl := coalesce(NEW.ttl, interval '1 hour');
        NEW.expires_at := (v_run_at + NEW.ttl) AT TIME ZONE 'UTC';
    END IF;
    IF NEW.expires_at <= NEW.run_at THEN
        v_refusal := callq.refusal('expires_at', 'is ' || NEW.expires_at,
            format('it must be after run_at, which is %s', NEW.run_at));
        EXIT checks;
    ELSIF isfinite(NEW.expires_at) AND NEW.expires_at >= '10100-01-01 00:00:00+00' THEN
        v_refusal := callq.refusal('expires_at', 'is ' || NEW.expires_at, 'it must be before the year 10100, or infinity');
        EXIT checks;
    ELSIF NOT isfinite(NEW.expires_at) THEN
        NEW.ttl := NULL;
    ELSIF (v_run_at + NEW.ttl) AT TIME ZONE 'UTC' IS DISTINCT FROM NEW.expires_at THEN
        NEW.ttl := NEW.expires_at - NEW.run_at;
    END IF;

    IF TG_OP = 'UPDATE' THEN
        IF NEW.run_at <> OLD.run_at THEN
            NEW.due_at := NEW.run_at;
        END IF;
        IF (NEW.run_at <> OLD.run_at OR NEW.app <> OLD.app) AND NEW.due_at <= now() + interval '60 seconds' THEN
            PERFORM callq.wake_workers();
        END IF;
        -- The attempts name what was rung; their job must go on saying the same.
        IF OLD.attempt > 0 AND (NEW.app, NEW.robot_account, NEW.callees, NEW.media_type, NEW.room_id, NEW.room_id_type)
            IS DISTINCT FROM (OLD.app, OLD.robot_account, OLD.callees, OLD.media_type, OLD.room_id, OLD.room_id_type) THEN
            RAISE EXCEPTION USING
                MESSAGE = format('job %s has been attempted: who is called, by whom and where cannot be changed any more', OLD.id),
                ERRCODE = 'object_not_in_prerequisite_state', SCHEMA = 'callq', TABLE = 'jobs',
                HINT = format('Cancel it with SELECT callq.cancel(%s) and insert a new job.', OLD.id);
        END IF;
    END IF;
    IF cardinality(NEW.callees) > 8 AND (TG_OP = 'INSERT' OR NEW.callees <> OLD.callees) THEN
        RAISE NOTICE 'callees has % accounts: Tencent''s own user interface shows calls of up to 9 people, the caller included',
            cardinality(NEW.callees);
    END IF;
    RETURN NEW;
    END checks;

    IF v_refusal[3] IS NULL THEN
        RAISE EXCEPTION USING MESSAGE = v_refusal[2], ERRCODE = 'check_violation',
            SCHEMA = 'callq', TABLE = 'jobs', COLUMN = v_refusal[1];
    END IF;
    RAISE EXCEPTION USING MESSAGE = v_refusal[2], ERRCODE = 'check_violation',
        SCHEMA = 'callq', TABLE = 'jobs', COLUMN = v_refusal[1], HINT = v_refusal[3];
END $$;

-- The same trigger for both tables.
CREATE OR REPLACE FUNCTION callq.refuse_numbers() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = TG_ARGV[0] || ' has a number that is too large: each must be within the range of a double, from -1.7976931348623157e308 to 1.7976931348623157e308',
        ERRCODE = 'check_violation', SCHEMA = 'callq', TABLE = TG_TABLE_NAME, COLUMN = TG_ARGV[0];
END $$;
COMMENT ON FUNCTION callq.refuse_numbers IS 'Trigger: refuses a job or a schedule with a number that only PostgreSQL can read.';
CREATE TRIGGER numbers_of_metadata_are_checked BEFORE INSERT OR UPDATE OF metadata ON callq.schedules FOR EACH ROW
    WHEN (NEW.metadata @? '$.** ? (@.type() == "number" && (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308))')
    EXECUTE FUNCTION callq.refuse_numbers('metadata');
CREATE TRIGGER numbers_of_offline_push_are_checked BEFORE INSERT OR UPDATE OF offline_push ON callq.schedules FOR EACH ROW
    WHEN (NEW.offline_push @? '$.** ? (@.type() == "number" && (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308))')
    EXECUTE FUNCTION callq.refuse_numbers('offline_push');

-- Expressions, zones, dates and periods are a worker's to check: it knows them, SQL does not.
CREATE FUNCTION callq.schedule_refusal(s callq.schedules) RETURNS text[]
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
    RETURN callq.template_refusal(s.app, s.robot_account, s.callees, s.media_type, s.room_id, s.room_id_type, s.ring_timeout_ms,
        s.user_data, s.offline_push, s.priority, s.max_attempts, s.on_doubt, s.retry_callees, s.metadata);
END $$;
COMMENT ON FUNCTION callq.schedule_refusal IS 'Why a row of callq.schedules is refused, as far as SQL can tell: the column, the message, and a hint or NULL. NULL: it is not.';

CREATE FUNCTION callq.wake_for_schedules() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_notify('callq_schedules', '') FROM callq.settings WHERE notify
$$;
COMMENT ON FUNCTION callq.wake_for_schedules IS 'Has the workers look at the schedules at once, unless callq.settings.notify is false.';

-- What was made ahead and is still to come. Only whoever holds the schedule's row does this.
CREATE FUNCTION callq.withdraw_firings(p_schedule_id bigint, p_reason text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH withdrawn AS (
        UPDATE callq.jobs AS j SET
            state = 'cancelled',
            reason = p_reason,
            reason_detail = 'by ' || session_user,
            finished_at = now()
        -- Only a scheduled job has no attempt. To ask for its state would let stale statistics answer with jobs_due.
        WHERE j.schedule_id = p_schedule_id AND j.state IN ('scheduled', 'dialing', 'in_doubt')
          -- A changed schedule makes its firings again. One whose time has come is in the cursor''s past, and
          -- waits for its jitter or its turn: it rings as it was, unless nothing is to ring any more.
          AND CASE WHEN p_reason IN ('schedule_paused', 'schedule_removed') THEN j.nominal_at IS NOT NULL
                  AND (j.attempt = 0 OR (j.state::text = 'scheduled' AND NOT callq.may_have_rung(j.id, j.attempt + 1)))
              ELSE j.attempt = 0 AND j.nominal_at > now() END
        RETURNING j.id)
    SELECT count(*) FROM withdrawn
$$;
COMMENT ON FUNCTION callq.withdraw_firings IS 'Cancels the jobs of a schedule that were made ahead of their time; if it is paused or removed, all that wait and have certainly rung nobody, but for those of callq.run_schedule_now.';

CREATE FUNCTION callq.check_schedule() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_refusal text[];
    v_stops boolean := NEW.paused_at IS NOT NULL OR NEW.enabled IS FALSE;
    v_missed timestamptz[];
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
        NEW.retry_callees, NEW.metadata)
        IS DISTINCT FROM
       (OLD.app, OLD.name, OLD.cron, OLD.every, OLD.on_times, OLD.tz, OLD.enabled, OLD.ttl, OLD.jitter, OLD.catch_up,
        OLD.catch_up_window, OLD.overlap, OLD.start_at, OLD.end_at, OLD.except_dates, OLD.calendars,
        OLD.calendar_dates, OLD.robot_account, OLD.callees, OLD.media_type, OLD.room_id, OLD.room_id_type,
        OLD.ring_timeout_ms, OLD.user_data, OLD.offline_push, OLD.priority, OLD.max_attempts, OLD.on_doubt,
        OLD.retry_callees, OLD.metadata) THEN
        NEW.revision := OLD.revision + 1;
        NEW.updated_at := now();
        NEW.error := NULL;
        NEW.error_at := NULL;
        NEW.default_ttl := NULL;
    ELSIF v_stops = (OLD.stopped_at IS NOT NULL) THEN
        RETURN NEW;
    END IF;
    NEW.turn := OLD.turn + 1;
    NEW.check_at := '-infinity';
    NEW.next_fire_at := NULL;
    NEW.upcoming := '{}';

    IF (NEW.cron, NEW.every, NEW.on_times, NEW.tz, NEW.start_at, NEW.end_at, NEW.except_dates, NEW.calendar_dates)
        IS DISTINCT FROM
       (OLD.cron, OLD.every, OLD.on_times, OLD.tz, OLD.start_at, OLD.end_at, OLD.except_dates, OLD.calendar_dates) THEN
        -- What the old definition missed can no longer be reckoned: it is told as far as it was known.
        v_missed := ARRAY(SELECT u.at FROM unnest(OLD.upcoming) AS u(at) WHERE u.at <= now() ORDER BY u.at);
        IF OLD.stopped_at IS NULL AND cardinality(v_missed) > 0 THEN
            INSERT INTO callq.skipped_firings (schedule_id, app, name, reason, first_nominal_at, last_nominal_at, firings, detail)
            VALUES (OLD.id, OLD.app, OLD.name, 'superseded', v_missed[1], v_missed[cardinality(v_missed)], cardinality(v_missed),
                'the schedule was changed before a worker made them'
                || CASE WHEN cardinality(v_missed) = cardinality(OLD.upcoming) THEN '; later ones are not counted' ELSE '' END);
        END IF;
        -- 09:00 in another zone is another firing, though the clock of yesterday's zone has shown 09:00 today.
        IF NEW.tz <> OLD.tz OR (NEW.every IS NULL) <> (OLD.every IS NULL) THEN
            UPDATE callq.jobs AS j SET nominal_local = NULL
            WHERE j.schedule_id = OLD.id AND j.nominal_local > now() AT TIME ZONE 'UTC' - interval '2 days';
        END IF;
        NEW.cursor_at := now();
        NEW.barred_until := NULL;
        NEW.barred_reason := NULL;
    ELSE
        NEW.cursor_at := least(OLD.cursor_at, now());
    END IF;

    IF v_stops AND OLD.stopped_at IS NULL THEN
        NEW.stopped_at := now();
    ELSIF NOT v_stops AND OLD.stopped_at IS NOT NULL THEN
        NEW.stopped_at := NULL;
        NEW.barred_until := now();
        NEW.barred_reason := 'schedule_paused';
    END IF;
    -- Within the transaction of the change, so that no claim sees the one without the other.
    IF v_stops THEN
        PERFORM callq.withdraw_firings(OLD.id, 'schedule_paused');
    ELSIF current_setting('callq.keep_firings', true) IS DISTINCT FROM 'on' THEN
        PERFORM callq.withdraw_firings(OLD.id, 'superseded');
    END IF;
    PERFORM callq.wake_for_schedules();
    RETURN NEW;
END $$;
COMMENT ON FUNCTION callq.check_schedule IS 'Trigger: checks what a user gave; a change is to be checked by a worker, and takes back what was made ahead.';
CREATE TRIGGER schedule_is_checked BEFORE INSERT ON callq.schedules FOR EACH ROW EXECUTE FUNCTION callq.check_schedule();
-- Only when a user's column is in the SET list: the workers' own updates pay nothing.
CREATE TRIGGER changed_schedule_is_checked BEFORE UPDATE OF
        app, name, cron, every, on_times, tz, enabled, ttl, jitter, catch_up, catch_up_window, overlap, start_at,
        end_at, except_dates, calendars, calendar_dates, robot_account, callees, media_type, room_id, room_id_type,
        ring_timeout_ms, user_data, offline_push, priority, max_attempts, on_doubt, retry_callees, metadata,
        paused_at
    ON callq.schedules FOR EACH ROW EXECUTE FUNCTION callq.check_schedule();

CREATE FUNCTION callq.forget_schedule() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.withdraw_firings(OLD.id, 'schedule_removed');
    RETURN OLD;
END $$;
COMMENT ON FUNCTION callq.forget_schedule IS 'Trigger: a schedule that is removed takes back what was made ahead; its other jobs stay.';
CREATE TRIGGER removed_schedule_takes_its_firings_back BEFORE DELETE ON callq.schedules
    FOR EACH ROW EXECUTE FUNCTION callq.forget_schedule();

-- Locks and returns the schedule, or says that there is none.
CREATE FUNCTION callq.lock_schedule(p_name text, p_app text) RETURNS callq.schedules
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_schedule callq.schedules;
BEGIN
    SELECT * INTO v_schedule FROM callq.schedules WHERE app = p_app AND name = p_name FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING MESSAGE = format('there is no schedule %s of the app %s', callq.quoted(p_name), callq.quoted(p_app)),
            ERRCODE = 'no_data_found';
    END IF;
    RETURN v_schedule;
END $$;
COMMENT ON FUNCTION callq.lock_schedule IS 'The schedule of this name, locked for a verb; an error if there is none.';

CREATE FUNCTION callq.pause_schedule(name text, reason text DEFAULT NULL, app text DEFAULT 'default') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_schedule callq.schedules := callq.lock_schedule(name, app);
BEGIN
    IF v_schedule.paused_at IS NOT NULL THEN
        RETURN 'already_paused';
    END IF;
    UPDATE callq.schedules AS s SET paused_at = now(), paused_by = session_user,
        pause_reason = left(coalesce(pause_schedule.reason, 'no reason given'), 500)
        WHERE s.id = v_schedule.id;
    RETURN 'paused';
END $$;
COMMENT ON FUNCTION callq.pause_schedule IS 'Nothing of the schedule rings until callq.resume_schedule, and what would have rung meanwhile is not made up for. Answers with a word: paused, or already_paused.';

CREATE FUNCTION callq.resume_schedule(name text, app text DEFAULT 'default') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_schedule callq.schedules := callq.lock_schedule(name, app);
BEGIN
    IF v_schedule.paused_at IS NULL THEN
        RETURN CASE WHEN v_schedule.enabled THEN 'not_paused' ELSE 'disabled' END;
    END IF;
    UPDATE callq.schedules AS s SET paused_at = NULL, paused_by = NULL, pause_reason = NULL WHERE s.id = v_schedule.id;
    RETURN CASE WHEN v_schedule.enabled THEN 'resumed' ELSE 'disabled' END;
END $$;
COMMENT ON FUNCTION callq.resume_schedule IS 'Ends the pause of a schedule. Answers with a word: resumed, not_paused, or disabled: it is not paused any more, and does not ring because enabled is false.';

CREATE FUNCTION callq.skip_next(name text, app text DEFAULT 'default') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_schedule callq.schedules := callq.lock_schedule(name, app);
    v_ahead bigint;
BEGIN
    IF v_schedule.stopped_at IS NOT NULL THEN
        RETURN 'paused';
    ELSIF v_schedule.skip_next >= 100 THEN
        RAISE EXCEPTION USING MESSAGE = format('schedule %s skips its next 100 firings already', callq.quoted(skip_next.name)),
            ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Pause it with SELECT callq.pause_schedule(name).';
    END IF;
    -- The nearest one says so; the others are made again by the worker when its time has passed.
    UPDATE callq.jobs AS j SET
        state = 'cancelled',
        reason = 'firing_skipped',
        reason_detail = 'by ' || session_user,
        finished_at = now()
    WHERE j.id = (SELECT n.id FROM callq.jobs AS n
                  WHERE n.schedule_id = v_schedule.id AND n.state IN ('scheduled', 'dialing', 'in_doubt') AND n.attempt = 0 AND n.nominal_at > now()
                  ORDER BY n.nominal_at LIMIT 1)
      AND v_schedule.skip_next = 0 AND j.state = 'scheduled' AND j.attempt = 0;
    GET DIAGNOSTICS v_ahead = ROW_COUNT;
    v_ahead := v_ahead + callq.withdraw_firings(v_schedule.id, 'superseded');
    IF v_ahead = 0 AND v_schedule.check_at IS NULL THEN
        RETURN 'nothing_to_skip';
    END IF;
    UPDATE callq.schedules AS s SET skip_next = s.skip_next + 1, turn = s.turn + 1, check_at = '-infinity',
        cursor_at = least(s.cursor_at, now()) WHERE s.id = v_schedule.id;
    PERFORM callq.wake_for_schedules();
    RETURN 'skipped';
END $$;
COMMENT ON FUNCTION callq.skip_next IS 'The next firing of the schedule is not made; called again, the one after it neither. Answers with a word: skipped, nothing_to_skip (it never rings again), or paused (nothing rings).';

CREATE FUNCTION callq.run_schedule_now(name text, app text DEFAULT 'default') RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_schedule callq.schedules := callq.lock_schedule(run_schedule_now.name, run_schedule_now.app);
    v_job_id bigint;
BEGIN
    INSERT INTO callq.jobs (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        priority, max_attempts, on_doubt, retry_callees, metadata, run_at, ttl, schedule_id)
    VALUES (v_schedule.app, v_schedule.robot_account, v_schedule.callees, v_schedule.media_type, v_schedule.room_id,
        v_schedule.room_id_type, v_schedule.ring_timeout_ms, v_schedule.user_data, v_schedule.offline_push,
        v_schedule.priority, v_schedule.max_attempts, v_schedule.on_doubt, v_schedule.retry_callees,
        v_schedule.metadata, now(), coalesce(v_schedule.ttl, v_schedule.default_ttl, interval '1 hour'), v_schedule.id)
    RETURNING id INTO v_job_id;
    RETURN v_job_id;
END $$;
COMMENT ON FUNCTION callq.run_schedule_now IS 'Inserts a job of the schedule that is due now, beside its firings, also while it is paused, and returns its id. It counts as an earlier job for overlap.';

CREATE FUNCTION callq.remove_schedule(name text, app text DEFAULT 'default') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_schedule callq.schedules := callq.lock_schedule(name, app);
BEGIN
    DELETE FROM callq.schedules AS s WHERE s.id = v_schedule.id;
    RETURN 'removed';
END $$;
COMMENT ON FUNCTION callq.remove_schedule IS 'Removes a schedule and cancels what it made ahead; its other jobs, and what is told in callq.skipped_firings, stay. Answers with the word removed.';

CREATE FUNCTION callq.backfill_schedule(name text, nominal_at timestamptz[], nominal_local timestamp[], nominal_fold smallint[],
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
        priority, max_attempts, on_doubt, retry_callees, metadata, run_at, ttl, schedule_id, nominal_at, nominal_local, nominal_fold)
    SELECT v_schedule.app, v_schedule.robot_account, v_schedule.callees, v_schedule.media_type, v_schedule.room_id,
        v_schedule.room_id_type, v_schedule.ring_timeout_ms, v_schedule.user_data, v_schedule.offline_push,
        v_schedule.priority, v_schedule.max_attempts, v_schedule.on_doubt, v_schedule.retry_callees,
        v_schedule.metadata, now(), coalesce(v_schedule.ttl, v_schedule.default_ttl, interval '1 hour'), v_schedule.id, f.at, f.local, f.fold
    FROM unnest(backfill_schedule.nominal_at, backfill_schedule.nominal_local, backfill_schedule.nominal_fold) AS f(at, local, fold)
    -- A job that was made before the time zone was changed has no local time any more.
    WHERE NOT EXISTS (SELECT FROM callq.jobs AS o
        WHERE o.schedule_id = v_schedule.id AND o.nominal_local IS NULL AND o.nominal_at = f.at)
    ORDER BY f.at
    ON CONFLICT (schedule_id, nominal_local, nominal_fold) WHERE schedule_id IS NOT NULL DO NOTHING
    RETURNING j.nominal_at, j.id;
END $$;
COMMENT ON FUNCTION callq.backfill_schedule IS 'Makes firings of the past that have no job, due now, and returns them. callq schedules backfill reckons which.';

-- One statement is one plan: all of it or nothing. Each item is an object with action (create, change or
-- remove), app, name, for change and remove the revision that the plan was made from, and for create and
-- change definition: every column that a user gives, by its name, durations in seconds (every_s, ttl_s, jitter_s,
-- catch_up_window_s); what is left out has its default.
CREATE FUNCTION callq.apply_schedules(plan jsonb, keep_firings boolean DEFAULT false)
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
            retry_callees boolean, metadata jsonb)
        ORDER BY 2, 3
    LOOP
        app := v_item.app;
        name := v_item.name;
        BEGIN
            IF v_item.action = 'create' THEN
                INSERT INTO callq.schedules (app, name, cron, every, on_times, tz, enabled, ttl, jitter, catch_up, catch_up_window,
                    overlap, start_at, end_at, except_dates, calendars, calendar_dates, robot_account, callees, media_type, room_id,
                    room_id_type, ring_timeout_ms, user_data, offline_push, priority, max_attempts, on_doubt, retry_callees, metadata)
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
                    coalesce(v_item.metadata, '{}'))
                ON CONFLICT (app, name) DO NOTHING;
                GET DIAGNOSTICS v_found = ROW_COUNT;
                done := 'created';
            ELSIF v_item.action = 'change' THEN
                UPDATE callq.schedules AS s SET (cron, every, on_times, tz, enabled, ttl, jitter, catch_up, catch_up_window,
                    overlap, start_at, end_at, except_dates, calendars, calendar_dates, robot_account, callees, media_type, room_id,
                    room_id_type, ring_timeout_ms, user_data, offline_push, priority, max_attempts, on_doubt, retry_callees, metadata)
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
                    coalesce(v_item.metadata, '{}'))
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
COMMENT ON FUNCTION callq.apply_schedules IS 'Carries out a plan of callq schedules apply, all of it or nothing; refused if a schedule was changed since the plan was made. keep_firings: what was made ahead by the old definition stays.';

-- What src/store reads and callq.apply_schedules takes.
CREATE FUNCTION callq.schedule_definition(s callq.schedules) RETURNS jsonb
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
        'retry_callees', s.retry_callees, 'metadata', s.metadata)
$$;
COMMENT ON FUNCTION callq.schedule_definition IS 'What a user gives of a schedule, as callq.apply_schedules takes it: by the columns'' names, durations in seconds.';

-- The two changes of a job that a firing may need, with the owner's rights: a worker's login can neither
-- move a call nor change whom it rings. The caller holds the schedule's row and has locked the job's.
CREATE FUNCTION callq.remake_firing(p_job_id bigint, p_nominal_at timestamptz, p_run_at timestamptz, p_expires_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_id bigint;
BEGIN
    UPDATE callq.jobs AS j SET (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        priority, max_attempts, on_doubt, retry_callees, metadata,
            run_at, due_at, ttl, expires_at, nominal_at, state, reason, reason_detail, finished_at)
        = (s.app, s.robot_account, s.callees, s.media_type, s.room_id, s.room_id_type, s.ring_timeout_ms,
            s.user_data, s.offline_push, s.priority, s.max_attempts, s.on_doubt, s.retry_callees, s.metadata,
            p_run_at, p_run_at, p_expires_at - p_run_at, p_expires_at, p_nominal_at, 'scheduled', NULL, NULL, NULL)
    FROM callq.schedules AS s
    WHERE j.id = p_job_id AND s.id = j.schedule_id AND j.attempt = 0
      AND j.state = 'cancelled' AND j.reason IN ('superseded', 'schedule_paused', 'firing_skipped')
    RETURNING j.id INTO v_id;
    IF FOUND AND p_run_at <= now() + interval '60 seconds' THEN
        PERFORM callq.wake_workers();
    END IF;
    RETURN v_id;
END $$;
COMMENT ON FUNCTION callq.remake_firing IS 'A firing that was withdrawn before anything was sent is made again, as the schedule is now. NULL: it is none.';

CREATE FUNCTION callq.overtake_job(p_job_id bigint) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE callq.jobs AS j SET
        state = CASE WHEN j.state <> 'scheduled' THEN j.state WHEN o.rang THEN 'unresolved' ELSE 'cancelled' END,
        reason = CASE WHEN j.state <> 'scheduled' THEN j.reason WHEN o.rang THEN 'earlier_in_doubt' ELSE 'overlap_cancelled' END,
        reason_detail = CASE WHEN j.state = 'scheduled' THEN NULL ELSE j.reason_detail END,
        finished_at = CASE WHEN j.state = 'scheduled' THEN now() END,
        cancel_requested_at = CASE WHEN j.state = 'scheduled' THEN j.cancel_requested_at ELSE coalesce(j.cancel_requested_at, now()) END
    FROM (SELECT callq.may_have_rung(p_job_id, 2147483647) AS rang) AS o
    WHERE j.id = p_job_id AND j.schedule_id IS NOT NULL AND j.state IN ('scheduled', 'dialing', 'in_doubt')
    RETURNING j.state::text
$$;
COMMENT ON FUNCTION callq.overtake_job IS 'As callq.cancel, for an earlier job of a schedule whose next firing has come.';

CREATE FUNCTION callq.skip_missed_firings(p_reason text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH barred AS (
        UPDATE callq.schedules AS s SET barred_until = greatest(s.barred_until, now()), barred_reason = p_reason,
            turn = s.turn + 1, check_at = '-infinity'
        WHERE s.stopped_at IS NULL AND s.check_at IS NOT NULL AND s.cursor_at < now()
        RETURNING s.id)
    SELECT count(*) FROM barred
$$;
COMMENT ON FUNCTION callq.skip_missed_firings IS 'No firing up to now is made any more that is not decided: a worker tells them in callq.skipped_firings with this reason. Returns how many schedules that concerns.';

-- A firing that was made in what is lost would be made again.
ALTER FUNCTION callq.recover(timestamptz, timestamptz, boolean) RENAME TO recover_jobs;
COMMENT ON FUNCTION callq.recover_jobs IS 'The part of callq.recover that concerns jobs.';
CREATE FUNCTION callq.recover(since timestamptz, until timestamptz DEFAULT NULL, dry_run boolean DEFAULT false,
    OUT was text, OUT remembers_until timestamptz, OUT due bigint, OUT dialing bigint, OUT in_doubt bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT r.* INTO was, remembers_until, due, dialing, in_doubt FROM callq.recover_jobs(since, until, dry_run) AS r;
    IF since IS NOT NULL AND NOT dry_run THEN
        PERFORM callq.skip_missed_firings('firing_forgotten');
    END IF;
END $$;
COMMENT ON FUNCTION callq.recover IS 'After a failover that lost commits, or a restored backup: accepts the database as it is, so that workers go on, and puts every job in doubt that may have been rung since then: all that were due until then (now, or when the last worker left the lost database) and had not expired before; whatever was under way; and doubts that on_doubt = retry would ring again. They are held for a person (callq.resolve) whatever on_doubt says, and end as unresolved after 6 days. Firings of schedules that are not decided up to now are not made, and told in callq.skipped_firings. since must not be later than what the database remembers. NULL: nothing was lost, and nothing is held or skipped. dry_run: only counts. Answers with the state of the history before, the newest that it remembers, and how many jobs were held.';

CREATE VIEW callq.next_firings AS
SELECT s.app, s.name, f.nominal_at, s.tz, f.job_id, f.skipped, s.id AS schedule_id
FROM callq.schedules AS s
CROSS JOIN LATERAL (
    SELECT j.nominal_at, j.id AS job_id, false AS skipped FROM callq.jobs AS j
    WHERE j.schedule_id = s.id AND j.state IN ('scheduled', 'dialing', 'in_doubt') AND j.attempt = 0 AND j.nominal_at > now()
    UNION ALL
    SELECT u.at, NULL, u.n <= s.skip_next FROM unnest(s.upcoming) WITH ORDINALITY AS u(at, n) WHERE u.at > now()
) AS f
ORDER BY f.nominal_at, s.app, s.name;
COMMENT ON VIEW callq.next_firings IS 'The coming firings: what was made ahead, and the next ten of each schedule as the last worker reckoned them. A schedule that is paused, disabled or at fault has none.';
COMMENT ON COLUMN callq.next_firings.app IS 'The app.';
COMMENT ON COLUMN callq.next_firings.name IS 'The name of the schedule.';
COMMENT ON COLUMN callq.next_firings.nominal_at IS 'When it rings, before jitter.';
COMMENT ON COLUMN callq.next_firings.tz IS 'The schedule''s time zone: nominal_at AT TIME ZONE tz is the local time.';
COMMENT ON COLUMN callq.next_firings.job_id IS 'The job, if it is made already: a minute ahead.';
COMMENT ON COLUMN callq.next_firings.skipped IS 'true: callq.skip_next was called, it does not ring.';
COMMENT ON COLUMN callq.next_firings.schedule_id IS 'callq.schedules.id.';

-- Whoever had rights on jobs has the same on what makes them.
ALTER FUNCTION callq.allow_producer(text) RENAME TO allow_producer_of_jobs;
COMMENT ON FUNCTION callq.allow_producer_of_jobs IS 'The part of callq.allow_producer that concerns jobs and apps.';
CREATE FUNCTION callq.allow_producer(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_producer_of_jobs(role_name);
    EXECUTE format('GRANT SELECT ON callq.schedules, callq.skipped_firings TO %I', role_name);
    EXECUTE format('GRANT INSERT (app, name, cron, every, on_times, tz, enabled, ttl, jitter, catch_up, catch_up_window, overlap, start_at,
        end_at, except_dates, calendars, calendar_dates, robot_account, callees, media_type, room_id, room_id_type,
        ring_timeout_ms, user_data, offline_push, priority, max_attempts, on_doubt, retry_callees, metadata),
        UPDATE (app, name, cron, every, on_times, tz, enabled, ttl, jitter, catch_up, catch_up_window, overlap, start_at,
        end_at, except_dates, calendars, calendar_dates, robot_account, callees, media_type, room_id, room_id_type,
        ring_timeout_ms, user_data, offline_push, priority, max_attempts, on_doubt, retry_callees, metadata)
        ON callq.schedules TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.template_refusal, callq.pause_schedule, callq.resume_schedule, callq.skip_next,
        callq.run_schedule_now, callq.remove_schedule, callq.backfill_schedule, callq.apply_schedules, callq.schedule_definition TO %I', role_name);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION callq.recover_jobs FROM %I', role_name);
END $$;
COMMENT ON FUNCTION callq.allow_producer IS 'Lets a role insert jobs and schedules, change what users may change, use the verbs, and read jobs and schedules (user_data included), attempts, apps and the views; not write callq''s own columns. callq_enqueue has these rights.';

ALTER FUNCTION callq.allow_worker(text) RENAME TO allow_worker_of_jobs;
COMMENT ON FUNCTION callq.allow_worker_of_jobs IS 'The part of callq.allow_worker that concerns jobs and apps.';
-- It makes jobs of schedules, and can neither change what they are nor when.
CREATE FUNCTION callq.allow_worker(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_worker_of_jobs(role_name);
    EXECUTE format('GRANT SELECT ON callq.schedules, callq.skipped_firings TO %I', role_name);
    EXECUTE format('GRANT INSERT (schedule_id, nominal_at, nominal_local, nominal_fold) ON callq.jobs TO %I', role_name);
    EXECUTE format('GRANT UPDATE (turn, cursor_at, next_fire_at, check_at, upcoming, default_ttl, zone_data, error, error_at,
        barred_until, barred_reason, skip_next, last_nominal_at) ON callq.schedules TO %I', role_name);
    EXECUTE format('GRANT INSERT (schedule_id, app, name, reason, first_nominal_at, last_nominal_at, nominal_local, firings, detail)
        ON callq.skipped_firings TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.template_refusal, callq.remake_firing, callq.overtake_job, callq.withdraw_firings TO %I', role_name);
END $$;
COMMENT ON FUNCTION callq.allow_worker IS 'Lets a role do what callq worker does, and nothing more: not delete, and not change a schedule. callq_worker has these rights.';

REVOKE EXECUTE ON FUNCTION callq.template_refusal, callq.schedule_refusal, callq.wake_for_schedules, callq.withdraw_firings,
    callq.check_schedule, callq.forget_schedule, callq.lock_schedule, callq.pause_schedule, callq.resume_schedule, callq.skip_next,
    callq.run_schedule_now, callq.remove_schedule, callq.backfill_schedule, callq.apply_schedules, callq.schedule_definition,
    callq.skip_missed_firings, callq.recover, callq.recover_jobs, callq.remake_firing, callq.overtake_job, callq.allow_producer, callq.allow_worker
    FROM PUBLIC;

UPDATE callq.meta SET schema_version = 6;
