-- What a row must be, and who is told of it. Every refusal's first line names the column, what is
-- wrong with the value and what is allowed; texts of user_data and offline_push are never repeated.

CREATE FUNCTION callq.refuse(p_column text, p_fault text, p_allowed text, p_hint text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = format('%s %s: %s', p_column, p_fault, p_allowed),
        ERRCODE = 'check_violation', SCHEMA = 'callq', TABLE = 'jobs', COLUMN = p_column,
        HINT = coalesce(p_hint, '');
END $$;
COMMENT ON FUNCTION callq.refuse IS 'Refuses a row of callq.jobs with a message in the one form that all refusals have.';

-- For messages: a value as a person would quote it, never longer than a line.
CREATE FUNCTION callq.quoted(p_value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_value IS NULL THEN 'NULL'
        WHEN length(p_value) > 60 THEN '"' || left(p_value, 60) || '..."'
        ELSE '"' || p_value || '"' END
$$;
COMMENT ON FUNCTION callq.quoted IS 'A value in quotes, cut to 60 characters, for messages.';

CREATE FUNCTION callq.offline_push_fault(p_push jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_fault text;
BEGIN
    IF jsonb_typeof(p_push) <> 'object' THEN
        RETURN format('offline_push is %s: it must be a JSON object', jsonb_typeof(p_push));
    END IF;
    -- object NULL: a key of the top level; LiveActivity lies in ApnsInfo; MultiLanguageContent is a
    -- list of objects, checked item by item. words: allowed texts. low, high: allowed whole numbers.
    -- bytes: the longest text. Limits as on Tencent's page on offline push (Chat 77715).
    WITH rule(object, key, type, words, low, high, bytes) AS (VALUES
        (NULL, 'PushFlag', 'integer', NULL::text[], 0, 1, NULL::int),
        (NULL, 'Title', 'string', NULL, NULL, NULL, NULL),
        (NULL, 'Desc', 'string', NULL, NULL, NULL, NULL),
        (NULL, 'Ext', 'string', NULL, NULL, NULL, NULL),
        (NULL, 'BadgeAddNum', 'integer', NULL, 1, 99, NULL),
        (NULL, 'BadgeSetNum', 'integer', NULL, 0, 999, NULL),
        (NULL, 'PushTemplateParam', 'object', NULL, NULL, NULL, NULL),
        (NULL, 'MultiLanguageContent', 'array', NULL, NULL, NULL, NULL),
        (NULL, 'AndroidInfo', 'object', NULL, NULL, NULL, NULL),
        (NULL, 'ApnsInfo', 'object', NULL, NULL, NULL, NULL),
        (NULL, 'HarmonyInfo', 'object', NULL, NULL, NULL, NULL),
        ('MultiLanguageContent', 'Language', 'string', NULL, NULL, NULL, NULL),
        ('MultiLanguageContent', 'Title', 'string', NULL, NULL, NULL, NULL),
        ('MultiLanguageContent', 'Desc', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'Sound', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'PushStyle', 'integer', NULL, 0, 1, NULL),
        ('AndroidInfo', 'XiaoMiChannelID', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'OPPOChannelID', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'OPPOCategory', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'OPPONotifyLevel', 'integer', '{1,2,16}', NULL, NULL, NULL),
        ('AndroidInfo', 'OPPOPrivateMsgTemplateId', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'OPPOPrivateTitleParameters', 'object', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'OPPOPrivateContentParameters', 'object', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'VIVOClassification', 'integer', NULL, 0, 1, NULL),
        ('AndroidInfo', 'VIVOCategory', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'VIVONotifyType', 'string', '{1,2,3,4}', NULL, NULL, NULL),
        ('AndroidInfo', 'HuaWeiChannelID', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'HuaWeiImportance', 'string', '{LOW,NORMAL}', NULL, NULL, NULL),
        ('AndroidInfo', 'HuaWeiCategory', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'HuaWeiImage', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'HonorImage', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'HonorImportance', 'string', '{LOW,NORMAL}', NULL, NULL, NULL),
        ('AndroidInfo', 'GoogleChannelID', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'GooglePriority', 'string', '{normal,high}', NULL, NULL, NULL),
        ('AndroidInfo', 'GoogleImage', 'string', NULL, NULL, NULL, NULL),
        ('AndroidInfo', 'MeiZuNoticeMsgType', 'integer', NULL, 0, 1, NULL),
        ('AndroidInfo', 'ExtAsHuaweiIntentParam', 'integer', NULL, 0, 1, NULL),
        ('ApnsInfo', 'BadgeMode', 'integer', NULL, 0, 1, NULL),
        ('ApnsInfo', 'Title', 'string', NULL, NULL, NULL, NULL),
        ('ApnsInfo', 'SubTitle', 'string', NULL, NULL, NULL, NULL),
        ('ApnsInfo', 'Image', 'string', NULL, NULL, NULL, NULL),
        ('ApnsInfo', 'MutableContent', 'integer', NULL, 0, 1, NULL),
        ('ApnsInfo', 'Sound', 'string', NULL, NULL, NULL, NULL),
        ('ApnsInfo', 'InterruptionLevel', 'string', '{active,critical,passive,time-sensitive}', NULL, NULL, NULL),
        ('ApnsInfo', 'ContentAvailable', 'integer', NULL, 1, 1, NULL),
        ('ApnsInfo', 'IsVoipPush', 'integer', NULL, 1, 1, NULL),
        ('ApnsInfo', 'LiveActivity', 'object', NULL, NULL, NULL, NULL),
        ('LiveActivity', 'LaId', 'string', NULL, NULL, NULL, 64),
        ('LiveActivity', 'Event', 'string', '{update,end}', NULL, NULL, NULL),
        ('LiveActivity', 'ContentState', 'object', NULL, NULL, NULL, NULL),
        ('LiveActivity', 'DismissalDate', 'integer', NULL, NULL, NULL, NULL),
        ('HarmonyInfo', 'Title', 'string', NULL, NULL, NULL, NULL),
        ('HarmonyInfo', 'Category', 'string', NULL, NULL, NULL, NULL),
        ('HarmonyInfo', 'Image', 'string', NULL, NULL, NULL, NULL),
        ('HarmonyInfo', 'Sound', 'string', NULL, NULL, NULL, NULL),
        ('HarmonyInfo', 'SoundDuration', 'integer', NULL, 1, 60, NULL)
    ), place(object, path, content) AS (
        SELECT NULL, 'offline_push', p_push
        UNION ALL
        SELECT o.key, 'offline_push.' || o.key, o.value
        FROM jsonb_each(p_push) AS o
        WHERE o.key IN ('AndroidInfo', 'ApnsInfo', 'HarmonyInfo') AND jsonb_typeof(o.value) = 'object'
        UNION ALL
        SELECT 'LiveActivity', 'offline_push.ApnsInfo.LiveActivity', p_push #> '{ApnsInfo,LiveActivity}'
        WHERE jsonb_typeof(p_push #> '{ApnsInfo,LiveActivity}') = 'object'
        UNION ALL
        SELECT 'MultiLanguageContent', format('offline_push.MultiLanguageContent[%s]', i.n - 1), i.item
        FROM jsonb_array_elements(CASE jsonb_typeof(p_push -> 'MultiLanguageContent')
            WHEN 'array' THEN p_push -> 'MultiLanguageContent' ELSE '[]' END) WITH ORDINALITY AS i(item, n)
    ), given AS (
        SELECT p.object, p.path || '.' || e.key AS path, e.key, e.value,
               jsonb_typeof(e.value) AS type, e.value #>> '{}' AS content
        FROM place AS p
        CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(p.content) WHEN 'object' THEN p.content ELSE '{}' END) AS e
    ), fault(path, said) AS (
        SELECT p.path, format('is %s: it must be a JSON object', jsonb_typeof(p.content))
        FROM place AS p WHERE jsonb_typeof(p.content) <> 'object'
        UNION ALL
        SELECT g.path, CASE
            WHEN r.type = 'integer' AND (g.type <> 'number' OR g.content !~ '^-?[0-9]+$') THEN
                format('is %s: it must be a whole number', CASE g.type WHEN 'number' THEN g.content ELSE 'of type ' || g.type END)
            WHEN r.type <> 'integer' AND g.type <> r.type THEN
                format('is of type %s: it must be of type %s', g.type, r.type)
            WHEN g.content <> ALL (r.words) THEN
                format('is not allowed: it must be one of %s', array_to_string(r.words, ', '))
            WHEN r.low IS NOT NULL AND g.content::numeric NOT BETWEEN r.low AND r.high THEN
                format('is %s: it must be %s', g.content, CASE WHEN r.low = r.high THEN r.low::text ELSE format('from %s to %s', r.low, r.high) END)
            WHEN octet_length(g.content) > r.bytes THEN
                format('is %s bytes long: it must be at most %s bytes', octet_length(g.content), r.bytes)
            END
        FROM given AS g
        JOIN rule AS r ON r.key = g.key AND r.object IS NOT DISTINCT FROM g.object
        UNION ALL
        SELECT p.path || '.' || needed.key, 'is missing: a LiveActivity needs LaId, Event and ContentState'
        FROM place AS p CROSS JOIN (VALUES ('LaId'), ('Event'), ('ContentState')) AS needed(key)
        WHERE p.object = 'LiveActivity' AND NOT p.content ? needed.key
        UNION ALL
        SELECT 'offline_push.AndroidInfo.OPPONotifyLevel', 'is given without OPPOCategory: give both'
        WHERE p_push #> '{AndroidInfo,OPPONotifyLevel}' IS NOT NULL
          AND p_push #> '{AndroidInfo,OPPOCategory}' IS NULL
        UNION ALL
        SELECT 'offline_push.HarmonyInfo.SoundDuration', 'is given without Sound: give both'
        WHERE p_push #> '{HarmonyInfo,SoundDuration}' IS NOT NULL
          AND p_push #> '{HarmonyInfo,Sound}' IS NULL
    )
    SELECT f.path || ' ' || f.said INTO v_fault FROM fault AS f WHERE f.said IS NOT NULL ORDER BY f.path LIMIT 1;
    RETURN v_fault;
END $$;
COMMENT ON FUNCTION callq.offline_push_fault IS 'NULL if the push information can be sent, otherwise a sentence that names the key, the fault and what is allowed. Keys that callq does not know are not looked at.';

CREATE FUNCTION callq.check_job() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_count int;
    v_item text;
    v_bytes int;
    v_fault text;
BEGIN
    IF NEW.app IS NULL OR octet_length(NEW.app) NOT BETWEEN 1 AND 64 THEN
        PERFORM callq.refuse('app', 'is ' || callq.quoted(NEW.app), 'it must be 1 to 64 bytes long');
    END IF;

    IF NEW.robot_account IS NULL THEN
        PERFORM callq.refuse('robot_account', 'is NULL', 'it is required, 1 to 32 bytes');
    ELSIF octet_length(NEW.robot_account) NOT BETWEEN 1 AND 32 THEN
        PERFORM callq.refuse('robot_account', format('is %s bytes long', octet_length(NEW.robot_account)),
            'it must be 1 to 32 bytes');
    END IF;

    IF NEW.callees IS NULL THEN
        PERFORM callq.refuse('callees', 'is NULL', 'it is required, 1 to 100 accounts');
    END IF;
    v_count := cardinality(NEW.callees);
    IF v_count NOT BETWEEN 1 AND 100 THEN
        PERFORM callq.refuse('callees', format('has %s accounts', v_count), 'it must have 1 to 100',
            CASE WHEN v_count > 100 THEN 'Callees of one job share one room and see each other; insert one job per callee to ring them apart.' END);
    ELSIF array_ndims(NEW.callees) > 1 THEN
        PERFORM callq.refuse('callees', 'has more than one dimension', 'it must be a plain list of 1 to 100 accounts');
    END IF;
    FOREACH v_item IN ARRAY NEW.callees LOOP
        IF v_item IS NULL THEN
            PERFORM callq.refuse('callees', 'has an entry that is NULL', 'each of the 1 to 100 accounts must be 1 to 32 bytes');
        ELSIF octet_length(v_item) NOT BETWEEN 1 AND 32 THEN
            PERFORM callq.refuse('callees', format('has the entry %s of %s bytes', callq.quoted(v_item), octet_length(v_item)),
                'each account must be 1 to 32 bytes');
        END IF;
    END LOOP;
    IF v_count > 1 THEN
        SELECT c INTO v_item FROM unnest(NEW.callees) AS c GROUP BY c HAVING count(*) > 1 ORDER BY c LIMIT 1;
        IF FOUND THEN
            PERFORM callq.refuse('callees', format('has %s more than once', callq.quoted(v_item)),
                'each account must appear once');
        END IF;
    END IF;
    IF v_count > 8 THEN
        RAISE NOTICE 'callees has % accounts: Tencent''s own user interface shows calls of up to 9 people, the caller included', v_count;
    END IF;

    IF NEW.media_type IS NULL OR NEW.media_type NOT IN ('Audio', 'Video') THEN
        PERFORM callq.refuse('media_type', 'is ' || callq.quoted(NEW.media_type), 'it must be Audio or Video, spelled so');
    END IF;

    IF NEW.room_id_type IS NULL OR NEW.room_id_type NOT IN (1, 2) THEN
        PERFORM callq.refuse('room_id_type', 'is ' || coalesce(NEW.room_id_type::text, 'NULL'),
            'it must be 1 (room_id is a number) or 2 (room_id is text)');
    ELSIF NEW.room_id IS NULL AND NEW.room_id_type = 1 THEN
        PERFORM callq.refuse('room_id', 'is NULL while room_id_type is 1',
            'it must be a number from 1 to 2147483647, or leave room_id_type at 2 and callq makes a room');
    ELSIF NEW.room_id_type = 1 AND (NEW.room_id !~ '^[0-9]{1,10}$' OR NEW.room_id::numeric NOT BETWEEN 1 AND 2147483647) THEN
        PERFORM callq.refuse('room_id', 'is ' || callq.quoted(NEW.room_id),
            'with room_id_type 1 it must be a number from 1 to 2147483647 in digits');
    ELSIF NEW.room_id_type = 2 AND octet_length(NEW.room_id) NOT BETWEEN 1 AND 64 THEN
        PERFORM callq.refuse('room_id', format('is %s bytes long', octet_length(NEW.room_id)), 'it must be 1 to 64 bytes');
    ELSIF NEW.room_id_type = 2 AND NEW.room_id !~ '^[]a-zA-Z0-9 !#$%&()+:;<=.>?@[^_{}|~,-]+$' THEN
        PERFORM callq.refuse('room_id', 'is ' || callq.quoted(NEW.room_id),
            'it must be letters, digits, space and !#$%&()+-:;<=.>?@[]^_{}|~, only');
    END IF;

    IF NEW.ring_timeout_ms IS NULL OR NEW.ring_timeout_ms NOT BETWEEN 10000 AND 600000 THEN
        PERFORM callq.refuse('ring_timeout_ms', 'is ' || coalesce(NEW.ring_timeout_ms::text, 'NULL'),
            'it must be from 10000 to 600000 milliseconds');
    END IF;

    v_bytes := octet_length(NEW.user_data);
    IF v_bytes > 1000 THEN
        PERFORM callq.refuse('user_data', format('is %s bytes long', v_bytes), 'it must be at most 1000 bytes');
    END IF;

    IF NEW.offline_push IS NOT NULL THEN
        v_fault := callq.offline_push_fault(NEW.offline_push);
        IF v_fault IS NOT NULL THEN
            RAISE EXCEPTION USING MESSAGE = v_fault, ERRCODE = 'check_violation',
                SCHEMA = 'callq', TABLE = 'jobs', COLUMN = 'offline_push';
        END IF;
    END IF;

    IF NEW.run_at IS NULL OR NOT isfinite(NEW.run_at) THEN
        PERFORM callq.refuse('run_at', 'is ' || coalesce(NEW.run_at::text, 'NULL'), 'it must be a point in time');
    END IF;

    IF NEW.priority IS NULL OR NEW.priority NOT BETWEEN 0 AND 3 THEN
        PERFORM callq.refuse('priority', 'is ' || coalesce(NEW.priority::text, 'NULL'), 'it must be from 0 (most urgent) to 3');
    END IF;
    IF NEW.max_attempts IS NULL OR NEW.max_attempts NOT BETWEEN 1 AND 100 THEN
        PERFORM callq.refuse('max_attempts', 'is ' || coalesce(NEW.max_attempts::text, 'NULL'), 'it must be from 1 to 100');
    END IF;
    IF NEW.on_doubt IS NULL OR NEW.on_doubt NOT IN ('hold', 'reconcile', 'retry') THEN
        PERFORM callq.refuse('on_doubt', 'is ' || callq.quoted(NEW.on_doubt), 'it must be hold, reconcile or retry');
    END IF;
    IF NEW.retry_callees IS NULL THEN
        PERFORM callq.refuse('retry_callees', 'is NULL', 'it must be true or false');
    END IF;
    IF octet_length(NEW.idempotency_key) NOT BETWEEN 1 AND 255 THEN
        PERFORM callq.refuse('idempotency_key', format('is %s bytes long', octet_length(NEW.idempotency_key)),
            'it must be 1 to 255 bytes, or NULL');
    END IF;
    IF NEW.metadata IS NULL OR jsonb_typeof(NEW.metadata) <> 'object' THEN
        PERFORM callq.refuse('metadata', 'is ' || coalesce('of type ' || jsonb_typeof(NEW.metadata), 'NULL'), 'it must be a JSON object of at most 8192 bytes');
    ELSIF octet_length(NEW.metadata::text) > 8192 THEN
        PERFORM callq.refuse('metadata', format('is %s bytes long', octet_length(NEW.metadata::text)), 'it must be at most 8192 bytes');
    END IF;

    -- The deadline. expires_at = run_at + ttl holds for every row, so that moving run_at moves it.
    -- A ttl that is computed here counts in seconds: days would change length with the session's zone.
    IF TG_OP = 'INSERT' THEN
        IF NEW.expires_at IS NOT NULL AND NEW.ttl IS DISTINCT FROM interval '1 hour'
           AND NEW.run_at + NEW.ttl IS DISTINCT FROM NEW.expires_at THEN
            PERFORM callq.refuse('expires_at', 'is given together with another ttl', 'give ttl or expires_at, not both');
        END IF;
        IF NEW.expires_at IS NULL THEN
            NEW.ttl := coalesce(NEW.ttl, interval '1 hour');
        END IF;
        NEW.due_at := NEW.run_at;
    ELSIF NEW.expires_at IS NOT DISTINCT FROM OLD.expires_at
        AND (NEW.run_at <> OLD.run_at OR NEW.ttl IS DISTINCT FROM OLD.ttl)
        AND (NEW.ttl IS NOT NULL OR OLD.ttl IS NOT NULL) THEN
        NEW.ttl := coalesce(NEW.ttl, interval '1 hour');
        NEW.expires_at := NULL;
    END IF;
    IF NEW.expires_at IS NULL THEN
        IF NEW.ttl <= interval '0' THEN
            PERFORM callq.refuse('ttl', 'is ' || NEW.ttl, 'it must be longer than zero');
        END IF;
        NEW.expires_at := NEW.run_at + NEW.ttl;
    END IF;
    IF NEW.expires_at <= NEW.run_at THEN
        PERFORM callq.refuse('expires_at', format('is %s', NEW.expires_at),
            format('it must be after run_at, which is %s', NEW.run_at));
    END IF;
    NEW.ttl := CASE WHEN isfinite(NEW.expires_at) THEN
        CASE WHEN NEW.run_at + NEW.ttl = NEW.expires_at THEN NEW.ttl
             ELSE make_interval(secs => extract(epoch FROM NEW.expires_at - NEW.run_at)::float8) END END;

    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'scheduled' OR NEW.attempt <> 0 OR NEW.attempts_used <> 0 OR NEW.claim_token IS NOT NULL THEN
            PERFORM callq.refuse('state', 'or another column of callq''s own is given', 'leave callq''s columns out of an INSERT');
        END IF;
    ELSE
        IF NEW.run_at <> OLD.run_at THEN
            NEW.due_at := NEW.run_at;
            IF NEW.due_at <= now() + interval '60 seconds' THEN
                PERFORM callq.wake_workers();
            END IF;
        END IF;
        -- The attempts name what was rung; their job must go on saying the same.
        IF OLD.attempt > 0 AND (NEW.app, NEW.robot_account, NEW.callees, NEW.media_type, NEW.room_id, NEW.room_id_type)
            IS DISTINCT FROM (OLD.app, OLD.robot_account, OLD.callees, OLD.media_type, OLD.room_id, OLD.room_id_type) THEN
            RAISE EXCEPTION USING
                MESSAGE = format('job %s has been attempted: who is called, by whom and where cannot be changed any more', OLD.id),
                ERRCODE = 'object_not_in_prerequisite_state', SCHEMA = 'callq', TABLE = 'jobs',
                HINT = format('Cancel it with SELECT callq.cancel(%s) and insert a new job.', OLD.id);
        END IF;
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION callq.check_job IS 'Trigger: checks what a user gave, fills expires_at and due_at.';

CREATE FUNCTION callq.refuse_late_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = format('job %s is %s: it can be changed only while it is scheduled', OLD.id, OLD.state),
        ERRCODE = 'object_not_in_prerequisite_state', SCHEMA = 'callq', TABLE = 'jobs',
        HINT = CASE WHEN OLD.state IN ('dialing', 'in_doubt')
            THEN format('SELECT callq.cancel(%s) asks for it not to ring again.', OLD.id)
            ELSE 'Insert a new job.' END;
END $$;
COMMENT ON FUNCTION callq.refuse_late_change IS 'Trigger: a job that is being placed or has ended keeps what the user gave.';

CREATE FUNCTION callq.wake_workers() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_notify('callq_jobs', '') FROM callq.settings WHERE notify
$$;
COMMENT ON FUNCTION callq.wake_workers IS 'Wakes the workers of this database, unless callq.settings.notify is false. Within a transaction PostgreSQL sends it once however often it is called.';

CREATE FUNCTION callq.wake_for_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM inserted WHERE due_at <= now() + interval '60 seconds') THEN
        PERFORM callq.wake_workers();
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION callq.wake_for_inserted IS 'Trigger: one NOTIFY per INSERT statement, and only for work that is due within 60 s. The worker has its own timer for the rest.';

CREATE TRIGGER job_is_checked BEFORE INSERT ON callq.jobs
    FOR EACH ROW EXECUTE FUNCTION callq.check_job();
-- Both fire only when a user's column is in the SET list: the workers' own updates pay nothing.
CREATE TRIGGER changed_job_is_checked BEFORE UPDATE OF
        app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata
    ON callq.jobs FOR EACH ROW WHEN (OLD.state = 'scheduled') EXECUTE FUNCTION callq.check_job();
CREATE TRIGGER only_scheduled_jobs_change BEFORE UPDATE OF
        app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata
    ON callq.jobs FOR EACH ROW WHEN (OLD.state <> 'scheduled') EXECUTE FUNCTION callq.refuse_late_change();
CREATE TRIGGER workers_are_woken AFTER INSERT ON callq.jobs REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION callq.wake_for_inserted();
