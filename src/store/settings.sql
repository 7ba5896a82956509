-- The settings of the database, and whether it knows the zone of its reports. Reads the whole list of
-- zones, some 100 ms: for a person who asks.
--
-- Index: none; one row.
SELECT s.notify, s.report_time_zone,
       EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = s.report_time_zone) AS "zone_is_known!"
FROM callq.settings AS s
