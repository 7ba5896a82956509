-- Gives the roles their rights in this database and takes every right from PUBLIC. That is for the
-- schema's owner: for anybody else the next `callq migrate` does it.
DO $rights$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace
            WHERE nspname = 'callq' AND pg_catalog.pg_has_role(nspowner, 'USAGE')) THEN
        PERFORM callq.apply_rights();
    ELSE
        RAISE NOTICE 'the roles are there; the next callq migrate, as the owner of the schema, gives them their rights';
    END IF;
END $rights$;
