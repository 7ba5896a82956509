//! How the database is reached, as lines.

use super::finding::Finding;
use crate::call::readable;
use crate::cli::hint;
use crate::store::{ConnectFault, Encryption, Pooling, StoreError};

/// Why the database cannot be used, told apart. `place` is its host and port.
pub(super) fn unreachable(error: &StoreError, place: &str) -> Finding {
    const CHECK: &str = "database";
    let said = readable(&server_said(error));
    let fault = ConnectFault::of(error);
    let fix = hint::for_connection(fault);
    let could_not = |says: String| Finding::could_not(CHECK, says, fix);
    let cannot = |says: String| Finding::cannot(CHECK, says, fix);
    match fault {
        ConnectFault::NoSuchHost => could_not(format!(
            "the name of the database's host at {place} is not known"
        )),
        ConnectFault::NobodyListens => could_not(format!("no server listens at {place} ({said})")),
        ConnectFault::Silent => could_not(format!("{place} does not answer")),
        ConnectFault::TlsNotOffered => cannot(format!(
            "sslmode asks for TLS, and the server at {place} offers none"
        )),
        ConnectFault::TlsFailed => {
            cannot(format!("TLS with the server at {place} failed ({said})"))
        }
        ConnectFault::WrongPassword => cannot(format!(
            "the server at {place} refuses the password ({said})"
        )),
        ConnectFault::NoSuchRole => {
            cannot(format!("the server at {place} has no such user ({said})"))
        }
        ConnectFault::NoSuchDatabase => cannot(format!(
            "the server at {place} has no such database ({said})"
        )),
        ConnectFault::NotLetIn => cannot(format!(
            "the server at {place} does not let this user in from here ({said})"
        )),
        ConnectFault::TooManyConnections => could_not(format!(
            "every connection of the server at {place} is taken"
        )),
        ConnectFault::NotReady => could_not(format!(
            "the server at {place} is starting or stopping ({said})"
        )),
        ConnectFault::PoolerRefuses => cannot(format!(
            "a pooler at {place} lets no session of callq begin ({said})"
        )),
        ConnectFault::Other => could_not(format!(
            "could not connect to the database at {place}: {said}"
        )),
    }
}

/// The innermost cause: what the server or the system itself said.
fn server_said(error: &StoreError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let said = cause.to_string();
    match said.rsplit_once(" at line ") {
        // The line is one of PostgreSQL's own source files.
        Some((text, line)) if line.bytes().all(|b| b.is_ascii_digit()) => text.to_owned(),
        _ => said,
    }
}

/// How the connection is protected.
pub(super) fn encryption(encryption: Encryption, pooling: Pooling) -> Finding {
    const CHECK: &str = "database TLS";
    const VERIFY: &str = "set sslmode=verify-full and sslrootcert in the database's URL";
    if pooling != Pooling::Direct && encryption != Encryption::Local {
        return Finding::skip(
            CHECK,
            "a pooler is in front: the server cannot tell how it is reached",
        );
    }
    match encryption {
        Encryption::Local => Finding::ok(CHECK, "not needed: the database is on this machine"),
        Encryption::Verified => Finding::ok(CHECK, "encrypted, certificate and name verified"),
        Encryption::Authority => Finding::warn(
            CHECK,
            "encrypted, and the certificate's authority verified, but not its name",
            VERIFY,
        ),
        Encryption::Unverified => Finding::warn(
            CHECK,
            "encrypted, but nobody verified whose certificate it is",
            VERIFY,
        ),
        Encryption::Off => Finding::warn(
            CHECK,
            "off: everybody on the way can read and change jobs",
            VERIFY,
        ),
    }
}

/// Whether a pooler is in front.
pub(super) fn pooler(pooling: Pooling) -> Finding {
    const CHECK: &str = "pooler";
    match pooling {
        Pooling::Direct => Finding::ok(CHECK, "none: connections are the server's own"),
        Pooling::Session => Finding::ok(
            CHECK,
            "one in session mode; each worker holds some ten sessions through it",
        ),
        Pooling::Transaction => Finding::cannot(
            CHECK,
            "one that gives sessions away between transactions: workers would lose their settings, \
             synchronous_commit among them, and their notifications",
            "set pool_mode = session for this database, or connect directly",
        ),
    }
}

/// A second connection was taken, and got no answer while the first was open.
pub(super) fn too_few() -> Finding {
    Finding::could_not(
        "pooler",
        "a second connection gets no answer while one is open: a pooler has too few for callq",
        "give it at least ten per worker (default_pool_size), or connect directly",
    )
}

/// More than this many seconds between the clocks is told.
const SKEW_MAX_S: f64 = 1.0;

/// The clocks of database and machine; `ahead_s` is known to `exact_s`.
pub(super) fn clock(ahead_s: f64, exact_s: f64) -> Finding {
    const CHECK: &str = "clock";
    let way = if ahead_s < 0.0 { "behind" } else { "ahead of" };
    let said = match ahead_s.abs() {
        apart if apart < 0.05 => "the database's and this machine's agree".to_owned(),
        apart => format!("the database's is {apart:.1} s {way} this machine's"),
    };
    if ahead_s.abs() - exact_s > SKEW_MAX_S {
        return Finding::warn(
            CHECK,
            said,
            "set both by NTP: jobs fall due, and UserSigs are signed, by the database's clock; \
             certificates are judged by this machine's",
        );
    }
    Finding::ok(CHECK, said)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_second_between_the_clocks_is_told_if_it_is_sure() {
        for (ahead_s, exact_s, level) in [
            (0.2, 0.01, Level::Ok),
            (-0.9, 0.0, Level::Ok),
            (1.5, 0.8, Level::Ok),
            (1.5, 0.1, Level::Warn),
            (-30.0, 0.1, Level::Warn),
        ] {
            assert_eq!(clock(ahead_s, exact_s).level, level, "{ahead_s} {exact_s}");
        }
        assert!(clock(-2.0, 0.0).says.contains("2.0 s behind"));
    }

    #[test]
    fn what_others_can_read_is_told() {
        for (how, level) in [
            (Encryption::Local, Level::Ok),
            (Encryption::Verified, Level::Ok),
            (Encryption::Authority, Level::Warn),
            (Encryption::Unverified, Level::Warn),
            (Encryption::Off, Level::Warn),
        ] {
            assert_eq!(encryption(how, Pooling::Direct).level, level, "{how:?}");
        }
        assert_eq!(
            encryption(Encryption::Off, Pooling::Session).level,
            Level::Skip
        );
    }
}
