-- Makes the group roles of callq, which belong to the whole server: any number of databases share
-- them. A role that is there stays as it is. Another database may be making them at the same moment:
-- then the loser of the race meets either of these two errors, and the role is there.
DO $roles$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['callq_enqueue', 'callq_worker', 'callq_report', 'callq_web'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = v_role) THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', v_role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END $roles$;
