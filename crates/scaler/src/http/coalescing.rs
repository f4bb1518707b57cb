//! Asks once what many want to know.
//!
//! Many objects ask one Prometheus the same query at the same moment. Identical GETs in flight become one, an answer
//! younger than a second is given again, and no endpoint sees more than a bounded number of requests at a time.
//! A failure is shared only with those who were already waiting for it: who comes later asks again.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::{HeaderName, HeaderValue, Method};
use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::client::timed_out;
use super::{DEFAULT_TIMEOUT, Error, Request, Response, TlsIdentity, Transport, endpoint};

/// How long an answer counts as the present one (design §5).
const FRESH: Duration = Duration::from_secs(1);

/// Requests in flight to one endpoint; more wait, within their own deadline.
const IN_FLIGHT: usize = 32;

/// Larger answers are shared with those in flight only, so that a second's answers stay small in memory.
const KEPT_BODY: usize = 64 * 1024;

/// Wraps a transport; cheap to clone, clones share everything.
pub struct Coalescing<T> {
    shared: Arc<Inner<T>>,
}

impl<T> Clone for Coalescing<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T> std::fmt::Debug for Coalescing<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coalescing").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

struct Inner<T> {
    transport: T,
    in_flight: usize,
    state: Mutex<State>,
    asked: AtomicU64,
    sent: AtomicU64,
}

#[derive(Default)]
struct State {
    answers: HashMap<Arc<Key>, Slot>,
    /// Kept answers, oldest first.
    kept: VecDeque<(Instant, Arc<Key>)>,
    endpoints: HashMap<String, Arc<Semaphore>>,
    /// Number of flights so far, which tells them apart.
    flights: u64,
}

/// What makes two requests the same. Callers with different deadlines do not share: one's timeout is not the other's.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    tls: TlsIdentity,
    timeout: Option<Duration>,
}

/// A request on its way, driven by whoever waits for it. The map holds it weakly: when every waiter is gone, so is it.
type Flight = BoxFuture<'static, Result<Response, Error>>;

enum Slot {
    InFlight { id: u64, flight: WeakShared<Flight> },
    Kept { since: Instant, response: Response },
}

/// How many requests were wanted and how many reached the transport underneath.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that callers made.
    pub asked: u64,
    /// Requests that were sent on.
    pub sent: u64,
}

impl<T: Transport + 'static> Coalescing<T> {
    /// Around `transport`, with at most 32 requests in flight to an endpoint.
    pub fn new(transport: T) -> Self {
        Self::with_limit(transport, IN_FLIGHT)
    }

    /// The same with another limit, at least 1.
    pub fn with_limit(transport: T, in_flight: usize) -> Self {
        let (asked, sent) = Default::default();
        Self {
            shared: Arc::new(Inner {
                transport,
                in_flight: in_flight.max(1),
                state: Mutex::default(),
                asked,
                sent,
            }),
        }
    }
}

impl<T> Coalescing<T> {
    /// What was asked and sent since the start.
    pub fn counters(&self) -> Counters {
        Counters {
            asked: self.shared.asked.load(Ordering::Relaxed),
            sent: self.shared.sent.load(Ordering::Relaxed),
        }
    }

    /// The transport underneath.
    pub fn transport(&self) -> &T {
        &self.shared.transport
    }
}

impl<T> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Transport + 'static> Inner<T> {
    /// An answer that is still fresh, or the flight to wait for.
    fn join(self: &Arc<Self>, key: Arc<Key>, request: Request) -> Result<Response, Shared<Flight>> {
        let mut state = self.lock();
        state.forget_old();
        match state.answers.get(&key) {
            Some(Slot::Kept { response, .. }) => return Ok(response.clone()),
            Some(Slot::InFlight { flight, .. }) => {
                if let Some(flight) = flight.upgrade() {
                    return Err(flight);
                }
            }
            None => {}
        }
        state.flights += 1;
        let id = state.flights;
        let flight =
            self.clone().fly(Settle { inner: self.clone(), key: key.clone(), id }, request).boxed().shared();
        if let Some(weak) = flight.downgrade() {
            state.answers.insert(key, Slot::InFlight { id, flight: weak });
        }
        Err(flight)
    }

    /// Sends the request and settles its slot.
    async fn fly(self: Arc<Self>, slot: Settle<T>, request: Request) -> Result<Response, Error> {
        let result = self.send_bounded(request).await;
        if let Ok(response) = &result
            && response.body.len() <= KEPT_BODY
        {
            slot.keep(response.clone());
        }
        result
    }

    /// Sends under the endpoint's limit. Waiting for a place counts against the deadline.
    async fn send_bounded(&self, request: Request) -> Result<Response, Error> {
        let timeout = request.timeout.unwrap_or(DEFAULT_TIMEOUT);
        let deadline = Instant::now() + timeout;
        let places = self.lock().places(endpoint(&request.url), self.in_flight);
        let Ok(Ok(_place)) = timeout_at(deadline, places.acquire()).await else {
            return Err(timed_out(&request.describe(), timeout));
        };
        self.sent.fetch_add(1, Ordering::Relaxed);
        let what = request.describe();
        timeout_at(deadline, self.transport.send(request))
            .await
            .unwrap_or_else(|_| Err(timed_out(&what, timeout)))
    }
}

/// Empties a flight's slot however the flight ends: answered, failed, or dropped because nobody waits any more.
struct Settle<T> {
    inner: Arc<Inner<T>>,
    key: Arc<Key>,
    id: u64,
}

impl<T> Settle<T> {
    fn keep(&self, response: Response) {
        let since = Instant::now();
        let mut state = self.inner.lock();
        state.kept.push_back((since, self.key.clone()));
        state.answers.insert(self.key.clone(), Slot::Kept { since, response });
    }
}

impl<T> Drop for Settle<T> {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        if matches!(state.answers.get(&self.key), Some(Slot::InFlight { id, .. }) if *id == self.id) {
            state.answers.remove(&self.key);
        }
    }
}

impl State {
    fn forget_old(&mut self) {
        while let Some((since, _)) = self.kept.front() {
            if since.elapsed() < FRESH {
                break;
            }
            let Some((since, key)) = self.kept.pop_front() else { break };
            if matches!(self.answers.get(&key), Some(Slot::Kept { since: kept, .. }) if *kept == since) {
                self.answers.remove(&key);
            }
        }
    }

    fn places(&mut self, endpoint: String, in_flight: usize) -> Arc<Semaphore> {
        if let Some(places) = self.endpoints.get(&endpoint) {
            return places.clone();
        }
        self.endpoints.retain(|_, places| Arc::strong_count(places) > 1);
        let places = Arc::new(Semaphore::new(in_flight));
        self.endpoints.insert(endpoint, places.clone());
        places
    }
}

impl Key {
    fn of(request: &Request) -> Self {
        let mut headers: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        Self { url: request.url.clone(), headers, tls: request.tls.clone(), timeout: request.timeout }
    }
}

#[async_trait]
impl<T: Transport + 'static> Transport for Coalescing<T> {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        self.shared.asked.fetch_add(1, Ordering::Relaxed);
        if request.method != Method::GET || !request.body.is_empty() {
            return self.shared.send_bounded(request).await;
        }
        match self.shared.join(Arc::new(Key::of(&request)), request) {
            Ok(response) => Ok(response),
            Err(flight) => flight.await,
        }
    }
}

#[cfg(test)]
mod tests;
