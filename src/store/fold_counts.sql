-- Folds at most $1 changes into the counts of reports.
--
-- Guarantees: no report changes by it; nothing that anybody writes or has locked is waited for.
-- Index: the keys of the counts; callq.count_changes has none and is short.
SELECT callq.fold_counts($1::int) AS "folded!"
