-- What becomes of firings between a change of their schedule and the next look of a worker: none of them is
-- lost in silence, and none rings as the schedule was.

-- Firings of a schedule that were known when it was changed. What is withdrawn after its time is behind the
-- cursor, where no worker looks; a definition that cannot be reckoned has no firings at all.
ALTER TABLE callq.schedules ADD COLUMN owed timestamptz[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN callq.schedules.owed IS 'Firings that were known when the schedule was changed, and that nobody has decided since: those whose time has come are made if the schedule still has them and their deadline is to come, else told in callq.skipped_firings.';
COMMENT ON COLUMN callq.schedules.upcoming IS 'The next ten firings that are not decided, as the last worker reckoned them, and what was withdrawn since; see callq.next_firings. While next_fire_at is NULL they do not ring as they stand, and are kept to be told of.';
COMMENT ON COLUMN callq.schedules.check_at IS 'When a worker looks at the schedule next: a minute before next_fire_at. One at fault is looked at again after a minute, later less often, and when a firing that it had has to be told of. NULL: not before it is changed or resumed.';
COMMENT ON COLUMN callq.schedules.default_ttl IS 'What ttl is if it is not given: the distance between two firings, at most 1 hour; reckoned by a worker. NULL: no worker has reckoned it in this time zone yet.';

ALTER TABLE callq.jobs ADD COLUMN moved_at timestamptz;
COMMENT ON COLUMN callq.jobs.moved_at IS 'Since when a firing''s run_at is what a person said (UPDATE of run_at, or callq.backfill_schedule): changes of its schedule leave it when it is, and have it ring whom the schedule now says. NULL: it is what the schedule says.';

CREATE FUNCTION callq.mark_moved() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.moved_at := now();
    RETURN NEW;
END $$;
COMMENT ON FUNCTION callq.mark_moved IS 'Trigger: notes that a person has moved a firing.';
-- Not remake_firing, which finds a cancelled row.
CREATE TRIGGER moved_firing_is_marked BEFORE UPDATE OF run_at ON callq.jobs FOR EACH ROW
    WHEN (OLD.nominal_at IS NOT NULL AND OLD.state = 'scheduled' AND NEW.state = 'scheduled' AND NEW.run_at IS DISTINCT FROM OLD.run_at)
    EXECUTE FUNCTION callq.mark_moved();

INSERT INTO callq.reasons (reason, sentence, next_step) VALUES
    ('schedule_at_fault', 'The schedule was at fault at this firing''s time, and nobody mended it in time.', 'Mend what the schedule''s error says; callq schedules backfill makes what is still wanted.');
UPDATE callq.reasons SET sentence = 'The schedule was changed before this firing rang.',
    next_step = 'If the changed schedule has this firing too, it is made again by itself; else nothing to do.' WHERE reason = 'superseded';
UPDATE callq.reasons SET sentence = 'The schedule was paused or disabled before this firing rang.' WHERE reason = 'schedule_paused';
UPDATE callq.reasons SET sentence = 'The schedule was removed before this firing rang.' WHERE reason = 'schedule_removed';

-- A month of every would be 30 days, which nobody means who writes it.
CREATE FUNCTION callq.refuse_months() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- As texts: one month and 30 days are equal intervals.
    IF TG_OP = 'INSERT' OR NEW.every::text IS DISTINCT FROM OLD.every::text THEN
        RAISE EXCEPTION USING
            MESSAGE = format('every is %s: it must be whole seconds, from 1 s to 366 days, without months and years, which are not always equally long', NEW.every),
            ERRCODE = 'check_violation', SCHEMA = 'callq', TABLE = 'schedules', COLUMN = 'every',
            HINT = 'Give days, as 30 days, or for once a month cron, as 0 9 1 * *.';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION callq.refuse_months IS 'Trigger: refuses months and years in every; a row that has them already may keep them.';
-- Before the other rules, by its name.
CREATE TRIGGER a_month_is_no_interval BEFORE INSERT OR UPDATE OF every ON callq.schedules FOR EACH ROW
    WHEN (extract(month FROM NEW.every) <> 0 OR extract(year FROM NEW.every) <> 0) EXECUTE FUNCTION callq.refuse_months();

CREATE FUNCTION callq.tell_unfired(p_schedule_id bigint, p_app text, p_name text, p_reason text, p_firings timestamptz[], p_detail text DEFAULT NULL)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO callq.skipped_firings (schedule_id, app, name, reason, first_nominal_at, last_nominal_at, firings, detail)
    SELECT p_schedule_id, p_app, p_name, p_reason, min(f.at), max(f.at), count(DISTINCT f.at), p_detail
    FROM unnest(p_firings) AS f(at)
    HAVING count(*) > 0
$$;
COMMENT ON FUNCTION callq.tell_unfired IS 'Tells firings of a schedule that are not made, as one row of callq.skipped_firings; none, if there are none.';

-- Only whoever holds the schedule's row does this.
CREATE FUNCTION callq.take_firings_back(p_schedule_id bigint, p_reason text) RETURNS timestamptz[]
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH withdrawn AS (
        UPDATE callq.jobs AS j SET
            state = 'cancelled',
            reason = p_reason,
            reason_detail = 'by ' || session_user,
            finished_at = now()
        -- Only a scheduled job has no attempt. To ask for its state would let stale statistics answer with jobs_due.
        WHERE j.schedule_id = p_schedule_id AND j.state IN ('scheduled', 'dialing', 'in_doubt') AND j.nominal_at IS NOT NULL
          AND CASE WHEN p_reason = 'superseded' THEN j.attempt = 0 AND j.moved_at IS NULL
              ELSE j.attempt = 0 OR (j.state::text = 'scheduled' AND NOT callq.may_have_rung(j.id, j.attempt + 1)) END
        RETURNING j.nominal_at)
    SELECT coalesce(array_agg(w.nominal_at ORDER BY w.nominal_at), '{}') FROM withdrawn AS w
$$;
COMMENT ON FUNCTION callq.take_firings_back IS 'Cancels the firings of a schedule that wait and returns them: if it is changed (superseded), those that were never tried and that no person has moved; if it is paused or removed, all that have certainly rung nobody.';

-- Since check_schedule takes back more, for what a worker and skip_next do alone.
CREATE OR REPLACE FUNCTION callq.withdraw_firings(p_schedule_id bigint, p_reason text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH withdrawn AS (
        UPDATE callq.jobs AS j SET
            state = 'cancelled',
            reason = p_reason,
            reason_detail = 'by ' || session_user,
            finished_at = now()
        WHERE j.schedule_id = p_schedule_id AND j.state IN ('scheduled', 'dialing', 'in_doubt')
          AND j.attempt = 0 AND j.nominal_at > now() AND j.moved_at IS NULL
        RETURNING j.id)
    SELECT count(*) FROM withdrawn
$$;
COMMENT ON FUNCTION callq.withdraw_firings IS 'Cancels the jobs of a schedule that were made ahead and whose time is still to come, but for those that a person has moved; a worker that decides from now on makes them again.';

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
COMMENT ON FUNCTION callq.check_schedule IS 'Trigger: checks what a user gave; a change is to be checked by a worker, and takes back what waits.';

CREATE FUNCTION callq.instants(p_instants timestamptz[]) RETURNS timestamptz[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT DISTINCT i.at FROM unnest(p_instants) AS i(at) ORDER BY i.at LIMIT 1000)
$$;
COMMENT ON FUNCTION callq.instants IS 'The instants in order, each once; at most the first 1000.';

CREATE FUNCTION callq.why_unfired(s callq.schedules, p_else text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN s.stopped_at IS NOT NULL THEN 'schedule_paused'
        WHEN s.error IS NOT NULL AND s.next_fire_at IS NULL THEN 'schedule_at_fault' ELSE p_else END
$$;
COMMENT ON FUNCTION callq.why_unfired IS 'Why a firing of the schedule that was not decided did not ring as it stands, as a reason.';

CREATE OR REPLACE FUNCTION callq.forget_schedule() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_withdrawn timestamptz[] := callq.take_firings_back(OLD.id, 'schedule_removed');
BEGIN
    PERFORM callq.tell_unfired(OLD.id, OLD.app, OLD.name, 'schedule_removed',
        ARRAY(SELECT w.at FROM unnest(v_withdrawn) AS w(at) WHERE w.at <= now()));
    PERFORM callq.tell_unfired(OLD.id, OLD.app, OLD.name, callq.why_unfired(OLD, 'schedule_removed'),
        ARRAY(SELECT k.at FROM unnest(OLD.owed || OLD.upcoming) AS k(at) WHERE k.at <= now()),
        'the schedule was removed' || CASE WHEN now() >= ALL (OLD.upcoming) THEN '; later ones are not counted' ELSE '' END);
    RETURN OLD;
END $$;
COMMENT ON FUNCTION callq.forget_schedule IS 'Trigger: a schedule that is removed takes back what waits, and tells those firings whose time has come; its other jobs stay.';

CREATE OR REPLACE FUNCTION callq.skip_next(name text, app text DEFAULT 'default') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_schedule callq.schedules := callq.lock_schedule(name, app);
    v_ahead bigint;
    v_next timestamptz;
    v_waited timestamptz;
BEGIN
    IF v_schedule.stopped_at IS NOT NULL THEN
        RETURN CASE WHEN v_schedule.enabled THEN 'paused' ELSE 'disabled' END;
    ELSIF v_schedule.skip_next >= 100 THEN
        RAISE EXCEPTION USING MESSAGE = format('schedule %s skips its next 100 firings already', callq.quoted(skip_next.name)),
            ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Pause it with SELECT callq.pause_schedule(name).';
    END IF;
    -- The next ring may be one whose time has come and that waits for its jitter, or for when a person has moved it to.
    v_next := least(v_schedule.upcoming[v_schedule.skip_next + 1],
        (SELECT min(n.nominal_at) FROM callq.jobs AS n
         WHERE n.schedule_id = v_schedule.id AND n.state IN ('scheduled', 'dialing', 'in_doubt') AND n.attempt = 0 AND n.nominal_at > now()));
    UPDATE callq.jobs AS j SET
        state = 'cancelled',
        reason = 'firing_skipped',
        reason_detail = 'by ' || session_user,
        finished_at = now()
    WHERE j.id = (SELECT n.id FROM callq.jobs AS n
                  WHERE n.schedule_id = v_schedule.id AND n.state IN ('scheduled', 'dialing', 'in_doubt') AND n.attempt = 0
                    AND n.nominal_at <= now() AND n.run_at > now() AND (n.run_at < v_next) IS NOT FALSE
                  ORDER BY n.run_at LIMIT 1)
      AND j.state = 'scheduled' AND j.attempt = 0
    RETURNING j.nominal_at INTO v_waited;
    IF FOUND THEN
        PERFORM callq.tell_unfired(v_schedule.id, v_schedule.app, v_schedule.name, 'firing_skipped', ARRAY[v_waited]);
        RETURN 'skipped';
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
    UPDATE callq.schedules AS s SET skip_next = s.skip_next + 1, turn = s.turn + 1, check_at = now(),
        cursor_at = least(s.cursor_at, now()) WHERE s.id = v_schedule.id;
    PERFORM callq.wake_for_schedules();
    RETURN 'skipped';
END $$;
COMMENT ON FUNCTION callq.skip_next IS 'The next firing of the schedule that has not rung does not ring, be it one whose time has come and that waits for its jitter; called again, the one after it neither. Answers with a word: skipped, nothing_to_skip (it never rings again), paused or disabled (nothing rings).';

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
        priority, max_attempts, on_doubt, retry_callees, metadata, run_at, ttl, schedule_id, nominal_at, nominal_local, nominal_fold,
        moved_at)
    SELECT v_schedule.app, v_schedule.robot_account, v_schedule.callees, v_schedule.media_type, v_schedule.room_id,
        v_schedule.room_id_type, v_schedule.ring_timeout_ms, v_schedule.user_data, v_schedule.offline_push,
        v_schedule.priority, v_schedule.max_attempts, v_schedule.on_doubt, v_schedule.retry_callees,
        v_schedule.metadata, now(), coalesce(v_schedule.ttl, v_schedule.default_ttl, interval '1 hour'), v_schedule.id, f.at, f.local, f.fold,
        now()
    FROM unnest(backfill_schedule.nominal_at, backfill_schedule.nominal_local, backfill_schedule.nominal_fold) AS f(at, local, fold)
    -- A job that was made before the time zone was changed has no local time any more.
    WHERE NOT EXISTS (SELECT FROM callq.jobs AS o
        WHERE o.schedule_id = v_schedule.id AND o.nominal_local IS NULL AND o.nominal_at = f.at)
    ORDER BY f.at
    ON CONFLICT (schedule_id, nominal_local, nominal_fold) WHERE schedule_id IS NOT NULL DO NOTHING
    RETURNING j.nominal_at, j.id;
END $$;

-- As it was, and a person's word on when it rings outlasts a pause.
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
        priority, max_attempts, on_doubt, retry_callees, metadata,
            run_at, due_at, ttl, expires_at, nominal_at, moved_at, state, reason, reason_detail, finished_at)
        = (s.app, s.robot_account, s.callees, s.media_type, s.room_id, s.room_id_type, s.ring_timeout_ms,
            s.user_data, s.offline_push, s.priority, s.max_attempts, s.on_doubt, s.retry_callees, s.metadata,
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

CREATE OR REPLACE FUNCTION callq.skip_missed_firings(p_reason text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH barred AS (
        UPDATE callq.schedules AS s SET barred_until = greatest(s.barred_until, now()), barred_reason = p_reason,
            turn = s.turn + 1, check_at = now()
        WHERE s.stopped_at IS NULL AND s.check_at IS NOT NULL AND (s.cursor_at < now() OR s.owed <> '{}')
        RETURNING s.id)
    SELECT count(*) FROM barred
$$;

CREATE OR REPLACE VIEW callq.next_firings AS
SELECT s.app, s.name, f.nominal_at, s.tz, f.job_id, f.skipped, s.id AS schedule_id
FROM callq.schedules AS s
CROSS JOIN LATERAL (
    SELECT j.nominal_at, j.id AS job_id, false AS skipped FROM callq.jobs AS j
    WHERE j.schedule_id = s.id AND j.state IN ('scheduled', 'dialing', 'in_doubt') AND j.attempt = 0
      AND (j.nominal_at > now() OR (j.nominal_at IS NOT NULL AND j.run_at > now()))
    UNION ALL
    SELECT u.at, NULL, u.n <= s.skip_next FROM unnest(s.upcoming) WITH ORDINALITY AS u(at, n) WHERE u.at > now() AND s.next_fire_at IS NOT NULL
) AS f
ORDER BY f.nominal_at, s.app, s.name;
COMMENT ON VIEW callq.next_firings IS 'The coming firings: what was made ahead, those too whose time has come and that wait for their jitter; and the next ten of each schedule as the last worker reckoned them. A schedule that is paused, disabled or at fault has none.';

-- Records are old news after a while; they may be deleted, by the workers and nobody else.
COMMENT ON TABLE callq.skipped_firings IS 'Firings of schedules that were not made, each with its reason; many of one cause are one row. Workers delete rows that are older than 400 days.';

ALTER FUNCTION callq.allow_worker(text) RENAME TO allow_worker_of_schedules;
COMMENT ON FUNCTION callq.allow_worker_of_schedules IS 'The part of callq.allow_worker that concerns schedules, and all before.';
CREATE FUNCTION callq.allow_worker(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_worker_of_schedules(role_name);
    EXECUTE format('GRANT UPDATE (owed) ON callq.schedules TO %I', role_name);
    EXECUTE format('GRANT DELETE ON callq.skipped_firings TO %I', role_name);
END $$;
COMMENT ON FUNCTION callq.allow_worker IS 'Lets a role do what callq worker does, and nothing more: not delete, but for old rows of callq.skipped_firings and its own of callq.workers, and not change a schedule. callq_worker has these rights.';

REVOKE EXECUTE ON FUNCTION callq.mark_moved, callq.refuse_months, callq.tell_unfired, callq.take_firings_back, callq.instants, callq.why_unfired,
    callq.allow_worker, callq.allow_worker_of_schedules FROM PUBLIC;

UPDATE callq.meta SET schema_version = 7;
