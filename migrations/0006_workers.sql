-- What the queue knows of its workers, and what held an app's jobs back and when.
--
-- Nothing here decides what is rung: a claim rests on leases and the database's clock alone. The
-- rows of callq.workers are for people and for the reasons that jobs end with; callq.app_holds is
-- for those reasons, and for the ramp after an outage. A worker of an earlier version writes neither;
-- it is known by callq.apps.served_at alone.

-- UNLOGGED: a row is true for as long as its worker says it again, every 5 s, so after a crash of the
-- server, when the table is empty, it is full again in 5 s; and saying it costs no WAL. What must
-- outlive a crash, when an app was last served, is in callq.apps.
CREATE UNLOGGED TABLE callq.workers (
    worker        text PRIMARY KEY,
    version       text        NOT NULL,
    started_at    timestamptz NOT NULL,
    seen_at       timestamptz NOT NULL,
    apps          text[]      NOT NULL,
    concurrency   integer     NOT NULL,
    in_flight     integer     NOT NULL,
    unrecorded    integer     NOT NULL,
    listener_deaf boolean     NOT NULL,
    stopping      boolean     NOT NULL,
    circuits      jsonb       NOT NULL DEFAULT '[]'
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE callq.workers IS 'One row per worker process, as it last told of itself; for people, nothing rests on it. Gone with a graceful stop, and after an hour of silence. A worker of an earlier version has none.';
COMMENT ON COLUMN callq.workers.worker IS 'Its name, as in attempts.worker: host name, process id and a random part.';
COMMENT ON COLUMN callq.workers.version IS 'The version of callq that it runs.';
COMMENT ON COLUMN callq.workers.started_at IS 'When it started, on the database''s clock.';
COMMENT ON COLUMN callq.workers.seen_at IS 'When it last told of itself: every 5 s, and at once when a circuit opens or closes. Silent for 20 s, it counts as gone.';
COMMENT ON COLUMN callq.workers.apps IS 'The apps that it serves.';
COMMENT ON COLUMN callq.workers.concurrency IS 'How many requests it has under way at most.';
COMMENT ON COLUMN callq.workers.in_flight IS 'How many requests it had under way.';
COMMENT ON COLUMN callq.workers.unrecorded IS 'How many results it held that were not in the database.';
COMMENT ON COLUMN callq.workers.listener_deaf IS 'Whether notifications did not reach it, so that it found work by polling.';
COMMENT ON COLUMN callq.workers.stopping IS 'Whether it claims nothing more and finishes what is under way.';
COMMENT ON COLUMN callq.workers.circuits IS 'The apps whose host it could not reach: an array of objects with app, since, next_try_at and failure.';

CREATE TABLE callq.app_holds (
    app   text        NOT NULL,
    hold  text        NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    CONSTRAINT holds_are_known_words CHECK (hold IN ('paused', 'no_worker', 'unreachable')),
    CONSTRAINT holds_are_over CHECK (since < until),
    PRIMARY KEY (app, until, hold, since)
);
COMMENT ON TABLE callq.app_holds IS 'When an app''s jobs were held back, once that is over; kept for 30 days. What holds them now is in callq.apps, callq.settings and callq.workers.';
COMMENT ON COLUMN callq.app_holds.app IS 'The app; empty: every app.';
COMMENT ON COLUMN callq.app_holds.hold IS 'paused, no_worker (none served it) or unreachable (no worker could reach Tencent''s host).';
COMMENT ON COLUMN callq.app_holds.since IS 'When it began; -infinity: the app had never been served.';
COMMENT ON COLUMN callq.app_holds.until IS 'When it ended.';

ALTER TABLE callq.apps ADD COLUMN unserved_since timestamptz, ADD COLUMN throttled_since timestamptz;
COMMENT ON COLUMN callq.apps.unserved_since IS 'When the last worker that served it stopped in good order; NULL, or before served_at: that is not so.';
COMMENT ON COLUMN callq.apps.throttled_since IS 'When Tencent began to ask it to go slower, with no minute of quiet since then until throttled_at.';
COMMENT ON COLUMN callq.apps.served_since IS 'Since when a worker has served it without a gap.';

-- A correction may leave a bucket in debt: requests that left later than their tokens were taken.
ALTER TABLE callq.pace DROP CONSTRAINT tokens_are_not_negative, ADD COLUMN ramp_for timestamptz;
COMMENT ON COLUMN callq.pace.tokens IS 'Tokens left at refilled_at; at most callq.burst of the pace. Below zero: requests left late, and the next tokens are for them.';
COMMENT ON COLUMN callq.pace.factor IS 'The share of calls_per_second in force at factor_at; it doubles every 15 s until it is 1.';
COMMENT ON COLUMN callq.pace.factor_at IS 'When the pace was last cut: by a throttle, or to a tenth for the ramp after an outage.';
COMMENT ON COLUMN callq.pace.ramp_for IS 'When the hold began after which the pace was last ramped up; each hold is followed by one ramp at most.';

CREATE FUNCTION callq.pace_share(p_factor double precision, p_factor_at timestamptz, p_at timestamptz) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
    SELECT least(1, p_factor * 2 ^ greatest(0, least(30, extract(epoch FROM p_at - p_factor_at)::float8 / 15)))
$$;
COMMENT ON FUNCTION callq.pace_share IS 'The share of its pace that an app has at p_at, after it was cut to p_factor at p_factor_at: doubled every 15 s, at most 1.';

CREATE FUNCTION callq.unserved_since(p_app text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN a.served_at IS NULL THEN '-infinity'
                WHEN a.unserved_since >= a.served_at THEN a.unserved_since
                WHEN a.served_at < now() - interval '20 seconds' THEN a.served_at END
    FROM (VALUES (p_app)) AS q(app) LEFT JOIN callq.apps AS a ON a.app = q.app
$$;
COMMENT ON FUNCTION callq.unserved_since IS 'Since when no worker serves the app; -infinity: none ever did. NULL: one does. Workers say so every 10 s, so one that ended without a word is missed after 20 s.';

CREATE FUNCTION callq.unreachable_since(p_app text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN count(*) = count(c.since) THEN max(c.since) END
    FROM callq.workers AS w
    LEFT JOIN LATERAL (
        SELECT c.since FROM jsonb_to_recordset(w.circuits) AS c(app text, since timestamptz) WHERE c.app = p_app LIMIT 1) AS c ON true
    WHERE p_app = ANY (w.apps) AND w.seen_at > now() - interval '20 seconds'
$$;
COMMENT ON FUNCTION callq.unreachable_since IS 'Since when none of the workers that serve the app can reach its host. NULL: one can, or none serves it.';

-- With the owner's rights, so that a worker's login needs none to change what has been noted.
CREATE FUNCTION callq.note_hold(p_app text, p_hold text, p_since timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM callq.app_holds AS h WHERE h.app = p_app AND h.until < now() - interval '30 days';
    INSERT INTO callq.app_holds (app, hold, since, until)
    SELECT p_app, p_hold, p_since, now() WHERE p_since < now() ON CONFLICT DO NOTHING;
$$;
COMMENT ON FUNCTION callq.note_hold IS 'Notes that what held an app''s jobs since p_since is over now.';

-- However a pause ends: by a person, by an accepted call, by a worker of any version.
CREATE FUNCTION callq.note_pause() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.note_hold(CASE TG_TABLE_NAME WHEN 'apps' THEN to_jsonb(OLD) ->> 'app' ELSE '' END, 'paused', OLD.paused_at);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION callq.note_pause IS 'Trigger: a pause that ended becomes a row of callq.app_holds.';
CREATE TRIGGER a_pause_that_ends_is_noted AFTER UPDATE OF paused_at ON callq.apps FOR EACH ROW
    WHEN (OLD.paused_at IS NOT NULL AND NEW.paused_at IS NULL) EXECUTE FUNCTION callq.note_pause();
CREATE TRIGGER a_pause_that_ends_is_noted AFTER UPDATE OF paused_at ON callq.settings FOR EACH ROW
    WHEN (OLD.paused_at IS NOT NULL AND NEW.paused_at IS NULL) EXECUTE FUNCTION callq.note_pause();

-- The longest hold between the job's last due time and its deadline. What no hold covers was the pace,
-- unless the job's own last try says that it was something else.
CREATE FUNCTION callq.why_expired(p_app text, p_due_at timestamptz, p_held_by text, p_expires_at timestamptz) RETURNS text
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
        SELECT CASE WHEN p_held_by IN ('unreachable', 'throttled') THEN p_held_by
                    WHEN p_held_by IN ('app_fault', 'quota_used', 'renewing_user_sig') THEN 'paused'
                    ELSE 'pace' END, 5,
            tstzmultirange(tstzrange(min(s.since), min(s.until))) - coalesce(range_agg(w.period), '{}')
        FROM span AS s LEFT JOIN within AS w ON true
    )
    SELECT CASE s.hold WHEN 'paused' THEN 'expired_app_paused' WHEN 'no_worker' THEN 'expired_no_worker'
        WHEN 'unreachable' THEN 'expired_unreachable' WHEN 'throttled' THEN 'expired_throttled' ELSE 'expired_pace' END
    FROM share AS s
    ORDER BY (SELECT sum(upper(p.period) - lower(p.period)) FROM unnest(s.periods) AS p(period)) DESC NULLS LAST, s.rank
    LIMIT 1
$$;
COMMENT ON FUNCTION callq.why_expired(text, timestamptz, text, timestamptz) IS 'The reason of a job that expired while it was scheduled: what held it for the longest part of the time from due_at to expires_at. Of two that held it equally long: a pause, then no worker, then an unreachable host, then throttling.';

-- What workers of an earlier version ask.
CREATE OR REPLACE FUNCTION callq.why_expired(p_app text, p_due_at timestamptz, p_held_by text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT callq.why_expired(p_app, p_due_at, p_held_by, now())
$$;
COMMENT ON FUNCTION callq.why_expired(text, timestamptz, text) IS 'The same for a deadline that has just passed.';

-- What is known of the past at this moment: nobody served an app before served_since.
INSERT INTO callq.app_holds (app, hold, since, until)
SELECT a.app, 'no_worker', '-infinity', a.served_since FROM callq.apps AS a WHERE a.served_since IS NOT NULL;

CREATE VIEW callq.worker_status AS
SELECT w.worker, CASE WHEN w.seen_at < now() - interval '20 seconds' THEN 'gone' WHEN w.stopping THEN 'stopping' ELSE 'working' END AS state,
    w.version, w.apps, w.in_flight, w.concurrency, w.unrecorded, w.listener_deaf, w.started_at, w.seen_at, now() - w.seen_at AS silent_for,
    jsonb_array_length(w.circuits) AS circuits_open
FROM callq.workers AS w;
COMMENT ON VIEW callq.worker_status IS 'One row per worker process, as it last told of itself.';
COMMENT ON COLUMN callq.worker_status.worker IS 'Its name, as in attempts.worker.';
COMMENT ON COLUMN callq.worker_status.state IS 'working, stopping (finishes what is under way), or gone: silent for 20 s.';
COMMENT ON COLUMN callq.worker_status.version IS 'The version of callq that it runs.';
COMMENT ON COLUMN callq.worker_status.apps IS 'The apps that it serves.';
COMMENT ON COLUMN callq.worker_status.in_flight IS 'How many requests it had under way.';
COMMENT ON COLUMN callq.worker_status.concurrency IS 'How many it has at most.';
COMMENT ON COLUMN callq.worker_status.unrecorded IS 'How many results it held that were not in the database.';
COMMENT ON COLUMN callq.worker_status.listener_deaf IS 'Whether notifications did not reach it.';
COMMENT ON COLUMN callq.worker_status.started_at IS 'When it started.';
COMMENT ON COLUMN callq.worker_status.seen_at IS 'When it last told of itself.';
COMMENT ON COLUMN callq.worker_status.silent_for IS 'How long ago that was.';
COMMENT ON COLUMN callq.worker_status.circuits_open IS 'For how many apps it cannot reach the host; see callq.circuits.';

CREATE VIEW callq.circuits AS
SELECT c.app, w.worker, c.since, c.next_try_at, c.failure
FROM callq.workers AS w
CROSS JOIN LATERAL jsonb_to_recordset(w.circuits) AS c(app text, since timestamptz, next_try_at timestamptz, failure text)
WHERE w.seen_at >= now() - interval '20 seconds';
COMMENT ON VIEW callq.circuits IS 'One row per worker and app whose host that worker cannot reach now.';
COMMENT ON COLUMN callq.circuits.app IS 'The app.';
COMMENT ON COLUMN callq.circuits.worker IS 'The worker.';
COMMENT ON COLUMN callq.circuits.since IS 'Since when: the fifth failure in a row.';
COMMENT ON COLUMN callq.circuits.next_try_at IS 'When one job finds out whether the host is back.';
COMMENT ON COLUMN callq.circuits.failure IS 'What the last failure was, in words.';

-- What the rules call runs as whoever inserts, so that whoever inserts may call it.
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
        callq.pause_app, callq.resume_app, callq.pause_all, callq.resume_all,
        callq.refusal, callq.quoted, callq.json_kind, callq.length_fault, callq.offline_push_fault, callq.wake_workers,
        callq.pace_share, callq.unserved_since, callq.unreachable_since TO %I', role_name);
END $$;

-- Column by column what the statements in src/store write, so that a worker''s login can neither move a
-- call nor change whom it rings. It inserts jobs only to ring refused callees again (record.sql).
CREATE OR REPLACE FUNCTION callq.allow_worker(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA callq TO %I', role_name);
    EXECUTE format('GRANT SELECT ON callq.jobs, callq.attempts, callq.apps, callq.pace, callq.workers, callq.app_holds,
        callq.settings, callq.meta TO %I', role_name);
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

UPDATE callq.meta SET schema_version = 3;
