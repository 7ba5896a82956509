-- Keeps app $1 from being probed for $2 seconds from now: Tencent prolongs a refusal that is asked
-- about too soon. A pause that a person made has no probe, and gets none.
--
-- Index: the primary key.
UPDATE callq.apps SET probe_at = greatest(probe_at, now() + $2::float8 * interval '1 second')
WHERE app = $1 AND probe_at IS NOT NULL
