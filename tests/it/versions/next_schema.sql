-- The schema after the newest, made up for the tests of two versions at once: everything that a migration may
-- do that lets the version before work on. Columns on every table, with and without a default, values
-- of the enums, another version of each function, a trigger, an index that is new and one that is
-- made anew.
ALTER TABLE callq.jobs ADD COLUMN language text NOT NULL DEFAULT 'en', ADD COLUMN verdict jsonb;
ALTER TABLE callq.attempts ADD COLUMN outcome text, ADD COLUMN cost double precision NOT NULL DEFAULT 0;
ALTER TABLE callq.apps ADD COLUMN region text;
ALTER TABLE callq.pace ADD COLUMN lent double precision NOT NULL DEFAULT 0;
ALTER TABLE callq.workers ADD COLUMN memory bigint;
ALTER TABLE callq.settings ADD COLUMN quiet boolean NOT NULL DEFAULT false;
ALTER TABLE callq.app_holds ADD COLUMN noted_by text;
ALTER TYPE callq.job_state ADD VALUE 'answered' BEFORE 'completed';
ALTER TYPE callq.attempt_state ADD VALUE 'proven';
DO $$
DECLARE
    v_function record;
BEGIN
    FOR v_function IN
        SELECT p.oid, p.prosrc FROM pg_proc AS p WHERE p.pronamespace = 'callq'::regnamespace AND p.prokind = 'f'
    LOOP
        EXECUTE replace(pg_get_functiondef(v_function.oid), v_function.prosrc, ' /* the next version */ ' || v_function.prosrc);
    END LOOP;
END $$;
CREATE FUNCTION callq.set_language() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.language = coalesce(NEW.metadata ->> 'language', NEW.language); RETURN NEW; END $$;
CREATE TRIGGER language_is_set BEFORE INSERT OR UPDATE ON callq.jobs FOR EACH ROW EXECUTE FUNCTION callq.set_language();
CREATE INDEX jobs_by_language ON callq.jobs (language, id);
ALTER INDEX callq.jobs_due RENAME TO jobs_due_before;
CREATE INDEX jobs_due ON callq.jobs (app, priority, due_at, id) WHERE state = 'scheduled';
DROP INDEX callq.jobs_due_before;
