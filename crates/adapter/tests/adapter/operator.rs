//! The operator's metrics service, which can be told what to say and killed.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use keda_metrics_service::api::{
    ExternalMetricValue, ExternalMetricValueList, Quantity, ScaledObjectRef, Time,
    metrics_service_server::{MetricsService, MetricsServiceServer},
};
use keda_tls::{Acceptor, ClientAuth, Folder, Incoming, Policy, Protocols};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::oneshot,
};
use tonic::{Code, Request, Response, Status};

/// When every value was taken: 2026-11-24T11:27:55Z.
const TAKEN: i64 = 1_795_519_675;

/// What to say about a metric.
#[derive(Clone)]
pub(crate) enum Say {
    Value(&'static str),
    Error(Code, &'static str),
    /// Nothing, for ever.
    Nothing,
}

/// What is said. Outlives the operators that say it.
#[derive(Clone, Default)]
pub(crate) struct Script {
    inner: Arc<Mutex<Lines>>,
}

#[derive(Default)]
struct Lines {
    say: HashMap<String, Say>,
    once: HashMap<String, Say>,
    asked: Vec<ScaledObjectRef>,
}

impl Script {
    /// From here on, about this metric of every object.
    pub(crate) fn say(&self, metric: &str, say: Say) {
        self.inner.lock().unwrap().say.insert(metric.to_owned(), say);
    }

    /// The next time only.
    pub(crate) fn say_once(&self, metric: &str, say: Say) {
        self.inner.lock().unwrap().once.insert(metric.to_owned(), say);
    }

    pub(crate) fn asked(&self) -> Vec<ScaledObjectRef> {
        self.inner.lock().unwrap().asked.clone()
    }
}

#[tonic::async_trait]
impl MetricsService for Script {
    async fn get_metrics(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<ExternalMetricValueList>, Status> {
        let reference = request.into_inner();
        let say = {
            let mut lines = self.inner.lock().unwrap();
            lines.asked.push(reference.clone());
            let once = lines.once.remove(&reference.metric_name);
            once.or_else(|| lines.say.get(&reference.metric_name).cloned())
        };
        match say {
            Some(Say::Value(text)) => Ok(Response::new(ExternalMetricValueList {
                metadata: None,
                items: vec![ExternalMetricValue {
                    metric_name: reference.metric_name,
                    timestamp: Some(Time { seconds: TAKEN, nanos: 0 }),
                    value: Some(Quantity { string: text.to_owned() }),
                    ..ExternalMetricValue::default()
                }],
            })),
            Some(Say::Error(code, text)) => Err(Status::new(code, text)),
            Some(Say::Nothing) => std::future::pending().await,
            None => Err(Status::unknown(format!(
                "error when getting metric values no matching metrics found for {}",
                reference.metric_name
            ))),
        }
    }
}

/// An operator that serves. In a runtime of its own, so that it can end as a killed process does.
pub(crate) struct Operator {
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
}

impl Operator {
    /// On this port, with the certificates of this folder.
    pub(crate) fn start(port: u16, folder: &Path, script: &Script) -> Self {
        let folder = Folder::open(folder).unwrap();
        let acceptor = Acceptor::new(folder, &Policy::default(), ClientAuth::Required, Protocols::Http2);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (ready, listens) = std::sync::mpsc::channel();
        let service = MetricsServiceServer::new(script.clone());
        runtime.spawn(async move {
            let listener = listen(port).await;
            ready.send(()).unwrap();
            tonic::transport::Server::builder()
                .serve_with_incoming_shutdown(service, Incoming::new(listener, acceptor), async {
                    let _ = stopped.await;
                })
                .await
                .unwrap();
        });
        listens.recv().unwrap();
        Self { runtime: Some(runtime), stop: Some(stop) }
    }

    /// Says goodbye on every connection.
    pub(crate) fn leave(mut self) {
        drop(self.stop.take());
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Drop for Operator {
    /// As kill -9: sockets close, nothing is said.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn listen(port: u16) -> TcpListener {
    for _ in 0..100 {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("port {port} stays taken");
}
