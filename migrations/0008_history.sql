-- Whether this database still holds what workers wrote into it.
--
-- The database is the memory of what was rung. A standby that is promoted without the last commits, or a
-- backup that is restored, has forgotten calls and says scheduled of a job whose phone has rung. So the
-- history that workers go by has a name here, and nothing is claimed in a history of another name until it is
-- known that nothing was lost: because every worker that lived through the change finds its own newest
-- write, behind which nothing can be missing, since the write-ahead log is a line; or because a person has
-- called callq.recover, which holds every job that may have been rung.

-- What tells one history from another. The numbers of database and table are new in whatever was restored
-- from a dump or copied within one server, and the same on a standby; the timeline goes up when a server
-- is promoted or recovered from an archive. It is read off the write-ahead log: the control file's follows
-- only with the first checkpoint. All of it may be read by everybody (PostgreSQL 15); a server that keeps its
-- identifier to itself is known by the rest.
CREATE FUNCTION callq.present_history(OUT in_recovery boolean, OUT origin text, OUT timeline integer, OUT wal_position bigint, OUT server_started bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_system text := 'unknown';
BEGIN
    in_recovery := pg_is_in_recovery();
    server_started := extract(epoch FROM pg_postmaster_start_time()) * 1000000;
    IF has_function_privilege('pg_control_system()', 'EXECUTE') THEN
        SELECT s.system_identifier INTO v_system FROM pg_control_system() AS s;
    END IF;
    SELECT format('%s.%s.%s', v_system, d.oid, 'callq.jobs'::regclass::oid) INTO origin
    FROM pg_database AS d WHERE d.datname = current_database();
    IF NOT in_recovery THEN
        timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;
        -- What a crash of the server cannot take back; what was only inserted, it can.
        wal_position := pg_current_wal_flush_lsn() - '0/0';
    END IF;
END $$;
COMMENT ON FUNCTION callq.present_history IS 'The history that this server is in now: whether it is a standby; its origin (system identifier, database, table); its timeline; how far its write-ahead log is on disk, in bytes (both NULL on a standby); when the server was started, in microseconds since 1970.';

ALTER TABLE callq.meta
    ADD COLUMN history_origin       text,
    ADD COLUMN history_timeline     integer,
    ADD COLUMN history_no           bigint NOT NULL DEFAULT 1,
    ADD COLUMN history_recovered_no bigint NOT NULL DEFAULT 0,
    ADD COLUMN history_accepted_at  timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN history_accepted_by  text NOT NULL DEFAULT session_user,
    ADD COLUMN history_lost_at      timestamptz,
    ADD COLUMN history_lost_detail  text,
    ADD COLUMN history_lost_since   timestamptz;
UPDATE callq.meta SET (history_origin, history_timeline) = (SELECT p.origin, p.timeline FROM callq.present_history() AS p);
ALTER TABLE callq.meta
    ALTER COLUMN history_origin SET NOT NULL, ALTER COLUMN history_timeline SET NOT NULL,
    ADD CONSTRAINT a_lost_history_says_why CHECK ((history_lost_at IS NULL) = (history_lost_detail IS NULL));
COMMENT ON TABLE callq.meta IS 'One row: which schema this is, which programs may use it, and which history of the database workers go by.';
COMMENT ON COLUMN callq.meta.history_origin IS 'The accepted history: system identifier of the server, number of the database, number of the table callq.jobs.';
COMMENT ON COLUMN callq.meta.history_timeline IS 'Its timeline.';
COMMENT ON COLUMN callq.meta.history_no IS 'Counts the histories that were accepted.';
COMMENT ON COLUMN callq.meta.history_recovered_no IS 'The last one that a person accepted, by callq.recover: what was lost before it is settled.';
COMMENT ON COLUMN callq.meta.history_accepted_at IS 'When it was accepted.';
COMMENT ON COLUMN callq.meta.history_accepted_by IS 'By whom: the workers that found their newest writes, or the database user who called callq.recover or migrated.';
COMMENT ON COLUMN callq.meta.history_lost_at IS 'When a worker found that a part of the history is gone; NULL: none did. Nothing is claimed until callq.recover.';
COMMENT ON COLUMN callq.meta.history_lost_detail IS 'What it found.';
COMMENT ON COLUMN callq.meta.history_lost_since IS 'The newest thing that was certainly before the gap.';

-- Not in callq.workers, which is UNLOGGED and so empty on a server that was promoted. One small commit per
-- worker every 5 s.
CREATE TABLE callq.witnesses (
    worker             text PRIMARY KEY,
    seen_at            timestamptz NOT NULL,
    writes             bigint      NOT NULL,
    left_at            timestamptz,
    testified_origin   text,
    testified_timeline integer
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE callq.witnesses IS 'One row per worker process: its newest write, by which it finds out whether the database has forgotten anything. Not written while the history is not accepted. Gone a day after a graceful stop, and after 30 days of silence.';
COMMENT ON COLUMN callq.witnesses.worker IS 'Its name, as in attempts.worker.';
COMMENT ON COLUMN callq.witnesses.seen_at IS 'When it last wrote here, every 5 s.';
COMMENT ON COLUMN callq.witnesses.writes IS 'The number of that write, counted by the worker.';
COMMENT ON COLUMN callq.witnesses.left_at IS 'When it ended in good order; NULL: it has not said so.';
COMMENT ON COLUMN callq.witnesses.testified_origin IS 'The history in which it found its newest write, if that is not accepted yet.';
COMMENT ON COLUMN callq.witnesses.testified_timeline IS 'Its timeline.';

-- A worker that died well before the change cannot have rung anything in what was lost.
CREATE FUNCTION callq.awaited_witnesses(p_origin text, p_timeline integer, OUT asked bigint, OUT missing text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*), coalesce(array_agg(w.worker ORDER BY w.worker)
        FILTER (WHERE (w.testified_origin, w.testified_timeline) IS DISTINCT FROM (p_origin, p_timeline)), '{}')
    FROM callq.witnesses AS w
    WHERE w.left_at IS NULL AND w.seen_at > (SELECT max(n.seen_at) FROM callq.witnesses AS n) - interval '20 seconds'
$$;
COMMENT ON FUNCTION callq.awaited_witnesses IS 'How many workers were alive when the accepted history ended, within 20 s of the newest write of any, and which of them have not found their newest write in this one yet.';

CREATE FUNCTION callq.remembers_until() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(m.history_lost_since, greatest(m.history_accepted_at, (SELECT max(w.seen_at) FROM callq.witnesses AS w)))
    FROM callq.meta AS m
$$;
COMMENT ON FUNCTION callq.remembers_until IS 'The newest thing that workers wrote into the accepted history and that is here: what is lost, if anything is, was written later.';

CREATE VIEW callq.history AS
SELECT s.state,
    CASE s.state
        WHEN 'accepted' THEN 'workers go by this history of the database'
        WHEN 'standby' THEN 'this server is a standby, or recovers: nothing is written to it'
        WHEN 'lost' THEN 'the database has lost a part of its history: ' || m.history_lost_detail
        WHEN 'other' THEN 'this is not the database that workers have worked in: a backup was restored, or it is a copy'
        WHEN 'older' THEN format('the server is in an older timeline (%s) than workers have worked in (%s)', p.timeline, m.history_timeline)
        WHEN 'promoted' THEN format('the server was promoted or recovered (timeline %s, it was %s), and it is not known whether it has every claim: ', p.timeline, m.history_timeline)
            || CASE WHEN w.asked = 0 THEN 'no worker that was there before it can tell'
                    ELSE format('waiting for the word of %s', array_to_string(w.missing, ', ')) END
    END AS says,
    CASE s.state
        WHEN 'accepted' THEN 'nothing to do'
        WHEN 'standby' THEN 'connect to the primary'
        ELSE format('nothing is claimed until `callq recover --since %s` holds every job that may have been rung since then'
            || CASE WHEN s.state = 'promoted' AND w.asked > 0 THEN ', or they have come back' ELSE '' END,
            to_char(date_trunc('milliseconds', r.until) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) END AS next_step,
    r.until AS remembers_until, w.missing AS waits_for,
    m.history_no, m.history_accepted_at AS accepted_at, m.history_accepted_by AS accepted_by, m.history_lost_at AS lost_at,
    m.history_origin AS accepted_origin, m.history_timeline AS accepted_timeline, p.origin, p.timeline
FROM callq.meta AS m
CROSS JOIN callq.present_history() AS p
CROSS JOIN LATERAL (
    SELECT CASE WHEN p.in_recovery THEN 'standby'
        WHEN m.history_lost_at IS NOT NULL THEN 'lost'
        WHEN p.origin <> m.history_origin THEN 'other'
        WHEN p.timeline < m.history_timeline THEN 'older'
        WHEN p.timeline > m.history_timeline THEN 'promoted'
        ELSE 'accepted' END AS state) AS s
CROSS JOIN LATERAL callq.awaited_witnesses(p.origin, p.timeline) AS w
CROSS JOIN LATERAL (SELECT callq.remembers_until() AS until) AS r;
COMMENT ON VIEW callq.history IS 'One row: whether workers go by this history of the database, and if not, what they wait for.';
COMMENT ON COLUMN callq.history.state IS 'accepted: workers claim. Otherwise nothing is claimed: standby; lost (a worker misses something); other (a restored dump, a copy, another server); older; promoted (nothing is known to be lost).';
COMMENT ON COLUMN callq.history.says IS 'The same as a sentence.';
COMMENT ON COLUMN callq.history.next_step IS 'What to do.';
COMMENT ON COLUMN callq.history.remembers_until IS 'The newest thing that workers wrote and that is here; see callq.recover.';
COMMENT ON COLUMN callq.history.waits_for IS 'After a promotion: the workers that have not said yet whether their newest write is here.';
COMMENT ON COLUMN callq.history.history_no IS 'Counts the histories that were accepted.';
COMMENT ON COLUMN callq.history.accepted_at IS 'When the last one was accepted.';
COMMENT ON COLUMN callq.history.accepted_by IS 'By whom.';
COMMENT ON COLUMN callq.history.lost_at IS 'When a worker found something missing.';
COMMENT ON COLUMN callq.history.accepted_origin IS 'The accepted history: system identifier, database, table.';
COMMENT ON COLUMN callq.history.accepted_timeline IS 'Its timeline.';
COMMENT ON COLUMN callq.history.origin IS 'The present one.';
COMMENT ON COLUMN callq.history.timeline IS 'Its timeline.';

-- Each decision is made under the lock of callq.meta and on what is read under it: two workers accept one
-- after the other, and none accepts what another has found lost. The ordinary call locks nothing but the
-- worker's own row.
CREATE FUNCTION callq.attest(
    p_worker text, p_up_s double precision, p_joined bigint, p_write bigint, p_wrote bigint,
    p_job_id bigint, p_attempt integer, p_claim_token uuid, p_filed_job_id bigint, p_filed_attempt integer, p_filed_token uuid, p_origin text, p_timeline integer, p_wal_position bigint,
    OUT may_work boolean, OUT history_no bigint, OUT origin text, OUT timeline integer, OUT wal_position bigint, OUT server_started bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_here record;
    v_meta callq.meta;
    v_own callq.witnesses;
    v_lost text;
    v_left record;
BEGIN
    may_work := false;
    SELECT * INTO STRICT v_here FROM callq.present_history();
    origin := v_here.origin;
    timeline := v_here.timeline;
    wal_position := v_here.wal_position;
    server_started := v_here.server_started;
    IF v_here.in_recovery THEN
        RETURN;
    END IF;
    SELECT * INTO STRICT v_meta FROM callq.meta;
    history_no := v_meta.history_no;
    IF v_meta.history_lost_at IS NOT NULL THEN
        RETURN;
    END IF;

    -- What it has written may be missing, unless a person has settled that since.
    IF p_joined >= v_meta.history_recovered_no THEN
        SELECT * INTO v_own FROM callq.witnesses AS w WHERE w.worker = p_worker;
        v_lost := CASE
            WHEN p_joined > v_meta.history_no
                THEN format('worker %s has worked in history number %s, and this one is number %s', p_worker, p_joined, v_meta.history_no)
            WHEN p_origin = origin AND p_timeline = timeline AND wal_position < p_wal_position
                THEN format('worker %s has seen its write-ahead log %s bytes longer', p_worker, p_wal_position - wal_position)
            WHEN v_own.writes >= p_wrote IS NOT TRUE
                THEN format('the newest write of worker %s is not there', p_worker)
            WHEN p_claim_token IS NOT NULL AND NOT EXISTS (SELECT FROM callq.attempts AS a
                WHERE a.job_id = p_job_id AND a.attempt = p_attempt AND a.claim_token = p_claim_token)
                THEN format('attempt %s of job %s, claimed by worker %s, is not there', p_attempt, p_job_id, p_worker)
            WHEN p_filed_token IS NOT NULL AND NOT EXISTS (SELECT FROM callq.attempts AS a
                WHERE a.job_id = p_filed_job_id AND a.attempt = p_filed_attempt AND a.claim_token = p_filed_token AND a.state <> 'claimed')
                THEN format('the result of attempt %s of job %s, written by worker %s, is not there', p_filed_attempt, p_filed_job_id, p_worker) END;
    END IF;
    IF v_lost IS NOT NULL THEN
        UPDATE callq.meta AS m SET history_lost_at = now(), history_lost_detail = left(v_lost, 500),
            history_lost_since = least(callq.remembers_until(), coalesce(v_own.seen_at, now() - p_up_s * interval '1 second'))
        WHERE m.history_lost_at IS NULL AND m.history_no = v_meta.history_no;
        PERFORM pg_notify('callq_pauses', '');
        RETURN;
    END IF;

    IF origin <> v_meta.history_origin OR timeline <> v_meta.history_timeline THEN
        IF origin <> v_meta.history_origin OR timeline < v_meta.history_timeline OR (p_joined >= v_meta.history_recovered_no) IS NOT TRUE THEN
            RETURN;
        END IF;
        -- Nothing of its own is missing in the later timeline: so nothing that anybody wrote before that is.
        SELECT * INTO STRICT v_meta FROM callq.meta FOR UPDATE;
        IF v_meta.history_lost_at IS NOT NULL OR v_meta.history_no <> history_no THEN
            RETURN;
        END IF;
        UPDATE callq.witnesses AS w SET testified_origin = attest.origin, testified_timeline = attest.timeline
        WHERE w.worker = p_worker AND (w.testified_origin, w.testified_timeline) IS DISTINCT FROM (attest.origin, attest.timeline);
        SELECT * INTO v_left FROM callq.awaited_witnesses(attest.origin, attest.timeline);
        IF v_left.asked = 0 OR v_left.missing <> '{}' THEN
            RETURN;
        END IF;
        history_no := history_no + 1;
        UPDATE callq.meta AS m SET history_no = attest.history_no, history_origin = attest.origin, history_timeline = attest.timeline,
            history_accepted_at = now(), history_accepted_by = 'every worker found its newest write, the last ' || p_worker;
        PERFORM pg_notify('callq_pauses', '');
    END IF;
    INSERT INTO callq.witnesses AS w (worker, seen_at, writes) VALUES (p_worker, now(), p_write)
    ON CONFLICT (worker) DO UPDATE SET seen_at = now(), writes = excluded.writes, left_at = NULL,
        testified_origin = NULL, testified_timeline = NULL;
    DELETE FROM callq.witnesses AS w
    WHERE w.worker <> p_worker AND (w.left_at < now() - interval '1 day' OR w.seen_at < now() - interval '30 days');
    may_work := true;
END $$;
COMMENT ON FUNCTION callq.attest IS 'A worker (up for p_up_s seconds) says what it knows of the history, and asks whether it may work. p_joined: the number of the history that it works in; NULL: it has written nothing yet. p_write: the number of this write; p_wrote: of its newest that was acknowledged; then its newest claim since that one, the newest result that it wrote since, and where it last saw which position of the log. If something of that is missing, the history is marked lost. Answers with the number of the history and where it is.';

CREATE FUNCTION callq.depart(p_worker text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE callq.witnesses AS w SET left_at = now(), seen_at = now()
    FROM callq.meta AS m CROSS JOIN callq.present_history() AS p
    WHERE w.worker = p_worker AND m.history_lost_at IS NULL AND NOT p.in_recovery
      AND p.origin = m.history_origin AND p.timeline = m.history_timeline
    RETURNING true
$$;
COMMENT ON FUNCTION callq.depart IS 'A worker ends in good order, so that nobody waits for its word after a later failover. While the history is not accepted its word is still wanted, and this does nothing.';

CREATE FUNCTION callq.recover(since timestamptz, until timestamptz DEFAULT NULL, dry_run boolean DEFAULT false,
    OUT was text, OUT remembers_until timestamptz, OUT due bigint, OUT dialing bigint, OUT in_doubt bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_until timestamptz := coalesce(until, now());
    v_detail text;
BEGIN
    IF NOT dry_run AND NOT pg_is_in_recovery() THEN
        PERFORM FROM callq.meta FOR UPDATE;
    END IF;
    SELECT h.state, h.remembers_until INTO STRICT was, remembers_until FROM callq.history AS h;
    IF was = 'standby' THEN
        RAISE EXCEPTION USING MESSAGE = 'this server is a standby, or recovers: nothing can be recovered on it',
            ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Connect to the primary.';
    ELSIF since > remembers_until OR since IN ('infinity', '-infinity') THEN
        RAISE EXCEPTION USING
            MESSAGE = format('since is %s: it must not be later than %s, the newest that this database remembers of its workers: what it has forgotten came after that', since, remembers_until),
            ERRCODE = 'invalid_parameter_value', HINT = 'Give that time, or an earlier one to be on the safe side.';
    ELSIF v_until > now() OR v_until < since THEN
        RAISE EXCEPTION USING MESSAGE = format('until is %s: it must be after since and not in the future', v_until),
            ERRCODE = 'invalid_parameter_value', HINT = 'It is when the last worker stopped using the database that is lost; leave it out if you do not know.';
    END IF;
    SELECT count(*) FILTER (WHERE j.state = 'scheduled'), count(*) FILTER (WHERE j.state = 'dialing'), count(*) FILTER (WHERE j.state = 'in_doubt')
    INTO due, dialing, in_doubt
    FROM callq.jobs AS j
    WHERE since IS NOT NULL AND (j.state = 'dialing'
        OR (j.state = 'scheduled' AND j.due_at <= v_until AND isfinite(j.due_at) AND j.expires_at > since)
        OR (j.state = 'in_doubt' AND j.on_doubt = 'retry' AND j.expires_at > now() AND j.reason IS DISTINCT FROM 'history_lost'));
    IF dry_run THEN
        RETURN;
    END IF;

    v_detail := format('may have been rung between %s and %s, which the database has forgotten', since, v_until);
    -- Due in the span, and perhaps claimed in it: a request that nobody remembers is an attempt in doubt. Its
    -- number may have been used in what was lost; its token and its room never were.
    WITH held AS (
        UPDATE callq.jobs AS j SET state = 'in_doubt', reason = 'history_lost', reason_detail = v_detail, attempt = j.attempt + 1,
            attempts_used = j.attempts_used + 1, claim_token = gen_random_uuid(), lease_until = greatest(since, j.due_at) + interval '6 days'
        WHERE j.state = 'scheduled' AND j.due_at <= v_until AND isfinite(j.due_at) AND j.expires_at > since
        RETURNING j.id, j.attempt, j.claim_token, j.app, j.room_id, j.room_id_type, j.due_at
    ), written AS (
        INSERT INTO callq.attempts (job_id, attempt, claim_token, state, class, app, worker, room_id, room_id_type, random, due_at, claimed_at, detail)
        SELECT h.id, h.attempt, h.claim_token, 'unknown', 'in_doubt', h.app, 'callq.recover',
            coalesce(h.room_id, format('callq_%s_%s_forgotten', h.id, h.attempt)), CASE h.room_id_type WHEN 1 THEN 1 ELSE 2 END, 0,
            h.due_at, greatest(since, h.due_at), v_detail
        FROM held AS h
    ), lapsed AS (
        -- Under way at the cut: what came of it is forgotten. A worker that has its result still writes it.
        UPDATE callq.jobs AS j SET state = 'in_doubt', reason = 'history_lost', reason_detail = v_detail,
            attempts_used = j.attempts_used + 1, lease_until = now() + interval '6 days'
        WHERE since IS NOT NULL AND j.state = 'dialing'
        RETURNING j.id, j.attempt
    ), doubted AS (
        UPDATE callq.attempts AS a SET state = 'unknown', class = 'in_doubt', detail = v_detail
        FROM lapsed AS l WHERE a.job_id = l.id AND a.attempt = l.attempt AND a.state = 'claimed'
    ), kept AS (
        -- on_doubt = retry accepts the doubt that is known, not what was forgotten of its end.
        UPDATE callq.jobs AS j SET reason = 'history_lost', reason_detail = v_detail, lease_until = now() + interval '6 days'
        WHERE since IS NOT NULL AND j.state = 'in_doubt' AND j.on_doubt = 'retry' AND j.expires_at > now()
          AND j.reason IS DISTINCT FROM 'history_lost'
        RETURNING j.id
    )
    SELECT (SELECT count(*) FROM held), (SELECT count(*) FROM lapsed), (SELECT count(*) FROM kept) INTO due, dialing, in_doubt;
    UPDATE callq.meta AS m SET (history_origin, history_timeline) = (SELECT p.origin, p.timeline FROM callq.present_history() AS p),
        history_no = m.history_no + 1, history_recovered_no = m.history_no + 1, history_accepted_at = now(),
        history_accepted_by = session_user, history_lost_at = NULL, history_lost_detail = NULL, history_lost_since = NULL;
    DELETE FROM callq.witnesses;
    PERFORM pg_notify('callq_pauses', ''), callq.wake_workers();
END $$;
COMMENT ON FUNCTION callq.recover IS 'After a failover that lost commits, or a restored backup: accepts the database as it is, so that workers go on, and puts every job in doubt that may have been rung since then: all that were due until then (now, or when the last worker left the lost database) and had not expired before; whatever was under way; and doubts that on_doubt = retry would ring again. They are held for a person (callq.resolve) whatever on_doubt says, and end as unresolved after 6 days. since must not be later than what the database remembers. NULL: nothing was lost, and nothing is held. dry_run: only counts. Answers with the state of the history before, the newest that it remembers, and how many jobs were held.';

INSERT INTO callq.reasons (reason, sentence, next_step) VALUES
    ('history_lost', 'The database has lost a part of its history, in which the job may have been rung.', 'It is held whatever on_doubt says: find out whether the phone rang and SELECT callq.resolve(id, ''placed'' | ''retry'' | ''failed'').');

-- As before, but for jobs that only a person can settle.
CREATE OR REPLACE VIEW callq.in_doubt AS
SELECT (j.run_at AT TIME ZONE s.report_time_zone)::date AS day, j.app, j.id AS job_id, j.attempt, a.room_id, a.room_id_type,
    j.robot_account AS robot, j.callees, j.reason, j.reason_detail, j.on_doubt, a.claimed_at, now() - a.claimed_at AS age,
    CASE WHEN j.reason = 'history_lost' THEN 'a person' WHEN j.on_doubt = 'retry' THEN 'a late reply, then another ring' ELSE 'a late reply or a person' END AS evidence_looked_for,
    j.lease_until AS resolves_at
FROM callq.jobs AS j
CROSS JOIN callq.settings AS s
LEFT JOIN callq.attempts AS a ON a.job_id = j.id AND a.attempt = j.attempt
WHERE j.state = 'in_doubt';

CREATE OR REPLACE FUNCTION callq.allow_report(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_view text;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA callq TO %I', role_name);
    FOR v_view IN SELECT viewname FROM pg_views WHERE schemaname = 'callq' AND pg_has_role(viewowner, 'USAGE') LOOP
        EXECUTE format('GRANT SELECT ON callq.%I TO %I', v_view, role_name);
    END LOOP;
    -- What a view calls runs as whoever reads it.
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.present_history, callq.awaited_witnesses, callq.remembers_until TO %I', role_name);
END $$;

CREATE OR REPLACE FUNCTION callq.allow_producer(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_report(role_name);
    EXECUTE format('GRANT SELECT ON callq.jobs, callq.attempts, callq.apps, callq.pace, callq.workers, callq.reasons,
        callq.error_codes, callq.settings, callq.meta TO %I', role_name);
    EXECUTE format('GRANT INSERT (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data,
        offline_push, run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata),
        UPDATE (app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data,
        offline_push, run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata)
        ON callq.jobs TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.enqueue, callq.cancel, callq.retry, callq.resolve,
        callq.pause_app, callq.resume_app, callq.pause_all, callq.resume_all, callq.recover,
        callq.refusal, callq.quoted, callq.json_kind, callq.length_fault, callq.offline_push_fault, callq.wake_workers,
        callq.pace_share, callq.unserved_since, callq.unreachable_since TO %I', role_name);
END $$;

CREATE OR REPLACE FUNCTION callq.allow_worker(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA callq TO %I', role_name);
    EXECUTE format('GRANT SELECT ON callq.jobs, callq.attempts, callq.apps, callq.pace, callq.workers, callq.app_holds,
        callq.settings, callq.meta, callq.history TO %I', role_name);
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
        UPDATE (sdk_app_id, kind, host, calls_per_second, served_at, served_since, unserved_since, last_success_at, throttled_at,
        throttled_since, paused_at,
        pause_reason, pause_detail, paused_by, pause_fingerprint, probe_at, probes, resumed_at)
        ON callq.apps TO %I', role_name);
    EXECUTE format('GRANT INSERT (app, tokens, granted, asked, refilled_at, factor, factor_at, ramp_for),
        UPDATE (tokens, granted, asked, refilled_at, factor, factor_at, ramp_for)
        ON callq.pace TO %I', role_name);
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON callq.workers TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.may_have_rung, callq.why_expired(text, timestamptz, text),
        callq.why_expired(text, timestamptz, text, timestamptz), callq.unserved_since, callq.unreachable_since, callq.note_hold,
        callq.present_history, callq.awaited_witnesses, callq.remembers_until, callq.attest, callq.depart,
        callq.pace_share, callq.burst, callq.wake_workers,
        callq.refusal, callq.quoted, callq.json_kind, callq.length_fault, callq.offline_push_fault TO %I', role_name);
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


REVOKE EXECUTE ON FUNCTION callq.present_history, callq.awaited_witnesses, callq.remembers_until, callq.attest, callq.depart, callq.recover
    FROM PUBLIC;
UPDATE callq.meta SET schema_version = 5;
