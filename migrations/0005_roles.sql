-- Who may do what, in one place: callq.allow_producer, allow_worker and allow_report hold every grant,
-- callq.apply_rights holds what nobody may have. No file of migrations/ grants anything to a group role by
-- itself: `callq migrate` makes the roles and calls apply_rights after every run (src/store/migrate.rs),
-- so the rights also hold for what later files add. A file that adds a table, a column or a function
-- replaces the allow_ functions that need it.

-- Triggers run as whoever inserts. Without this, a function or an operator of the same name in a schema of
-- theirs that comes before pg_catalog would take the place of the one that a rule is made of.
ALTER FUNCTION callq.check_job() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION callq.refuse_late_change() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION callq.wake_for_inserted() SET search_path = pg_catalog, pg_temp;

-- Besides control characters, those that turn the writing direction, that separate lines, or that are not
-- seen: with each of them a message can read as something that it is not (src/call/text.rs).
CREATE OR REPLACE FUNCTION callq.quoted(p_value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_value IS NULL THEN 'NULL'
        ELSE '"' || regexp_replace(left(p_value, 60),
                '[[:cntrl:]\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]', '?', 'g')
            || CASE WHEN length(p_value) > 60 THEN '..."' ELSE '"' END END
$$;

-- Names and reasons of pauses are shown to everybody: as long as a job's app may be, and no longer than any
-- other text that is shown.
CREATE OR REPLACE FUNCTION callq.pause_app(app text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF (octet_length(pause_app.app) BETWEEN 1 AND 64) IS NOT TRUE THEN
        RAISE EXCEPTION USING MESSAGE = format('app %s: it must be 1 to 64 bytes', callq.length_fault(pause_app.app)),
            ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO callq.apps AS a (app, paused_at, pause_reason, paused_by)
    VALUES (pause_app.app, now(), left(coalesce(pause_app.reason, 'no reason given'), 500), session_user)
    ON CONFLICT (app) DO UPDATE SET
        paused_at = coalesce(a.paused_at, now()), pause_reason = excluded.pause_reason, pause_detail = NULL,
        paused_by = excluded.paused_by, pause_fingerprint = NULL, probe_at = NULL, probes = 0;
    PERFORM pg_notify('callq_pauses', '');
END $$;

CREATE OR REPLACE FUNCTION callq.pause_all(reason text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE callq.settings SET paused_at = coalesce(paused_at, now()),
        pause_reason = left(coalesce(pause_all.reason, 'no reason given'), 500), paused_by = session_user;
    SELECT pg_notify('callq_pauses', '');
$$;

CREATE OR REPLACE FUNCTION callq.allow_report(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_view text;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA callq TO %I', role_name);
    FOR v_view IN SELECT viewname FROM pg_views WHERE schemaname = 'callq' AND pg_has_role(viewowner, 'USAGE') LOOP
        EXECUTE format('GRANT SELECT ON callq.%I TO %I', v_view, role_name);
    END LOOP;
END $$;
COMMENT ON FUNCTION callq.allow_report IS 'Lets a role read the report views and nothing else. callq_report has these rights.';

-- What the rules call runs as whoever inserts, so that whoever inserts may call it.
CREATE OR REPLACE FUNCTION callq.allow_producer(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_report(role_name);
    EXECUTE format('GRANT SELECT ON callq.jobs, callq.attempts, callq.apps, callq.pace, callq.reasons, callq.error_codes,
        callq.settings, callq.meta TO %I', role_name);
    EXECUTE format('GRANT INSERT (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data,
        offline_push, run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata),
        UPDATE (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data,
        offline_push, run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata)
        ON callq.jobs TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.enqueue, callq.cancel, callq.retry, callq.resolve,
        callq.pause_app, callq.resume_app, callq.pause_all, callq.resume_all,
        callq.refusal, callq.quoted, callq.json_kind, callq.length_fault, callq.offline_push_fault, callq.wake_workers TO %I', role_name);
END $$;
COMMENT ON FUNCTION callq.allow_producer IS 'Lets a role insert jobs, change what users may change, use the verbs, and read jobs (user_data included), attempts, apps and the views; not write callq''s own columns. callq_enqueue has these rights.';

-- Column by column what the statements in src/store write, so that a worker''s login can neither move a
-- call nor change whom it rings. It inserts jobs only to ring refused callees again (record.sql).
CREATE FUNCTION callq.allow_worker(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA callq TO %I', role_name);
    EXECUTE format('GRANT SELECT ON callq.jobs, callq.attempts, callq.apps, callq.pace, callq.settings, callq.meta TO %I', role_name);
    EXECUTE format('GRANT INSERT (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data,
        offline_push, run_at, expires_at, priority, max_attempts, on_doubt, retry_callees, metadata, root_id, ring_no),
        UPDATE (state, reason, reason_detail, attempt, attempts_used, claim_token, lease_until, due_at, call_id, callee_results,
        error_code, error_info, request_id, sent_at, placed_at, finished_at)
        ON callq.jobs TO %I', role_name);
    EXECUTE format('GRANT INSERT (job_id, attempt, claim_token, app, worker, room_id, room_id_type, random, due_at, claimed_at),
        UPDATE (state, sent_at, replied_at, class, http_status, error_code, error_info, request_id, call_id, callee_results,
        detail, second_ring)
        ON callq.attempts TO %I', role_name);
    EXECUTE format('GRANT INSERT (app, sdk_app_id, kind, host, calls_per_second, served_at, served_since),
        UPDATE (sdk_app_id, kind, host, calls_per_second, served_at, served_since, last_success_at, throttled_at, paused_at,
        pause_reason, pause_detail, paused_by, pause_fingerprint, probe_at, probes, resumed_at)
        ON callq.apps TO %I', role_name);
    EXECUTE format('GRANT INSERT (app, tokens, granted, asked, refilled_at), UPDATE (tokens, granted, asked, refilled_at, factor, factor_at)
        ON callq.pace TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.may_have_rung, callq.why_expired, callq.burst, callq.wake_workers,
        callq.refusal, callq.quoted, callq.json_kind, callq.length_fault, callq.offline_push_fault TO %I', role_name);
END $$;
COMMENT ON FUNCTION callq.allow_worker IS 'Lets a role do what callq worker does, and nothing more: not move a job, not change whom it rings, not delete. callq_worker has these rights.';

-- Only what is there is taken away, so that a migration that changes nothing touches no row of the
-- catalogue. An object of somebody else's is left alone, or the whole migration would fail on it. The
-- lock is for two migrations at once: PostgreSQL refuses the second of two grants on one object.
CREATE FUNCTION callq.apply_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_object text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('callq.apply_rights', 0));
    REVOKE ALL ON SCHEMA callq FROM PUBLIC;
    FOR v_object IN
        SELECT format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass)
        FROM pg_class AS c
        WHERE c.relnamespace = 'callq'::regnamespace AND pg_has_role(c.relowner, 'USAGE')
          AND EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee = 0)
        UNION ALL
        SELECT format('ROUTINE %s', p.oid::regprocedure)
        FROM pg_proc AS p
        WHERE p.pronamespace = 'callq'::regnamespace AND pg_has_role(p.proowner, 'USAGE')
          AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0)
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', v_object);
    END LOOP;
    IF to_regrole('callq_enqueue') IS NOT NULL THEN
        PERFORM callq.allow_producer('callq_enqueue');
    END IF;
    IF to_regrole('callq_worker') IS NOT NULL THEN
        PERFORM callq.allow_worker('callq_worker');
    END IF;
    IF to_regrole('callq_report') IS NOT NULL THEN
        PERFORM callq.allow_report('callq_report');
    END IF;
END $$;
COMMENT ON FUNCTION callq.apply_rights IS 'Takes every right on the schema from PUBLIC and gives the roles callq_enqueue, callq_worker and callq_report theirs, as far as they exist. callq migrate calls it after every run.';

UPDATE callq.meta SET schema_version = 2;
