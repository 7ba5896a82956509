-- What a row must be, and who is told of it. Every refusal's first line names the column, what is
-- wrong with the value and what is allowed; texts of user_data and offline_push are never repeated.

-- What check_job raises: the column, the message, and a hint or NULL.
CREATE FUNCTION callq.refusal(p_column text, p_fault text, p_allowed text, p_hint text DEFAULT NULL)
RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY[p_column, format('%s %s: %s', p_column, p_fault, p_allowed), p_hint]
$$;
COMMENT ON FUNCTION callq.refusal IS 'Why a row of callq.jobs is refused, in the one form that all refusals have.';

-- For messages: a value as a person would quote it, on one line and never longer than that.
CREATE FUNCTION callq.quoted(p_value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_value IS NULL THEN 'NULL'
        ELSE '"' || regexp_replace(left(p_value, 60), '[[:cntrl:]]', '?', 'g')
            || CASE WHEN length(p_value) > 60 THEN '..."' ELSE '"' END END
$$;
COMMENT ON FUNCTION callq.quoted IS 'A value in quotes, cut to 60 characters and with ? for control characters, for messages.';

-- What a value is, without its text: a string is known by its length alone.
CREATE FUNCTION callq.json_kind(p_value jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE jsonb_typeof(p_value)
        WHEN 'string' THEN format('a string of %s bytes', octet_length(p_value #>> '{}'))
        WHEN 'array' THEN 'an array'
        WHEN 'object' THEN 'an object'
        ELSE left(p_value::text, 40) END
$$;
COMMENT ON FUNCTION callq.json_kind IS 'What a JSON value is, for messages that must not show its text.';

-- A length as a fault, for messages.
CREATE FUNCTION callq.length_fault(p_value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_value IS NULL THEN 'is NULL' WHEN p_value = '' THEN 'is empty'
        ELSE format('is %s bytes long', octet_length(p_value)) END
$$;
COMMENT ON FUNCTION callq.length_fault IS 'That a text is NULL, empty, or so many bytes long, for messages.';

-- The rules are those of src/call/push_keys.rs, with the same words; a test compares the two.
CREATE FUNCTION callq.offline_push_fault(p_push jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_fault text;
    v_bytes int;
BEGIN
    IF jsonb_typeof(p_push) <> 'object' THEN
        RETURN format('offline_push is %s: it must be an object', callq.json_kind(p_push));
    END IF;
    -- object NULL: keys of the top level; LiveActivity lies in ApnsInfo; MultiLanguageContent is a
    -- list of objects, checked item by item. words: the allowed texts or numbers. low, high: allowed
    -- whole numbers, or bytes of a string. Limits as on Tencent's page on offline push (IM 77715).
    WITH rule(object, keys, kind, words, low, high, allowed) AS (VALUES
        (NULL, '{PushFlag}'::text[], 'number', '{0,1}'::text[], NULL::int, NULL::int, '0 or 1'),
        (NULL, '{Title,Desc,Ext}', 'string', NULL, NULL, NULL, 'a string'),
        (NULL, '{BadgeAddNum}', 'integer', NULL, 1, 99, 'an integer of 1 to 99'),
        (NULL, '{BadgeSetNum}', 'integer', NULL, 0, 999, 'an integer of 0 to 999'),
        (NULL, '{PushTemplateId}', 'string or integer', NULL, NULL, NULL, 'a string or an integer'),
        (NULL, '{PushTemplateParam,AndroidInfo,ApnsInfo,HarmonyInfo}', 'object', NULL, NULL, NULL, 'an object'),
        (NULL, '{MultiLanguageContent}', 'array', NULL, NULL, NULL, 'an array of objects'),
        ('item', '{item}', 'object', NULL, NULL, NULL, 'an object'),
        ('MultiLanguageContent', '{Language,Title,Desc}', 'string', NULL, NULL, NULL, 'a string'),
        ('AndroidInfo', '{PushStyle,VIVOClassification,MeiZuNoticeMsgType,ExtAsHuaweiIntentParam}', 'number', '{0,1}', NULL, NULL, '0 or 1'),
        ('AndroidInfo', '{Sound,XiaoMiChannelID,OPPOChannelID,OPPOCategory,OPPOPrivateMsgTemplateId,VIVOCategory,HuaWeiChannelID,HuaWeiCategory,HonorImage,GoogleChannelID,GoogleImage}', 'string', NULL, NULL, NULL, 'a string'),
        ('AndroidInfo', '{OPPOPrivateTitleParameters,OPPOPrivateContentParameters}', 'object', NULL, NULL, NULL, 'an object'),
        ('AndroidInfo', '{OPPONotifyLevel}', 'number', '{1,2,16}', NULL, NULL, '1, 2 or 16'),
        ('AndroidInfo', '{VIVONotifyType}', 'word', '{1,2,3,4}', NULL, NULL, '"1", "2", "3" or "4"'),
        ('AndroidInfo', '{HuaWeiImportance,HonorImportance}', 'word', '{LOW,NORMAL}', NULL, NULL, '"LOW" or "NORMAL"'),
        ('AndroidInfo', '{GooglePriority}', 'word', '{normal,high}', NULL, NULL, '"normal" or "high"'),
        ('AndroidInfo', '{HuaWeiImage}', 'https', NULL, NULL, NULL, 'a string that begins with https://'),
        ('ApnsInfo', '{BadgeMode,MutableContent,ContentAvailable,IsVoipPush}', 'number', '{0,1}', NULL, NULL, '0 or 1'),
        ('ApnsInfo', '{Title,SubTitle,Image,Sound}', 'string', NULL, NULL, NULL, 'a string'),
        ('ApnsInfo', '{InterruptionLevel}', 'word', '{active,critical,passive,time-sensitive}', NULL, NULL, '"active", "critical", "passive" or "time-sensitive"'),
        ('ApnsInfo', '{LiveActivity}', 'object', NULL, NULL, NULL, 'an object'),
        ('LiveActivity', '{LaId}', 'bytes', NULL, 1, 64, 'a string of 1 to 64 bytes'),
        ('LiveActivity', '{Event}', 'word', '{update,end}', NULL, NULL, '"update" or "end"'),
        ('LiveActivity', '{ContentState}', 'object', NULL, NULL, NULL, 'an object'),
        ('LiveActivity', '{DismissalDate}', 'string or integer', NULL, NULL, NULL, 'a string or an integer'),
        ('HarmonyInfo', '{Title,Category,Image,Sound}', 'string', NULL, NULL, NULL, 'a string'),
        ('HarmonyInfo', '{SoundDuration}', 'integer', NULL, 1, 60, 'an integer of 1 to 60')
    ), needs(object, key, other) AS (VALUES
        -- key NULL: the object needs it in any case.
        ('AndroidInfo', 'OPPONotifyLevel', 'OPPOCategory'),
        ('HarmonyInfo', 'SoundDuration', 'Sound'),
        ('LiveActivity', NULL, 'LaId'),
        ('LiveActivity', NULL, 'Event'),
        ('LiveActivity', NULL, 'ContentState')
    ), place(object, path, content) AS (
        SELECT NULL, 'offline_push', p_push
        UNION ALL
        SELECT o.key, 'offline_push.' || o.key, o.value
        FROM jsonb_each(p_push) AS o
        WHERE o.key IN ('AndroidInfo', 'ApnsInfo', 'HarmonyInfo') AND jsonb_typeof(o.value) = 'object'
        UNION ALL
        SELECT 'LiveActivity', 'offline_push.ApnsInfo.LiveActivity', p_push #> '{ApnsInfo,LiveActivity}'
        WHERE jsonb_typeof(p_push -> 'ApnsInfo') = 'object'
          AND jsonb_typeof(p_push #> '{ApnsInfo,LiveActivity}') = 'object'
        UNION ALL
        SELECT 'MultiLanguageContent', format('offline_push.MultiLanguageContent[%s]', i.n - 1), i.item
        FROM jsonb_array_elements(CASE jsonb_typeof(p_push -> 'MultiLanguageContent')
            WHEN 'array' THEN p_push -> 'MultiLanguageContent' ELSE '[]' END) WITH ORDINALITY AS i(item, n)
    ), given AS (
        SELECT p.object, p.path || '.' || e.key AS path, e.key, e.value, jsonb_typeof(e.value) AS type, e.value #>> '{}' AS content
        FROM place AS p
        CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(p.content) WHEN 'object' THEN p.content ELSE '{}' END) AS e
        UNION ALL
        -- An item of the list that is no object.
        SELECT 'item', p.path, 'item', p.content, jsonb_typeof(p.content), NULL
        FROM place AS p WHERE jsonb_typeof(p.content) <> 'object'
    ), fault(path, rank, said) AS (
        SELECT g.path, 2, format('is %s: it must be %s',
            CASE WHEN g.type = 'string' AND r.kind = 'https' THEN 'another text'
                 WHEN g.type = 'string' AND r.kind = 'word' AND g.content ~ '^[a-zA-Z0-9_-]{0,24}$' THEN '"' || g.content || '"'
                 ELSE callq.json_kind(g.value) END,
            r.allowed)
        FROM given AS g
        JOIN rule AS r ON g.key = ANY (r.keys) AND r.object IS NOT DISTINCT FROM g.object
        CROSS JOIN LATERAL (SELECT CASE WHEN g.type = 'number' AND g.content ~ '^-?[0-9]{1,19}$' THEN g.content::numeric END) AS n(whole)
        WHERE (CASE r.kind
            WHEN 'number' THEN g.type = 'number' AND g.content = ANY (r.words)
            WHEN 'word' THEN g.type = 'string' AND g.content = ANY (r.words)
            WHEN 'integer' THEN n.whole BETWEEN r.low AND r.high
            WHEN 'bytes' THEN g.type = 'string' AND octet_length(g.content) BETWEEN r.low AND r.high
            WHEN 'https' THEN g.type = 'string' AND starts_with(g.content, 'https://')
            WHEN 'string or integer' THEN g.type = 'string' OR n.whole BETWEEN -9223372036854775808 AND 9223372036854775807
            ELSE g.type = r.kind END) IS NOT TRUE
        UNION ALL
        SELECT p.path || '.' || coalesce(n.key, n.other), 1, CASE
            WHEN n.key IS NULL THEN format('is missing: it must be %s', r.allowed)
            ELSE format('stands alone: it must be given together with %s.%s', p.path, n.other) END
        FROM place AS p
        JOIN needs AS n ON n.object = p.object
        JOIN rule AS r ON r.object = n.object AND n.other = ANY (r.keys)
        WHERE NOT p.content ? n.other AND (n.key IS NULL OR p.content ? n.key)
    )
    SELECT f.path || ' ' || f.said INTO v_fault FROM fault AS f ORDER BY f.path, f.rank LIMIT 1;
    IF v_fault IS NULL THEN
        v_bytes := coalesce(octet_length(p_push ->> 'Desc'), 0) + coalesce(octet_length(p_push ->> 'Ext'), 0);
        IF v_bytes >= 3072 THEN
            v_fault := format('offline_push.Desc with offline_push.Ext is %s bytes long: it must be less than 3072 bytes together', v_bytes);
        END IF;
    END IF;
    RETURN v_fault;
END $$;
COMMENT ON FUNCTION callq.offline_push_fault IS 'NULL if the push information can be sent, otherwise a sentence that names the key, the fault and what is allowed. Keys that callq does not know are not looked at.';

CREATE FUNCTION callq.check_job() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_count int;
    v_item text;
    v_fault text;
    v_run_at timestamp;
    v_refusal text[];
BEGIN
    -- One place raises, so that what a client prints after the message is one line.
    <<checks>>
    BEGIN
    -- Everything is refused here and nothing left to the table's constraints: their DETAIL shows the
    -- whole row, user_data and offline_push included.
    IF TG_OP = 'INSERT' THEN
        v_item := CASE
            WHEN NEW.id IS NULL THEN 'id'
            WHEN NEW.created_at IS NULL THEN 'created_at'
            WHEN NEW.inserted_by IS NULL THEN 'inserted_by'
            WHEN NEW.state IS DISTINCT FROM 'scheduled' THEN 'state'
            WHEN NEW.reason IS NOT NULL THEN 'reason'
            WHEN NEW.reason_detail IS NOT NULL THEN 'reason_detail'
            WHEN NEW.attempt IS DISTINCT FROM 0 THEN 'attempt'
            WHEN NEW.attempts_used IS DISTINCT FROM 0 THEN 'attempts_used'
            WHEN NEW.claim_token IS NOT NULL THEN 'claim_token'
            WHEN NEW.lease_until IS NOT NULL THEN 'lease_until'
            WHEN NEW.cancel_requested_at IS NOT NULL THEN 'cancel_requested_at'
            WHEN NEW.call_id IS NOT NULL THEN 'call_id'
            WHEN NEW.callee_results IS NOT NULL THEN 'callee_results'
            WHEN NEW.error_code IS NOT NULL THEN 'error_code'
            WHEN NEW.error_info IS NOT NULL THEN 'error_info'
            WHEN NEW.request_id IS NOT NULL THEN 'request_id'
            WHEN NEW.sent_at IS NOT NULL THEN 'sent_at'
            WHEN NEW.placed_at IS NOT NULL THEN 'placed_at'
            WHEN NEW.finished_at IS NOT NULL THEN 'finished_at'
            WHEN ((NEW.ring_no > 1) = (NEW.root_id IS NOT NULL)) IS NOT TRUE THEN 'ring_no' END;
        IF v_item IS NOT NULL THEN
            v_refusal := callq.refusal(v_item, 'is given', 'leave it out, callq writes it itself');
            EXIT checks;
        END IF;
    END IF;

    IF (octet_length(NEW.app) BETWEEN 1 AND 64) IS NOT TRUE THEN
        v_refusal := callq.refusal('app', callq.length_fault(NEW.app), 'it must be 1 to 64 bytes');
        EXIT checks;
    END IF;
    IF (octet_length(NEW.robot_account) BETWEEN 1 AND 32) IS NOT TRUE THEN
        v_refusal := callq.refusal('robot_account', callq.length_fault(NEW.robot_account), 'it must be 1 to 32 bytes');
        EXIT checks;
    END IF;

    v_count := cardinality(NEW.callees);
    IF v_count IS NULL THEN
        v_refusal := callq.refusal('callees', 'is NULL', 'it must be a list of 1 to 100 accounts');
        EXIT checks;
    ELSIF array_ndims(NEW.callees) > 1 THEN
        v_refusal := callq.refusal('callees', 'is a list of lists', 'it must be a list of 1 to 100 accounts');
        EXIT checks;
    ELSIF v_count NOT BETWEEN 1 AND 100 THEN
        v_refusal := callq.refusal('callees', format('has %s accounts', v_count), 'it must have 1 to 100',
            CASE WHEN v_count > 100 THEN 'Callees of one job share one room and see each other; insert one job per callee to ring them apart.' END);
        EXIT checks;
    END IF;
    FOREACH v_item IN ARRAY NEW.callees LOOP
        IF v_item IS NULL THEN
            v_refusal := callq.refusal('callees', 'has an account that is NULL', 'each must be 1 to 32 bytes');
            EXIT checks;
        ELSIF octet_length(v_item) NOT BETWEEN 1 AND 32 THEN
            v_refusal := callq.refusal('callees', format('has the account %s of %s bytes', callq.quoted(v_item), octet_length(v_item)),
                'each must be 1 to 32 bytes');
            EXIT checks;
        END IF;
    END LOOP;
    IF v_count > 1 THEN
        SELECT c INTO v_item FROM unnest(NEW.callees) AS c GROUP BY c HAVING count(*) > 1 ORDER BY c LIMIT 1;
        IF FOUND THEN
            v_refusal := callq.refusal('callees', format('has the account %s more than once', callq.quoted(v_item)),
                'each must appear once');
            EXIT checks;
        END IF;
    END IF;

    IF (NEW.media_type IN ('Audio', 'Video')) IS NOT TRUE THEN
        v_refusal := callq.refusal('media_type', 'is ' || callq.quoted(NEW.media_type), 'it must be Audio or Video, spelled so');
        EXIT checks;
    END IF;

    IF (NEW.room_id_type IN (1, 2)) IS NOT TRUE THEN
        v_refusal := callq.refusal('room_id_type', 'is ' || coalesce(NEW.room_id_type::text, 'NULL'),
            'it must be 1 (room_id is a number) or 2 (room_id is text)');
        EXIT checks;
    ELSIF NEW.room_id IS NULL AND NEW.room_id_type = 1 THEN
        v_refusal := callq.refusal('room_id', 'is NULL while room_id_type is 1',
            'it must be a number from 1 to 2147483647, or leave room_id_type at 2 and callq makes a room');
        EXIT checks;
    ELSIF NEW.room_id_type = 1 AND (CASE WHEN NEW.room_id ~ '^[1-9][0-9]{0,9}$' THEN NEW.room_id::bigint > 2147483647 ELSE true END) THEN
        v_refusal := callq.refusal('room_id', 'is ' || callq.quoted(NEW.room_id) || ' while room_id_type is 1',
            'it must be a number from 1 to 2147483647 in digits, without sign or leading zero');
        EXIT checks;
    ELSIF octet_length(NEW.room_id) NOT BETWEEN 1 AND 64 THEN
        v_refusal := callq.refusal('room_id', callq.length_fault(NEW.room_id), 'it must be 1 to 64 bytes');
        EXIT checks;
    ELSIF NEW.room_id !~ '^[]a-zA-Z0-9 !#$%&()+:;<=.>?@[^_{}|~,-]+$' THEN
        v_refusal := callq.refusal('room_id', 'is ' || callq.quoted(NEW.room_id),
            'it must be 1 to 64 letters a-z, digits, spaces and !#$%&()+-:;<=.>?@[]^_{}|~,');
        EXIT checks;
    END IF;

    IF (NEW.ring_timeout_ms BETWEEN 10000 AND 600000) IS NOT TRUE THEN
        v_refusal := callq.refusal('ring_timeout_ms', 'is ' || coalesce(NEW.ring_timeout_ms::text, 'NULL'),
            'it must be from 10000 to 600000 milliseconds');
        EXIT checks;
    END IF;

    IF octet_length(NEW.user_data) > 1000 THEN
        v_refusal := callq.refusal('user_data', callq.length_fault(NEW.user_data), 'it must be at most 1000 bytes');
        EXIT checks;
    END IF;

    IF NEW.offline_push IS NOT NULL THEN
        v_fault := callq.offline_push_fault(NEW.offline_push);
        IF v_fault IS NOT NULL THEN
            v_refusal := ARRAY['offline_push', v_fault, NULL];
            EXIT checks;
        END IF;
    END IF;

    IF (NEW.priority BETWEEN 0 AND 3) IS NOT TRUE THEN
        v_refusal := callq.refusal('priority', 'is ' || coalesce(NEW.priority::text, 'NULL'), 'it must be from 0 (most urgent) to 3');
        EXIT checks;
    END IF;
    IF (NEW.max_attempts BETWEEN 1 AND 100) IS NOT TRUE THEN
        v_refusal := callq.refusal('max_attempts', 'is ' || coalesce(NEW.max_attempts::text, 'NULL'), 'it must be from 1 to 100');
        EXIT checks;
    END IF;
    IF (NEW.on_doubt IN ('hold', 'reconcile', 'retry')) IS NOT TRUE THEN
        v_refusal := callq.refusal('on_doubt', 'is ' || callq.quoted(NEW.on_doubt), 'it must be hold, reconcile or retry');
        EXIT checks;
    END IF;
    IF NEW.retry_callees IS NULL THEN
        v_refusal := callq.refusal('retry_callees', 'is NULL', 'it must be true or false');
        EXIT checks;
    END IF;
    IF octet_length(NEW.idempotency_key) NOT BETWEEN 1 AND 255 THEN
        v_refusal := callq.refusal('idempotency_key', callq.length_fault(NEW.idempotency_key), 'it must be 1 to 255 bytes, or NULL');
        EXIT checks;
    END IF;
    IF (jsonb_typeof(NEW.metadata) = 'object') IS NOT TRUE THEN
        v_refusal := callq.refusal('metadata', 'is ' || coalesce(callq.json_kind(NEW.metadata), 'NULL'), 'it must be a JSON object of at most 8192 bytes');
        EXIT checks;
    ELSIF octet_length(NEW.metadata::text) > 8192 THEN
        v_refusal := callq.refusal('metadata', callq.length_fault(NEW.metadata::text), 'it must be at most 8192 bytes');
        EXIT checks;
    END IF;

    -- Year 10000 and later is milliseconds taken for seconds: such a job would wait in silence.
    IF (isfinite(NEW.run_at) AND NEW.run_at < '10000-01-01 00:00:00+00') IS NOT TRUE THEN
        v_refusal := callq.refusal('run_at', 'is ' || coalesce(NEW.run_at::text, 'NULL'),
            'it must be a point in time before the year 10000');
        EXIT checks;
    END IF;

    -- The deadline. expires_at = run_at + ttl, so that moving run_at moves it. The sum is taken in
    -- UTC: a day of ttl is 24 hours whatever the session's time zone makes of it.
    v_run_at := NEW.run_at AT TIME ZONE 'UTC';
    IF (NEW.ttl > interval '0' AND NEW.ttl <= interval '100 years') IS FALSE THEN
        v_refusal := callq.refusal('ttl', 'is ' || NEW.ttl, 'it must be longer than zero and at most 100 years; expires_at = ''infinity'' means no deadline');
        EXIT checks;
    END IF;
    IF TG_OP = 'INSERT' THEN
        v_count := (NEW.expires_at IS NOT NULL AND NEW.ttl <> interval '1 hour')::int;
        NEW.due_at := NEW.run_at;
    ELSE
        v_count := (NEW.expires_at <> OLD.expires_at AND NEW.ttl <> OLD.ttl)::int;
        IF NEW.expires_at = OLD.expires_at AND (NEW.run_at <> OLD.run_at OR NEW.ttl IS DISTINCT FROM OLD.ttl)
           AND (NEW.ttl IS NOT NULL OR OLD.ttl IS NOT NULL) THEN
            NEW.expires_at := NULL;
        END IF;
    END IF;
    IF v_count = 1 AND (v_run_at + NEW.ttl) AT TIME ZONE 'UTC' <> NEW.expires_at THEN
        v_refusal := callq.refusal('expires_at', 'is given together with another ttl', 'give ttl or expires_at, not both');
        EXIT checks;
    END IF;
    IF NEW.expires_at IS NULL THEN
        NEW.ttl := coalesce(NEW.ttl, interval '1 hour');
        NEW.expires_at := (v_run_at + NEW.ttl) AT TIME ZONE 'UTC';
    END IF;
    IF NEW.expires_at <= NEW.run_at THEN
        v_refusal := callq.refusal('expires_at', 'is ' || NEW.expires_at,
            format('it must be after run_at, which is %s', NEW.run_at));
        EXIT checks;
    ELSIF isfinite(NEW.expires_at) AND NEW.expires_at >= '10100-01-01 00:00:00+00' THEN
        v_refusal := callq.refusal('expires_at', 'is ' || NEW.expires_at, 'it must be before the year 10100, or infinity');
        EXIT checks;
    ELSIF NOT isfinite(NEW.expires_at) THEN
        NEW.ttl := NULL;
    ELSIF (v_run_at + NEW.ttl) AT TIME ZONE 'UTC' IS DISTINCT FROM NEW.expires_at THEN
        NEW.ttl := NEW.expires_at - NEW.run_at;
    END IF;

    IF TG_OP = 'UPDATE' THEN
        IF NEW.run_at <> OLD.run_at THEN
            NEW.due_at := NEW.run_at;
        END IF;
        IF (NEW.run_at <> OLD.run_at OR NEW.app <> OLD.app) AND NEW.due_at <= now() + interval '60 seconds' THEN
            PERFORM callq.wake_workers();
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
    IF cardinality(NEW.callees) > 8 AND (TG_OP = 'INSERT' OR NEW.callees <> OLD.callees) THEN
        RAISE NOTICE 'callees has % accounts: Tencent''s own user interface shows calls of up to 9 people, the caller included',
            cardinality(NEW.callees);
    END IF;
    RETURN NEW;
    END checks;

    IF v_refusal[3] IS NULL THEN
        RAISE EXCEPTION USING MESSAGE = v_refusal[2], ERRCODE = 'check_violation',
            SCHEMA = 'callq', TABLE = 'jobs', COLUMN = v_refusal[1];
    END IF;
    RAISE EXCEPTION USING MESSAGE = v_refusal[2], ERRCODE = 'check_violation',
        SCHEMA = 'callq', TABLE = 'jobs', COLUMN = v_refusal[1], HINT = v_refusal[3];
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
-- Both fire only when a user's column is in the SET list: the workers' own updates pay nothing. A
-- statement that also writes state or due_at is callq's own (callq.retry gives a new deadline).
CREATE TRIGGER changed_job_is_checked BEFORE UPDATE OF
        app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata
    ON callq.jobs FOR EACH ROW WHEN (OLD.state = 'scheduled' AND NEW.due_at = OLD.due_at) EXECUTE FUNCTION callq.check_job();
CREATE TRIGGER only_scheduled_jobs_change BEFORE UPDATE OF
        app, robot_account, callees, media_type, room_id, room_id_type, ring_timeout_ms, user_data, offline_push,
        run_at, ttl, expires_at, priority, max_attempts, on_doubt, retry_callees, idempotency_key, metadata
    ON callq.jobs FOR EACH ROW WHEN (OLD.state <> 'scheduled' AND NEW.state = OLD.state) EXECUTE FUNCTION callq.refuse_late_change();
CREATE TRIGGER workers_are_woken AFTER INSERT ON callq.jobs REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION callq.wake_for_inserted();
