//! The raw metrics stream: values of triggers, as they are read, to programs that subscribed to them (platform.md §3.7;
//! `pkg/scaling/scale_handler_raw_metrics.go`). On with `RAW_METRICS_GRPC_PROTOCOL=enabled`.
//!
//! A subscription is an object and a trigger by its name (without one, upstream's Go type name of it). A value is what the trigger counts as:
//! its fallback while that stands in, and never the formula's. Nobody waits for a subscriber: each has a bounded queue, and who reads
//! nothing for a minute loses all subscriptions.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    str::FromStr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{Stream, stream};
use jiff::Timestamp;
use keda_core::fallback::Answer;
use keda_metrics_service::api::{
    RawMetric, RawMetricsRequest, RawMetricsResponse, ScaledObjectRef, SubscriptionAck, SubscriptionRequest,
    raw_metrics_service_server::RawMetricsService,
};
use tokio::{sync::mpsc, time::Instant};
use tonic::{Request, Response, Status};

use crate::{
    index::ObjectKey,
    serve_metrics::Metrics,
    values::{Judged, Read},
};

/// Values that wait for one subscriber.
const QUEUE: usize = 1024;
/// How long a subscriber may read nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// Subscribers at a time.
const SUBSCRIBERS: usize = 1000;

/// Which values are sent (`RAW_METRICS_MODE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RawMetricsMode {
    /// None: the stream is not served.
    #[default]
    Off,
    /// Those of polls and those that HPAs ask for.
    All,
    /// Those that HPAs ask for.
    Hpa,
    /// Those of polls.
    PollingInterval,
}

impl FromStr for RawMetricsMode {
    type Err = std::convert::Infallible;

    /// Upstream's words, in any case; every other one means all.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word.to_ascii_lowercase().as_str() {
            "hpa" => Self::Hpa,
            "pollinginterval" => Self::PollingInterval,
            _ => Self::All,
        })
    }
}

/// Why a value was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    Poll,
    Hpa,
}

/// A trigger of an object: namespace, name, the trigger's name.
type Subject = (String, String, String);

/// Who wants what.
pub(crate) struct RawMetrics {
    mode: RawMetricsMode,
    subscribers: Mutex<HashMap<String, Subscriber>>,
    /// Whether there may be a subscriber: saves everybody else the lock.
    wanted: AtomicBool,
}

struct Subscriber {
    wants: HashSet<Subject>,
    /// The stream that is open.
    stream: Option<mpsc::Sender<RawMetricsResponse>>,
    /// Since when nothing is read.
    unread: Option<Instant>,
}

impl Subscriber {
    fn new() -> Self {
        Subscriber { wants: HashSet::new(), stream: None, unread: Some(Instant::now()) }
    }

    fn is_lost(&self) -> bool {
        self.unread.is_some_and(|since| since.elapsed() >= PATIENCE)
    }

    fn send(&mut self, response: RawMetricsResponse) {
        let sent = self.stream.as_ref().is_some_and(|stream| stream.try_send(response).is_ok());
        self.unread = if sent { None } else { self.unread.or_else(|| Some(Instant::now())) };
    }
}

impl RawMetrics {
    pub(crate) fn new(mode: RawMetricsMode) -> Self {
        RawMetrics { mode, subscribers: Mutex::default(), wanted: AtomicBool::new(false) }
    }

    fn subscribers(&self) -> MutexGuard<'_, HashMap<String, Subscriber>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what triggers of an object count as to whoever wants it.
    pub(crate) fn tell(
        &self,
        occasion: Occasion,
        key: &ObjectKey,
        read: &[Read<'_>],
        judged: &Judged,
        now: Timestamp,
    ) {
        let sends = match self.mode {
            RawMetricsMode::Off => false,
            RawMetricsMode::All => true,
            RawMetricsMode::Hpa => occasion == Occasion::Hpa,
            RawMetricsMode::PollingInterval => occasion == Occasion::Poll,
        };
        if !sends || !self.wanted.load(Ordering::Relaxed) {
            return;
        }
        for (metric, answer) in read.iter().zip(&judged.answers) {
            let (value, active) = match answer {
                Answer::Read { value, active } => (*value, *active),
                Answer::FallsBack { value, fallen } => (value.as_f64(), fallen.replicas > 0),
                Answer::Nil | Answer::Failed(_) => continue,
            };
            self.tell_one(key, metric.slot.parsed.label(), value, active, now);
        }
    }

    fn tell_one(&self, key: &ObjectKey, trigger: &str, value: f64, active: bool, now: Timestamp) {
        let subject = (key.namespace.clone(), key.name.clone(), trigger.to_owned());
        let mut subscribers = self.subscribers();
        for subscriber in subscribers.values_mut().filter(|subscriber| subscriber.wants.contains(&subject)) {
            let (namespace, name, metric_name) = subject.clone();
            subscriber.send(RawMetricsResponse {
                metrics: vec![RawMetric {
                    value,
                    timestamp: Some(prost_types::Timestamp {
                        seconds: now.as_second(),
                        nanos: now.subsec_nanosecond(),
                    }),
                    metadata: Some(ScaledObjectRef { name, namespace, metric_name }),
                    is_active: active,
                }],
            });
        }
        self.forget_lost(&mut subscribers);
    }

    fn forget_lost(&self, subscribers: &mut HashMap<String, Subscriber>) {
        subscribers.retain(|name, subscriber| {
            if subscriber.is_lost() {
                tracing::info!(
                    logger = "grpc_server",
                    subscriber = name,
                    "the subscriber has read no raw metrics for a minute, its subscriptions are dropped"
                );
            }
            !subscriber.is_lost()
        });
        self.wanted.store(!subscribers.is_empty(), Ordering::Relaxed);
    }

    /// The subscriber's entry, made if need be.
    fn with<T>(&self, name: &str, then: impl FnOnce(&mut Subscriber) -> T) -> Result<T, Status> {
        if self.mode == RawMetricsMode::Off {
            return Err(Status::unimplemented(
                "raw metrics are off, set RAW_METRICS_GRPC_PROTOCOL=enabled on the operator",
            ));
        }
        if name.is_empty() {
            return Err(Status::invalid_argument("subscriber must be specified"));
        }
        let mut subscribers = self.subscribers();
        self.forget_lost(&mut subscribers);
        if subscribers.len() >= SUBSCRIBERS && !subscribers.contains_key(name) {
            return Err(Status::resource_exhausted(format!("there are {SUBSCRIBERS} subscribers already")));
        }
        let done = then(subscribers.entry(name.to_owned()).or_insert_with(Subscriber::new));
        self.wanted.store(true, Ordering::Relaxed);
        Ok(done)
    }

    /// Whether it was subscribed already.
    fn subscribe(&self, name: &str, subject: Subject) -> Result<bool, Status> {
        self.with(name, |subscriber| !subscriber.wants.insert(subject))
    }

    /// Whether it was subscribed. With the last subscription the stream ends.
    fn unsubscribe(&self, name: &str, subject: &Subject) -> Result<bool, Status> {
        let (was, last) = self.with(name, |subscriber| {
            let was = subscriber.wants.remove(subject);
            (was, subscriber.wants.is_empty() && (was || subscriber.stream.is_none()))
        })?;
        if last {
            let mut subscribers = self.subscribers();
            subscribers.remove(name);
            self.wanted.store(!subscribers.is_empty(), Ordering::Relaxed);
        }
        Ok(was)
    }

    /// The subscriber's stream. A stream that it had before ends: it has come again.
    fn open(&self, name: &str) -> Result<mpsc::Receiver<RawMetricsResponse>, Status> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.with(name, |subscriber| {
            subscriber.stream = Some(sender);
            subscriber.unread = None;
        })?;
        Ok(receiver)
    }
}

#[tonic::async_trait]
impl RawMetricsService for Metrics {
    type GetRawMetricsStreamStream =
        Pin<Box<dyn Stream<Item = Result<RawMetricsResponse, Status>> + Send + 'static>>;

    async fn get_raw_metrics_stream(
        &self,
        request: Request<RawMetricsRequest>,
    ) -> Result<Response<Self::GetRawMetricsStreamStream>, Status> {
        let receiver = self.raw().open(&request.into_inner().subscriber)?;
        let values = stream::unfold(receiver, async |mut receiver| {
            let value = receiver.recv().await?;
            Some((Ok(value), receiver))
        });
        Ok(Response::new(Box::pin(values)))
    }

    async fn subscribe_metric(
        &self,
        request: Request<SubscriptionRequest>,
    ) -> Result<Response<SubscriptionAck>, Status> {
        let (subscriber, subject) = subject(request.into_inner())?;
        let was_subscribed = self.raw().subscribe(&subscriber, subject)?;
        Ok(Response::new(SubscriptionAck { was_subscribed, message: None }))
    }

    async fn unsubscribe_metric(
        &self,
        request: Request<SubscriptionRequest>,
    ) -> Result<Response<SubscriptionAck>, Status> {
        let (subscriber, subject) = subject(request.into_inner())?;
        let was_subscribed = self.raw().unsubscribe(&subscriber, &subject)?;
        Ok(Response::new(SubscriptionAck { was_subscribed, message: None }))
    }
}

fn subject(request: SubscriptionRequest) -> Result<(String, Subject), Status> {
    let Some(of) = request.metric_metadata else {
        return Err(Status::invalid_argument("metricMetadata must be specified"));
    };
    Ok((request.subscriber, (of.namespace, of.name, of.metric_name)))
}
