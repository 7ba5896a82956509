-- Which of many jobs the database refuses, and in which words: inserts each by itself, in a block that
-- is taken back if it is refused. The jobs are in the setting callq.lines, a JSON array of texts; the answer is in
-- callq.faults, since a DO has neither parameters nor a result. Whoever runs it takes the inserts back.
-- INSERT_THEM stands for enqueue.sql, so that what is tried is what is inserted.
DO $do$
DECLARE
    v_jobs text[] := ARRAY(SELECT json_array_elements_text(current_setting('callq.lines')::json));
    v_faults json[] := '{}';
    v_id bigint;
BEGIN
    FOR v_n IN 1 .. cardinality(v_jobs) LOOP
        BEGIN
            INSERT_THEM INTO v_id;
        EXCEPTION WHEN integrity_constraint_violation OR data_exception THEN
            v_faults := v_faults || json_build_object('nth', v_n - 1, 'reason', SQLERRM);
        END;
    END LOOP;
    PERFORM set_config('callq.faults', array_to_json(v_faults)::text, true);
END $do$
