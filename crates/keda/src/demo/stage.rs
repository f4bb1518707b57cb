//! The demo's stage: an embedded cluster on a socket, and the real operator and adapter against it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::apps::v1::Deployment;
use keda_api::ScaledObject;
use keda_core::decide::shown;
use keda_operator::{ControllerOptions, Decided, Dependencies, Health, Instrument, Options, Reader};
use keda_scaler::{Clock, Environment, http};
use keda_telemetry::metrics;
use keda_testkit::{ApiServer, Backend, controllers, source::Prometheus};
use kube::{
    Api, Client, Config,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{Source, print::Line};

/// The query of the embedded source.
pub(crate) const QUERY: &str = "sum(rate(http_requests_total[1m]))";
const NAMESPACE: &str = "demo";
const NAME: &str = "web";
/// The ScaledObject, as people write it.
pub(crate) const OBJECT: &str = "demo/web";
const LOCAL: &str = "127.0.0.1:0";
/// How long a change of the Deployment waits for the operator to say that it was the operator's.
const ATTRIBUTION: Duration = Duration::from_millis(400);

/// Everything that runs, and what it does.
pub(crate) struct Stage {
    decisions: mpsc::UnboundedReceiver<Decided>,
    deployments: BoxStream<'static, watcher::Result<Deployment>>,
    source: Source,
    replicas: i32,
    value: Option<f64>,
    last_reason: Option<String>,
    /// A change of replicas that nobody has claimed yet: before, after, and when it becomes the HPA's.
    unclaimed: Option<(i32, i32, tokio::time::Instant)>,
    /// Replicas that the operator has set and the watch has not shown yet.
    claimed: Option<i32>,
}

/// Starts the embedded source; its address and the handle that sets its values.
pub(crate) async fn serve_source(end: &CancellationToken) -> Result<(String, Prometheus)> {
    let source = Prometheus::new();
    source.set(QUERY, 0.0);
    let listener = TcpListener::bind(LOCAL).await.context("listen for the source")?;
    let address = format!("http://{}", listener.local_addr()?);
    let (served, end) = (source.clone(), end.clone());
    tokio::spawn(async move { served.serve(listener, end).await });
    Ok((address, source))
}

impl Stage {
    /// Starts cluster, operator and adapter, and creates the objects.
    pub(crate) async fn raise(source: &Source, end: &CancellationToken) -> Result<Self> {
        let cluster = ApiServer::with_clock(keda_testkit::Clock::starting_at(jiff::Timestamp::now()));
        cluster.install_crds(keda_api::crds::all()).context("install the CRDs")?;
        for object in objects(source) {
            cluster.seed(&object).context("create the demo's objects")?;
        }
        let listener = TcpListener::bind(LOCAL).await.context("listen for the API server")?;
        let address = listener.local_addr()?;
        let (served, token) = (cluster.clone(), end.clone());
        tokio::spawn(async move { served.serve(listener, token).await });
        let connect = || -> Result<Client> {
            let config =
                Config::new(format!("http://{address}").parse().context("the API server's address")?);
            Client::try_from(config).context("connect to the embedded API server")
        };
        let rollout = controllers::Rollout { delay: Duration::from_millis(200), pods: false };
        tokio::spawn(controllers::deployments(connect()?, rollout, end.clone()));
        let timing = controllers::HpaOptions { sync_period: Duration::from_secs(1), ..Default::default() };
        tokio::spawn(controllers::horizontal_pod_autoscalers(connect()?, timing, end.clone()));

        let certificates = tempfile::tempdir().context("make a folder for certificates")?;
        let metrics_service = free_address().await?;
        let (told, decisions) = mpsc::unbounded_channel();
        start_operator(connect()?, certificates.path(), metrics_service, told, end).await?;
        let adapter = free_address().await?;
        start_adapter(connect()?, certificates.path(), metrics_service, adapter, end)?;
        let ca = std::fs::read_to_string(certificates.path().join("ca.crt")).context("read the CA")?;
        let backend = Backend::https(&adapter.ip().to_string(), adapter.port(), &ca, "localhost")?;
        cluster.aggregate("v1beta1.external.metrics.k8s.io", backend).context("register the metrics API")?;

        // Created last, as a user would: cluster and KEDA are there first.
        let objects: Api<ScaledObject> = Api::namespaced(connect()?, NAMESPACE);
        objects
            .create(&Default::default(), &scaled_object(source)?)
            .await
            .context("create the ScaledObject")?;
        let watched: Api<Deployment> = Api::namespaced(connect()?, NAMESPACE);
        let deployments =
            watcher(watched, watcher::Config::default()).default_backoff().applied_objects().boxed();
        let token = end.clone();
        tokio::spawn(async move {
            // The folder lives as long as the demo.
            token.cancelled().await;
            drop(certificates);
        });
        Ok(Stage {
            decisions,
            deployments,
            source: source.clone(),
            replicas: 0,
            value: None,
            last_reason: None,
            unclaimed: None,
            claimed: None,
        })
    }

    pub(crate) fn replicas(&self) -> i32 {
        self.replicas
    }

    /// The next thing that happened, if it is worth a line; `None` inside when it is not.
    ///
    /// Cancel safe: everything that was received is kept before anything else is awaited.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>> {
        let due = self.unclaimed.map(|(.., due)| due);
        tokio::select! {
            biased;
            decided = self.decisions.recv() => {
                let decided = decided.context("no more decisions")?;
                Ok(self.operator_decided(&decided))
            }
            deployment = self.deployments.next() => {
                if let Some(Ok(deployment)) = deployment {
                    self.deployment_changed(deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1));
                }
                Ok(None)
            }
            () = async { tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)).await }, if due.is_some() => {
                Ok(self.unclaimed.take().map(|(from, to, _)| self.hpa_line(from, to)))
            }
        }
    }

    fn operator_decided(&mut self, decided: &Decided) -> Option<Line> {
        let decision = &decided.decision;
        self.value = decision.readings.first().map(|reading| shown(reading.value));
        let reason = decision.to_string();
        let why = format!("{:?}", decision.why);
        let (from, to) = match decision.action.change() {
            Some((_, to)) => {
                let from = self.unclaimed.take().map_or(self.replicas, |(from, ..)| from);
                self.claimed = (self.replicas != to).then_some(to);
                self.replicas = to;
                (from, to)
            }
            // Without an action only a change of reason is news.
            None if self.last_reason.as_ref() == Some(&why) => return None,
            None => (self.replicas, self.replicas),
        };
        self.last_reason = Some(why);
        Some(self.line("operator", from, to, reason))
    }

    fn deployment_changed(&mut self, replicas: i32) {
        if self.claimed == Some(replicas) {
            self.claimed = None;
            return;
        }
        if replicas != self.replicas {
            let due = tokio::time::Instant::now() + ATTRIBUTION;
            let from = self.unclaimed.map_or(self.replicas, |(from, ..)| from);
            self.unclaimed = Some((from, replicas, due));
            self.replicas = replicas;
        }
    }

    fn hpa_line(&self, from: i32, to: i32) -> Line {
        let value = self.value.map_or_else(|| "?".to_owned(), |value| value.to_string());
        let reason =
            format!("a value of {value} at a target of {} a replica wants {to}", self.source.threshold);
        self.line("hpa", from, to, reason)
    }

    fn line(&self, by: &'static str, from: i32, replicas: i32, reason: String) -> Line {
        Line {
            time: jiff::Timestamp::now(),
            object: OBJECT.to_owned(),
            value: self.value,
            target: self.source.threshold,
            from,
            replicas,
            by,
            reason,
        }
    }
}

async fn start_operator(
    client: Client,
    certificates: &std::path::Path,
    address: SocketAddr,
    decisions: mpsc::UnboundedSender<Decided>,
    end: &CancellationToken,
) -> Result<()> {
    let metrics = Arc::new(metrics::Operator::new(&metrics::Registry::new(), false));
    let environment = Environment {
        http: Arc::new(http::Coalescing::new(http::Client::new(http::Settings::default()))),
        clock: Clock::system(),
        kube: Arc::new(Reader::new(client.clone())),
        telemetry: Arc::new(Instrument::new(Arc::clone(&metrics))),
    };
    let options = Options {
        watch_namespaces: Vec::new(),
        label_selector: None,
        trigger_authentication_selector: None,
        pod_namespace: "keda".to_owned(),
        cluster_object_namespace: Some("keda".to_owned()),
        leader_election: None,
        metrics_service_address: address,
        cert_dir: certificates.to_owned(),
        certificate_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        rotation: None,
        controller: ControllerOptions::default(),
    };
    let dependencies = Dependencies {
        client,
        registry: Arc::new(keda_scalers::registry()),
        environment,
        metrics,
        decisions: Some(decisions),
    };
    let health = Arc::new(Health::default());
    let running = keda_operator::run(options, dependencies, Arc::clone(&health), end.clone());
    tokio::spawn(async move {
        if let Err(error) = running.await {
            tracing::error!(error = %error, "the operator stopped");
        }
    });
    // The adapter needs the certificates that the operator makes at its start.
    for _ in 0..200 {
        if health.ready().is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the operator did not become ready")
}

fn start_adapter(
    client: Client,
    certificates: &std::path::Path,
    metrics_service: SocketAddr,
    address: SocketAddr,
    end: &CancellationToken,
) -> Result<()> {
    let options = keda_adapter::Options {
        secure_address: address,
        metrics_service_address: metrics_service.to_string(),
        cert_dir: certificates.to_owned(),
        tls_cert_file: Some(certificates.join("tls.crt")),
        tls_private_key_file: Some(certificates.join("tls.key")),
        ..keda_adapter::Options::default()
    };
    let dependencies = keda_adapter::Dependencies {
        client,
        metrics: Arc::new(metrics::Adapter::new(&metrics::Registry::new())),
    };
    let running = keda_adapter::run(options, dependencies, end.clone());
    tokio::spawn(async move {
        if let Err(error) = running.await {
            tracing::error!(error = %error, "the adapter stopped");
        }
    });
    Ok(())
}

/// An address that nobody listens on; taken at once afterwards.
async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(LOCAL).await.context("find a free port")?.local_addr()?)
}

/// What a user of a fresh cluster has before KEDA comes.
fn objects(_source: &Source) -> Vec<serde_json::Value> {
    vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": NAME, "namespace": NAMESPACE },
            "spec": {
                "replicas": 0,
                "selector": { "matchLabels": { "app": NAME } },
                "template": {
                    "metadata": { "labels": { "app": NAME } },
                    "spec": { "containers": [{ "name": NAME, "image": "web" }] }
                }
            }
        }),
    ]
}

fn scaled_object(source: &Source) -> Result<ScaledObject> {
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": { "name": NAME, "namespace": NAMESPACE },
        "spec": {
            "scaleTargetRef": { "name": NAME },
            "pollingInterval": 1,
            "cooldownPeriod": 5,
            "maxReplicaCount": 10,
            "advanced": { "horizontalPodAutoscalerConfig": { "behavior": {
                // Kubernetes' own defaults take minutes: five before a scale-in, four pods in 15 s for a scale-out.
                "scaleUp": { "policies": [{ "type": "Pods", "value": 10, "periodSeconds": 15 }] },
                "scaleDown": { "stabilizationWindowSeconds": 0 }
            } } },
            "triggers": [{ "type": "prometheus", "metadata": {
                "serverAddress": source.address,
                "query": source.query,
                "threshold": source.threshold.to_string(),
            } }]
        }
    });
    serde_json::from_value(object).context("compose the ScaledObject")
}
