//! The variables that every PostgreSQL client obeys, kept away from the private server of
//! `callq dev`: in a shell that is set up for production they would send a client there, or ask for
//! a TLS that a Unix socket does not have.

/// What libpq reads (its manual, "Environment Variables"), and so psql and every driver like it.
const LIBPQ_VARIABLES: &[&str] = &[
    "PGAPPNAME",
    "PGCHANNELBINDING",
    "PGCLIENTENCODING",
    "PGCONNECT_TIMEOUT",
    "PGDATABASE",
    "PGDATESTYLE",
    "PGGEQO",
    "PGGSSDELEGATION",
    "PGGSSENCMODE",
    "PGGSSLIB",
    "PGHOST",
    "PGHOSTADDR",
    "PGKRBSRVNAME",
    "PGLOADBALANCEHOSTS",
    "PGLOCALEDIR",
    "PGMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLCOMPRESSION",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLKEY",
    "PGSSLMAXPROTOCOLVERSION",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGSSLSNI",
    "PGSYSCONFDIR",
    "PGTARGETSESSIONATTRS",
    "PGTZ",
    "PGUSER",
];

/// Takes them out of this process's environment, and so out of its children's; returns those that
/// were set. To be called before the process has a second thread.
#[allow(
    unsafe_code,
    reason = "the driver reads them itself, from the environment alone"
)]
#[must_use]
pub fn forget_libpq_variables() -> Vec<&'static str> {
    let set = |name: &&&str| std::env::var_os(name).is_some();
    let found: Vec<_> = LIBPQ_VARIABLES.iter().filter(set).copied().collect();
    for name in &found {
        // SAFETY: no other thread exists that could read the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
    found
}
