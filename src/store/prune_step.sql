-- Deletes a page of what is old, if it is time, as callq.settings says.
--
-- Guarantees: never a job that is open, followed or locked; no count of a report changes; at most a page a
-- second by all workers together.
-- Index: the primary keys of jobs, attempts, legs, events and callbacks.
SELECT jobs AS "jobs!", attempts AS "attempts!", legs AS "legs!", events AS "events!", callbacks AS "callbacks!", wait_s AS "wait_s!"
FROM callq.prune_step()
