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
COMMENT ON COLUMN callq.pace.asked IS 'How many it was asked for; 0: nobody has asked yet, and the first grant decides whether the app is ramped up.';

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

ALTER FUNCTION callq.allow_worker(text) RENAME TO allow_worker_of_media;
COMMENT ON FUNCTION callq.allow_worker_of_media IS 'The part of callq.allow_worker that concerns everything but the number of a bucket.';
CREATE FUNCTION callq.allow_worker(role_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM callq.allow_worker_of_media(role_name);
    EXECUTE format('GRANT UPDATE (revision) ON callq.pace TO %I', role_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION callq.make_bucket TO %I', role_name);
END $$;
COMMENT ON FUNCTION callq.allow_worker IS 'Lets a role do what callq worker does, and nothing more: not delete a job, and not change a schedule. callq_worker has these rights.';

REVOKE EXECUTE ON FUNCTION callq.make_bucket, callq.allow_worker FROM PUBLIC;
UPDATE callq.meta SET schema_version = 14;
