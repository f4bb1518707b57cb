//! The demo's stage: an embedded cluster on a socket, and the real operator and adapter against it.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use keda_api::{ConditionStatus, Quantity, ScaledObject};
use keda_core::autoscale::Outcome;
use keda_core::decide::shown;
use keda_operator::{ControllerOptions, Decided, Dependencies, Health, Instrument, Options, Reader};
use keda_scaler::{Clock, Environment, http};
use keda_telemetry::metrics;
use keda_testkit::{
    ApiServer, Backend,
    controllers::{self, HpaOptions, Rescale},
    source::Prometheus,
};
use kube::{Api, Client, Config};
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{Source, print::Line};

/// The query of the embedded source.
pub(crate) const QUERY: &str = "sum(rate(http_requests_total[1m]))";
/// Where the demo's objects are.
pub(crate) const NAMESPACE: &str = "demo";
const NAME: &str = "web";
/// The ScaledObject, as people write it.
pub(crate) const OBJECT: &str = "demo/web";
const LOCAL: &str = "127.0.0.1:0";
/// Everything that runs, and what it does.
pub(crate) struct Stage {
    decisions: mpsc::UnboundedReceiver<Decided>,
    rescales: mpsc::UnboundedReceiver<Rescale>,
    source: Source,
    cluster: ApiServer,
    address: SocketAddr,
    /// The last thing that the operator said, by object.
    said: HashMap<String, Said>,
}

/// What the operator last said about an object.
#[derive(Clone, Debug, Default)]
struct Said {
    value: Option<f64>,
    target: Option<f64>,
    why: String,
}

/// The demo's Deployment now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replicas {
    pub(crate) asked: i32,
    pub(crate) ready: i32,
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
        let rollout = controllers::Rollout { delay: Duration::from_millis(200), pods: true };
        tokio::spawn(controllers::deployments(connect()?, rollout.clone(), end.clone()));
        tokio::spawn(controllers::stateful_sets(connect()?, rollout, end.clone()));
        let (tell, rescales) = mpsc::unbounded_channel();
        let options = HpaOptions {
            sync_period: Duration::from_secs(1),
            clock: cluster.clock(),
            rescales: Some(tell),
            ..HpaOptions::default()
        };
        tokio::spawn(controllers::horizontal_pod_autoscalers(connect()?, options, end.clone()));

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
        let token = end.clone();
        tokio::spawn(async move {
            // The folder lives as long as the demo.
            token.cancelled().await;
            drop(certificates);
        });
        Ok(Stage { decisions, rescales, source: source.clone(), cluster, address, said: HashMap::new() })
    }

    /// Where the API server listens, for kubectl.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The demo's Deployment; nothing while it does not exist.
    pub(crate) fn replicas(&self) -> Replicas {
        let Some(deployment) = self.cluster.read::<Deployment>(NAMESPACE, NAME) else {
            return Replicas::default();
        };
        let ready = deployment.status.and_then(|status| status.ready_replicas).unwrap_or(0);
        Replicas { asked: deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1), ready }
    }

    /// What the operator last read for the demo's object, and its target.
    pub(crate) fn reading(&self) -> (Option<f64>, f64) {
        let said = self.said.get(OBJECT);
        let target = said.and_then(|said| said.target).unwrap_or(self.source.threshold);
        (said.and_then(|said| said.value), target)
    }

    /// The next thing that happened, if it is worth a line; `None` inside when it is not. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>> {
        tokio::select! {
            biased;
            decided = self.decisions.recv() => {
                let decided = decided.context("no more decisions")?;
                Ok(self.operator_decided(&decided))
            }
            rescale = self.rescales.recv() => {
                let rescale = rescale.context("the HPA controller stopped")?;
                Ok(self.hpa_rescaled(&rescale))
            }
        }
    }

    fn operator_decided(&mut self, decided: &Decided) -> Option<Line> {
        let (decision, object) = (&decided.decision, decided.object.to_string());
        let said = self.said.entry(object.clone()).or_default();
        let reading = decision.readings.first();
        said.value = reading.map(|reading| shown(reading.value));
        said.target = reading.and_then(|reading| reading.target.as_ref()).map(Quantity::as_f64);
        let why = format!("{:?}", decision.why);
        let (from, to) = match decision.action.change() {
            Some(change) => change,
            // Without an action only a change of reason is news.
            None if said.why == why => return None,
            None => (decision.replicas.unwrap_or(0), decision.replicas.unwrap_or(0)),
        };
        said.why = why;
        Some(self.line(object, "operator", (from, to), decision.to_string()))
    }

    fn hpa_rescaled(&self, rescale: &Rescale) -> Option<Line> {
        let change = rescale.outcome.change()?;
        let name = rescale.name.strip_prefix("keda-hpa-").unwrap_or(&rescale.name);
        Some(self.line(format!("{}/{name}", rescale.namespace), "hpa", change, in_short(&rescale.outcome)))
    }

    fn line(&self, object: String, by: &'static str, (from, replicas): (i32, i32), reason: String) -> Line {
        let said = self.said.get(&object).cloned().unwrap_or_default();
        let target = said.target.unwrap_or(self.source.threshold);
        Line { time: jiff::Timestamp::now(), object, value: said.value, target, from, replicas, by, reason }
    }
}

/// Why an autoscaler changed its target, without the selectors that make its own words long.
fn in_short(outcome: &Outcome) -> String {
    let cause = match (outcome.cause.split_once('('), outcome.cause.is_empty()) {
        (Some((metric, _)), _) => format!("{metric} above target"),
        (None, true) => "recent recommendations".to_owned(),
        (None, false) => outcome.cause.clone(),
    };
    let asked = outcome.proposed.map(|proposed| format!(", metrics ask for {proposed}"));
    let limited =
        outcome.condition("ScalingLimited").filter(|limited| limited.status == ConditionStatus::True);
    let limited = limited.and_then(|limited| limited.message.as_ref()).map(|message| format!(", {message}"));
    format!("{cause}{}{}", asked.unwrap_or_default(), limited.unwrap_or_default())
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
        grpc: keda_scaler::grpc::Channels::new(http::Settings::default()),
        clock: Clock::system(),
        kube: Arc::new(Reader::new(client.clone())),
        tokens: Arc::new(keda_scaler::identity::NoTokens),
        telemetry: Arc::new(Instrument::new(Arc::clone(&metrics))),
    };
    let options = Options {
        inspector: keda_operator::Inspector::default(),
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
