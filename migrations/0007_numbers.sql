-- A jsonb column holds numbers that no other program can read: 1e400 is one to PostgreSQL, and beyond the
-- range of a double to everybody else. Such push information could not be sent, and such metadata not be
-- shown; it is refused where it is written. Digits beyond a double's are fine: they are rounded at worst.
CREATE FUNCTION callq.refuse_numbers() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = TG_ARGV[0] || ' has a number that is too large: each must be within the range of a double, from -1.7976931348623157e308 to 1.7976931348623157e308',
        ERRCODE = 'check_violation', SCHEMA = 'callq', TABLE = 'jobs', COLUMN = TG_ARGV[0];
END $$;
COMMENT ON FUNCTION callq.refuse_numbers IS 'Trigger: refuses a job with a number that only PostgreSQL can read.';
-- After the other checks, in the order of the names. The condition is the trigger's own: a good row pays
-- for no call.
CREATE TRIGGER numbers_of_metadata_are_checked BEFORE INSERT OR UPDATE OF metadata ON callq.jobs FOR EACH ROW
    WHEN (NEW.metadata @? '$.** ? (@.type() == "number" && (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308))')
    EXECUTE FUNCTION callq.refuse_numbers('metadata');
CREATE TRIGGER numbers_of_offline_push_are_checked BEFORE INSERT OR UPDATE OF offline_push ON callq.jobs FOR EACH ROW
    WHEN (NEW.offline_push @? '$.** ? (@.type() == "number" && (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308))')
    EXECUTE FUNCTION callq.refuse_numbers('offline_push');

-- A paused app is asked about by a command that rings nobody before a job is tried (src/worker/probe.rs).
COMMENT ON COLUMN callq.apps.probe_at IS 'A paused app is asked about again at this time, by a command that rings nobody; if that is not refused, one job is tried. NULL: by no means, a person resumes it.';
COMMENT ON COLUMN callq.apps.probes IS 'How often that was done since the pause began; each doubles the wait, up to 5 minutes.';

REVOKE EXECUTE ON FUNCTION callq.refuse_numbers FROM PUBLIC;
UPDATE callq.meta SET schema_version = 4;
