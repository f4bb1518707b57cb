//! HTTP on accepted connections, with bounds on what clients may take.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::sync::Semaphore;
use tokio_stream::StreamExt;

use crate::{Incoming, Peer};

/// How long a client may take to begin at all.
const FIRST: Duration = Duration::from_secs(10);
/// The longest request line and headers together: a bearer token and a selector fit many times.
const LONGEST_HEADERS: u32 = 64 * 1024;
/// Pings, so that connections whose other end is gone go too.
const PING: Duration = Duration::from_secs(60);
/// How long open requests may take after shutdown began.
const DRAIN: Duration = Duration::from_secs(5);

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; one more is closed at once.
    pub connections: usize,
    /// How long an HTTP/1.1 client may take to send a request's headers, rest between requests included.
    pub headers: Duration,
    /// Streams of one HTTP/2 connection.
    pub http2_max_streams: u32,
}

/// Accepts until `shutdown` is done; what is open then has a few seconds more. `greet` is called for each connection, with who is
/// at its other end, and returns what answers its requests.
pub async fn serve<A, F, B>(
    incoming: Incoming,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
    greet: impl Fn(&Peer) -> A,
) where
    A: Fn(Request<hyper::body::Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(LONGEST_HEADERS as usize);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_max_streams)
        .max_header_list_size(LONGEST_HEADERS)
        .keep_alive_interval(PING);
    let open = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(limits.connections));
    let (mut incoming, mut shutdown) = (pin!(incoming), pin!(shutdown));
    loop {
        let connection = tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            connection = incoming.next() => connection,
        };
        let Some(connection) = connection else { break };
        let Ok(connection) = connection else { continue };
        let address = connection.peer().address;
        let Ok(place) = room.clone().try_acquire_owned() else {
            tracing::warn!(%address, limit = limits.connections, "too many connections are open, closed one");
            continue;
        };
        let answer = greet(connection.peer());
        let asked = Arc::new(AtomicBool::new(false));
        let asks = asked.clone();
        let service = service_fn(move |request| {
            asks.store(true, Ordering::Relaxed);
            let answered = answer(request);
            async move { Ok::<_, Infallible>(answered.await) }
        });
        let connection = server.serve_connection(TokioIo::new(connection), service).into_owned();
        let connection = open.watch(connection);
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            // Who never asks anything is not waited for: what speaks HTTP/1 or 2 begins with a request.
            let ended = match tokio::time::timeout(FIRST, connection.as_mut()).await {
                Err(_) if !asked.load(Ordering::Relaxed) => Ok(()),
                Err(_) => connection.await,
                Ok(ended) => ended,
            };
            if let Err(error) = ended {
                tracing::debug!(%address, error, "connection ended");
            }
            drop(place);
        });
    }
    drop(server);
    if tokio::time::timeout(DRAIN, open.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
}
