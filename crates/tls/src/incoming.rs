//! A listener whose connections have finished their TLS handshake.
//!
//! Handshakes run in tasks of their own, each with a deadline, so that a client that says nothing delays nobody. Their number is
//! bounded; beyond it connections wait in the kernel. Nothing runs unless the stream is polled, and dropping it ends everything that
//! has not become a [`Connection`].

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;

use crate::Acceptor;

/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many handshakes are under way at most.
const AT_ONCE: usize = 512;
/// How long accepting rests after a failure of the listener itself, such as too many open files.
const REST: Duration = Duration::from_millis(200);

/// A stream of accepted connections. Never ends and never yields an error: a failed handshake is logged and counted out.
#[derive(Debug)]
pub struct Incoming {
    listener: TcpListener,
    acceptor: Acceptor,
    handshakes: JoinSet<Option<Connection>>,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    /// Accepts from `listener`.
    pub fn new(listener: TcpListener, acceptor: Acceptor) -> Self {
        Self { listener, acceptor, handshakes: JoinSet::new(), rest: None }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) {
        if let Some(rest) = &mut self.rest {
            if rest.as_mut().poll(cx).is_pending() {
                return;
            }
            self.rest = None;
        }
        while self.handshakes.len() < AT_ONCE {
            match self.listener.poll_accept(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok((stream, address))) => {
                    self.handshakes.spawn(handshake(self.acceptor.clone(), stream, address));
                }
                Poll::Ready(Err(error)) if of_one_connection(&error) => {}
                Poll::Ready(Err(error)) => {
                    tracing::warn!(%error, "cannot accept connections");
                    let mut rest = Box::pin(sleep(REST));
                    // Registers the waker; it cannot be ready already.
                    let _ = rest.as_mut().poll(cx);
                    self.rest = Some(rest);
                    return;
                }
            }
        }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            self.poll_accept(cx);
            match ready_or_empty(self.handshakes.poll_join_next(cx)) {
                Poll::Ready(Some(connection)) => return Poll::Ready(Some(Ok(connection))),
                Poll::Ready(None) => {} // one failed: there is room for another, so accept again
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// An empty set is "ready" with nothing; here that means: wait for the listener, which has our waker.
fn ready_or_empty(
    joined: Poll<Option<Result<Option<Connection>, tokio::task::JoinError>>>,
) -> Poll<Option<Connection>> {
    match ready!(joined) {
        None => Poll::Pending,
        Some(outcome) => Poll::Ready(outcome.ok().flatten()),
    }
}

async fn handshake(acceptor: Acceptor, stream: TcpStream, address: SocketAddr) -> Option<Connection> {
    // Small answers leave at once. A socket that refuses is gone already, and the handshake says so.
    let _ = stream.set_nodelay(true);
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let certificates = certificates.iter().map(|c| c.clone().into_owned()).collect();
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Some(Connection { stream, peer: Peer { address, certificates, http2 } })
        }
        // Probes that only connect: nobody wants to read about them.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Ok(Err(error)) => {
            tracing::info!(%address, %error, "TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::info!(%address, "TLS handshake took too long");
            None
        }
    }
}

fn of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Who is at the other end. In tonic: `request.extensions().get::<Peer>()`.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The chain it presented, leaf first; empty when none. Verified only under [`crate::ClientAuth::Required`].
    pub certificates: Arc<[CertificateDer<'static>]>,
    /// Whether HTTP/2 was negotiated.
    pub http2: bool,
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
}

impl Connection {
    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
