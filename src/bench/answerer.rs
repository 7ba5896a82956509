//! What stands in Tencent's place while callq is measured: it answers every request at once, or
//! after a given time, and notes what it answered when.
//!
//! Far less than the sandbox, which looks at everything: here nothing may cost more than what is
//! measured. It listens on this machine alone.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::reply;
use super::request::Request;

/// The most bytes of a request; callq's are below 4 KiB.
const REQUEST_MAX: usize = 64 * 1024;

/// One request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The job, as the room that callq made for it says; 0 if it says none.
    pub job: i64,
    /// When its last byte was read.
    pub at: Instant,
}

/// The server. Dropping it ends it and its connections.
#[derive(Debug)]
pub struct Answerer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

#[derive(Debug, Default)]
struct Shared {
    arrivals: Mutex<Vec<Arrival>>,
    delay_ms: AtomicU64,
    /// Requests in a second above which it answers that they come too often; 0: none.
    most_per_second: AtomicU64,
    throttled: AtomicU64,
}

impl Shared {
    fn arrivals(&self) -> std::sync::MutexGuard<'_, Vec<Arrival>> {
        // A push either happened or did not.
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request and says which number it has and whether it is one too many of this second.
    fn note(&self, job: i64) -> (usize, bool) {
        let arrival = Arrival {
            job,
            at: Instant::now(),
        };
        let most = self.most_per_second.load(Ordering::Relaxed);
        let mut arrivals = self.arrivals();
        arrivals.push(arrival);
        let number = arrivals.len();
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let too_many = most > 0
            && number > most
            && arrival.at.duration_since(arrivals[number - 1 - most].at) < Duration::from_secs(1);
        (number, too_many)
    }
}

impl Answerer {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start() -> std::io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens there.
    ///
    /// # Errors
    /// If it cannot.
    pub async fn listen(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::clone(&shared), stop.clone()));
        Ok(Self {
            address,
            shared,
            _stop: stop.drop_guard(),
        })
    }

    /// Where it is, as a worker's host.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forgets what came, and answers after so long from now on.
    pub fn begin(&self, delay: Duration) {
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(ms, Ordering::Relaxed);
        self.shared.throttled.store(0, Ordering::Relaxed);
        self.shared.arrivals().clear();
    }

    /// Answers 60018 to whatever comes after so many requests within a second; 0 to nothing.
    pub fn throttle_above(&self, per_second: u64) {
        self.shared
            .most_per_second
            .store(per_second, Ordering::Relaxed);
    }

    /// How many came.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.arrivals().len()
    }

    /// How many were answered that they come too often.
    #[must_use]
    pub fn throttled(&self) -> u64 {
        self.shared.throttled.load(Ordering::Relaxed)
    }

    /// All that came, in their order.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals().clone()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(answer_all(stream, Arc::clone(&shared)));
                }
            }
        }
    }
}

/// Until the client has gone, or sends what is no request.
async fn answer_all(mut stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = Vec::with_capacity(4096);
    loop {
        let Some(request) = Request::of(&read) else {
            if read.len() > REQUEST_MAX || stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let answer = answer(&shared, &request, &read).await;
        let length = request.length;
        stream.write_all(answer.as_bytes()).await?;
        read.drain(..length);
    }
}

async fn answer(shared: &Shared, request: &Request, read: &[u8]) -> String {
    if !request.starts_a_call {
        // Records of calls: there are none.
        return http(&reply::no_records());
    }
    let (number, too_many) = shared.note(request.job);
    let delay = shared.delay_ms.load(Ordering::Relaxed);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    if too_many {
        shared.throttled.fetch_add(1, Ordering::Relaxed);
        return http(reply::TOO_OFTEN);
    }
    http(&reply::accepted(number, request.callee(read)))
}

/// The body with the headers that matter; Tencent's answers have a date, which is read.
fn http(body: &str) -> String {
    let date = Utc::now().format("%a, %d %b %Y %H:%M:%S GMT");
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    format!("{head}Content-Length: {length}\r\nDate: {date}\r\n\r\n{body}")
}
