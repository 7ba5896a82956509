-- The tables of callq. Everything lives in the schema callq, which `callq migrate` has made before
-- this file runs (sqlx keeps its own list of applied migrations there too).
--
-- A row of callq.jobs is one call to place; a row of callq.attempts is one request that may have
-- been sent for it, committed before the request leaves. The two promises that shape this file:
-- never twice by mistake (hence the attempt row), and a claim whose cost does not depend on how
-- many jobs wait for the future, are finished, or belong to a paused app (hence the indexes).

CREATE TYPE callq.job_state AS ENUM (
    'scheduled', 'dialing', 'in_doubt', 'placed', 'completed',
    'failed', 'expired', 'cancelled', 'unresolved');
COMMENT ON TYPE callq.job_state IS
    'scheduled: waits for due_at. dialing: claimed; a request may be on its way. in_doubt: a request may have been sent and its reply is unknown. placed: Tencent accepted the call. completed: placed and its outcome is known. failed, expired, cancelled: ended, and nobody was rung as far as any reply says. unresolved: ended, and nobody knows whether the phone rang.';

CREATE TYPE callq.attempt_state AS ENUM ('claimed', 'not_sent', 'replied', 'unknown');
COMMENT ON TYPE callq.attempt_state IS
    'claimed: the request may be on its way. not_sent: proven never sent. replied: a well-formed reply was read. unknown: it may have been sent and no readable reply came.';

CREATE TABLE callq.jobs (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What a user gives. media_type and on_doubt are text, not enums, and no number is a smallint: a
    -- value that its type cannot hold is refused before any trigger runs, with a message that names
    -- neither the column nor what is allowed.
    app                 text        NOT NULL DEFAULT 'default',
    robot_account       text        NOT NULL,
    callees             text[]      NOT NULL,
    media_type          text        NOT NULL DEFAULT 'Audio',
    room_id             text,
    room_id_type        integer     NOT NULL DEFAULT 2,
    ring_timeout_ms     bigint      NOT NULL DEFAULT 45000,
    user_data           text,
    offline_push        jsonb,
    run_at              timestamptz NOT NULL DEFAULT now(),
    ttl                 interval    DEFAULT interval '1 hour',
    expires_at          timestamptz NOT NULL,
    priority            integer     NOT NULL DEFAULT 1,
    max_attempts        integer     NOT NULL DEFAULT 5,
    on_doubt            text        NOT NULL DEFAULT 'reconcile',
    retry_callees       boolean     NOT NULL DEFAULT false,
    idempotency_key     text,
    metadata            jsonb       NOT NULL DEFAULT '{}',
    -- What callq writes.
    created_at          timestamptz NOT NULL DEFAULT now(),
    inserted_by         text        NOT NULL DEFAULT session_user,
    due_at              timestamptz NOT NULL,
    state               callq.job_state NOT NULL DEFAULT 'scheduled',
    reason              text,
    reason_detail       text,
    attempt             integer     NOT NULL DEFAULT 0,
    attempts_used       integer     NOT NULL DEFAULT 0,
    claim_token         uuid,
    lease_until         timestamptz,
    cancel_requested_at timestamptz,
    call_id             text,
    callee_results      jsonb,
    error_code          bigint,
    error_info          text,
    request_id          text,
    sent_at             timestamptz,
    placed_at           timestamptz,
    finished_at         timestamptz,
    root_id             bigint,
    ring_no             integer     NOT NULL DEFAULT 1,

    CONSTRAINT dialing_jobs_have_a_token_and_a_lease CHECK (
        state <> 'dialing' OR (claim_token IS NOT NULL AND lease_until IS NOT NULL AND attempt > 0)),
    CONSTRAINT jobs_in_doubt_have_a_time_to_be_settled CHECK (
        state <> 'in_doubt' OR (lease_until IS NOT NULL AND attempt > 0)),
    CONSTRAINT placed_jobs_have_placed_at CHECK (
        state NOT IN ('placed', 'completed') OR placed_at IS NOT NULL),
    CONSTRAINT open_jobs_are_not_finished CHECK (
        state NOT IN ('scheduled', 'dialing', 'in_doubt') OR finished_at IS NULL),
    CONSTRAINT ended_jobs_have_finished_at_and_a_reason CHECK (
        state NOT IN ('failed', 'expired', 'cancelled', 'unresolved')
        OR (finished_at IS NOT NULL AND reason IS NOT NULL)),
    CONSTRAINT follow_ups_name_their_root CHECK ((ring_no > 1) = (root_id IS NOT NULL))
) WITH (
    -- Every call updates its row twice and no update can be HOT (state is in index predicates), so
    -- vacuum has to come by rows, not by a share of millions of finished ones.
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 1,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_analyze_threshold = 2000
);

-- The claim's index, in due order. app leads, so that 50,000 due rows of a paused app cost another
-- app's claim nothing (83 ms when it did not lead). There must be no index on state alone: under
-- stale statistics it takes the claim over.
CREATE INDEX jobs_due ON callq.jobs (app, priority, due_at, id) WHERE state = 'scheduled';
-- Claims whose worker may be gone, and doubts whose time has come.
CREATE INDEX jobs_leases ON callq.jobs (lease_until) WHERE state IN ('dialing', 'in_doubt');
-- Full, not partial, so that ON CONFLICT (app, idempotency_key) finds it without a predicate. The key
-- leads: an index that begins with app takes the claim over when the table was last analysed while
-- it was nearly empty, and a claim among 500,000 jobs then reads all of them (280 ms against 3).
CREATE UNIQUE INDEX jobs_idempotency_key_is_unique_per_app ON callq.jobs (idempotency_key, app);
-- One follow-up per ring: no outcome can ring twice.
CREATE UNIQUE INDEX follow_ups_are_made_once ON callq.jobs (root_id, ring_no) WHERE root_id IS NOT NULL;

COMMENT ON TABLE callq.jobs IS 'One row is one call to place: one robot account, one list of callees, one room.';
COMMENT ON COLUMN callq.jobs.id IS 'Our own number of the job; Tencent''s are call_id, room_id and request_id.';
COMMENT ON COLUMN callq.jobs.app IS 'The app (one SDKAppID with its credentials) that places the call; a job of an app that no worker serves waits. 1 to 64 bytes, default ''default''.';
COMMENT ON COLUMN callq.jobs.robot_account IS 'Who calls (Robot_Account): 1 to 32 bytes. Required.';
COMMENT ON COLUMN callq.jobs.callees IS 'Who is rung (CalleeList_Account): 1 to 100 different accounts of 1 to 32 bytes. They share one room and see each other. Required.';
COMMENT ON COLUMN callq.jobs.media_type IS 'Audio or Video (CallInfo.MediaType), default Audio.';
COMMENT ON COLUMN callq.jobs.room_id IS 'The user''s own room (CallInfo.RoomId), never written by callq. NULL: a fresh room for each attempt, see attempts.room_id.';
COMMENT ON COLUMN callq.jobs.room_id_type IS '1: room_id is a number from 1 to 2147483647. 2, the default: room_id is text of at most 64 bytes (CallInfo.RoomIdType).';
COMMENT ON COLUMN callq.jobs.ring_timeout_ms IS 'How long the phone rings, in milliseconds (Timeout): 10000 to 600000, default 45000.';
COMMENT ON COLUMN callq.jobs.user_data IS 'Handed to the callee with the call (UserData): at most 1000 bytes. Stored here alone.';
COMMENT ON COLUMN callq.jobs.offline_push IS 'OfflinePushInfo: an object; known keys are checked, unknown keys are passed through. Stored here alone.';
COMMENT ON COLUMN callq.jobs.run_at IS 'When to ring, default now. callq never changes it; move it with a plain UPDATE while the job is scheduled.';
COMMENT ON COLUMN callq.jobs.ttl IS 'How long after run_at the call may still be placed, default 1 hour; NULL when expires_at is infinite. Give ttl or expires_at.';
COMMENT ON COLUMN callq.jobs.expires_at IS 'The deadline: after it no request is sent. run_at + ttl, and follows when run_at is moved; infinity switches it off.';
COMMENT ON COLUMN callq.jobs.priority IS '0 (most urgent) to 3, default 1. A due urgent job goes before a due ordinary one.';
COMMENT ON COLUMN callq.jobs.max_attempts IS 'How many requests may be spent on the job: 1 to 100, default 5. Throttles, an unreachable host and faults of the whole app do not count; expires_at bounds those.';
COMMENT ON COLUMN callq.jobs.on_doubt IS 'What to do when a request may have been sent and its reply is unknown. hold: wait for a person (callq.resolve). retry: ring again after ring_timeout_ms, accepting a possible second ring. reconcile, the default: ring again only on proof that no phone rang; as long as call records are not read, it waits like hold.';
COMMENT ON COLUMN callq.jobs.retry_callees IS 'true: callees whose ResultCode is not 0 are rung again by a follow-up job. Tencent documents no meaning for those codes, so only the user can say that they prove nobody was rung. Default false.';
COMMENT ON COLUMN callq.jobs.idempotency_key IS 'Unique per app: a second INSERT with the same key is refused, or silent with ON CONFLICT (app, idempotency_key) DO NOTHING. 1 to 255 bytes. Lives as long as its row.';
COMMENT ON COLUMN callq.jobs.metadata IS 'The user''s own, for reports; never sent. An object of at most 8 KiB as text, default {}.';
COMMENT ON COLUMN callq.jobs.created_at IS 'When the row was inserted.';
COMMENT ON COLUMN callq.jobs.inserted_by IS 'The database user of the session that inserted the row.';
COMMENT ON COLUMN callq.jobs.due_at IS 'When the next request is due: run_at, moved by retries. The claim orders by it.';
COMMENT ON COLUMN callq.jobs.state IS 'Where the job is in its life; see the type''s comment.';
COMMENT ON COLUMN callq.jobs.reason IS 'Why the job is where it is, as a short word; callq.reasons has the sentence and the next step.';
COMMENT ON COLUMN callq.jobs.reason_detail IS 'What exactly happened, in words; at most 500 characters.';
COMMENT ON COLUMN callq.jobs.attempt IS 'Number of the newest attempt; only grows.';
COMMENT ON COLUMN callq.jobs.attempts_used IS 'How many requests count towards max_attempts; raised by the verdict on a reply, never by the claim.';
COMMENT ON COLUMN callq.jobs.claim_token IS 'The claim that holds or last held the job.';
COMMENT ON COLUMN callq.jobs.lease_until IS 'dialing: when the worker''s right ends and the job becomes in doubt. in_doubt: when on_doubt is applied if no evidence came.';
COMMENT ON COLUMN callq.jobs.cancel_requested_at IS 'When callq.cancel was called on a job that was dialing or in doubt; settled when the reply is known.';
COMMENT ON COLUMN callq.jobs.call_id IS 'Tencent''s CallId of the newest attempt that was placed.';
COMMENT ON COLUMN callq.jobs.callee_results IS 'CallResult exactly as answered, of the newest attempt that was answered.';
COMMENT ON COLUMN callq.jobs.error_code IS 'ErrorCode of the newest reply; 0 is success.';
COMMENT ON COLUMN callq.jobs.error_info IS 'ErrorInfo of the newest reply, cut to 500 characters, control characters escaped.';
COMMENT ON COLUMN callq.jobs.request_id IS 'RequestId of the newest reply; Tencent''s support asks for it.';
COMMENT ON COLUMN callq.jobs.sent_at IS 'When the newest request was handed to the network, on the database''s clock. An upper bound: late by at most the round trip of the claim.';
COMMENT ON COLUMN callq.jobs.placed_at IS 'When Tencent''s acceptance was read, on the database''s clock.';
COMMENT ON COLUMN callq.jobs.finished_at IS 'When the job reached its end state.';
COMMENT ON COLUMN callq.jobs.root_id IS 'For a follow-up: the first job of its chain. NULL for a job that a user inserted.';
COMMENT ON COLUMN callq.jobs.ring_no IS '1 for a job that a user inserted, 2 and more for its follow-ups.';

-- No foreign key to jobs: it would take a lock on the job's row for every attempt.
CREATE TABLE callq.attempts (
    job_id         bigint      NOT NULL,
    attempt        integer     NOT NULL,
    claim_token    uuid        NOT NULL,
    state          callq.attempt_state NOT NULL DEFAULT 'claimed',
    app            text        NOT NULL,
    worker         text        NOT NULL,
    room_id        text        NOT NULL,
    room_id_type   smallint    NOT NULL,
    random         bigint      NOT NULL,
    due_at         timestamptz NOT NULL,
    claimed_at     timestamptz NOT NULL,
    sent_at        timestamptz,
    replied_at     timestamptz,
    class          text,
    http_status    integer,
    error_code     bigint,
    error_info     text,
    request_id     text,
    call_id        text,
    callee_results jsonb,
    detail         text,
    second_ring    boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (job_id, attempt),
    CONSTRAINT random_is_an_unsigned_32_bit_number CHECK (random BETWEEN 0 AND 4294967295),
    CONSTRAINT replied_attempts_have_replied_at CHECK (state <> 'replied' OR replied_at IS NOT NULL),
    CONSTRAINT attempts_not_sent_have_no_reply CHECK (state <> 'not_sent' OR replied_at IS NULL),
    CONSTRAINT class_is_a_known_word CHECK (class IN ('accepted', 'safe', 'in_doubt', 'app', 'cannot'))
) WITH (
    -- Written at the claim and once more with the reply: room on the page makes the second write HOT.
    fillfactor = 60,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.1,
    autovacuum_analyze_scale_factor = 0.05
);

COMMENT ON TABLE callq.attempts IS 'One row is one request that may have been sent for a job, committed before the request leaves: no request without its row.';
COMMENT ON COLUMN callq.attempts.job_id IS 'callq.jobs.id.';
COMMENT ON COLUMN callq.attempts.attempt IS 'Number within the job; only grows and is never reused.';
COMMENT ON COLUMN callq.attempts.claim_token IS 'The claim that made this attempt; with job_id and attempt it fences every write-back.';
COMMENT ON COLUMN callq.attempts.state IS 'Whether the request was sent and answered; see the type''s comment.';
COMMENT ON COLUMN callq.attempts.app IS 'The app whose credentials were used.';
COMMENT ON COLUMN callq.attempts.worker IS 'The worker that claimed it: host name, process id and a random part.';
COMMENT ON COLUMN callq.attempts.room_id IS 'The room that is named in the request. Where callq made it, it names this attempt and no other.';
COMMENT ON COLUMN callq.attempts.room_id_type IS '1: digits, 2: text.';
COMMENT ON COLUMN callq.attempts.random IS 'The URL parameter random of the request, an unsigned 32-bit number.';
COMMENT ON COLUMN callq.attempts.due_at IS 'When this attempt was due; lateness is sent_at - due_at.';
COMMENT ON COLUMN callq.attempts.claimed_at IS 'When the claim''s statement began.';
COMMENT ON COLUMN callq.attempts.sent_at IS 'When the request was handed to the network; NULL while unknown or if it never was.';
COMMENT ON COLUMN callq.attempts.replied_at IS 'When the reply was read.';
COMMENT ON COLUMN callq.attempts.class IS 'What the answer meant: accepted, safe, in_doubt, app or cannot.';
COMMENT ON COLUMN callq.attempts.http_status IS 'The HTTP status, if a status line was read.';
COMMENT ON COLUMN callq.attempts.error_code IS 'ErrorCode; 0 is success.';
COMMENT ON COLUMN callq.attempts.error_info IS 'ErrorInfo, cut to 500 characters, control characters escaped.';
COMMENT ON COLUMN callq.attempts.request_id IS 'Tencent''s RequestId.';
COMMENT ON COLUMN callq.attempts.call_id IS 'Tencent''s CallId.';
COMMENT ON COLUMN callq.attempts.callee_results IS 'CallResult exactly as answered.';
COMMENT ON COLUMN callq.attempts.detail IS 'What happened where no reply tells it, in words; at most 500 characters.';
COMMENT ON COLUMN callq.attempts.second_ring IS 'true: it rang although a newer attempt of the job existed, so a phone may have rung twice.';

CREATE TABLE callq.apps (
    app                text PRIMARY KEY,
    sdk_app_id         bigint,
    kind               text,
    host               text,
    calls_per_second   double precision NOT NULL DEFAULT 180,
    served_at          timestamptz,
    served_since       timestamptz,
    last_success_at    timestamptz,
    throttled_at       timestamptz,
    paused_at          timestamptz,
    pause_reason       text,
    pause_detail       text,
    paused_by          text,
    pause_fingerprint  text,
    probe_at           timestamptz,
    probes             integer NOT NULL DEFAULT 0,
    resumed_at         timestamptz,
    CONSTRAINT kind_is_live_or_sandbox CHECK (kind IN ('live', 'sandbox')),
    CONSTRAINT pauses_have_a_reason CHECK ((paused_at IS NULL) = (pause_reason IS NULL)),
    CONSTRAINT pace_is_above_zero CHECK (calls_per_second > 0)
);
COMMENT ON TABLE callq.apps IS 'One row per app that a worker has served or a person has paused.';
COMMENT ON COLUMN callq.apps.app IS 'The name that jobs.app gives.';
COMMENT ON COLUMN callq.apps.sdk_app_id IS 'Tencent''s SDKAppID, from the configuration of the worker that served it last.';
COMMENT ON COLUMN callq.apps.kind IS 'live: rings real phones. sandbox: a stand-in on this machine. Set at first use; a worker whose host is of the other kind does not claim this app''s jobs.';
COMMENT ON COLUMN callq.apps.host IS 'The host that the app''s calls go to.';
COMMENT ON COLUMN callq.apps.calls_per_second IS 'The pace that all workers together keep, default 180. Tencent allows 200 per SDKAppID.';
COMMENT ON COLUMN callq.apps.served_at IS 'When a worker last said that it serves the app; about every 10 s.';
COMMENT ON COLUMN callq.apps.served_since IS 'Since when a worker has served it without a gap of more than a minute.';
COMMENT ON COLUMN callq.apps.last_success_at IS 'When a call of the app was last accepted; up to 5 s old.';
COMMENT ON COLUMN callq.apps.throttled_at IS 'When Tencent last asked the app to go slower.';
COMMENT ON COLUMN callq.apps.paused_at IS 'Since when none of its jobs is claimed; NULL: not paused.';
COMMENT ON COLUMN callq.apps.pause_reason IS 'Why, as a short word or the person''s own words.';
COMMENT ON COLUMN callq.apps.pause_detail IS 'The code and text that led to it.';
COMMENT ON COLUMN callq.apps.paused_by IS 'The worker or the database user who paused it.';
COMMENT ON COLUMN callq.apps.pause_fingerprint IS 'Which credentials met the fault, as a short one-way mark; workers with others go on. *: several credentials have met it, so it is for all. NULL: a person paused it, for all.';
COMMENT ON COLUMN callq.apps.probe_at IS 'When one job is tried next to see whether the fault is gone; NULL: only a person resumes it.';
COMMENT ON COLUMN callq.apps.probes IS 'How many jobs have been tried since the pause.';
COMMENT ON COLUMN callq.apps.resumed_at IS 'When the last pause ended.';

-- Lost at a crash of the server, which is harmless: a bucket that is missing starts nearly empty.
CREATE UNLOGGED TABLE callq.pace (
    app         text PRIMARY KEY,
    tokens      double precision NOT NULL,
    granted     integer NOT NULL,
    asked       integer NOT NULL,
    refilled_at timestamptz NOT NULL,
    factor      double precision NOT NULL DEFAULT 1,
    factor_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tokens_are_not_negative CHECK (tokens >= 0),
    CONSTRAINT factor_slows_and_never_stops CHECK (factor > 0 AND factor <= 1)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE callq.pace IS 'One token bucket per app, shared by all workers: a token is the right to send one request.';
COMMENT ON COLUMN callq.pace.app IS 'The app.';
COMMENT ON COLUMN callq.pace.tokens IS 'Tokens left at refilled_at; at most callq.burst of the pace.';
COMMENT ON COLUMN callq.pace.granted IS 'How many tokens the last grant gave.';
COMMENT ON COLUMN callq.pace.asked IS 'How many it was asked for.';
COMMENT ON COLUMN callq.pace.refilled_at IS 'When tokens was computed.';
COMMENT ON COLUMN callq.pace.factor IS 'The share of calls_per_second in force at factor_at; it doubles every 15 s until it is 1.';
COMMENT ON COLUMN callq.pace.factor_at IS 'When the pace was last cut.';

CREATE TABLE callq.reasons (
    reason    text PRIMARY KEY,
    sentence  text NOT NULL,
    next_step text NOT NULL
);
COMMENT ON TABLE callq.reasons IS 'Every word that jobs.reason can hold, with its sentence and what a person can do.';
COMMENT ON COLUMN callq.reasons.reason IS 'The word.';
COMMENT ON COLUMN callq.reasons.sentence IS 'What it means.';
COMMENT ON COLUMN callq.reasons.next_step IS 'What happens next, or what to do.';

CREATE TABLE callq.error_codes (
    code    bigint PRIMARY KEY,
    class   text NOT NULL,
    meaning text NOT NULL,
    source  text NOT NULL
);
COMMENT ON TABLE callq.error_codes IS 'Tencent''s codes and what callq does on them, for reports. Written by callq migrate from the table in the program; editing it changes nothing.';
COMMENT ON COLUMN callq.error_codes.code IS 'ErrorCode.';
COMMENT ON COLUMN callq.error_codes.class IS 'accepted, safe, in_doubt, app or cannot.';
COMMENT ON COLUMN callq.error_codes.meaning IS 'What it means, in a few words.';
COMMENT ON COLUMN callq.error_codes.source IS 'The page of Tencent''s documentation that says so.';

CREATE TABLE callq.settings (
    only_row         boolean PRIMARY KEY DEFAULT true,
    notify           boolean NOT NULL DEFAULT true,
    report_time_zone text    NOT NULL DEFAULT 'UTC',
    paused_at        timestamptz,
    pause_reason     text,
    paused_by        text,
    CONSTRAINT there_is_one_row CHECK (only_row),
    CONSTRAINT a_pause_of_all_has_a_reason CHECK ((paused_at IS NULL) = (pause_reason IS NULL))
);
COMMENT ON TABLE callq.settings IS 'One row of settings that belong to the database, not to a worker.';
COMMENT ON COLUMN callq.settings.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN callq.settings.notify IS 'Whether work that is due soon wakes the workers at once. false: they find it within their poll interval, and inserts are faster.';
COMMENT ON COLUMN callq.settings.report_time_zone IS 'The time zone of days and hours in the report views, an IANA name.';
COMMENT ON COLUMN callq.settings.paused_at IS 'Since when no app''s jobs are claimed; NULL: not paused. Set it with callq.pause_all.';
COMMENT ON COLUMN callq.settings.pause_reason IS 'Why, in the words of the person who paused.';
COMMENT ON COLUMN callq.settings.paused_by IS 'The database user who paused.';
INSERT INTO callq.settings DEFAULT VALUES;

CREATE TABLE callq.meta (
    only_row           boolean PRIMARY KEY DEFAULT true,
    schema_version     integer NOT NULL,
    min_binary_version text    NOT NULL,
    CONSTRAINT there_is_one_row CHECK (only_row)
);
COMMENT ON TABLE callq.meta IS 'One row: which schema this is and which programs may use it.';
COMMENT ON COLUMN callq.meta.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN callq.meta.schema_version IS 'Raised by every release that changes the schema.';
COMMENT ON COLUMN callq.meta.min_binary_version IS 'The oldest version of callq that may work on this schema.';
INSERT INTO callq.meta (schema_version, min_binary_version) VALUES (1, '0.1.0');

INSERT INTO callq.reasons (reason, sentence, next_step) VALUES
    ('accepted', 'Tencent accepted the call and at least one callee is rung.', 'Nothing to do.'),
    ('late_reply', 'The reply came after the job had been given up or put back, and it says that the call was accepted.', 'Nothing to do; the job will not ring again.'),
    ('resolved_placed', 'A person settled the doubt: the call was placed.', 'Nothing to do.'),
    ('resolved_failed', 'A person settled the doubt: nobody was rung.', 'Insert a new job, or SELECT callq.retry(id).'),
    ('cancel_too_late', 'A cancel was asked for while the request was under way, and the phone rang.', 'Nothing to do; the callee may have been rung.'),
    ('throttled', 'Tencent refused the request because too many came; nobody was rung.', 'It is tried again by itself until expires_at.'),
    ('quota_used', 'The trial edition''s daily quota is used up; nobody was rung.', 'The app is paused until the quota resets; buy a package or wait.'),
    ('unreachable', 'Tencent''s host could not be reached; nobody was rung.', 'It is tried again by itself until expires_at; check the network and the host''s name.'),
    ('not_sent', 'The request was not sent; nobody was rung.', 'It is tried again by itself until expires_at.'),
    ('app_fault', 'Tencent refused the app, not this call; nobody was rung.', 'Read pause_detail in callq.apps, mend the app''s settings, then SELECT callq.resume_app(app).'),
    ('renewing_user_sig', 'Tencent refused the UserSig; nobody was rung.', 'It is tried again at once with a fresh UserSig.'),
    ('given_back', 'A worker claimed the job and put it back without sending anything.', 'Another claim takes it.'),
    ('reply_unknown', 'The request may have been sent and no readable reply came.', 'on_doubt decides; or find out whether the phone rang and SELECT callq.resolve(id, ''placed'' | ''retry'' | ''failed'').'),
    ('reply_in_doubt', 'Tencent answered with a code that does not say whether the phone rang.', 'on_doubt decides; or find out whether the phone rang and SELECT callq.resolve(id, ''placed'' | ''retry'' | ''failed'').'),
    ('lease_lapsed', 'The worker that had claimed the job did not report back in time; it may have sent the request.', 'on_doubt decides; or find out whether the phone rang and SELECT callq.resolve(id, ''placed'' | ''retry'' | ''failed'').'),
    ('retried_in_doubt', 'Nobody knows whether the last attempt rang; on_doubt = retry rings again.', 'It is due now.'),
    ('retried_by_person', 'A person asked for another try.', 'It is due now.'),
    ('refused', 'Tencent refused the call for good; nobody was rung.', 'Read error_code and error_info, mend the job and insert it anew, or SELECT callq.retry(id).'),
    ('invalid_request', 'The row cannot be made into a valid request; nothing was sent.', 'Read reason_detail, mend the job and insert it anew.'),
    ('callees_refused', 'The call was accepted, but no callee has result code 0.', 'Read callee_results; the codes are Tencent''s and undocumented.'),
    ('attempts_exhausted', 'max_attempts requests have been spent without a call.', 'Read the attempts, then SELECT callq.retry(id).'),
    ('cancelled_by_user', 'Cancelled before anybody was rung.', 'Nothing to do.'),
    ('expired_no_worker', 'The deadline passed while no worker served the app.', 'Start a worker for the app; insert a new job if the call still makes sense.'),
    ('expired_app_paused', 'The deadline passed while the app was paused.', 'See callq.apps; insert a new job if the call still makes sense.'),
    ('expired_pace', 'The deadline passed while the job waited for its turn in the app''s pace.', 'Spread run_at, raise ttl, or raise the pace.'),
    ('expired_unreachable', 'The deadline passed while Tencent''s host could not be reached.', 'Check the network; insert a new job if the call still makes sense.'),
    ('expired_throttled', 'The deadline passed while Tencent refused requests because too many came.', 'Lower calls_per_second or raise ttl.'),
    ('earlier_in_doubt', 'It ended without a call, but an earlier attempt may have rung.', 'Find out whether the phone rang, then SELECT callq.resolve(id, ''placed'' | ''retry'' | ''failed'').'),
    ('unresolved', 'After 6 days nobody knows whether the phone rang; Tencent''s records are gone after 7.', 'SELECT callq.resolve(id, ''placed'' | ''failed'') if you know.');
