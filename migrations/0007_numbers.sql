-- A jsonb column holds numbers that no other program can read: 1e400 is one to PostgreSQL, and beyond the
-- range of a double to everybody else. Such push information could not be sent, and such metadata not be
-- shown; it is refused where it is written. Digits beyond a double's are fine: they are rounded at worst.
CREATE FUNCTION callq.has_huge_number(p_json jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p_json @? '$.** ? (@.type() == "number" && (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308))'
$$;
COMMENT ON FUNCTION callq.has_huge_number IS 'Whether a number somewhere in it is beyond the range of a double, which is that of JSON to most programs.';

CREATE FUNCTION callq.check_numbers() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_column text := CASE WHEN callq.has_huge_number(NEW.offline_push) THEN 'offline_push'
        WHEN callq.has_huge_number(NEW.metadata) THEN 'metadata' END;
BEGIN
    IF v_column IS NOT NULL THEN
        RAISE EXCEPTION USING
            MESSAGE = v_column || ' has a number that is too large: each must be within the range of a double, from -1.7976931348623157e308 to 1.7976931348623157e308',
            ERRCODE = 'check_violation', SCHEMA = 'callq', TABLE = 'jobs', COLUMN = v_column;
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION callq.check_numbers IS 'Trigger: refuses a job with a number that only PostgreSQL can read.';
-- After the other checks, in the order of the names. Jobs without such columns pay nothing.
CREATE TRIGGER numbers_are_checked BEFORE INSERT ON callq.jobs FOR EACH ROW
    WHEN (NEW.offline_push IS NOT NULL OR NEW.metadata <> '{}') EXECUTE FUNCTION callq.check_numbers();
CREATE TRIGGER numbers_are_checked_again BEFORE UPDATE OF offline_push, metadata ON callq.jobs FOR EACH ROW
    WHEN (NEW.offline_push IS NOT NULL OR NEW.metadata <> '{}') EXECUTE FUNCTION callq.check_numbers();

-- A paused app is asked about by a command that rings nobody before a job is tried (src/worker/probe.rs).
COMMENT ON COLUMN callq.apps.probe_at IS 'A paused app is asked about again at this time, by a command that rings nobody; if that is not refused, one job is tried. NULL: by no means, a person resumes it.';
COMMENT ON COLUMN callq.apps.probes IS 'How often that was done since the pause began; each doubles the wait, up to 5 minutes.';

REVOKE EXECUTE ON FUNCTION callq.has_huge_number, callq.check_numbers FROM PUBLIC;
UPDATE callq.meta SET schema_version = 4;
