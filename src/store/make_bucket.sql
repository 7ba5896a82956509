-- Makes the bucket of each app $1 that has none, with one token: its first job goes at once.
--
-- Guarantees: one bucket per app, however many workers ask. Buckets are made in the order of their apps, whose rows
-- callq.make_bucket locks, so that two workers cannot deadlock.
SELECT callq.make_bucket(missing.app, 1)::text AS made FROM (SELECT a.app FROM unnest($1::text[]) AS a(app) ORDER BY a.app) AS missing
