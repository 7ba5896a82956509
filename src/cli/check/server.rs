//! The database server as it describes itself, as lines.

use super::finding::Finding;
use crate::call::readable;
use crate::store::Server;

/// The oldest server that callq supports.
const OLDEST: i32 = 15;

/// The version that callq is tested with.
const TESTED: i32 = 15;

/// Every line about the server.
pub(super) fn lines(server: &Server) -> Vec<Finding> {
    vec![
        version(server),
        role(server),
        durability(server),
        replication(server),
    ]
}

fn version(server: &Server) -> Finding {
    const CHECK: &str = "server version";
    let major = server.version_number / 10_000;
    let said = format!("PostgreSQL {}", readable(&server.version));
    if major < OLDEST {
        return Finding::cannot(
            CHECK,
            said,
            &format!("callq needs PostgreSQL {OLDEST} or newer: upgrade the server"),
        );
    }
    if server.encoding != "UTF8" {
        return Finding::warn(
            CHECK,
            format!("{said}, encoding {}", readable(&server.encoding)),
            "create the database with ENCODING UTF8, or texts of other languages are refused",
        );
    }
    Finding::ok(CHECK, format!("{said}; callq is tested with {TESTED}"))
}

fn role(server: &Server) -> Finding {
    const CHECK: &str = "server role";
    if server.in_recovery {
        return Finding::cannot(
            CHECK,
            "a standby, or a server that recovers: nothing can be written",
            "put the primary's host into the database's URL",
        );
    }
    if server.read_only {
        return Finding::cannot(
            CHECK,
            "transactions are read-only by default",
            "set default_transaction_read_only = off for this database or user",
        );
    }
    Finding::ok(CHECK, "a primary that can be written to")
}

fn durability(server: &Server) -> Finding {
    const CHECK: &str = "durability";
    const RISK: &str = "after a crash of the machine requests may be forgotten, and phones rung \
        twice";
    let off: Vec<&str> = [
        (server.fsync, "fsync"),
        (server.full_page_writes, "full_page_writes"),
    ]
    .into_iter()
    .filter(|(on, _)| !on)
    .map(|(_, name)| name)
    .collect();
    if !off.is_empty() {
        let off = off.join(" and ");
        return Finding::warn(
            CHECK,
            format!("off: {off}; {RISK}"),
            "switch them on, but on a server for tests",
        );
    }
    let said = &server.synchronous_commit;
    Finding::ok(
        CHECK,
        match said.as_str() {
            "on" => "fsync, full_page_writes and synchronous_commit are on".to_owned(),
            _ => format!(
                "fsync and full_page_writes are on; synchronous_commit is {}, and workers set it \
                 to on for themselves",
                readable(said)
            ),
        },
    )
}

fn replication(server: &Server) -> Finding {
    const CHECK: &str = "replication";
    match (server.standbys, server.synchronous_standbys) {
        _ if server.in_recovery => Finding::skip(CHECK, "asked of the primary"),
        (0, false) => Finding::ok(CHECK, "no standby"),
        (0, true) => Finding::warn(
            CHECK,
            "synchronous, and no standby is connected: every claim waits for one",
            "start the standby, or take it out of synchronous_standby_names",
        ),
        (standbys, true) => Finding::ok(
            CHECK,
            format!("synchronous; standbys connected: {standbys}"),
        ),
        (standbys, false) => Finding::warn(
            CHECK,
            format!(
                "asynchronous, {standbys} connected: a failover may forget requests; workers then \
                 wait for `callq recover`"
            ),
            "name a standby in synchronous_standby_names, and nothing is lost",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn good() -> Server {
        Server {
            version: "15.6".to_owned(),
            version_number: 150_006,
            in_recovery: false,
            read_only: false,
            fsync: true,
            full_page_writes: true,
            synchronous_commit: "on".to_owned(),
            synchronous_standbys: false,
            standbys: 0,
            encrypted: false,
            encoding: "UTF8".to_owned(),
        }
    }

    #[test]
    fn a_server_in_order_has_nothing_to_tell() {
        let lines = lines(&good());
        assert!(
            lines.iter().all(|line| line.level == Level::Ok),
            "{lines:?}"
        );
    }

    #[test]
    fn each_thing_that_is_wrong_with_a_server_is_told_on_its_line() {
        type Change = fn(&mut Server);
        let cases: [(Change, &str, Level); 8] = [
            (
                |s| s.version_number = 140_012,
                "server version",
                Level::Cannot,
            ),
            (
                |s| s.encoding = "SQL_ASCII".to_owned(),
                "server version",
                Level::Warn,
            ),
            (|s| s.read_only = true, "server role", Level::Cannot),
            (|s| s.fsync = false, "durability", Level::Warn),
            (|s| s.full_page_writes = false, "durability", Level::Warn),
            (
                |s| s.synchronous_commit = "off".to_owned(),
                "durability",
                Level::Ok,
            ),
            (|s| s.standbys = 1, "replication", Level::Warn),
            (
                |s| s.synchronous_standbys = true,
                "replication",
                Level::Warn,
            ),
        ];
        for (change, check, level) in cases {
            let mut server = good();
            change(&mut server);
            let lines = lines(&server);
            let found = lines.iter().find(|line| line.check == check);
            assert_eq!(found.map(|line| line.level), Some(level), "{check}");
            let others = lines.iter().filter(|line| line.check != check);
            assert!(
                others.clone().all(|line| line.level == Level::Ok),
                "{lines:?}"
            );
        }
    }
    #[test]
    fn a_standby_is_told_and_its_own_standbys_are_not() {
        let standby = Server {
            in_recovery: true,
            standbys: 1,
            ..good()
        };
        let lines = lines(&standby);
        let level = |check: &str| lines.iter().find(|l| l.check == check).map(|l| l.level);
        assert_eq!(level("server role"), Some(Level::Cannot));
        assert_eq!(level("replication"), Some(Level::Skip));
    }
}
