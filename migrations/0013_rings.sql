-- Ringing again, and hanging up.
--
-- ring_policy says who is rung again when a call reached nobody. A ring that reached nobody leads to a
-- follow-up job, inserted by the statement that records the outcome (src/store/outcome.sql). A job leads to at
-- most one follow-up of each kind, for callees who were not reached and for callees who were refused
-- (retry_callees): that is the key of the index follow_ups_are_made_once, so no outcome can ring twice and neither
-- kind can take the other's place.
--
-- A follow-up does not ring a callee who is on another call of ours. Only follow-ups wait for that: a job that a user
-- gave a time rings at that time. So nothing is written for it when an ordinary job is claimed, and a claim without
-- follow-ups asks nothing.

ALTER TABLE callq.jobs
    ADD COLUMN ring_policy      jsonb,
    ADD COLUMN max_call_seconds integer,
    ADD COLUMN follows_id       bigint,
    ADD COLUMN redials          integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT redials_are_counted CHECK (redials BETWEEN 0 AND ring_no - 1) NOT VALID;
COMMENT ON COLUMN callq.jobs.ring_policy IS 'Who is rung again when the call reached nobody, and when: an object with max_rings (1 to 20), no_answer, busy, unreachable and declined (lists of up to 20 waits such as "10m"), and min_gap. What it leaves out, or NULL, is as the app''s configuration has it (apps.ring_policy); without that each callee is rung once.';
COMMENT ON COLUMN callq.jobs.max_call_seconds IS 'The call is ended when it has been talked for so long: 10 to 86400. NULL: as the app''s configuration has it (apps.max_call_seconds), by default never.';
COMMENT ON COLUMN callq.jobs.follows_id IS 'For a follow-up: the job whose callees it rings again.';
COMMENT ON COLUMN callq.jobs.redials IS 'How many times its callees have been rung before without being reached, as ring_policy counts. The other ring_no - 1 - redials follow-ups are for refused callees, who were not rung (retry_callees).';
COMMENT ON COLUMN callq.jobs.ring_no IS '1 for a job that a user inserted; of a follow-up, one more than that of the job it follows.';
COMMENT ON COLUMN callq.jobs.root_id IS 'For a follow-up: the first job of its chain. NULL for a job that a user inserted. Every follow-up has the deadline of the first job.';
COMMENT ON COLUMN callq.jobs.schedule_id IS 'The schedule that made the job, or the job that it follows, callq.schedules.id; NULL: none did. A schedule that is removed leaves its jobs.';
COMMENT ON COLUMN callq.jobs.cancel_requested_at IS 'When callq.cancel was called on a job that was dialing or in doubt (settled when the reply is known) or placed (the call is ended). Such a job is not followed by another.';

-- Until now the follow-ups of a job were a row, each after the one before.
UPDATE callq.jobs AS j SET follows_id = coalesce(
    (SELECT b.id FROM callq.jobs AS b WHERE b.root_id = j.root_id AND b.ring_no = j.ring_no - 1), j.root_id)
WHERE j.root_id IS NOT NULL;
ALTER TABLE callq.jobs ADD CONSTRAINT follow_ups_name_whom_they_follow CHECK ((root_id IS NULL) = (follows_id IS NULL)) NOT VALID;
DROP INDEX callq.follow_ups_are_made_once;
CREATE UNIQUE INDEX follow_ups_are_made_once ON callq.jobs (root_id, follows_id, redials) WHERE root_id IS NOT NULL;
-- Whom follow-ups are ringing whose reply is not known yet: some dozens at a time.
CREATE INDEX follow_ups_dialing ON callq.jobs USING gin (callees) WITH (fastupdate = off) WHERE state = 'dialing' AND root_id IS NOT NULL;

ALTER TABLE callq.schedules ADD COLUMN ring_policy jsonb, ADD COLUMN max_call_seconds integer;
COMMENT ON COLUMN callq.schedules.ring_policy IS 'As jobs.ring_policy.';
COMMENT ON COLUMN callq.schedules.max_call_seconds IS 'As jobs.max_call_seconds.';

ALTER TABLE callq.apps
    ADD COLUMN ring_policy      jsonb,
    ADD COLUMN max_call_seconds integer,
    ADD COLUMN longest_call_s   integer NOT NULL DEFAULT 1800;
COMMENT ON COLUMN callq.apps.ring_policy IS 'What jobs have whose own ring_policy leaves it out: the ring_policy in the configuration of the worker that last told of itself.';
COMMENT ON COLUMN callq.apps.max_call_seconds IS 'The same for max_call_seconds; NULL: calls are not ended.';
COMMENT ON COLUMN callq.apps.longest_call_s IS 'How long a call lasts at most, in seconds, as that worker''s configuration has it: until then a call whose end is not known is reckoned with.';

ALTER TABLE callq.calls
    ADD COLUMN callees      text[] NOT NULL DEFAULT '{}',
    ADD COLUMN live_until   timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN max_seconds  integer,
    ADD COLUMN end_at       timestamptz,
    ADD COLUMN end_why      text,
    ADD COLUMN ends         integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT end_why_is_a_known_word CHECK (end_why IN ('cancelled', 'max_call_seconds'));
COMMENT ON COLUMN callq.calls.callees IS 'Who rings or talks; callees who were refused at once are not among them.';
COMMENT ON COLUMN callq.calls.live_until IS 'Until when they are not rung by a follow-up job, should the record not come before: ring_timeout_ms and the longest call after the call was accepted.';
COMMENT ON COLUMN callq.calls.max_seconds IS 'jobs.max_call_seconds, or the app''s; NULL: it is not ended.';
COMMENT ON COLUMN callq.calls.end_at IS 'When end_call is sent next; NULL: not any more, or never.';
COMMENT ON COLUMN callq.calls.end_why IS 'cancelled (callq.cancel) or max_call_seconds.';
COMMENT ON COLUMN callq.calls.ends IS 'How often it was sent.';
UPDATE callq.calls AS c SET callees = j.callees,
    live_until = c.opened_at + least(greatest(j.ring_timeout_ms, 0), 600000) * interval '1 millisecond' + interval '30 minutes'
FROM callq.jobs AS j WHERE j.id = c.job_id AND c.record IS NULL;
CREATE INDEX calls_by_callee ON callq.calls USING gin (callees) WITH (fastupdate = off) WHERE record IS NULL;
CREATE INDEX calls_to_end ON callq.calls (app, end_at) WHERE end_at IS NOT NULL AND call_id IS NOT NULL;

INSERT INTO callq.reasons (reason, sentence, next_step) VALUES
    ('ring_again', 'Callees who were not reached are rung again by a follow-up job, as ring_policy says.', 'Nothing to do; callq.cancel on this job cancels its follow-ups too.'),
    ('ring_total', 'Callees who were not reached are not rung again: they were rung max_rings times.', 'Nothing to do; to ring them again on purpose, insert a new job.'),
    ('ring_outcome', 'Callees who were not reached are not rung again: ring_policy has no wait for what became of them.', 'Nothing to do; reason_detail has who, and what became of them.'),
    ('ring_deadline', 'Callees who were not reached are not rung again: the wait that ring_policy says ends after expires_at.', 'Give jobs more ttl, or ring_policy shorter waits.'),
    ('ring_schedule_stopped', 'Callees who were not reached are not rung again: the schedule was paused, disabled or removed.', 'Nothing to do.'),
    ('callee_busy', 'A callee is on another call of ours, or may be: the follow-up waits for its end.', 'It is tried again by itself, every 15 s until expires_at.'),
    ('expired_callee_busy', 'The deadline passed while a callee was on another call of ours, or may have been.', 'Nothing to do; to ring again, insert a new job.'),
    ('cancel_ends_call', 'A cancel was asked for when the phone may have been ringing already: the call is ended. What became of it is told by the outcome.', 'Nothing to do.'),
    ('max_call_seconds', 'The call was ended because it had lasted max_call_seconds.', 'Nothing to do.');

-- What a wait such as 1h30m comes to, in seconds; NULL: it is none.
CREATE FUNCTION callq.wait_seconds(p_wait text) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN p_wait ~ '^([0-9]{1,6}[dhms]){1,4}$' THEN
        (SELECT sum(w.part[1]::bigint * CASE w.part[2] WHEN 'd' THEN 86400 WHEN 'h' THEN 3600 WHEN 'm' THEN 60 ELSE 1 END)
         FROM regexp_matches(p_wait, '([0-9]+)([dhms])', 'g') AS w(part))::bigint END
$$;
COMMENT ON FUNCTION callq.wait_seconds IS 'A wait of ring_policy, as 90s, 10m or 1h30m, in seconds. NULL: it is none.';

-- The same rules as in src/call/ring_policy.rs.
CREATE FUNCTION callq.rings_refusal(p_ring_policy jsonb, p_max_call_seconds integer) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_key text;
    v_value jsonb;
    v_wait jsonb;
    v_kind text;
BEGIN
    IF p_max_call_seconds NOT BETWEEN 10 AND 86400 THEN
        RETURN callq.refusal('max_call_seconds', 'is ' || p_max_call_seconds, 'it must be from 10 to 86400 seconds, or NULL');
    END IF;
    IF p_ring_policy IS NULL THEN
        RETURN NULL;
    ELSIF jsonb_typeof(p_ring_policy) <> 'object' THEN
        RETURN callq.refusal('ring_policy', 'is ' || callq.json_kind(p_ring_policy), 'it must be a JSON object such as {"max_rings": 3}');
    END IF;
    FOR v_key, v_value IN SELECT e.key, e.value FROM jsonb_each(p_ring_policy) AS e LOOP
        v_kind := jsonb_typeof(v_value);
        IF v_key = 'max_rings' THEN
            IF v_kind <> 'number' OR v_value::text !~ '^[0-9]{1,2}$' OR v_value::text::int NOT BETWEEN 1 AND 20 THEN
                RETURN callq.refusal('ring_policy', 'has max_rings ' || callq.quoted(v_value::text), 'it must be a whole number from 1 to 20');
            END IF;
        ELSIF v_key = 'min_gap' THEN
            IF v_kind <> 'string' OR (callq.wait_seconds(v_value #>> '{}') BETWEEN 0 AND 86400) IS NOT TRUE THEN
                RETURN callq.refusal('ring_policy', 'has min_gap ' || callq.quoted(v_value::text), 'it must be a wait from 0s to 1d, as "2m"');
            END IF;
        ELSIF v_key IN ('no_answer', 'busy', 'unreachable', 'declined') THEN
            IF v_kind <> 'array' OR jsonb_array_length(v_value) > 20 THEN
                RETURN callq.refusal('ring_policy', format('has %s that is no list of at most 20 waits', v_key), 'it must be a list such as ["10m", "30m"]; [] is never');
            END IF;
            FOR v_wait IN SELECT w.value FROM jsonb_array_elements(v_value) AS w LOOP
                IF jsonb_typeof(v_wait) <> 'string' OR (callq.wait_seconds(v_wait #>> '{}') BETWEEN 1 AND 604800) IS NOT TRUE THEN
                    RETURN callq.refusal('ring_policy', format('has %s with the wait %s', v_key, callq.quoted(v_wait::text)),
                        'each must be from 1s to 7d, as "10m" or "1h30m"');
                END IF;
            END LOOP;
        ELSE
            RETURN callq.refusal('ring_policy', 'has the unknown key ' || callq.quoted(v_key),
                'the keys are max_rings, no_answer, busy, unreachable, declined and min_gap');
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION callq.rings_refusal IS 'Why ring_policy or max_call_seconds is refused: the column, the message, and a hint or NULL. NULL: they are not.';

CREATE FUNCTION callq.check_rings() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_refusal text[] := callq.rings_refusal(NEW.ring_policy, NEW.max_call_seconds);
BEGIN
    IF v_refusal IS NULL THEN
        RETURN NEW;
    ELSIF v_refusal[3] IS NULL THEN
        RAISE EXCEPTION USING MESSAGE = v_refusal[2], ERRCODE = 'check_violation', SCHEMA = 'callq', TABLE = 'jobs', COLUMN = v_refusal[1];
    END IF;
    RAISE EXCEPTION USING MESSAGE = v_refusal[2], ERRCODE = 'check_violation', SCHEMA = 'callq', TABLE = 'jobs', COLUMN = v_refusal[1],
        HINT = v_refusal[3];
END $$;
COMMENT ON FUNCTION callq.check_rings IS 'Trigger: checks ring_policy and max_call_seconds of a job that has one of them.';
CREATE TRIGGER rings_are_checked BEFORE INSERT OR UPDATE OF ring_policy, max_call_seconds ON callq.jobs FOR EACH ROW
    WHEN (NEW.ring_policy IS NOT NULL OR NEW.max_call_seconds IS NOT NULL) EXECUTE FUNCTION callq.check_rings();
DROP TRIGGER only_scheduled_jobs_change ON callq.jobs;
CREATE TRIGGER only_scheduled_jobs_change BEFORE UPDATE OF
        app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata, ring_policy, max_call_seconds
    ON callq.jobs FOR EACH ROW WHEN (OLD.state <> 'scheduled' AND NEW.state = OLD.state) EXECUTE FUNCTION callq.refuse_late_change();

-- Schedules: the two columns beside the others of a job, and their follow-ups stop with them.
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
    RETURN coalesce(callq.rings_refusal(s.ring_policy, s.max_call_seconds), callq.template_refusal(s.app, s.robot_account, s.callees, s.media_type, s.room_id, s.room_id_type, s.ring_timeout_ms,
        s.user_data, s.offline_push, s.priority, s.max_attempts, s.on_doubt, s.retry_callees, s.metadata));
END $$;

CREATE OR REPLACE FUNCTION callq.take_firings_back(p_schedule_id bigint, p_reason text) RETURNS timestamptz[]
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH withdrawn AS (
        UPDATE callq.jobs AS j SET
            state = 'cancelled',
            reason = p_reason,
            reason_detail = 'by ' || session_user,
            finished_at = now()
        -- Only a scheduled job has no attempt. To ask for its state would let stale statistics answer with jobs_due.
        WHERE j.schedule_id = p_schedule_id AND j.state IN ('scheduled', 'dialing', 'in_doubt') 
          AND (j.nominal_at IS NOT NULL OR (j.root_id IS NOT NULL AND p_reason <> 'superseded'))
          AND CASE WHEN p_reason = 'superseded' THEN j.attempt = 0 AND j.moved_at IS NULL
              ELSE j.attempt = 0 OR (j.state::text = 'scheduled' AND NOT callq.may_have_rung(j.id, j.attempt + 1)) END
        RETURNING j.nominal_at)
    SELECT coalesce(array_agg(w.nominal_at ORDER BY w.nominal_at) FILTER (WHERE w.nominal_at IS NOT NULL), '{}') FROM withdrawn AS w
$$;
COMMENT ON FUNCTION callq.take_firings_back IS 'Cancels the firings of a schedule that wait and returns them: if it is changed (superseded), those that were never tried and that no person has moved; if it is paused or removed, all that have certainly rung nobody, and the follow-ups of its calls.';

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
        NEW.retry_callees, NEW.metadata, NEW.ring_policy, NEW.max_call_seconds)
        IS DISTINCT FROM
       (OLD.app, OLD.name, OLD.cron, OLD.every, OLD.on_times, OLD.tz, OLD.enabled, OLD.ttl, OLD.jitter, OLD.catch_up,
        OLD.catch_up_window, OLD.overlap, OLD.start_at, OLD.end_at, OLD.except_dates, OLD.calendars,
        OLD.calendar_dates, OLD.robot_account, OLD.callees, OLD.media_type, OLD.room_id, OLD.room_id_type,
        OLD.ring_timeout_ms, OLD.user_data, OLD.offline_push, OLD.priority, OLD.max_attempts, OLD.on_doubt,
        OLD.retry_callees, OLD.metadata, OLD.ring_policy, OLD.max_call_seconds) THEN
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
            offline_push, priority, max_attempts, on_doubt, retry_callees, metadata)
            = ROW(NEW.app, NEW.robot_account, NEW.callees, NEW.media_type, NEW.room_id, NEW.room_id_type, NEW.ring_timeout_ms,
            NEW.user_data, NEW.offline_push, NEW.priority, NEW.max_attempts, NEW.on_doubt, NEW.retry_callees, NEW.metadata)
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
        ring_policy, max_call_seconds, paused_at
    ON callq.schedules FOR EACH ROW EXECUTE FUNCTION callq.check_schedule();

CREATE OR REPLACE FUNCTION callq.run_schedule_now(name text, app text DEFAULT 'default') RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_schedule callq.schedules := callq.lock_schedule(run_schedule_now.name, run_schedule_now.app);
    v_job_id bigint;
BEGIN
    INSERT INTO callq.jobs (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds, run_at, ttl, schedule_id)
    VALUES (v_schedule.app, v_schedule.robot_account, v_schedule.callees, v_schedule.media_type, v_schedule.room_id,
        v_schedule.room_id_type, v_schedule.ring_timeout_ms, v_schedule.user_data, v_schedule.offline_push,
        v_schedule.priority, v_schedule.max_attempts, v_schedule.on_doubt, v_schedule.retry_callees,
        v_schedule.metadata, v_schedule.ring_policy, v_schedule.max_call_seconds, now(), coalesce(v_schedule.ttl, v_schedule.default_ttl, interval '1 hour'), v_schedule.id)
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
        priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds, run_at, ttl, schedule_id, nominal_at, nominal_local, nominal_fold,
        moved_at)
    SELECT v_schedule.app, v_schedule.robot_account, v_schedule.callees, v_schedule.media_type, v_schedule.room_id,
        v_schedule.room_id_type, v_schedule.ring_timeout_ms, v_schedule.user_data, v_schedule.offline_push,
        v_schedule.priority, v_schedule.max_attempts, v_schedule.on_doubt, v_schedule.retry_callees,
        v_schedule.metadata, v_schedule.ring_policy, v_schedule.max_call_seconds, now(), coalesce(v_schedule.ttl, v_schedule.default_ttl, interval '1 hour'), v_schedule.id, f.at, f.local, f.fold,
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
            retry_callees boolean, metadata jsonb, ring_policy jsonb, max_call_seconds integer)
        ORDER BY 2, 3
    LOOP
        app := v_item.app;
        name := v_item.name;
        BEGIN
            IF v_item.action = 'create' THEN
                INSERT INTO callq.schedules (app, name, cron, every, on_times, tz, enabled, ttl, jitter, catch_up, catch_up_window,
                    overlap, start_at, end_at, except_dates, calendars, calendar_dates, robot_account, callees, media_type, room_id,
                    room_id_type, ring_timeout_ms, user_data, offline_push, priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds)
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
                    coalesce(v_item.metadata, '{}'), v_item.ring_policy, v_item.max_call_seconds)
                ON CONFLICT (app, name) DO NOTHING;
                GET DIAGNOSTICS v_found = ROW_COUNT;
                done := 'created';
            ELSIF v_item.action = 'change' THEN
                UPDATE callq.schedules AS s SET (cron, every, on_times, tz, enabled, ttl, jitter, catch_up, catch_up_window,
                    overlap, start_at, end_at, except_dates, calendars, calendar_dates, robot_account, callees, media_type, room_id,
                    room_id_type, ring_timeout_ms, user_data, offline_push, priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds)
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
                    coalesce(v_item.metadata, '{}'), v_item.ring_policy, v_item.max_call_seconds)
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
        'retry_callees', s.retry_callees, 'metadata', s.metadata, 'ring_policy', s.ring_policy, 'max_call_seconds', s.max_call_seconds)
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
        priority, max_attempts, on_doubt, retry_callees, metadata, ring_policy, max_call_seconds,
            run_at, due_at, ttl, expires_at, nominal_at, moved_at, state, reason, reason_detail, finished_at)
        = (s.app, s.robot_account, s.callees, s.media_type, s.room_id, s.room_id_type, s.ring_timeout_ms,
            s.user_data, s.offline_push, s.priority, s.max_attempts, s.on_doubt, s.retry_callees, s.metadata, s.ring_policy, s.max_call_seconds,
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

-- What held a job that expired may be that its callee was busy.
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
        SELECT CASE WHEN p_held_by IN ('unreachable', 'throttled', 'callee_busy') THEN p_held_by
                    WHEN p_held_by IN ('app_fault', 'quota_used', 'renewing_user_sig') THEN 'paused'
                    ELSE 'pace' END, 5,
            tstzmultirange(tstzrange(min(s.since), min(s.until))) - coalesce(range_agg(w.period), '{}')
        FROM span AS s LEFT JOIN within AS w ON true
    )
    SELECT CASE s.hold WHEN 'paused' THEN 'expired_app_paused' WHEN 'no_worker' THEN 'expired_no_worker'
        WHEN 'unreachable' THEN 'expired_unreachable' WHEN 'throttled' THEN 'expired_throttled'
        WHEN 'callee_busy' THEN 'expired_callee_busy' ELSE 'expired_pace' END
    FROM share AS s
    ORDER BY (SELECT sum(upper(p.period) - lower(p.period)) FROM unnest(s.periods) AS p(period)) DESC NULLS LAST, s.rank
    LIMIT 1
$$;

DROP FUNCTION callq.enqueue(text, text[], timestamptz, text, text, text, integer, bigint, text, jsonb, interval, timestamptz, integer,
    integer, text, boolean, text, jsonb);
CREATE FUNCTION callq.enqueue(
    robot_account text, callees text[], run_at timestamptz DEFAULT NULL, app text DEFAULT NULL,
    media_type text DEFAULT NULL, room_id text DEFAULT NULL, room_id_type integer DEFAULT NULL,
    ring_timeout_ms bigint DEFAULT NULL, user_data text DEFAULT NULL, offline_push jsonb DEFAULT NULL,
    ttl interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL, priority integer DEFAULT NULL,
    max_attempts integer DEFAULT NULL, on_doubt text DEFAULT NULL, retry_callees boolean DEFAULT NULL,
    idempotency_key text DEFAULT NULL, metadata jsonb DEFAULT NULL, ring_policy jsonb DEFAULT NULL,
    max_call_seconds integer DEFAULT NULL)
RETURNS TABLE (id bigint, inserted boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_app text := coalesce(enqueue.app, 'default');
    v_id bigint;
BEGIN
    INSERT INTO callq.jobs AS j (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms,
        user_data, offline_push, run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees,
        idempotency_key, metadata, ring_policy, max_call_seconds)
    VALUES (v_app, enqueue.robot_account, enqueue.callees, coalesce(enqueue.media_type, 'Audio'), enqueue.room_id,
        coalesce(enqueue.room_id_type, 2), coalesce(enqueue.ring_timeout_ms, 45000), enqueue.user_data,
        enqueue.offline_push, coalesce(enqueue.run_at, now()), enqueue.ttl,
        enqueue.expires_at, coalesce(enqueue.priority, 1), coalesce(enqueue.max_attempts, 5),
        coalesce(enqueue.on_doubt, 'reconcile'), coalesce(enqueue.retry_callees, false), enqueue.idempotency_key,
        coalesce(enqueue.metadata, '{}'), enqueue.ring_policy, enqueue.max_call_seconds)
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

-- Whoever asks about a callee at the same time as somebody else is told that he is busy; whoever asks later sees
-- what was committed until then: in a function that is VOLATILE each query has a snapshot of its own, and
-- PostgreSQL lets go of these locks when the transaction can be seen. So of two claims at the same instant
-- one rings, though neither waits for the other.
CREATE FUNCTION callq.callees_busy(p_job_id bigint, p_app text, p_callees text[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM unnest(p_callees) AS c(callee)
               WHERE NOT pg_try_advisory_xact_lock(hashtextextended(c.callee, hashtext(p_app)))) THEN
        RETURN true;
    END IF;
    RETURN EXISTS (SELECT FROM callq.jobs AS j
                   WHERE j.state = 'dialing' AND j.root_id IS NOT NULL AND j.callees && p_callees AND j.app = p_app AND j.id <> p_job_id)
        OR EXISTS (SELECT FROM callq.calls AS c
                   WHERE c.record IS NULL AND c.callees && p_callees AND c.app = p_app AND c.job_id <> p_job_id AND c.live_until > now());
END $$;
COMMENT ON FUNCTION callq.callees_busy IS 'Whether one of the callees rings or talks on another call of the app, or may. For the claim of a follow-up job, whose transaction keeps others from claiming one for the same callees meanwhile.';

CREATE FUNCTION callq.wake_for_calls() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_notify('callq_calls', '') FROM callq.settings WHERE notify
$$;
COMMENT ON FUNCTION callq.wake_for_calls IS 'Has the worker that follows calls look at once whether one is to be ended, unless callq.settings.notify is false.';

CREATE FUNCTION callq.cancel_one(p_job_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_job callq.jobs := callq.lock_job(p_job_id);
BEGIN
    IF v_job.state = 'placed' THEN
        UPDATE callq.calls AS c SET end_at = now(), end_why = 'cancelled'
            WHERE c.job_id = p_job_id AND c.record IS NULL;
        IF NOT FOUND THEN
            RETURN 'too_late';
        END IF;
        UPDATE callq.jobs AS j SET cancel_requested_at = coalesce(j.cancel_requested_at, now()),
            reason = 'cancel_ends_call', reason_detail = 'by ' || session_user WHERE j.id = p_job_id;
        PERFORM callq.wake_for_calls();
        RETURN 'ending';
    ELSIF v_job.state = 'scheduled' AND callq.may_have_rung(p_job_id, v_job.attempt + 1) THEN
        UPDATE callq.jobs AS j SET state = 'unresolved', reason = 'earlier_in_doubt',
            reason_detail = 'cancelled by ' || session_user, finished_at = now() WHERE j.id = p_job_id;
        RETURN 'unresolved';
    ELSIF v_job.state = 'scheduled' THEN
        UPDATE callq.jobs AS j SET state = 'cancelled', reason = 'cancelled_by_user',
            reason_detail = 'by ' || session_user, finished_at = now() WHERE j.id = p_job_id;
        RETURN 'cancelled';
    ELSIF v_job.state IN ('dialing', 'in_doubt') THEN
        UPDATE callq.jobs AS j SET cancel_requested_at = coalesce(j.cancel_requested_at, now()) WHERE j.id = p_job_id;
        RETURN 'requested';
    ELSIF v_job.state = 'completed' THEN
        RETURN 'too_late';
    END IF;
    RETURN v_job.state::text;
END $$;
COMMENT ON FUNCTION callq.cancel_one IS 'callq.cancel for one job, without its follow-ups.';

CREATE OR REPLACE FUNCTION callq.cancel(job_id bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_said text := callq.cancel_one(job_id);
    v_next bigint := job_id;
    v_word text;
BEGIN
    -- One at a time, so that a follow-up is found that was inserted while one before it was waited for: its
    -- number is higher.
    LOOP
        SELECT j.id INTO v_next FROM callq.jobs AS j
            WHERE j.root_id = cancel.job_id AND j.id > v_next AND j.state IN ('scheduled', 'dialing', 'in_doubt', 'placed')
            ORDER BY j.id LIMIT 1;
        EXIT WHEN NOT FOUND;
        v_word := callq.cancel_one(v_next);
        IF array_position(ARRAY['cancelled', 'unresolved', 'requested', 'ending'], v_word)
           > coalesce(array_position(ARRAY['cancelled', 'unresolved', 'requested', 'ending'], v_said), 0) THEN
            v_said := v_word;
        END IF;
    END LOOP;
    RETURN v_said;
END $$;
COMMENT ON FUNCTION callq.cancel IS 'Cancels a job and the follow-ups of its chain, and answers with a word. cancelled: nobody was rung and nobody will be, or, of a job that rang nobody it reached, nobody will be again. unresolved: nobody will be rung again, but an earlier attempt may have rung. requested: a request is under way or in doubt; it is settled when the reply is known. ending: the phone may be ringing; the call is ended, and its outcome says what became of it. too_late: the call is over, or it is not followed (settings.outcomes). Otherwise the end state the job already had.';

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
END $$;

CREATE OR REPLACE FUNCTION callq.allow_producer(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_producer_of_schedules(role_name);
    EXECUTE format('GRANT SELECT ON callq.calls, callq.legs, callq.leg_counts, callq.sweeps, callq.events TO %I', role_name);
    EXECUTE format('GRANT INSERT (ring_policy, max_call_seconds), UPDATE (ring_policy, max_call_seconds)
        ON callq.jobs, callq.schedules TO %I', role_name);
END $$;

REVOKE EXECUTE ON FUNCTION callq.wait_seconds, callq.rings_refusal, callq.check_rings, callq.enqueue, callq.callees_busy, callq.wake_for_calls,
    callq.cancel_one FROM PUBLIC;

UPDATE callq.meta SET schema_version = 10;
