-- The zone that reports are in, in this session, and which day it is there.
--
-- Index: none, callq.settings has one row.
SELECT z.zone AS "zone!", (now() AT TIME ZONE z.zone)::date AS "today!" FROM callq.report_clock AS z
