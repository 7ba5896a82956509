-- A worker ($1) reads no records any more.
UPDATE callq.sweeps SET lease_until = '-infinity' WHERE worker = $1
