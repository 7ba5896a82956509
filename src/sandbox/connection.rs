//! A connection that can be hung up on: before a request on it is read, or from its handler.
//!
//! axum alone answers every request; a peer that goes away without a word must be made below it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::desk::Desk;

/// Accepting fails when the process is out of file descriptors; some are freed meanwhile.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Requests that begin so are never closed unread, or the fault could not be cleared over HTTP.
const SPARED: [&[u8]; 3] = [b"GET /sandbox/", b"POST /sandbox/", b"DELETE /sandbox/"];

/// Accepts connections until `closing` is cancelled, which cuts them all.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) desk: Arc<Desk>,
    pub(super) closing: CancellationToken,
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Only fails on a connection that is gone already, which the next read tells.
                    let _ = stream.set_nodelay(true);
                    let desk = Arc::clone(&self.desk);
                    return (
                        Connection::new(stream, desk, self.closing.child_token()),
                        peer,
                    );
                }
                Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Lets a handler hang up on the connection its request came on.
#[derive(Clone)]
pub(super) struct HangUp(CancellationToken);

impl HangUp {
    pub(super) fn now(&self) {
        self.0.cancel();
    }
}

impl Connected<IncomingStream<'_, Door>> for HangUp {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(stream.io().cut.clone())
    }
}

pub(super) struct Connection {
    stream: TcpStream,
    desk: Arc<Desk>,
    cut: CancellationToken,
    when_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whether something was read since the last answer: the next byte begins no new request.
    amid_request: bool,
}

impl Connection {
    fn new(stream: TcpStream, desk: Arc<Desk>, cut: CancellationToken) -> Self {
        let when_cut = Box::pin(cut.clone().cancelled_owned());
        Self {
            stream,
            desk,
            cut,
            when_cut,
            amid_request: false,
        }
    }

    /// Looks at what waits in the socket's buffer without taking it: ready with an error if a
    /// request waits there that is to be closed unread.
    fn poll_unread(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 32];
        let mut peeked = ReadBuf::new(&mut bytes);
        ready!(self.stream.poll_peek(context, &mut peeked))?;
        let begins = peeked.filled();
        let has_request = !begins.is_empty() && !SPARED.iter().any(|head| begins.starts_with(head));
        if has_request && self.desk.closes_unread() {
            return Poll::Ready(Err(hung_up()));
        }
        Poll::Ready(Ok(()))
    }

    fn check_cut(&self) -> io::Result<()> {
        if self.cut.is_cancelled() {
            Err(hung_up())
        } else {
            Ok(())
        }
    }
}

fn hung_up() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the sandbox hung up")
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = self.get_mut();
        // Polled even when idle, so that a hang-up wakes the task that waits for bytes.
        if connection.when_cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(hung_up()));
        }
        if !connection.amid_request && connection.desk.may_close_unread() {
            ready!(connection.poll_unread(context))?;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut connection.stream).poll_read(context, buffer))?;
        connection.amid_request |= buffer.filled().len() > before;
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
        connection.check_cut()?;
        connection.amid_request = false;
        Pin::new(&mut connection.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let connection = self.get_mut();
        connection.check_cut()?;
        connection.amid_request = false;
        Pin::new(&mut connection.stream).poll_write_vectored(context, slices)
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
