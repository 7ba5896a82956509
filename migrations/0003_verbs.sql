-- What is more than an INSERT: the verbs people and programs use in SQL, and the two questions that
-- several statements ask. Verbs run with the rights of the schema's owner, so that a producer needs
-- no rights on callq's own columns; who may call them is granted by callq.allow_producer.

CREATE FUNCTION callq.enqueue(
    robot_account text, callees text[], run_at timestamptz DEFAULT NULL, app text DEFAULT NULL,
    media_type text DEFAULT NULL, room_id text DEFAULT NULL, room_id_type integer DEFAULT NULL,
    ring_timeout_ms bigint DEFAULT NULL, user_data text DEFAULT NULL, offline_push jsonb DEFAULT NULL,
    ttl interval DEFAULT NULL, expires_at timestamptz DEFAULT NULL, priority integer DEFAULT NULL,
    max_attempts integer DEFAULT NULL, on_doubt text DEFAULT NULL, retry_callees boolean DEFAULT NULL,
    idempotency_key text DEFAULT NULL, metadata jsonb DEFAULT NULL)
RETURNS TABLE (id bigint, inserted boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_app text := coalesce(enqueue.app, 'default');
    v_id bigint;
BEGIN
    INSERT INTO callq.jobs AS j (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms,
        user_data, offline_push, run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees,
        idempotency_key, metadata)
    VALUES (v_app, enqueue.robot_account, enqueue.callees, coalesce(enqueue.media_type, 'Audio'), enqueue.room_id,
        coalesce(enqueue.room_id_type, 2), coalesce(enqueue.ring_timeout_ms, 45000), enqueue.user_data,
        enqueue.offline_push, coalesce(enqueue.run_at, now()), enqueue.ttl,
        enqueue.expires_at, coalesce(enqueue.priority, 1), coalesce(enqueue.max_attempts, 5),
        coalesce(enqueue.on_doubt, 'reconcile'), coalesce(enqueue.retry_callees, false), enqueue.idempotency_key,
        coalesce(enqueue.metadata, '{}'))
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

-- Locks and returns the job, or says that there is none.
CREATE FUNCTION callq.lock_job(p_job_id bigint) RETURNS callq.jobs
LANGUAGE plpgsql AS $$
DECLARE
    v_job callq.jobs;
BEGIN
    SELECT * INTO v_job FROM callq.jobs WHERE id = p_job_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING MESSAGE = format('there is no job %s', coalesce(p_job_id::text, 'NULL')), ERRCODE = 'no_data_found';
    END IF;
    RETURN v_job;
END $$;
COMMENT ON FUNCTION callq.lock_job IS 'The job with this id, locked for a verb; an error if there is none.';

CREATE FUNCTION callq.may_have_rung(p_job_id bigint, p_before integer) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM callq.attempts AS a WHERE a.job_id = p_job_id AND a.attempt < p_before AND a.class = 'in_doubt')
$$;
COMMENT ON FUNCTION callq.may_have_rung IS 'Whether an attempt of the job before this one may have rung and nobody has settled it: such a job never ends as failed, expired or cancelled.';

CREATE FUNCTION callq.cancel(job_id bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_job callq.jobs := callq.lock_job(job_id);
BEGIN
    CASE
        WHEN v_job.state = 'scheduled' AND callq.may_have_rung(job_id, v_job.attempt + 1) THEN
            UPDATE callq.jobs SET state = 'unresolved', reason = 'earlier_in_doubt',
                reason_detail = 'cancelled by ' || session_user, finished_at = now() WHERE id = job_id;
            RETURN 'unresolved';
        WHEN v_job.state = 'scheduled' THEN
            UPDATE callq.jobs SET state = 'cancelled', reason = 'cancelled_by_user',
                reason_detail = 'by ' || session_user, finished_at = now() WHERE id = job_id;
            RETURN 'cancelled';
        WHEN v_job.state IN ('dialing', 'in_doubt') THEN
            UPDATE callq.jobs SET cancel_requested_at = coalesce(cancel_requested_at, now()) WHERE id = job_id;
            RETURN 'requested';
        WHEN v_job.state IN ('placed', 'completed') THEN
            RETURN 'too_late';
        ELSE
            RETURN v_job.state::text;
    END CASE;
END $$;
COMMENT ON FUNCTION callq.cancel IS 'Cancels a job and answers with a word. cancelled: nobody was rung and nobody will be. unresolved: nobody will be rung again, but an earlier attempt may have rung. requested: a request is under way or in doubt; it is settled when the reply is known. too_late: the call was placed. Otherwise the end state the job already had.';

CREATE FUNCTION callq.retry(job_id bigint, ttl interval DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_job callq.jobs := callq.lock_job(job_id);
    -- A job that was cancelled before its time still waits for it.
    v_due_at timestamptz := greatest(now(), v_job.run_at);
BEGIN
    IF (retry.ttl > interval '0' AND retry.ttl <= interval '100 years') IS FALSE THEN
        RAISE EXCEPTION USING MESSAGE = format('ttl is %s: it must be longer than zero and at most 100 years', retry.ttl),
            ERRCODE = 'invalid_parameter_value';
    ELSIF v_job.state NOT IN ('scheduled', 'failed', 'expired', 'cancelled') THEN
        RAISE EXCEPTION USING
            MESSAGE = format('job %s is %s: retrying it could ring a phone twice', job_id, v_job.state),
            ERRCODE = 'object_not_in_prerequisite_state',
            HINT = CASE WHEN v_job.state IN ('in_doubt', 'unresolved')
                THEN format('If you know what became of it: SELECT callq.resolve(%s, ''placed'' | ''retry'' | ''failed'').', job_id)
                WHEN v_job.state = 'dialing' THEN 'Wait for its reply.'
                ELSE 'To ring again on purpose, insert a new job.' END;
    ELSIF v_job.state = 'scheduled' AND v_job.attempt = 0 THEN
        RAISE EXCEPTION USING
            MESSAGE = format('job %s has not been tried yet: it is scheduled for %s', job_id, v_job.run_at),
            ERRCODE = 'object_not_in_prerequisite_state', HINT = 'To ring sooner, UPDATE its run_at.';
    END IF;
    -- run_at + ttl stays what the user gave, so that another retry does not add to this one's deadline.
    -- Summed in UTC, as for an INSERT.
    UPDATE callq.jobs AS j SET state = 'scheduled', reason = 'retried_by_person', reason_detail = 'by ' || session_user,
        due_at = v_due_at, attempts_used = 0, cancel_requested_at = NULL, lease_until = NULL, finished_at = NULL,
        expires_at = CASE WHEN retry.ttl IS NULL AND j.expires_at > now() THEN j.expires_at
            ELSE (v_due_at AT TIME ZONE 'UTC' + coalesce(retry.ttl, j.ttl, interval '1 hour')) AT TIME ZONE 'UTC' END
        WHERE j.id = job_id;
    IF v_due_at <= now() + interval '60 seconds' THEN
        PERFORM callq.wake_workers();
    END IF;
    RETURN 'scheduled';
END $$;
COMMENT ON FUNCTION callq.retry IS 'Makes a job that rang nobody (failed, expired, cancelled, or waiting for its next try) due now, or at run_at if that is still to come, with all its attempts again. If its deadline has passed, or ttl is given, it gets a new one: ttl after it is due, by default the ttl it had. Refuses a job that may have rung.';

CREATE FUNCTION callq.resolve(job_id bigint, verdict text, note text DEFAULT NULL, call_id text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_job callq.jobs := callq.lock_job(job_id);
    v_said text := left('by ' || session_user || coalesce(': ' || note, ''), 500);
    v_state callq.job_state;
BEGIN
    IF v_job.state NOT IN ('in_doubt', 'unresolved') THEN
        RAISE EXCEPTION USING MESSAGE = format('job %s is %s: only a job that is in_doubt or unresolved can be resolved', resolve.job_id, v_job.state),
            ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF verdict IS NULL OR verdict NOT IN ('placed', 'retry', 'failed') THEN
        RAISE EXCEPTION USING MESSAGE = format('verdict is %s: it must be placed (the phone rang), retry (ring again) or failed (nobody was rung; do not ring again)', callq.quoted(verdict)),
            ERRCODE = 'invalid_parameter_value';
    ELSIF verdict = 'retry' AND v_job.expires_at <= now() THEN
        RAISE EXCEPTION USING MESSAGE = format('job %s cannot ring again: its deadline was %s', resolve.job_id, v_job.expires_at),
            ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Resolve it as failed and insert a new job.';
    ELSIF verdict = 'retry' AND v_job.cancel_requested_at IS NOT NULL THEN
        RAISE EXCEPTION USING MESSAGE = format('job %s cannot ring again: a cancel was asked for at %s', resolve.job_id, v_job.cancel_requested_at),
            ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Resolve it as failed, which cancels it.';
    END IF;
    IF verdict <> 'placed' THEN
        -- What a person has settled is in doubt no longer.
        UPDATE callq.attempts AS a SET class = 'safe', detail = left('settled ' || v_said, 500)
            WHERE a.job_id = resolve.job_id AND a.class = 'in_doubt';
    END IF;
    UPDATE callq.jobs AS j SET
        state = CASE WHEN verdict = 'placed' THEN 'placed'
                     WHEN verdict = 'retry' THEN 'scheduled'
                     WHEN j.cancel_requested_at IS NOT NULL THEN 'cancelled'
                     ELSE 'failed' END::callq.job_state,
        reason = CASE WHEN verdict = 'placed' THEN 'resolved_placed'
                      WHEN verdict = 'retry' THEN 'retried_by_person'
                      WHEN j.cancel_requested_at IS NOT NULL THEN 'cancelled_by_user'
                      ELSE 'resolved_failed' END,
        reason_detail = v_said,
        due_at = CASE WHEN verdict = 'retry' THEN now() ELSE j.due_at END,
        call_id = CASE WHEN verdict = 'placed' THEN coalesce(resolve.call_id, j.call_id) ELSE j.call_id END,
        placed_at = CASE WHEN verdict = 'placed' THEN now() ELSE j.placed_at END,
        finished_at = CASE WHEN verdict = 'retry' THEN NULL ELSE now() END,
        lease_until = NULL
        WHERE j.id = resolve.job_id
        RETURNING j.state INTO v_state;
    IF verdict = 'retry' THEN
        PERFORM callq.wake_workers();
    END IF;
    RETURN v_state::text;
END $$;
COMMENT ON FUNCTION callq.resolve IS 'A person''s evidence about a job in doubt. placed: the phone rang (give the CallId if you know it). retry: nobody was rung, ring again now. failed: nobody was rung, and nobody shall be. Answers with the new state; a late reply that says the phone rang still turns the job to placed.';

CREATE FUNCTION callq.pause_app(app text, reason text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO callq.apps AS a (app, paused_at, pause_reason, paused_by)
    VALUES (pause_app.app, now(), coalesce(pause_app.reason, 'no reason given'), session_user)
    ON CONFLICT (app) DO UPDATE SET
        paused_at = coalesce(a.paused_at, now()), pause_reason = excluded.pause_reason, pause_detail = NULL,
        paused_by = excluded.paused_by, pause_fingerprint = NULL, probe_at = NULL, probes = 0;
    SELECT pg_notify('callq_pauses', '');
$$;
COMMENT ON FUNCTION callq.pause_app IS 'From within a second none of the app''s jobs is claimed or sent until callq.resume_app. Calls whose request is under way are finished.';

CREATE FUNCTION callq.resume_app(app text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH resumed AS (
        UPDATE callq.apps AS a SET paused_at = NULL, pause_reason = NULL, pause_detail = NULL, paused_by = NULL,
            pause_fingerprint = NULL, probe_at = NULL, probes = 0, resumed_at = now()
        WHERE a.app = resume_app.app AND a.paused_at IS NOT NULL RETURNING a.app)
    SELECT EXISTS (SELECT FROM resumed) AND pg_notify('callq_pauses', '') IS NOT NULL;
$$;
COMMENT ON FUNCTION callq.resume_app IS 'Ends the pause of an app; true if it was paused.';

CREATE FUNCTION callq.pause_all(reason text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE callq.settings SET paused_at = coalesce(paused_at, now()),
        pause_reason = coalesce(pause_all.reason, 'no reason given'), paused_by = session_user;
    SELECT pg_notify('callq_pauses', '');
$$;
COMMENT ON FUNCTION callq.pause_all IS 'From within a second no job of any app is claimed or sent until callq.resume_all.';

CREATE FUNCTION callq.resume_all() RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH resumed AS (
        UPDATE callq.settings SET paused_at = NULL, pause_reason = NULL, paused_by = NULL
        WHERE paused_at IS NOT NULL RETURNING only_row)
    SELECT EXISTS (SELECT FROM resumed) AND pg_notify('callq_pauses', '') IS NOT NULL;
$$;
COMMENT ON FUNCTION callq.resume_all IS 'Ends a pause of everything; true if there was one. Apps that are paused by themselves stay so.';

-- Why a job that nobody rang in time was held, from what its row and its app's row still say.
CREATE FUNCTION callq.why_expired(p_app text, p_due_at timestamptz, p_held_by text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN p_held_by = 'unreachable' THEN 'expired_unreachable'
        WHEN p_held_by = 'throttled' THEN 'expired_throttled'
        WHEN p_held_by IN ('app_fault', 'quota_used', 'renewing_user_sig') THEN 'expired_app_paused'
        WHEN a.paused_at IS NOT NULL OR s.paused_at IS NOT NULL OR a.resumed_at > p_due_at THEN 'expired_app_paused'
        WHEN a.served_since <= p_due_at AND a.served_at > now() - interval '1 minute' THEN 'expired_pace'
        ELSE 'expired_no_worker' END
    FROM callq.settings AS s LEFT JOIN callq.apps AS a ON a.app = p_app
$$;
COMMENT ON FUNCTION callq.why_expired IS 'The reason of a job that expired while it was scheduled.';

CREATE FUNCTION callq.burst(calls_per_second double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN calls_per_second <= 200 THEN greatest(1, least(20, 200 - calls_per_second))
                ELSE calls_per_second / 9 END
$$;
COMMENT ON FUNCTION callq.burst IS 'The most tokens that an app''s bucket holds. With it no second sees more than Tencent''s 200 calls (201 at a pace of 200); a pace above 200 is for a sandbox.';

CREATE FUNCTION callq.allow_producer(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA callq TO %I', role_name);
    EXECUTE format('GRANT SELECT ON callq.jobs, callq.attempts, callq.apps, callq.reasons, callq.settings TO %I', role_name);
    EXECUTE format('GRANT INSERT (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data,
        offline_push, run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata),
        UPDATE (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data,
        offline_push, run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata)
        ON callq.jobs TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.enqueue, callq.cancel, callq.retry, callq.resolve,
        callq.pause_app, callq.resume_app, callq.pause_all, callq.resume_all,
        callq.refusal, callq.quoted, callq.json_kind, callq.length_fault, callq.offline_push_fault, callq.wake_workers TO %I', role_name);
END $$;
COMMENT ON FUNCTION callq.allow_producer IS 'Lets a role insert jobs, change what users may change, use the verbs and read jobs; not write callq''s own columns.';

CREATE FUNCTION callq.allow_report(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_view text;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA callq TO %I', role_name);
    FOR v_view IN SELECT viewname FROM pg_views WHERE schemaname = 'callq' LOOP
        EXECUTE format('GRANT SELECT ON callq.%I TO %I', v_view, role_name);
    END LOOP;
END $$;
COMMENT ON FUNCTION callq.allow_report IS 'Lets a role read the report views and nothing else.';

REVOKE EXECUTE ON FUNCTION callq.enqueue, callq.lock_job, callq.cancel, callq.retry, callq.resolve, callq.pause_app,
    callq.resume_app, callq.pause_all, callq.resume_all, callq.why_expired, callq.may_have_rung, callq.burst, callq.allow_producer, callq.allow_report
    FROM PUBLIC;
