-- A worker ($1) reads no records of an app ($2) any more.
UPDATE callq.sweeps SET lease_until = '-infinity' WHERE app = $2 AND worker = $1
