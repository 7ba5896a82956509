-- A bucket that costs the same however long somebody holds a snapshot.
--
-- Every grant changes its app's row, and while a snapshot is held no version of it is cleaned away. A lookup by app
-- alone meets all of them: a grant took 0.5 ms, and 2.8 ms after 70 s of them. So each change raises a number, and
-- the row is looked up by the highest, behind which the old ones lie.
ALTER TABLE callq.pace DROP CONSTRAINT pace_pkey, ADD COLUMN revision bigint NOT NULL DEFAULT 1, ADD PRIMARY KEY (app, revision);
-- An index asks for the number, so no change is made in place, for which the room on the pages was kept.
ALTER TABLE callq.pace SET (fillfactor = 100);
COMMENT ON TABLE callq.pace IS 'One token bucket per app, shared by all workers: a token is the right to send one request. One row per app, found as the one with the highest revision.';
COMMENT ON COLUMN callq.pace.revision IS 'Raised by each change; it is how the row is found among what it was before.';
COMMENT ON COLUMN callq.pace.granted IS 'How many tokens were given last.';
COMMENT ON COLUMN callq.pace.asked IS 'How many were asked for then.';

-- The key no longer keeps a second bucket away, so a bucket is only ever made here, under the lock of its app.
CREATE FUNCTION callq.make_bucket(p_app text, p_tokens double precision) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    PERFORM FROM callq.apps AS a WHERE a.app = p_app FOR NO KEY UPDATE;
    -- A statement of its own: it sees what the last holder of the lock made.
    IF FOUND THEN
        INSERT INTO callq.pace (app, tokens, granted, asked, refilled_at)
        SELECT p_app, p_tokens, 0, 0, clock_timestamp()
        WHERE NOT EXISTS (SELECT FROM callq.pace AS p WHERE p.app = p_app);
    END IF;
END $$;
COMMENT ON FUNCTION callq.make_bucket IS 'Makes the bucket of an app that has none, with so many tokens: the app is new, or the server crashed or is another. Workers call it.';

-- Statements of their own for one app, so that both parts of the key are looked up whatever the statistics say, and each
-- sees what the last holder of the row's lock left.
CREATE FUNCTION callq.draw_tokens(p_app text, p_added double precision, p_asked integer, p_ramp_for timestamptz,
    OUT granted integer, OUT tokens double precision, OUT factor double precision)
LANGUAGE plpgsql AS $$
DECLARE
    v_pace callq.pace;
    v_rate double precision := (SELECT a.calls_per_second FROM callq.apps AS a WHERE a.app = p_app);
    v_at timestamptz;
    v_ramps boolean;
    v_share double precision;
BEGIN
    FOR v_try IN 1..2 LOOP
        SELECT p.* INTO v_pace FROM callq.pace AS p WHERE p.app = p_app ORDER BY p.revision DESC LIMIT 1 FOR NO KEY UPDATE;
        EXIT WHEN FOUND OR p_asked = 0;
        PERFORM callq.make_bucket(p_app, 1);
    END LOOP;
    IF v_pace.app IS NULL THEN
        RETURN;
    END IF;
    v_at = clock_timestamp();
    v_ramps = p_ramp_for IS NOT NULL AND (v_pace.ramp_for IS NULL OR p_ramp_for > v_pace.ramp_for);
    v_share = callq.pace_share(v_pace.factor, v_pace.factor_at, v_at);
    -- A clock that was set back gives nothing for the step. What was saved up belongs to the faster pace.
    tokens = least(CASE WHEN v_ramps THEN 0 ELSE callq.burst(v_rate) END,
        v_pace.tokens + greatest(0, extract(epoch FROM v_at - v_pace.refilled_at)::float8) * v_rate * v_share);
    tokens = least(callq.burst(v_rate), tokens + p_added);
    granted = least(p_asked, greatest(0, floor(tokens)));
    tokens = tokens - granted;
    factor = CASE WHEN v_ramps THEN least(0.1, v_share) ELSE v_share END;
    UPDATE callq.pace AS p SET revision = v_pace.revision + 1, tokens = draw_tokens.tokens, refilled_at = v_at,
        granted = CASE WHEN p_asked > 0 THEN draw_tokens.granted ELSE v_pace.granted END,
        asked = CASE WHEN p_asked > 0 THEN p_asked ELSE v_pace.asked END,
        factor = CASE WHEN v_ramps THEN draw_tokens.factor ELSE v_pace.factor END,
        factor_at = CASE WHEN v_ramps THEN v_at ELSE v_pace.factor_at END,
        ramp_for = CASE WHEN v_ramps THEN p_ramp_for ELSE v_pace.ramp_for END
    WHERE p.app = p_app AND p.revision = v_pace.revision;
END $$;
COMMENT ON FUNCTION callq.draw_tokens IS 'Adds tokens to the bucket of an app, or takes them where p_added is below zero, and then draws as many of p_asked as are there. Returns how many, what is left, and the share of the pace in force. p_ramp_for: since when the app was held, if its pace is to begin anew with a tenth, which it does once for each such time. Makes a bucket that is missing if anything is asked for. Workers call it.';

ALTER FUNCTION callq.allow_worker(text) RENAME TO allow_worker_of_media;
COMMENT ON FUNCTION callq.allow_worker_of_media IS 'The part of callq.allow_worker that concerns everything but the number of a bucket.';
CREATE FUNCTION callq.allow_worker(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_worker_of_media(role_name);
    EXECUTE format('GRANT UPDATE (revision) ON callq.pace TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.make_bucket, callq.draw_tokens TO %I', role_name);
END $$;
COMMENT ON FUNCTION callq.allow_worker IS 'Lets a role do what callq worker does, and nothing more: not delete a job, and not change a schedule. callq_worker has these rights.';

REVOKE EXECUTE ON FUNCTION callq.make_bucket, callq.draw_tokens, callq.allow_worker FROM PUBLIC;
UPDATE callq.meta SET schema_version = 14;
