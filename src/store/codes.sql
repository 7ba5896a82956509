-- Makes callq.error_codes hold exactly the given codes, so that the reports speak of the codes as
-- the program that migrated the schema does.
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS g(code, class, meaning, source)
), gone AS (
    DELETE FROM callq.error_codes AS e WHERE NOT EXISTS (SELECT FROM given AS g WHERE g.code = e.code)
)
INSERT INTO callq.error_codes (code, class, meaning, source)
SELECT g.code, g.class, g.meaning, g.source FROM given AS g
ON CONFLICT (code) DO UPDATE SET class = excluded.class, meaning = excluded.meaning, source = excluded.source
