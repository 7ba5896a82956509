-- A change of a schedule counts from when it has the row, not from when its transaction began.
--
-- Between the two a worker may have fired: the transaction waited for the row, or did something else before, or changes
-- thousands of schedules. The cursor was set to now(), back before what had rung, and after a change of the zone, which makes
-- every firing another one, it rang again.
CREATE OR REPLACE FUNCTION callq.check_schedule() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_refusal text[];
    v_stops boolean := NEW.paused_at IS NOT NULL OR NEW.enabled IS FALSE;
    v_withdrawn timestamptz[] := '{}';
    v_missed timestamptz[];
    v_until timestamptz;
    v_item text;
    -- Not when the transaction began: since then a worker may have fired, until it let the row go.
    v_now timestamptz := clock_timestamp();
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
        NEW.stopped_at := CASE WHEN v_stops THEN v_now END;
        NEW.default_ttl := NULL;
        NEW.cursor_at := v_now;
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
    NEW.check_at := v_now;
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
    -- The jobs were waited for, too: one that was claimed meanwhile has rung.
    v_now := clock_timestamp();

    IF (NEW.cron, NEW.every, NEW.on_times, NEW.tz, NEW.start_at, NEW.end_at, NEW.except_dates, NEW.calendar_dates)
        IS DISTINCT FROM
       (OLD.cron, OLD.every, OLD.on_times, OLD.tz, OLD.start_at, OLD.end_at, OLD.except_dates, OLD.calendar_dates) THEN
        -- What the old definition missed can no longer be reckoned: it is told as far as it was known.
        v_missed := ARRAY(SELECT u.at FROM unnest(OLD.upcoming) AS u(at) WHERE u.at <= v_now);
        PERFORM callq.tell_unfired(OLD.id, OLD.app, OLD.name, callq.why_unfired(OLD, 'superseded'), v_missed,
            CASE WHEN OLD.stopped_at IS NULL THEN 'the schedule was changed before a worker made them' ELSE 'the schedule was changed meanwhile' END
            || CASE WHEN cardinality(v_missed) = cardinality(OLD.upcoming) THEN '; later ones are not counted' ELSE '' END);
        -- 09:00 in another zone is another firing, though the clock of yesterday's zone has shown 09:00 today. What was
        -- withdrawn before anything was sent may become that other firing, or each change would leave a row.
        IF NEW.tz <> OLD.tz OR (NEW.every IS NULL) <> (OLD.every IS NULL) THEN
            UPDATE callq.jobs AS j SET nominal_local = NULL
            WHERE j.schedule_id = OLD.id AND j.nominal_local > v_now AT TIME ZONE 'UTC' - interval '2 days'
              AND NOT (j.state = 'cancelled' AND j.attempt = 0 AND j.reason IN ('superseded', 'schedule_paused', 'firing_skipped'));
        END IF;
        NEW.cursor_at := v_now;
        NEW.barred_until := NULL;
        NEW.barred_reason := NULL;
        NEW.owed := callq.instants(ARRAY(SELECT o.at FROM unnest(OLD.owed || v_withdrawn || OLD.upcoming) AS o(at) WHERE o.at <> ALL (v_missed)));
        NEW.upcoming := '{}';
    ELSE
        NEW.cursor_at := least(OLD.cursor_at, v_now);
        NEW.owed := callq.instants(OLD.owed || ARRAY(SELECT w.at FROM unnest(v_withdrawn) AS w(at) WHERE w.at <= v_now));
        NEW.upcoming := callq.instants(OLD.upcoming || ARRAY(SELECT w.at FROM unnest(v_withdrawn) AS w(at) WHERE w.at > v_now));
    END IF;

    IF v_stops AND OLD.stopped_at IS NULL THEN
        NEW.stopped_at := v_now;
    ELSIF NOT v_stops AND OLD.stopped_at IS NOT NULL THEN
        NEW.stopped_at := NULL;
        NEW.barred_until := v_now;
        NEW.barred_reason := 'schedule_paused';
    END IF;
    -- Of a pause nothing is made up for. What is behind the cursor is a worker's to decide, as far as it still is.
    v_until := CASE WHEN v_stops OR OLD.stopped_at IS NOT NULL THEN v_now ELSE OLD.barred_until END;
    v_until := least(v_until, NEW.cursor_at, v_now);
    IF (v_stops OR OLD.stopped_at IS NOT NULL OR OLD.barred_until IS NOT NULL) AND cardinality(NEW.owed) > 0 THEN
        PERFORM callq.tell_unfired(OLD.id, OLD.app, OLD.name,
            CASE WHEN v_stops OR OLD.stopped_at IS NOT NULL THEN 'schedule_paused' ELSE coalesce(OLD.barred_reason, 'schedule_paused') END,
            ARRAY(SELECT o.at FROM unnest(NEW.owed) AS o(at) WHERE o.at <= v_until));
        NEW.owed := ARRAY(SELECT o.at FROM unnest(NEW.owed) AS o(at) WHERE o.at > v_until);
    END IF;
    PERFORM callq.wake_for_schedules();
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION callq.forget_schedule() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_withdrawn timestamptz[] := callq.take_firings_back(OLD.id, 'schedule_removed');
    v_now timestamptz := clock_timestamp();
BEGIN
    PERFORM callq.tell_unfired(OLD.id, OLD.app, OLD.name, 'schedule_removed',
        ARRAY(SELECT w.at FROM unnest(v_withdrawn) AS w(at) WHERE w.at <= v_now));
    PERFORM callq.tell_unfired(OLD.id, OLD.app, OLD.name, callq.why_unfired(OLD, 'schedule_removed'),
        ARRAY(SELECT k.at FROM unnest(OLD.owed || OLD.upcoming) AS k(at) WHERE k.at <= v_now),
        'the schedule was removed' || CASE WHEN v_now >= ALL (OLD.upcoming) THEN '; later ones are not counted' ELSE '' END);
    RETURN OLD;
END $$;

CREATE OR REPLACE FUNCTION callq.withdraw_firings(p_schedule_id bigint, p_reason text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH withdrawn AS (
        UPDATE callq.jobs AS j SET
            state = 'cancelled',
            reason = p_reason,
            reason_detail = 'by ' || session_user,
            finished_at = now()
        WHERE j.schedule_id = p_schedule_id AND j.state IN ('scheduled', 'dialing', 'in_doubt')
          AND j.attempt = 0 AND j.nominal_at > clock_timestamp() AND j.moved_at IS NULL
        RETURNING j.id)
    SELECT count(*) FROM withdrawn
$$;

CREATE OR REPLACE FUNCTION callq.skip_next(name text, app text DEFAULT 'default') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_schedule callq.schedules := callq.lock_schedule(name, app);
    v_ahead bigint;
    v_next timestamptz;
    v_waited timestamptz;
    v_now timestamptz := clock_timestamp();
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
         WHERE n.schedule_id = v_schedule.id AND n.state IN ('scheduled', 'dialing', 'in_doubt') AND n.attempt = 0 AND n.nominal_at > v_now));
    UPDATE callq.jobs AS j SET
        state = 'cancelled',
        reason = 'firing_skipped',
        reason_detail = 'by ' || session_user,
        finished_at = now()
    WHERE j.id = (SELECT n.id FROM callq.jobs AS n
                  WHERE n.schedule_id = v_schedule.id AND n.state IN ('scheduled', 'dialing', 'in_doubt') AND n.attempt = 0
                    AND n.nominal_at <= v_now AND n.run_at > v_now AND (n.run_at < v_next) IS NOT FALSE
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
                  WHERE n.schedule_id = v_schedule.id AND n.state IN ('scheduled', 'dialing', 'in_doubt') AND n.attempt = 0 AND n.nominal_at > v_now
                  ORDER BY n.nominal_at LIMIT 1)
      AND v_schedule.skip_next = 0 AND j.state = 'scheduled' AND j.attempt = 0;
    GET DIAGNOSTICS v_ahead = ROW_COUNT;
    v_ahead := v_ahead + callq.withdraw_firings(v_schedule.id, 'superseded');
    IF v_ahead = 0 AND v_schedule.check_at IS NULL THEN
        RETURN 'nothing_to_skip';
    END IF;
    UPDATE callq.schedules AS s SET skip_next = s.skip_next + 1, turn = s.turn + 1, check_at = v_now,
        cursor_at = least(s.cursor_at, clock_timestamp()) WHERE s.id = v_schedule.id;
    PERFORM callq.wake_for_schedules();
    RETURN 'skipped';
END $$;

CREATE OR REPLACE FUNCTION callq.skip_missed_firings(p_reason text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH barred AS (
        UPDATE callq.schedules AS s SET barred_until = greatest(s.barred_until, clock_timestamp()), barred_reason = p_reason,
            turn = s.turn + 1, check_at = clock_timestamp()
        WHERE s.stopped_at IS NULL AND s.check_at IS NOT NULL AND (s.cursor_at < clock_timestamp() OR s.owed <> '{}')
        RETURNING s.id)
    SELECT count(*) FROM barred
$$;

CREATE OR REPLACE FUNCTION callq.apply_schedules(plan jsonb, keep_firings boolean DEFAULT false)
RETURNS TABLE (app text, name text, done text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_item record;
    v_found bigint;
BEGIN
    PERFORM set_config('callq.keep_firings', CASE WHEN keep_firings THEN 'on' ELSE 'off' END, true);
    -- All of them before any is changed: while one is waited for the others may ring, and what takes the place of one that
    -- is removed must not ring for a time at which that one has. Sorted, so that two plans cannot deadlock.
    PERFORM FROM callq.schedules AS s
    WHERE (s.app, s.name) IN (SELECT coalesce(p.app, 'default'), p.name FROM jsonb_to_recordset(plan) AS p(app text, name text))
    ORDER BY s.app, s.name
    FOR NO KEY UPDATE;
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

COMMENT ON COLUMN callq.call_legs.accepted_at IS 'When the callee picked up, of Tencent''s clock. Also of a call that was then interrupted; not of an answer that only its end tells of.';

UPDATE callq.meta SET schema_version = 15;
