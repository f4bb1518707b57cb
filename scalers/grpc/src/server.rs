//! An external scaler that does as told, over pipes in memory: hermetic, and under virtual time.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use keda_scaler::contract::{Remote, Scripted, environment};
use keda_scaler::grpc::{Channels, Dial, Endpoint, Pipe};
use keda_scaler::{Environment, Factory, Live, Parameters, Parsed};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status};

use crate::externalscaler::external_scaler_server::{ExternalScaler, ExternalScalerServer};
use crate::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};

type Answer<T> = Result<Response<T>, Status>;
type Heard<T> = BoxStream<'static, Result<T, Status>>;

/// What it answers.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) specs: Vec<MetricSpec>,
    pub(crate) values: BTreeMap<String, Vec<MetricValue>>,
    pub(crate) active: bool,
    /// Takes calls and answers none.
    pub(crate) silent: bool,
    pub(crate) refusal: Option<Status>,
    /// Nobody listens.
    pub(crate) gone: bool,
    /// Whether it has StreamMetricSpec.
    pub(crate) streams_specs: bool,
}

/// The server. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<State>);

#[derive(Default)]
struct State {
    script: Mutex<Script>,
    /// Connections made.
    dialled: AtomicUsize,
    /// Each call with its reference.
    asked: Mutex<Vec<(&'static str, ScaledObjectRef)>>,
    activity: Mutex<Vec<mpsc::UnboundedSender<Result<IsActiveResponse, Status>>>>,
    specs: Mutex<Vec<mpsc::UnboundedSender<Result<GetMetricSpecResponse, Status>>>>,
}

pub(crate) fn spec(name: &str, whole: i64, float: f64) -> MetricSpec {
    #[expect(deprecated, reason = "old scalers set it")]
    MetricSpec { metric_name: name.to_owned(), target_size: whole, target_size_float: float }
}

pub(crate) fn value(whole: i64, float: f64) -> MetricValue {
    #[expect(deprecated, reason = "old scalers set it")]
    MetricValue { metric_name: "whatever".to_owned(), metric_value: whole, metric_value_float: float }
}

impl Server {
    /// One metric `depth` with target 5, its value 7, and no work.
    pub(crate) fn new() -> Self {
        let server = Self::default();
        server.script(|script| {
            script.specs = vec![spec("depth", 5, 0.0)];
            script.values = [("depth".to_owned(), vec![value(7, 0.0)])].into();
        });
        server
    }

    /// In a state of the contract.
    pub(crate) fn channels_in(state: Remote) -> Channels {
        let server = Self::new();
        server.script(|script| match state {
            Remote::Saying(number, active) => {
                script.values = [("depth".to_owned(), vec![value(0, number)])].into();
                script.active = active;
            }
            Remote::Silent => script.silent = true,
            Remote::Refusing => script.refusal = Some(Status::permission_denied(Remote::WORDS)),
            Remote::Gone => script.gone = true,
        });
        server.channels()
    }

    pub(crate) fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut lock(&self.0.script));
    }

    pub(crate) fn channels(&self) -> Channels {
        Channels::over(self.clone())
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment { grpc: self.channels(), ..environment(Scripted::silent()) }
    }

    pub(crate) fn dialled(&self) -> usize {
        self.0.dialled.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self) -> Vec<(&'static str, ScaledObjectRef)> {
        lock(&self.0.asked).clone()
    }

    pub(crate) fn times_asked(&self, method: &str) -> usize {
        lock(&self.0.asked).iter().filter(|(asked, _)| *asked == method).count()
    }

    /// Says something on every activity stream; how many heard it.
    pub(crate) fn say(&self, message: &Result<bool, Status>) -> usize {
        let message = message.clone().map(|result| IsActiveResponse { result });
        let streams = std::mem::take(&mut *lock(&self.0.activity));
        let open: Vec<_> =
            streams.into_iter().filter(|stream| stream.send(message.clone()).is_ok()).collect();
        let heard = open.len();
        if message.is_ok() {
            *lock(&self.0.activity) = open;
        }
        heard
    }

    /// Says on every stream which metrics there are.
    pub(crate) fn say_specs(&self, specs: &[MetricSpec]) -> usize {
        let message = GetMetricSpecResponse { metric_specs: specs.to_vec() };
        lock(&self.0.specs).iter().filter(|stream| stream.send(Ok(message.clone())).is_ok()).count()
    }

    /// Ends every stream of metrics in good order.
    pub(crate) fn hush(&self) {
        lock(&self.0.specs).clear();
    }

    async fn take(&self, method: &'static str, reference: ScaledObjectRef) -> Result<Script, Status> {
        lock(&self.0.asked).push((method, reference));
        let script = lock(&self.0.script).clone();
        if script.silent {
            std::future::pending::<()>().await;
        }
        match script.refusal {
            Some(status) => Err(status),
            None => Ok(script),
        }
    }
}

#[async_trait]
impl Dial for Server {
    async fn dial(&self, _: &Endpoint) -> io::Result<Box<dyn Pipe>> {
        if lock(&self.0.script).gone {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens"));
        }
        self.0.dialled.fetch_add(1, Ordering::SeqCst);
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let incoming = stream::iter([Ok::<_, io::Error>(theirs)]).chain(stream::pending());
        let serving = tonic::transport::Server::builder()
            .add_service(ExternalScalerServer::new(self.clone()))
            .serve_with_incoming(incoming);
        tokio::spawn(serving);
        Ok(Box::new(ours))
    }
}

#[async_trait]
impl ExternalScaler for Server {
    async fn is_active(&self, request: Request<ScaledObjectRef>) -> Answer<IsActiveResponse> {
        let script = self.take("IsActive", request.into_inner()).await?;
        Ok(Response::new(IsActiveResponse { result: script.active }))
    }

    type StreamIsActiveStream = Heard<IsActiveResponse>;

    async fn stream_is_active(&self, request: Request<ScaledObjectRef>) -> Answer<Heard<IsActiveResponse>> {
        self.take("StreamIsActive", request.into_inner()).await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.0.activity).push(sender);
        Ok(Response::new(UnboundedReceiverStream::new(receiver).boxed()))
    }

    async fn get_metric_spec(&self, request: Request<ScaledObjectRef>) -> Answer<GetMetricSpecResponse> {
        let script = self.take("GetMetricSpec", request.into_inner()).await?;
        Ok(Response::new(GetMetricSpecResponse { metric_specs: script.specs }))
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Answer<GetMetricsResponse> {
        let GetMetricsRequest { scaled_object_ref, metric_name } = request.into_inner();
        let script = self.take("GetMetrics", scaled_object_ref.unwrap_or_default()).await?;
        let metric_values = script.values.get(&metric_name).cloned();
        let unknown = || Status::not_found(format!("no metric {metric_name}"));
        Ok(Response::new(GetMetricsResponse { metric_values: metric_values.ok_or_else(unknown)? }))
    }

    type StreamMetricSpecStream = Heard<GetMetricSpecResponse>;

    async fn stream_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Answer<Heard<GetMetricSpecResponse>> {
        let script = self.take("StreamMetricSpec", request.into_inner()).await?;
        if !script.streams_specs {
            return Err(Status::unimplemented("method StreamMetricSpec not implemented"));
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&self.0.specs).push(sender);
        Ok(Response::new(UnboundedReceiverStream::new(receiver).boxed()))
    }
}

/// A connected trigger with the metrics that the server says there are.
pub(crate) async fn connected(
    factory: Factory,
    parameters: &Parameters,
    world: &Environment,
) -> (Parsed, Live) {
    let parsed = factory.parse(parameters, &keda_scaler::Context::default()).unwrap();
    let live = parsed.connect(world).await.unwrap();
    let parsed = parsed.planned(live.metrics().await.unwrap()).unwrap();
    let live = live.planned(&parsed);
    (parsed, live)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
