//! The connection to the operator's metrics service.
//!
//! Writer: [`Link::keep`] alone. It holds one HTTP/2 connection and notices its end at once (hyper tells), or after 40 seconds of silence
//! (pings); it then resolves the name again and connects again, at once and with a rest that grows to two seconds and no further.
//! Upstream's rests grow to two minutes, and its ready probe does not know (kedacore/keda 8211, 7251, 6201, 7575, 4862). Readers take
//! a snapshot, or wait for a connection newer than one that failed them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, Uri};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use keda_metrics_service::api::metrics_service_client::MetricsServiceClient;
use keda_telemetry::metrics;
use keda_tls::Connector;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

/// Pings, also without calls (upstream's `pkg/metricsservice/client.go`).
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(10);
/// How long one attempt may take: several addresses and a handshake.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The first rest after a failed attempt, and the longest.
const REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(2);
/// How old a connection must be to be given up because of one call.
const SETTLED: Duration = Duration::from_secs(1);

/// A client over the connection.
pub(crate) type Client = MetricsServiceClient<Sender>;

/// A connection that stood when it was taken.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) client: Client,
    /// Rises with each connection.
    pub(crate) number: u64,
    heard: Arc<Heard>,
}

/// When something last came over a connection.
struct Heard {
    begin: Instant,
    /// Nanoseconds after `begin`, and one, so that zero is never.
    last: AtomicU64,
}

impl Live {
    fn new(client: Client, number: u64) -> Self {
        Self { client, number, heard: Arc::new(Heard { begin: Instant::now(), last: AtomicU64::new(0) }) }
    }

    /// The operator said something over it just now.
    pub(crate) fn heard(&self) {
        let since = u64::try_from(self.heard.begin.elapsed().as_nanos()).unwrap_or(u64::MAX - 1);
        self.heard.last.fetch_max(since + 1, Ordering::Relaxed);
    }

    /// Whether anything came over it after `since`.
    pub(crate) fn heard_after(&self, since: Instant) -> bool {
        let last = self.heard.last.load(Ordering::Relaxed);
        last > 0 && self.heard.begin + Duration::from_nanos(last - 1) > since
    }
}

/// The connection and its keeper's state.
pub(crate) struct Link {
    host: String,
    port: u16,
    origin: Uri,
    connector: Connector,
    metrics: Arc<metrics::Adapter>,
    live: watch::Sender<Option<Live>>,
    state: Mutex<State>,
    /// The number of the newest connection that failed somebody.
    distrusted: watch::Sender<u64>,
    begun: Instant,
}

#[derive(Debug, Default)]
struct State {
    /// When the last connection was lost; `None` while there is one, or when there never was.
    lost: Option<Instant>,
    /// Why there is none.
    error: Option<String>,
}

/// An address that is none.
#[derive(Debug, thiserror::Error)]
#[error("metrics service address {0:?} is not host:port")]
pub struct AddressError(String);

impl Link {
    /// To `address` (`host:port`, perhaps with `dns:///` before it). `authority` as [`crate::Options::metrics_service_authority`].
    pub(crate) fn new(
        address: &str,
        authority: Option<&str>,
        connector: Connector,
        metrics: Arc<metrics::Adapter>,
    ) -> Result<Self, AddressError> {
        let wrong = || AddressError(address.to_owned());
        let bare =
            ["dns:///", "passthrough:///"].iter().find_map(|s| address.strip_prefix(s)).unwrap_or(address);
        let (host, port) = bare.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let authority = authority.filter(|text| !text.is_empty()).unwrap_or(bare);
        let origin = format!("https://{authority}").parse().map_err(|_| wrong())?;
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            origin,
            connector,
            metrics,
            live: watch::Sender::new(None),
            state: Mutex::default(),
            distrusted: watch::Sender::new(0),
            begun: Instant::now(),
        })
    }

    /// The connection of this moment.
    pub(crate) fn live(&self) -> Option<Live> {
        self.live.borrow().clone()
    }

    /// A connection with a number above `number`, as soon as there is one.
    pub(crate) async fn newer_than(&self, number: u64) -> Live {
        let mut changes = self.live.subscribe();
        loop {
            let newer = changes.wait_for(|live| live.as_ref().is_some_and(|live| live.number > number)).await;
            match newer.map(|live| live.clone()) {
                Ok(Some(live)) => return live,
                // The sender is in self.
                Ok(None) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// Has the keeper connect anew, if `live` is still the connection of this moment: it was silent through somebody's whole patience, or
    /// what is at its other end does not serve. A connection that has only just been made is kept, so that an operator in
    /// trouble is not also connected to anew at each request.
    pub(crate) fn distrust(&self, live: &Live) {
        if live.heard.begin.elapsed() >= SETTLED {
            self.distrusted.send_if_modified(|newest| {
                let newer = live.number > *newest;
                *newest = live.number.max(*newest);
                newer
            });
        }
    }

    async fn distrusted(&self, number: u64) {
        // The sender is in self, so waiting cannot fail.
        let _ = self.distrusted.subscribe().wait_for(|newest| *newest >= number).await;
    }

    /// Whether there is a connection, or was one less than `grace` ago.
    pub(crate) fn ready(&self, grace: Duration) -> Result<(), String> {
        if self.live.borrow().is_some() {
            return Ok(());
        }
        let state = self.state();
        let why = state.error.as_deref().unwrap_or("connecting");
        match state.lost.map(|lost| lost.elapsed()) {
            Some(away) if away < grace => Ok(()),
            Some(away) => Err(format!("the operator is away for {}s: {why}", away.as_secs())),
            None => Err(format!("the operator was never reached: {why}")),
        }
    }

    /// How long there has been no connection. Zero while there is one.
    pub(crate) fn away(&self) -> Duration {
        if self.live.borrow().is_some() {
            return Duration::ZERO;
        }
        self.state().lost.unwrap_or(self.begun).elapsed()
    }

    /// Why there is no connection.
    pub(crate) fn trouble(&self) -> String {
        self.state().error.clone().unwrap_or_else(|| "connecting".to_owned())
    }

    /// Connects, and connects again, until `shutdown`.
    pub(crate) async fn keep(&self, shutdown: &CancellationToken) {
        let mut number = 0;
        let mut rest = Duration::ZERO;
        loop {
            let Some(outcome) = shutdown.run_until_cancelled(timeout(ATTEMPT, self.connect())).await else {
                return;
            };
            match outcome.unwrap_or_else(|_| Err("connecting took too long".to_owned())) {
                Ok((sender, connection)) => {
                    number += 1;
                    let since = Instant::now();
                    let client = MetricsServiceClient::with_origin(Sender(sender), self.origin.clone());
                    self.up(Live::new(client, number));
                    let end = tokio::select! {
                        ended = connection => match ended {
                            Ok(()) => "the operator closed the connection".to_owned(),
                            Err(error) => text(&error),
                        },
                        () = self.distrusted(number) => "the operator does not answer as it should".to_owned(),
                        () = shutdown.cancelled() => return,
                    };
                    self.down(end);
                    // An operator that accepts and closes at once must not be hammered.
                    rest = if since.elapsed() < REST { grown(rest) } else { Duration::ZERO };
                }
                Err(error) => {
                    self.failed(error);
                    rest = grown(rest);
                }
            }
            if shutdown.run_until_cancelled(tokio::time::sleep(jittered(rest, number))).await.is_none() {
                return;
            }
        }
    }

    async fn connect(
        &self,
    ) -> Result<(http2::SendRequest<Body>, impl Future<Output = hyper::Result<()>> + use<>), String> {
        let stream =
            self.connector.connect(&self.host, self.port).await.map_err(|error| error.to_string())?;
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| text(&error))
    }

    fn up(&self, live: Live) {
        let mut state = self.state();
        let away = state.lost.take().map(|lost| lost.elapsed());
        state.error = None;
        drop(state);
        tracing::info!(
            address = %self.origin.authority().map_or("", |a| a.as_str()),
            connection = live.number,
            away_seconds = away.map_or(0.0, |away| away.as_secs_f64()),
            "connected to the operator"
        );
        self.metrics.connected(true);
        self.live.send_replace(Some(live));
    }

    fn down(&self, reason: String) {
        tracing::warn!(reason, "lost the operator");
        // Before the state, so that who finds no connection finds a reason.
        let mut state = self.state();
        state.lost = Some(Instant::now());
        state.error = Some(reason);
        drop(state);
        self.live.send_replace(None);
        self.metrics.connected(false);
    }

    fn failed(&self, error: String) {
        let mut state = self.state();
        if state.error.as_ref() != Some(&error) {
            tracing::warn!(error, "cannot reach the operator, trying on");
        }
        state.error = Some(error);
        drop(state);
        self.metrics.connected(false);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn grown(rest: Duration) -> Duration {
    if rest.is_zero() { REST } else { (rest * 2).min(LONGEST_REST) }
}

/// A quarter more or less, so that replicas do not come in step. The clock's low digits are chance enough for that.
fn jittered(rest: Duration, salt: u64) -> Duration {
    let chance = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(salt, |now| u64::from(now.subsec_nanos()).wrapping_add(salt));
    rest.mul_f64(0.75 + (chance % 1000) as f64 / 2000.0)
}

/// With its causes: hyper's own text is only "connection error".
fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// hyper's sender as a service that tonic can call.
#[derive(Clone)]
pub(crate) struct Sender(http2::SendRequest<Body>);

impl tower::Service<Request<Body>> for Sender {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = futures::future::BoxFuture<'static, hyper::Result<Self::Response>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
