//! What to do about the faults that any command can meet: the line `hint:` below the error.

use std::io::ErrorKind;

use crate::store::{Broken, StoreError};

/// What to do about a fault of the database.
pub(super) fn for_store(error: &StoreError) -> Option<&'static str> {
    let way_out = match error {
        StoreError::Schema(fault) => fault.way_out(),
        StoreError::Url(_) => "it is as postgres://user:password@host:5432/database",
        // Depends on the command, and is told by it.
        StoreError::Denied { .. } => return None,
        StoreError::Silent { .. } => "look at the network, and at the server's log",
        StoreError::Connect(_) | StoreError::Statement { .. } => match error.sqlstate() {
            Some(code) => for_refusal(&code)?,
            None => for_broken_connection(error.broken()?)?,
        },
    };
    Some(way_out)
}

/// By the SQLSTATE (PostgreSQL's manual, appendix A).
fn for_refusal(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "28P01" => "correct the password in its URL",
        "28000" => {
            "correct the user in its URL, or let it in: the server's pg_hba.conf says who may \
             come from where, and whether with TLS"
        }
        "3D000" => "create the database, as with createdb, or correct its name in its URL",
        "53300" => {
            "the server's max_connections is used up: end other clients, raise it, or run fewer \
             workers (each has up to 10 connections)"
        }
        "57P03" => "the server is starting or stopping: try again",
        "25006" => "this server is read only, as a standby is: name the primary in its URL",
        "53100" => "the server's disk is full: make room, nothing is lost",
        "55P03" | "57014" => "somebody holds a lock for long: see pg_stat_activity, then try again",
        _ => return None,
    })
}

/// Where the database said nothing.
const fn for_broken_connection(broken: Broken) -> Option<&'static str> {
    Some(match broken {
        Broken::Tls => {
            "the server and sslmode in its URL must agree on TLS; sslrootcert names the \
             certificates to trust"
        }
        Broken::NoAnswer => "is a firewall on the way, or the server overloaded?",
        Broken::Io(ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
            "is PostgreSQL running there? Host and port are in its URL"
        }
        Broken::Io(
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe,
        ) => "the server has ended the connection: see its log, then try again",
        Broken::Io(_) => return None,
    })
}
