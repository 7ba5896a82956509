//! The connections: bounded in number, and each in time. axum itself bounds neither.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use super::keep::WAITING_MAX;

/// So many connections are open at once; more wait until one is closed. As many as callbacks can
/// wait, since each connection has one request under way.
const CONNECTIONS_MAX: usize = WAITING_MAX;

/// From the first byte of a request until it is answered: longer than its body and the database
/// are waited for together.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection may stay idle: longer than reverse proxies keep theirs, so that none sends
/// a callback on one that is just being closed (60 s nginx, 120 s Caddy).
const IDLE_MAX: Duration = Duration::from_mins(3);

/// Accepting fails when the process is out of file descriptors; some are freed meanwhile.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts connections, as many as there may be.
pub(super) struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Door {
    pub(super) fn new(listener: TcpListener) -> Self {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Self { listener, places }
    }
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("the places are never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Only fails on a connection that is gone already, which the next read tells.
                    let _ = stream.set_nodelay(true);
                    return (Connection::new(stream, place), peer);
                }
                Err(_) => sleep(ACCEPT_RETRY).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends by itself when a request takes too long to come or to be answered.
pub(super) struct Connection {
    stream: TcpStream,
    ends: Pin<Box<Sleep>>,
    /// Whether something was read since the last answer: the next byte begins no new request.
    amid_request: bool,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            ends: Box::pin(sleep(REQUEST_WITHIN)),
            amid_request: false,
            _place: place,
        }
    }

    /// Wakes the task when the time is over.
    fn check_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.ends.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn answers(&mut self) {
        if self.amid_request {
            self.amid_request = false;
            self.ends.as_mut().reset(Instant::now() + IDLE_MAX);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = self.get_mut();
        connection.check_time(context)?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut connection.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before && !connection.amid_request {
            connection.amid_request = true;
            let ends = Instant::now() + REQUEST_WITHIN;
            connection.ends.as_mut().reset(ends);
            // So that the new time wakes the task that waits for more.
            connection.check_time(context)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let connection = self.get_mut();
        connection.check_time(context)?;
        let written = ready!(Pin::new(&mut connection.stream).poll_write(context, bytes))?;
        connection.answers();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let connection = self.get_mut();
        connection.check_time(context)?;
        let stream = Pin::new(&mut connection.stream);
        let written = ready!(stream.poll_write_vectored(context, slices))?;
        connection.answers();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
