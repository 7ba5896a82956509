-- What Tencent calls back with, as it came: callq web stores it before it acknowledges it
-- (src/store/receive.sql), and a worker looks at it afterwards. What may not happen: a callback that was
-- acknowledged and is not here. The same one that comes twice is here once.
--
-- A callback is a hint. Anybody who knows the path may send one, so nothing is decided by it that a call
-- record denies.

CREATE TABLE callq.callbacks (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    app         text        NOT NULL,
    command     text,
    call_id     text,
    room_id     text,
    event_at    timestamptz,
    body        bytea       NOT NULL,
    digest      bytea       NOT NULL,
    fault       text,
    look_at     timestamptz DEFAULT now(),
    looks       smallint    NOT NULL DEFAULT 0,
    job_id      bigint,
    attempt     integer,
    -- Two changes of members of one call may come in one millisecond: call, command and time do not tell them apart.
    CONSTRAINT the_same_callback_is_stored_once UNIQUE (app, digest),
    CONSTRAINT apps_have_a_name CHECK (octet_length(app) BETWEEN 1 AND 64),
    CONSTRAINT a_body_has_at_most_64_kib CHECK (octet_length(body) <= 65536),
    CONSTRAINT a_digest_has_32_bytes CHECK (octet_length(digest) = 32),
    CONSTRAINT words_are_short CHECK (octet_length(command) <= 100 AND octet_length(call_id) <= 2000
        AND octet_length(room_id) <= 2000 AND octet_length(fault) <= 4000),
    CONSTRAINT what_is_not_understood_says_why CHECK (command IS NOT NULL OR fault IS NOT NULL),
    CONSTRAINT what_is_understood_names_its_call CHECK (command IS NULL OR call_id IS NOT NULL),
    CONSTRAINT looks_are_counted CHECK (looks >= 0),
    CONSTRAINT an_attempt_is_one_of_a_job CHECK ((job_id IS NULL) = (attempt IS NULL))
) WITH (
    -- Every row is written again when it is looked at, as in jobs.
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1,
    autovacuum_analyze_scale_factor = 0.2
);
-- What a worker looks at next; what is done with is not in it.
CREATE INDEX callbacks_to_look_at ON callq.callbacks (look_at) WHERE look_at IS NOT NULL;

-- All that is known of one call, whatever came first.
CREATE INDEX callbacks_of_a_call ON callq.callbacks (call_id);

COMMENT ON TABLE callq.callbacks IS 'What Tencent called back with, each callback once, as it came. Written by callq web before it acknowledges.';
COMMENT ON COLUMN callq.callbacks.id IS 'Its number.';
COMMENT ON COLUMN callq.callbacks.received_at IS 'When it came, the first time if it came more than once.';
COMMENT ON COLUMN callq.callbacks.app IS 'The app whose path it came to.';
COMMENT ON COLUMN callq.callbacks.command IS 'Which callback it is, by Tencent''s name: Call.CallbackAfterStartCall, Call.CallbackAfterMemberChanged or Call.CallbackAfterEndCall. NULL: it was not understood, see fault.';
COMMENT ON COLUMN callq.callbacks.call_id IS 'Tencent''s CallId. It may be that of a call which callq never placed.';
COMMENT ON COLUMN callq.callbacks.room_id IS 'Tencent''s RoomId, which the start and the end of a call name; NULL: it names none.';
COMMENT ON COLUMN callq.callbacks.event_at IS 'Tencent''s EventTime; NULL: it has none that can be read.';
COMMENT ON COLUMN callq.callbacks.body IS 'What was posted, byte by byte; at most 64 KiB.';
COMMENT ON COLUMN callq.callbacks.digest IS 'SHA-256 of the URL''s CallbackCommand, a byte 0 and the body: the same callback that comes again is not stored again.';
COMMENT ON COLUMN callq.callbacks.fault IS 'Why it was not understood, in words.';
COMMENT ON COLUMN callq.callbacks.look_at IS 'When a worker looks at it next; NULL: it is done with, as what was not understood is from the beginning.';
COMMENT ON COLUMN callq.callbacks.looks IS 'How often a worker has looked at it.';
COMMENT ON COLUMN callq.callbacks.job_id IS 'callq.jobs.id of the attempt that it was found to belong to; NULL: none, or not yet.';
COMMENT ON COLUMN callq.callbacks.attempt IS 'callq.attempts.attempt of that job.';

-- What callq web does, and nothing more: it can read neither a job nor a callback. The path is open to the
-- world, so whoever breaks in there must find little.
CREATE FUNCTION callq.allow_receiver(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA callq TO %I', role_name);
    EXECUTE format('GRANT INSERT (app, command, call_id, room_id, event_at, body, digest, fault, look_at)
        ON callq.callbacks TO %I', role_name);
    -- Which schema it is, and whether workers are to be woken.
    EXECUTE format('GRANT SELECT ON callq.meta TO %I', role_name);
    EXECUTE format('GRANT SELECT (notify) ON callq.settings TO %I', role_name);
END $$;
COMMENT ON FUNCTION callq.allow_receiver IS 'Lets a role do what callq web does, and nothing more: store callbacks. callq_web has these rights.';

ALTER FUNCTION callq.apply_rights() RENAME TO apply_rights_but_of_web;
COMMENT ON FUNCTION callq.apply_rights_but_of_web IS 'The part of callq.apply_rights that concerns everybody but callq_web.';
CREATE FUNCTION callq.apply_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.apply_rights_but_of_web();
    IF to_regrole('callq_web') IS NOT NULL THEN
        PERFORM callq.allow_receiver('callq_web');
    END IF;
END $$;
COMMENT ON FUNCTION callq.apply_rights IS 'Takes every right on the schema from PUBLIC and gives the roles callq_enqueue, callq_worker, callq_report and callq_web theirs, as far as they exist. callq migrate calls it after every run.';

REVOKE EXECUTE ON FUNCTION callq.allow_receiver, callq.apply_rights, callq.apply_rights_but_of_web FROM PUBLIC;

UPDATE callq.meta SET schema_version = 8;
