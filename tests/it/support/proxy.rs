//! A small TCP proxy whose connections can be lost in every way that a network loses them: cut,
//! refused, or silent without a word. It never delays a byte, so that what arrives late was sent
//! late.

use std::{
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use url::Url;

use super::gate::{Crossing, Gate};
use super::port::Port;

/// What takes longer has not happened.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where the bytes go.
#[derive(Clone, Debug)]
pub(crate) enum Upstream {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Connections are taken and stay open; every byte is swallowed, in both directions.
    BlackHole,
    /// Nobody listens.
    Refuse,
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// Raised to cut every connection there is.
    generation: u64,
}

/// A proxy on a port of its own. Dropping it closes everything.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    upstream: Arc<Mutex<Upstream>>,
    gate: Arc<Gate>,
    swallowed: Arc<watch::Sender<Vec<u8>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) fn to(upstream: Upstream) -> Self {
        let port = Port::new();
        let listener = port.listen();
        let (state, seen) = watch::channel(State {
            mode: Mode::Pass,
            generation: 0,
        });
        let route = Route {
            upstream: Arc::new(Mutex::new(upstream)),
            gate: Arc::default(),
            swallowed: Arc::default(),
        };
        Self {
            address: port.address(),
            state,
            upstream: Arc::clone(&route.upstream),
            gate: Arc::clone(&route.gate),
            swallowed: Arc::clone(&route.swallowed),
            accepting: tokio::spawn(accept(port, listener, route, seen)),
        }
    }

    /// A proxy before the server of a database's URL, and the URL that leads through it.
    pub(crate) async fn to_database(url: &str) -> (Self, String) {
        let mut url: Url = url.parse().expect("a database's URL");
        let given = |name: &str| {
            let mut pairs = url.query_pairs();
            pairs.find_map(|(n, value)| (n == name).then(|| value.into_owned()))
        };
        let (folder, user) = (given("host"), given("user"));
        let port = url.port().unwrap_or(5432);
        let upstream = if let Some(folder) = folder {
            Upstream::Unix(PathBuf::from(folder).join(format!(".s.PGSQL.{port}")))
        } else {
            let host = url.host_str().expect("a host");
            let found = tokio::net::lookup_host((host, port)).await;
            let address = found.expect("it is known").next();
            Upstream::Tcp(address.expect("it has an address"))
        };
        let proxy = Self::to(upstream);
        url.set_host(Some("127.0.0.1")).expect("it can have a host");
        url.set_port(Some(proxy.address.port()))
            .expect("it can have a port");
        if let Some(user) = user {
            url.set_username(&user).expect("it can have a user");
        }
        url.set_query(Some("sslmode=disable"));
        (proxy, url.into())
    }

    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on connections fare so. Whatever lost bytes or its server is cut at the change.
    pub(crate) fn set(&self, mode: Mode) {
        self.state.send_modify(|state| {
            if mode == Mode::Refuse || state.mode != Mode::Pass {
                state.generation += 1;
            }
            state.mode = mode;
        });
    }

    /// From now on new connections lead there; those there are, are cut.
    pub(crate) fn lead_to(&self, upstream: Upstream) {
        *self.upstream.lock().expect("no panic under it") = upstream;
        self.cut();
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Resets every connection there is.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Returns once the black hole has swallowed something with these words.
    pub(crate) async fn swallowed(&self, words: &str) {
        let mut seen = self.swallowed.subscribe();
        let has =
            |bytes: &Vec<u8>| !bytes.is_empty() && String::from_utf8_lossy(bytes).contains(words);
        let swallowed = timeout(PATIENCE, seen.wait_for(has)).await;
        swallowed
            .expect("something is sent")
            .expect("the proxy is there");
    }

    /// Stops at chosen statements; see [`Gate`].
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// What all connections of one proxy share.
#[derive(Clone)]
struct Route {
    upstream: Arc<Mutex<Upstream>>,
    gate: Arc<Gate>,
    swallowed: Arc<watch::Sender<Vec<u8>>>,
}

async fn accept(
    port: Port,
    mut listener: TcpListener,
    route: Route,
    mut state: watch::Receiver<State>,
) {
    loop {
        if state.borrow_and_update().mode == Mode::Refuse {
            drop(listener);
            if state.wait_for(|s| s.mode != Mode::Refuse).await.is_err() {
                return;
            }
            listener = port.listen();
        }
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                let route = route.clone();
                let mut state = state.clone();
                let born = state.borrow_and_update().generation;
                tokio::spawn(async move {
                    let closed = state.clone();
                    let cut = async move {
                        // An error: the proxy is gone.
                        let _gone = state.wait_for(|s| s.generation != born).await;
                    };
                    // A reset, not a polite end: what was in flight is lost.
                    let _unlucky = client.set_zero_linger();
                    tokio::select! {
                        () = relay(client, &route, &closed) => {}
                        () = cut => {}
                    }
                });
            },
            changed = state.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

type Reader = Pin<Box<dyn AsyncRead + Send>>;
type Writer = Pin<Box<dyn AsyncWrite + Send>>;

async fn relay(client: TcpStream, route: &Route, state: &watch::Receiver<State>) {
    let _unlucky = client.set_nodelay(true);
    let upstream = route.upstream.lock().expect("no panic under it").clone();
    let (server_reader, server_writer): (Reader, Writer) = match &upstream {
        Upstream::Tcp(address) => {
            let Ok(server) = TcpStream::connect(address).await else {
                return;
            };
            let _unlucky = server.set_nodelay(true);
            let (reader, writer) = server.into_split();
            (Box::pin(reader), Box::pin(writer))
        }
        Upstream::Unix(path) => {
            let Ok(server) = UnixStream::connect(path).await else {
                return;
            };
            let (reader, writer) = server.into_split();
            (Box::pin(reader), Box::pin(writer))
        }
    };
    let (client_reader, client_writer) = client.into_split();
    let crossing = Crossing::of(&route.gate);
    // Whether these bytes pass.
    let passes = |bytes: &[u8], way| {
        if state.borrow().mode == Mode::BlackHole {
            route
                .swallowed
                .send_modify(|all| all.extend_from_slice(bytes));
            return false;
        }
        match way {
            Way::Out => crossing.request(bytes),
            Way::Back => crossing.answer(bytes),
        }
    };
    let out = |bytes: &[u8]| passes(bytes, Way::Out);
    let back = |bytes: &[u8]| passes(bytes, Way::Back);
    // Either end closes both.
    tokio::select! {
        () = pump(Box::pin(client_reader), server_writer, out) => {}
        () = pump(server_reader, Box::pin(client_writer), back) => {}
    }
}

#[derive(Clone, Copy)]
enum Way {
    Out,
    Back,
}

async fn pump(mut from: Reader, mut to: Writer, passes: impl Fn(&[u8]) -> bool) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if passes(&bytes[..read]) && to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
