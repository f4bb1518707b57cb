//! A collector that hands on what it is given, by both protocols.

use std::{collections::BTreeMap, net::SocketAddr};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use keda_otlp::{
    Settings,
    api::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse, metrics_service_server::MetricsService,
        metrics_service_server::MetricsServiceServer,
    },
};
use keda_telemetry::metrics::Registry;
use prost::Message;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// What came, and with which `authorization`.
pub(crate) type Arrived = (ExportMetricsServiceRequest, Option<String>);

/// A collector that hands on what it is given.
#[derive(Clone)]
struct Collector(mpsc::UnboundedSender<Arrived>);

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let value = request.metadata().get("authorization");
        let authorization = value.map(|value| value.to_str().unwrap().to_owned());
        self.0.send((request.into_inner(), authorization)).unwrap();
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

async fn grpc(listener: TcpListener, arrived: mpsc::UnboundedSender<Arrived>) {
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let service = MetricsServiceServer::new(Collector(arrived));
    tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
}

async fn http(listener: TcpListener, arrived: mpsc::UnboundedSender<Arrived>) {
    let handler = move |headers: HeaderMap, body: Bytes| async move {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let authorization = headers.get("authorization").map(|it| it.to_str().unwrap().to_owned());
        arrived.send((ExportMetricsServiceRequest::decode(body).unwrap(), authorization)).unwrap();
        ExportMetricsServiceResponse::default().encode_to_vec()
    };
    let router = Router::new().route("/v1/metrics", post(handler));
    axum::serve(listener, router).await.unwrap();
}

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) fn settings(protocol: &str, address: SocketAddr, more: &[(&str, &str)]) -> Settings {
    let endpoint = format!("http://{address}");
    let mut variables: BTreeMap<&str, &str> = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20token"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
        ("OTEL_RESOURCE_ATTRIBUTES", "k8s.cluster.name=test"),
    ]
    .into();
    variables.extend(more.iter().copied());
    let env = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    Settings::read(env, Vec::new()).unwrap().0
}

pub(crate) fn start(settings: Settings, registry: &Registry) -> (CancellationToken, JoinHandle<()>) {
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(keda_otlp::push(settings, registry.clone(), shutdown.clone()));
    (shutdown, task)
}

/// Serves as a collector, until the test ends.
pub(crate) fn collect(protocol: &str, listener: TcpListener) -> mpsc::UnboundedReceiver<Arrived> {
    let (sender, arrived) = mpsc::unbounded_channel();
    if protocol == "grpc" {
        tokio::spawn(grpc(listener, sender));
    } else {
        tokio::spawn(http(listener, sender));
    }
    arrived
}
