-- What became of the ring. The reply of start_call_by_robot says only that it began; Tencent's record of the
-- call, from 5 s after its end and for 7 days, says the rest, and callbacks say parts of it sooner.
--
-- A call that was accepted, or may have been, has a row in callq.calls until its outcome is settled: a small,
-- busy table, so that nothing is searched for in the millions of finished ones. What is settled becomes rows
-- of callq.legs, one per callee, and is counted in callq.leg_counts by the same statement
-- (src/store/outcome.sql), so that reports cost the same however many calls there were.

ALTER TABLE callq.settings
    ADD COLUMN outcomes boolean NOT NULL DEFAULT true,
    ADD COLUMN events   boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN callq.settings.outcomes IS 'Whether it is found out what becomes of calls that are placed from now on; false: placed is the end of a job.';
COMMENT ON COLUMN callq.settings.events IS 'Whether callq.events is written.';

ALTER TABLE callq.jobs
    ADD COLUMN outcome text,
    ADD CONSTRAINT outcome_is_a_known_word CHECK (outcome IN (
        'answered', 'declined', 'busy', 'no_answer', 'cancelled', 'interrupted', 'unreachable', 'unknown', 'mixed')) NOT VALID;
COMMENT ON COLUMN callq.jobs.on_doubt IS 'What to do when a request may have been sent and its reply is unknown. hold: wait for a person (callq.resolve). retry: ring again after ring_timeout_ms, accepting a possible second ring. reconcile, the default: ring again only on proof from Tencent''s call records that no phone rang, some 35 minutes later, if the deadline allows; otherwise it waits like hold.';
COMMENT ON COLUMN callq.jobs.outcome IS 'completed: what became of the ring. answered if any callee answered; what became of all of them, if that is the same; otherwise mixed. By callee: callq.legs.';

CREATE TABLE callq.calls (
    job_id     bigint      NOT NULL,
    attempt    integer     NOT NULL,
    app        text        NOT NULL,
    call_id    text,
    room_id    text        NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT now(),
    look_at    timestamptz,
    looks      integer     NOT NULL DEFAULT 0,
    turn       integer     NOT NULL DEFAULT 1,
    record     jsonb,
    PRIMARY KEY (job_id, attempt)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1,
    autovacuum_analyze_scale_factor = 0.2
);
CREATE INDEX calls_by_call_id ON callq.calls (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX calls_by_room ON callq.calls (room_id);
CREATE INDEX calls_to_look_for ON callq.calls (app, look_at) WHERE look_at IS NOT NULL;
COMMENT ON TABLE callq.calls IS 'One row is one call that Tencent accepted, or may have, until it is settled what became of it. Written with the attempt''s result; gone when nothing more is to be learnt, or after 6 days.';
COMMENT ON COLUMN callq.calls.job_id IS 'callq.jobs.id.';
COMMENT ON COLUMN callq.calls.attempt IS 'Number of the attempt.';
COMMENT ON COLUMN callq.calls.app IS 'The app.';
COMMENT ON COLUMN callq.calls.call_id IS 'Tencent''s CallId; NULL while it is in doubt whether there is a call, or if the acceptance named none.';
COMMENT ON COLUMN callq.calls.room_id IS 'The room that the request named, by which a call is found whose CallId is not known.';
COMMENT ON COLUMN callq.calls.opened_at IS 'When the attempt''s result was written: no request of it leaves after this.';
COMMENT ON COLUMN callq.calls.look_at IS 'When the record is asked for alone, should it not have come before; of a doubt: when it may be proved that there was no call. once the record came and callbacks can still tell of callees: when that is given up. NULL: never.';
COMMENT ON COLUMN callq.calls.looks IS 'How often that was done.';
COMMENT ON COLUMN callq.calls.record IS 'Tencent''s record as callq reads it, while callees are unknown.';
COMMENT ON COLUMN callq.calls.turn IS 'Raised with each change, which fences the next: of two workers one settles.';

CREATE TABLE callq.legs (
    job_id       bigint      NOT NULL,
    attempt      integer     NOT NULL,
    callee_no    smallint    NOT NULL,
    callee       text        NOT NULL,
    call_id      text,
    outcome      text        NOT NULL,
    source       text        NOT NULL,
    accepted_at  timestamptz,
    ended_at     timestamptz,
    ring_seconds integer,
    talk_seconds integer,
    settled_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, attempt, callee_no),
    CONSTRAINT outcome_is_a_known_word CHECK (outcome IN (
        'answered', 'declined', 'busy', 'no_answer', 'cancelled', 'interrupted', 'unreachable', 'unknown')),
    CONSTRAINT source_is_a_known_word CHECK (source IN ('record', 'callback', 'reply', 'nothing')),
    CONSTRAINT seconds_are_not_negative CHECK (ring_seconds >= 0 AND talk_seconds >= 0)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05);
-- The call of a CallId, for callbacks that come when all is settled, and for people. Not on callq.attempts:
-- there it would cost every call, at the moment when calls are many, two more index entries.
CREATE INDEX legs_by_call_id ON callq.legs (call_id) WHERE callee_no = 1;
COMMENT ON TABLE callq.legs IS 'One row is what became of one callee of one call. No row: nothing is known yet. The call''s record confirms or corrects what callbacks told before it.';
COMMENT ON COLUMN callq.legs.job_id IS 'callq.jobs.id.';
COMMENT ON COLUMN callq.legs.attempt IS 'Number of the attempt.';
COMMENT ON COLUMN callq.legs.callee_no IS 'The callee''s place in jobs.callees, from 1.';
COMMENT ON COLUMN callq.legs.callee IS 'The callee.';
COMMENT ON COLUMN callq.legs.call_id IS 'Tencent''s CallId; indexed for callee_no = 1. NULL: it is not known.';
COMMENT ON COLUMN callq.legs.outcome IS 'answered, declined, busy, no_answer, cancelled (the ring was ended from our side), interrupted (by the network, answered first or not), unreachable (the phone did not ring) or unknown (no evidence).';
COMMENT ON COLUMN callq.legs.source IS 'Where that is known from: record, callback, reply (the callee''s ResultCode) or nothing.';
COMMENT ON COLUMN callq.legs.accepted_at IS 'When the callee picked up, of Tencent''s clock.';
COMMENT ON COLUMN callq.legs.ended_at IS 'When it was over for the callee, of Tencent''s clock.';
COMMENT ON COLUMN callq.legs.ring_seconds IS 'How long it rang; NULL: not known.';
COMMENT ON COLUMN callq.legs.talk_seconds IS 'How long was talked; NULL: not known.';
COMMENT ON COLUMN callq.legs.settled_at IS 'When the row was last changed.';

-- By quarters of an hour of UTC, because every zone's days and hours are made of them: the report time zone
-- can be changed without counting anew.
CREATE TABLE callq.leg_counts (
    quarter      timestamptz NOT NULL,
    app          text        NOT NULL,
    schedule_id  bigint      NOT NULL,
    robot        text        NOT NULL,
    media_type   text        NOT NULL,
    ring_no      integer     NOT NULL,
    outcome      text        NOT NULL,
    legs         bigint      NOT NULL,
    ring_seconds bigint      NOT NULL,
    talk_seconds bigint      NOT NULL,
    longest_talk_seconds integer NOT NULL,
    PRIMARY KEY (quarter, app, schedule_id, robot, media_type, ring_no, outcome)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE callq.leg_counts IS 'The rows of callq.legs, counted; rows that are pruned stay counted.';
COMMENT ON COLUMN callq.leg_counts.quarter IS 'The quarter of an hour in which the request was sent.';
COMMENT ON COLUMN callq.leg_counts.app IS 'The app.';
COMMENT ON COLUMN callq.leg_counts.schedule_id IS 'jobs.schedule_id; 0: none.';
COMMENT ON COLUMN callq.leg_counts.robot IS 'The robot account.';
COMMENT ON COLUMN callq.leg_counts.media_type IS 'Audio or Video.';
COMMENT ON COLUMN callq.leg_counts.ring_no IS '1, or more for a follow-up job.';
COMMENT ON COLUMN callq.leg_counts.outcome IS 'As legs.outcome.';
COMMENT ON COLUMN callq.leg_counts.legs IS 'How many legs.';
COMMENT ON COLUMN callq.leg_counts.ring_seconds IS 'Their ring seconds together.';
COMMENT ON COLUMN callq.leg_counts.talk_seconds IS 'Their talk seconds together.';
COMMENT ON COLUMN callq.leg_counts.longest_talk_seconds IS 'The longest talk of one.';

CREATE TABLE callq.sweeps (
    app         text PRIMARY KEY,
    worker      text,
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    read_until_unix bigint,
    swept_at    timestamptz,
    failed_at   timestamptz,
    failure     text
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE callq.sweeps IS 'One row per app whose call records are read: by which worker, and how far.';
COMMENT ON COLUMN callq.sweeps.app IS 'The app.';
COMMENT ON COLUMN callq.sweeps.worker IS 'The worker that reads.';
COMMENT ON COLUMN callq.sweeps.lease_until IS 'Until when no other worker reads.';
COMMENT ON COLUMN callq.sweeps.read_until_unix IS 'Up to which second of Tencent''s clock the records have been read completely.';
COMMENT ON COLUMN callq.sweeps.swept_at IS 'When that was last done.';
COMMENT ON COLUMN callq.sweeps.failed_at IS 'When it last could not be done.';
COMMENT ON COLUMN callq.sweeps.failure IS 'Why, in words; NULL: it could.';

-- What Tencent's clock said when. Whatever either clock has done since: the call of an attempt cannot have
-- begun before the last mark that was made when it was claimed, nor after the first that was asked for when
-- its request could not leave any more.
CREATE TABLE callq.clock_marks (
    app          text        NOT NULL,
    marked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    asked_at     timestamptz NOT NULL,
    tencent_unix bigint      NOT NULL,
    PRIMARY KEY (app, marked_at)
);
COMMENT ON TABLE callq.clock_marks IS 'What Tencent''s clock said when, about every 10 s while an app''s records are read; kept for 7 days.';
COMMENT ON COLUMN callq.clock_marks.app IS 'The app.';
COMMENT ON COLUMN callq.clock_marks.marked_at IS 'When the mark was made, on the database''s clock: Tencent''s answer came before.';
COMMENT ON COLUMN callq.clock_marks.asked_at IS 'When Tencent was asked, on the database''s clock, or before.';
COMMENT ON COLUMN callq.clock_marks.tencent_unix IS 'What the Date of Tencent''s answer said, in seconds since 1970.';

-- What happened to jobs, for an application that wants to know without asking about each. Written in the
-- transaction of the change, by every path: the program's statements, the verbs, and a person's UPDATE.
CREATE TABLE callq.events (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    event   text        NOT NULL,
    app     text        NOT NULL,
    job_id  bigint      NOT NULL,
    attempt integer     NOT NULL,
    callee  text,
    outcome text,
    reason  text,
    call_id text
) WITH (autovacuum_vacuum_insert_scale_factor = 0.1);
COMMENT ON TABLE callq.events IS 'What happened to jobs, in an append-only feed that is kept for 7 days. Read on from the last id you have seen; an id is seen once its transaction is committed, so leave the newest second for the next time, or listen on callq_events.';
COMMENT ON COLUMN callq.events.id IS 'Number of the event; grows, with gaps.';
COMMENT ON COLUMN callq.events.at IS 'When it was written.';
COMMENT ON COLUMN callq.events.event IS 'placed, answered (one per callee), completed, failed, in_doubt, expired, cancelled or unresolved.';
COMMENT ON COLUMN callq.events.app IS 'The app.';
COMMENT ON COLUMN callq.events.job_id IS 'callq.jobs.id.';
COMMENT ON COLUMN callq.events.attempt IS 'Number of the newest attempt.';
COMMENT ON COLUMN callq.events.callee IS 'answered: who.';
COMMENT ON COLUMN callq.events.outcome IS 'completed: jobs.outcome.';
COMMENT ON COLUMN callq.events.reason IS 'jobs.reason.';
COMMENT ON COLUMN callq.events.call_id IS 'Tencent''s CallId.';

-- A statement-level trigger: one INSERT for a batch, whoever changed the jobs.
CREATE FUNCTION callq.tell_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_told bigint;
BEGIN
    IF NOT (SELECT s.events FROM callq.settings AS s) THEN
        RETURN NULL;
    END IF;
    INSERT INTO callq.events (event, app, job_id, attempt, outcome, reason, call_id)
    SELECT n.state, n.app, n.id, n.attempt, CASE WHEN n.state = 'completed' THEN n.outcome END, n.reason, n.call_id
    FROM changed AS n JOIN unchanged AS o ON o.id = n.id
    WHERE n.state IS DISTINCT FROM o.state AND n.state NOT IN ('scheduled', 'dialing');
    GET DIAGNOSTICS v_told = ROW_COUNT;
    IF v_told > 0 AND (SELECT s.notify FROM callq.settings AS s) THEN
        PERFORM pg_notify('callq_events', '');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION callq.tell_events IS 'Trigger of callq.jobs: writes callq.events.';
CREATE TRIGGER events_are_told AFTER UPDATE ON callq.jobs
    REFERENCING NEW TABLE AS changed OLD TABLE AS unchanged
    FOR EACH STATEMENT EXECUTE FUNCTION callq.tell_events();

COMMENT ON TYPE callq.attempt_state IS 'claimed: the request may be on its way. not_sent: proven never sent. replied: a well-formed reply was read; or, with no error_code, Tencent''s record or a callback showed the call. unknown: it may have been sent and no readable reply came.';

INSERT INTO callq.reasons (reason, sentence, next_step) VALUES
    ('record_found', 'Tencent''s record, or a callback, shows that the call took place, though its reply was lost.', 'Nothing to do.'),
    ('no_record', 'Tencent''s records, read completely over the whole time in which the call could have taken place, show none: nobody was rung.',
     'It is tried again by itself until expires_at.');

-- What was placed before: its records are still there, for up to 7 days.
INSERT INTO callq.calls (job_id, attempt, app, call_id, room_id, opened_at, look_at)
SELECT a.job_id, a.attempt, a.app, a.call_id, a.room_id, coalesce(a.replied_at, a.claimed_at), now()
FROM callq.attempts AS a
WHERE a.class IN ('accepted', 'in_doubt') AND a.claimed_at > now() - interval '6 days';

ALTER FUNCTION callq.allow_worker(text) RENAME TO allow_worker_of_firings;
COMMENT ON FUNCTION callq.allow_worker_of_firings IS 'The part of callq.allow_worker that concerns jobs, apps and schedules.';
CREATE FUNCTION callq.allow_worker(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_worker_of_firings(role_name);
    EXECUTE format('GRANT UPDATE (outcome) ON callq.jobs TO %I', role_name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON callq.calls TO %I', role_name);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON callq.clock_marks TO %I', role_name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON callq.sweeps, callq.legs, callq.leg_counts TO %I', role_name);
    EXECUTE format('GRANT INSERT (event, app, job_id, attempt, callee, outcome, reason, call_id) ON callq.events TO %I', role_name);
    EXECUTE format('GRANT SELECT, UPDATE (look_at, looks, job_id, attempt) ON callq.callbacks TO %I', role_name);
END $$;
COMMENT ON FUNCTION callq.allow_worker IS 'Lets a role do what callq worker does, and nothing more: not delete a job, and not change a schedule. callq_worker has these rights.';

ALTER FUNCTION callq.allow_producer(text) RENAME TO allow_producer_of_schedules;
COMMENT ON FUNCTION callq.allow_producer_of_schedules IS 'The part of callq.allow_producer that concerns jobs, apps and schedules.';
CREATE FUNCTION callq.allow_producer(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_producer_of_schedules(role_name);
    EXECUTE format('GRANT SELECT ON callq.calls, callq.legs, callq.leg_counts, callq.sweeps, callq.events TO %I', role_name);
END $$;
COMMENT ON FUNCTION callq.allow_producer IS 'Lets a role insert jobs and schedules, change what users may change, use the verbs, and read jobs and schedules (user_data included), attempts, outcomes, events, apps and the views; not write callq''s own columns. callq_enqueue has these rights.';

REVOKE EXECUTE ON FUNCTION callq.tell_events, callq.allow_worker, callq.allow_producer FROM PUBLIC;

UPDATE callq.meta SET schema_version = 9;
