//! A port that is kept for a test whether somebody listens on it or not.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A port of this machine that nobody else is given. Until somebody listens, connections to it are
/// refused.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    /// Bound and never listening.
    _keeper: TcpSocket,
}

impl Port {
    pub(crate) fn new() -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let keeper = bound(any);
        let address = keeper.local_addr().expect("it is bound");
        Self {
            address,
            _keeper: keeper,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes connections until the listener is dropped.
    pub(crate) fn listen(&self) -> TcpListener {
        let listener = bound(self.address).listen(1024);
        listener.expect("the port is kept")
    }
}

/// A socket that shares its port with others of the same user that are bound like this.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a fresh socket");
    socket.set_reuseport(true).expect("a fresh socket");
    socket.bind(address).expect("a free port");
    socket
}
