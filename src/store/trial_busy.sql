-- Whether a job is due or under way. Indexes: jobs_leases; jobs_due, of the one app of a trial.
SELECT EXISTS (SELECT FROM callq.jobs AS j WHERE j.state IN ('dialing', 'in_doubt') AND j.lease_until IS NOT NULL)
    OR EXISTS (SELECT FROM callq.jobs AS j WHERE j.state = 'scheduled' AND j.app = 'default' AND j.priority IN (0, 1, 2, 3) AND j.due_at <= now())
    AS "busy!"
