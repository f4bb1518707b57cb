//! Everything put up: API server, operator, adapter.

use std::{sync::Arc, time::Duration};

use keda_adapter::{Dependencies, Options};
use keda_telemetry::metrics::{self, Registry};
use keda_tls::{Bundle, generate, make::KeyKind};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    api::Api,
    caller::Caller,
    operator::{Operator, Script},
};

pub(crate) struct Stage {
    pub(crate) api: Api,
    pub(crate) script: Script,
    pub(crate) registry: Registry,
    /// `ca.crt`, `tls.crt`, `tls.key`: of the operator, of the adapter's connection to it, and of the adapter's own server.
    pub(crate) folder: TempDir,
    pub(crate) bundle: Bundle,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<Result<(), keda_adapter::Error>>,
    port: u16,
    operator_port: u16,
}

pub(crate) fn bundle() -> Bundle {
    keda_tls::install_provider();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    generate(&names, KeyKind::EcdsaP256, std::time::SystemTime::now()).unwrap()
}

impl Stage {
    /// Upstream's defaults, and an operator.
    pub(crate) async fn up() -> (Self, Operator) {
        Self::up_with(|_| {}).await
    }

    pub(crate) async fn up_with(adjust: impl FnOnce(&mut Options)) -> (Self, Operator) {
        let stage = Self::without_operator(Api::new(), adjust).await;
        let operator = stage.start_operator();
        stage.becomes_ready().await;
        (stage, operator)
    }

    pub(crate) async fn without_operator(api: Api, adjust: impl FnOnce(&mut Options)) -> Self {
        let bundle = bundle();
        let folder = tempfile::tempdir().unwrap();
        bundle.write_to(folder.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let operator_port = free_port().await;
        let mut options = Options {
            cert_dir: folder.path().to_owned(),
            tls_cert_file: Some(folder.path().join("tls.crt")),
            tls_private_key_file: Some(folder.path().join("tls.key")),
            metrics_service_address: format!("localhost:{operator_port}"),
            ..Options::default()
        };
        adjust(&mut options);
        let registry = Registry::new();
        let metrics = Arc::new(metrics::Adapter::new(&registry));
        let shutdown = CancellationToken::new();
        let dependencies = Dependencies { client: api.client(), metrics };
        let running = keda_adapter::run_on(listener, options, dependencies, shutdown.clone());
        let running = tokio::spawn(running);
        Self {
            api,
            script: Script::default(),
            registry,
            folder,
            bundle,
            shutdown,
            running,
            port,
            operator_port,
        }
    }

    pub(crate) fn start_operator(&self) -> Operator {
        Operator::start(self.operator_port, self.folder.path(), &self.script)
    }

    /// Nobody in particular.
    pub(crate) fn anybody(&self) -> Caller {
        Caller::new(self.port, &self.bundle.ca, None)
    }

    pub(crate) fn with_certificate(&self, pair: (String, String)) -> Caller {
        Caller::new(self.port, &self.bundle.ca, Some(pair))
    }

    /// The HPA controller, through the front proxy.
    pub(crate) fn hpa(&self) -> Caller {
        self.through_proxy("system:serviceaccount:kube-system:horizontal-pod-autoscaler")
            .with("X-Remote-Group", "system:serviceaccounts")
            .with("X-Remote-Group", "system:authenticated")
    }

    pub(crate) fn through_proxy(&self, user: &str) -> Caller {
        self.with_certificate(self.api.front_proxy("front-proxy-client")).with("X-Remote-User", user)
    }

    pub(crate) async fn becomes_ready(&self) {
        until("ready", || async { self.anybody().connect(b"http/1.1").await.is_ok() }).await;
        until("ready", || async { self.anybody().get("/readyz").await.status == 200 }).await;
    }

    /// The value of a series in the adapter's own metrics.
    pub(crate) fn measured(&self, series: &str) -> Option<f64> {
        let page = self.registry.render();
        page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Path of a metric of the ScaledObject `so`.
pub(crate) fn path_of(metric: &str) -> String {
    format!("{}{metric}?labelSelector=scaledobject.keda.sh%2Fname%3Dso", prefix())
}

/// Up to the metric's name.
pub(crate) fn prefix() -> &'static str {
    "/apis/external.metrics.k8s.io/v1beta1/namespaces/ns/"
}

/// Asks until the answer is yes, for ten seconds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: not in ten seconds");
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
