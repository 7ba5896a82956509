//! The way to Tencent's host, step by step: its name, then a connection.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::finding::Finding;
use crate::config;

/// A resolver tries several servers, each for some seconds.
const NAME_MAX: Duration = Duration::from_secs(10);

/// As the client that sends the calls.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// The way to a host, as far as it goes.
pub(super) async fn reach(name: &str, port: u16) -> Vec<Finding> {
    match resolve(name, port).await {
        Ok((resolved, addresses)) => vec![resolved, connect(&addresses).await],
        Err(unknown) => vec![unknown],
    }
}

/// The addresses of a host.
async fn resolve(name: &str, port: u16) -> Result<(Finding, Vec<SocketAddr>), Finding> {
    const CHECK: &str = "host name";
    if name.parse::<std::net::IpAddr>().is_ok() {
        let found = lookup_host((name, port)).await;
        let addresses: Vec<_> = found.map(Iterator::collect).unwrap_or_default();
        return Ok((
            Finding::ok(CHECK, format!("{name} is an address")),
            addresses,
        ));
    }
    let servers = match config::name_servers().as_slice() {
        [] => "the system's resolver".to_owned(),
        servers => format!("the name servers {}", servers.join(", ")),
    };
    let found = match timeout(NAME_MAX, lookup_host((name, port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) => Vec::new(),
        Err(_) => {
            return Err(Finding::could_not(
                CHECK,
                format!("{name}: {servers} did not answer"),
                "check this machine's network and its /etc/resolv.conf",
            ));
        }
    };
    if found.is_empty() {
        return Err(Finding::could_not(
            CHECK,
            format!("{name} is not known to {servers}"),
            "check the app's host (CALLQ_HOST), and whether this machine resolves public names",
        ));
    }
    let addresses: Vec<String> = found
        .iter()
        .map(|at: &SocketAddr| at.ip().to_string())
        .collect();
    let says = format!("{name} is {}, by {servers}", addresses.join(", "));
    Ok((Finding::ok(CHECK, says), found))
}

/// A connection to any of the addresses.
async fn connect(addresses: &[SocketAddr]) -> Finding {
    const CHECK: &str = "TCP";
    let mut refusals = Vec::new();
    for address in addresses {
        match timeout(CONNECT_MAX, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Finding::ok(CHECK, format!("{address} accepts connections")),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                refusals.push(format!("{address} is closed"));
            }
            Ok(Err(error)) => refusals.push(format!("{address}: {error}")),
            Err(_) => refusals.push(format!("{address} does not answer")),
        }
    }
    Finding::could_not(
        CHECK,
        refusals.join(", "),
        "let this machine out to that port in every firewall on the way, and check the app's host",
    )
}
