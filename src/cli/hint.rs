//! What to do about the faults that any command can meet: the line `hint:` below the error.

use crate::store::{ConnectFault, StoreError};

/// What to do about a fault of the database.
pub(super) fn for_store(error: &StoreError) -> Option<&'static str> {
    Some(match error {
        StoreError::Schema(fault) => fault.way_out(),
        StoreError::Url(_) => "it is as postgres://user:password@host:5432/database",
        StoreError::OtherDatabase => "restart what runs on the other one",
        // Depends on the command, and is told by it.
        StoreError::Denied { .. } => return None,
        StoreError::Pooler => POOLER,
        StoreError::HistoryUnsure => "see `callq status`",
        StoreError::Silent { .. } => "look at the network, and at the server's log",
        StoreError::Connect(_) | StoreError::Statement { .. } => match ConnectFault::of(error) {
            ConnectFault::Other => return for_refusal(error.sqlstate()?.as_ref()),
            fault => for_connection(fault),
        },
    })
}

/// What to do where no connection comes about, or one that was there has ended.
pub(super) const fn for_connection(fault: ConnectFault) -> &'static str {
    match fault {
        ConnectFault::NoSuchHost => {
            "check the host in the database's URL, and the name servers of this machine"
        }
        ConnectFault::NobodyListens => {
            "start PostgreSQL, or put its host and port into the database's URL"
        }
        ConnectFault::Silent => {
            "check host and port in the database's URL, and firewalls on the way"
        }
        ConnectFault::TlsNotOffered => {
            "switch ssl on in PostgreSQL, or take sslmode out of the database's URL where nobody \
             is on the way"
        }
        ConnectFault::TlsFailed => {
            "put the file of its authority into the database's URL as sslrootcert, and the name \
             that stands in its certificate as the host"
        }
        ConnectFault::WrongPassword => {
            "put the right user and password into the database's URL; special characters are \
             written as %40 and the like"
        }
        ConnectFault::NoSuchRole => "create the role, or put another user into the database's URL",
        ConnectFault::NoSuchDatabase => {
            "create it with CREATE DATABASE, or put another name into the database's URL"
        }
        ConnectFault::NotLetIn => {
            "add a line for it to pg_hba.conf, or try sslmode=require in the database's URL"
        }
        ConnectFault::TooManyConnections => "raise max_connections, or stop what holds them",
        ConnectFault::NotReady => "wait until it is up",
        ConnectFault::PoolerRefuses => {
            "name that parameter in its ignore_startup_parameters, or connect directly"
        }
        ConnectFault::Other => "see the database's URL and the server's log",
    }
}

/// By the SQLSTATE (PostgreSQL's manual, appendix A).
fn for_refusal(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "25006" => "this server is read only, as a standby is: put the primary's host into the URL",
        "53100" => "the server's disk is full: make room, nothing is lost",
        "55P03" | "57014" => "somebody holds a lock for long: see pg_stat_activity, then try again",
        // A prepared statement that is there already, or not there: the session is another's.
        "42P05" | "26000" => POOLER,
        _ => return None,
    })
}

/// What to do about a pooler in transaction or statement mode.
const POOLER: &str = "set pool_mode = session for this database, or connect directly; `callq \
    check` tells more";
