//! gRPC as triggers see it: a channel to an endpoint, shared by all who speak to it as the same identity.
//!
//! A [`Channel`] is two connections, made when they are first needed and again after they broke, each time with the name resolved
//! anew: one for calls, and one for streams, so that a server's limit on streams keeps no call waiting. They end with the last
//! [`Channel`] of the endpoint. A call has a deadline; one that nobody answered gives its connection up if nothing else came over it
//! either, because a peer that went without a word is otherwise noticed in minutes only.

mod address;
mod connect;
mod status;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tonic::Status;
pub use tonic::transport::Channel as Connection;
use tower::service_fn;

pub use self::address::{Address, AddressError};
pub use self::connect::{Dial, Pipe};
use crate::http::{Settings, TlsIdentity};
use crate::{Error, Kind};

/// Calls in flight to one endpoint; more wait, within their deadlines.
const IN_FLIGHT: usize = 64;
/// Pings on connections with open calls, as often as servers of grpc-go bear (five minutes), and how long an answer may take.
const PING: Duration = Duration::from_secs(330);
const PONG: Duration = Duration::from_secs(20);

/// Whom to speak to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Where it is.
    pub address: Address,
    /// As whom, and whom to believe; `None` is plaintext.
    pub tls: Option<TlsIdentity>,
}

/// All channels of the process. Clones are the same.
#[derive(Clone)]
pub struct Channels {
    dial: Arc<dyn Dial>,
    pool: Arc<Mutex<HashMap<Endpoint, Weak<Pooled>>>>,
}

impl Channels {
    /// Channels over the network. Nothing is read or dialled here.
    pub fn new(settings: Settings) -> Self {
        Self::over(connect::Network::new(settings))
    }

    /// Channels over connections of another kind.
    pub fn over(dial: impl Dial + 'static) -> Self {
        Self { dial: Arc::new(dial), pool: Arc::default() }
    }

    /// The channel of an endpoint. Dials nothing. To be called inside of a runtime.
    pub fn channel(&self, endpoint: Endpoint) -> Channel {
        let mut pool = lock(&self.pool);
        if let Some(pooled) = pool.get(&endpoint).and_then(Weak::upgrade) {
            return Channel { pooled };
        }
        pool.retain(|_, pooled| pooled.strong_count() > 0);
        let pooled = Arc::new(Pooled {
            calls: Line::new(&endpoint, &self.dial),
            streams: Line::new(&endpoint, &self.dial),
            in_flight: Semaphore::new(IN_FLIGHT),
            dial: self.dial.clone(),
            endpoint: endpoint.clone(),
        });
        pool.insert(endpoint, Arc::downgrade(&pooled));
        Channel { pooled }
    }

    /// Endpoints in use.
    pub fn len(&self) -> usize {
        lock(&self.pool).values().filter(|pooled| pooled.strong_count() > 0).count()
    }

    /// Whether nobody uses gRPC.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("endpoints", &self.len()).finish_non_exhaustive()
    }
}

/// A way to one endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Channel {
    pooled: Arc<Pooled>,
}

struct Pooled {
    endpoint: Endpoint,
    dial: Arc<dyn Dial>,
    calls: Line,
    streams: Line,
    in_flight: Semaphore,
}

/// One connection after the other.
struct Line(Mutex<Current>);

struct Current {
    connection: Connection,
    /// Rises with each connection that was given up.
    number: u64,
    /// When something last came over it.
    heard: Option<Instant>,
}

impl Line {
    fn new(endpoint: &Endpoint, dial: &Arc<dyn Dial>) -> Self {
        let connection = connection(endpoint.clone(), dial.clone());
        Self(Mutex::new(Current { connection, number: 0, heard: None }))
    }
}

impl Channel {
    /// Where it leads.
    pub fn address(&self) -> &Address {
        &self.pooled.endpoint.address
    }

    /// One call. `what` names it in errors.
    ///
    /// # Errors
    /// The server cannot be reached, does not answer in time, or refuses.
    pub async fn call<T, F>(
        &self,
        what: &str,
        patience: Duration,
        call: impl FnOnce(Connection) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let (connection, number) = {
            let current = lock(&self.pooled.calls.0);
            (current.connection.clone(), current.number)
        };
        let begun = Instant::now();
        let work = async {
            // Never closed.
            let _permit = self.pooled.in_flight.acquire().await;
            call(connection).await
        };
        let what = format!("{what} at {}", self.address());
        match timeout(patience, work).await {
            Ok(result) => {
                let mut current = lock(&self.pooled.calls.0);
                if current.number == number {
                    current.heard = Some(Instant::now());
                }
                result.map_err(|status| status::error(&what, &status))
            }
            Err(_) => {
                self.give_up(number, begun);
                let text = format!(
                    "{what}: rpc error: code = DeadlineExceeded desc = context deadline exceeded, no answer within {patience:?}"
                );
                Err(Error::new(Kind::Timeout, text))
            }
        }
    }

    /// What a stream is opened on. It has no deadline, and answers in the words of [`Channel::refusal`].
    pub fn streams(&self) -> Connection {
        lock(&self.pooled.streams.0).connection.clone()
    }

    /// What went wrong with a stream.
    pub fn refusal(&self, what: &str, status: &Status) -> Error {
        status::error(&format!("{what} at {}", self.address()), status)
    }

    /// Has the next call connect anew, if nothing came over this connection since `since`.
    fn give_up(&self, number: u64, since: Instant) {
        let mut current = lock(&self.pooled.calls.0);
        if current.number == number && current.heard.is_none_or(|heard| heard <= since) {
            current.connection = connection(self.pooled.endpoint.clone(), self.pooled.dial.clone());
            current.number += 1;
            current.heard = None;
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(self.address()).finish()
    }
}

/// A connection that is made when it is first needed, and again after it broke.
fn connection(endpoint: Endpoint, dial: Arc<dyn Dial>) -> Connection {
    let scheme = if endpoint.tls.is_some() { "https" } else { "http" };
    // An address that was parsed is the authority of a URI, but for an IPv6 zone, which has no place there.
    let authority = endpoint.address.to_string();
    let origin = format!("{scheme}://{authority}").parse().unwrap_or_default();
    // Where it leads is the connector's to know; tonic would do TLS by itself for an https address.
    let builder = Connection::from_static("http://endpoint.invalid")
        .origin(origin)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    builder.connect_with_connector_lazy(service_fn(move |_| {
        let (endpoint, dial) = (endpoint.clone(), dial.clone());
        async move { dial.dial(&endpoint).await.map(TokioIo::new) }
    }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
