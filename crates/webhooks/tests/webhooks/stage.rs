//! Everything put up: API server, webhooks, certificates.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use keda_telemetry::metrics::{self, Registry};
use keda_testkit::{ApiServer, builders};
use keda_tls::{Bundle, generate, make::KeyKind};
use keda_webhooks::{Dependencies, Options, Readiness};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Verdict, review};

pub(crate) const SCALED_OBJECT: &str = "/validate-keda-sh-v1alpha1-scaledobject";

pub(crate) struct Stage {
    pub(crate) api: ApiServer,
    pub(crate) registry: Registry,
    pub(crate) folder: TempDir,
    pub(crate) bundle: Bundle,
    pub(crate) ready: Readiness,
    pub(crate) port: u16,
    shutdown: CancellationToken,
}

impl Stage {
    /// A Deployment `shop/app` with a request of cpu, a StatefulSet `shop/db` without, and the webhooks in sync.
    pub(crate) async fn up() -> Self {
        let api = server();
        let stage = Self::with(api, |_| {}).await;
        stage.becomes_ready().await;
        stage
    }

    pub(crate) async fn with(api: ApiServer, adjust: impl FnOnce(&mut Options)) -> Self {
        keda_tls::install_provider();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let bundle = generate(&names, KeyKind::EcdsaP256, std::time::SystemTime::now()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        bundle.write_to(folder.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut options = Options::default();
        options.cert_dir = folder.path().to_owned();
        adjust(&mut options);
        let registry = Registry::new();
        let (ready, shutdown) = (Readiness::default(), CancellationToken::new());
        let dependencies = Dependencies {
            client: api.client_for("system:serviceaccount:keda:keda-webhook"),
            registry: Arc::new(keda_scaler::Registry::new(&[
                &keda_scalers_http::FAMILY,
                &keda_scalers_kube::FAMILY,
            ])),
            metrics: metrics::Webhooks::new(&registry),
            ready: ready.clone(),
        };
        tokio::spawn(keda_webhooks::run_on(listener, options, dependencies, shutdown.clone()));
        Self { api, registry, folder, bundle, ready, port, shutdown }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.port, &self.bundle.ca)
    }

    pub(crate) async fn becomes_ready(&self) {
        until("ready", || self.ready.ready().is_ok()).await;
    }

    /// Asks about a ScaledObject that would be made.
    pub(crate) async fn create(&self, object: &Value) -> Verdict {
        self.client().ask(SCALED_OBJECT, &review("CREATE", object, &Value::Null)).await.verdict()
    }

    pub(crate) async fn update(&self, object: &Value, old: &Value) -> Verdict {
        self.client().ask(SCALED_OBJECT, &review("UPDATE", object, old)).await.verdict()
    }

    /// The value of a series.
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

pub(crate) fn server() -> ApiServer {
    let api = ApiServer::new();
    api.install_crds(keda_api::crds::all()).unwrap();
    api.seed(&builders::with(
        builders::deployment("shop", "app", 1),
        requests(&json!({"requests": {"cpu": "100m"}})),
    ))
    .unwrap();
    api.seed(&builders::stateful_set("shop", "db", 1)).unwrap();
    api
}

/// A change of a workload: what its only container asks for.
pub(crate) fn requests(resources: &Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app:1", "resources": resources}]}}}})
}

/// A ScaledObject `shop/web` on Deployment `app`, as an API server would hand it over, with a change.
pub(crate) fn object(change: Value) -> Value {
    let object =
        builders::scaled_object("shop", "web", "app", [builders::cron("UTC", "0 8 * * *", "0 18 * * *", 3)]);
    let stored = json!({"metadata": {
        "uid": "4d2c1b1e-9c5b-4f0e-8f7f-0d9a3f3b5a11", "generation": 1, "creationTimestamp": "2026-11-24T10:00:00Z"}});
    builders::with(builders::with(object, stored), change)
}

pub(crate) async fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let began = Instant::now();
    while !seen() {
        assert!(began.elapsed() < Duration::from_secs(20), "not {what} within 20 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
