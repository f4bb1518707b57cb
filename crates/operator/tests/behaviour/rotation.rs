//! An operator that keeps its own certificates: from an empty cluster to calls over mutual TLS, without files and without a
//! restart, and through a renewal.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use k8s_openapi::api::core::v1::Secret;
use keda_metrics_service::api::{ScaledObjectRef, metrics_service_client::MetricsServiceClient};
use keda_operator::{ControllerOptions, Dependencies, Instrument, Options, Reader, Rotation};
use keda_scaler::{Clock, Environment, Registry};
use keda_telemetry::metrics;
use keda_testkit::ApiServer;
use keda_tls::{Connector, Files, Folder, Policy, make::KeyKind};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use crate::harness::{Source, deployment, prometheus, scaled_object};

const SECRET: &str = "kedaorg-certs";

fn options(port: u16) -> Options {
    Options {
        inspector: Default::default(),
        watch_namespaces: Vec::new(),
        label_selector: None,
        trigger_authentication_selector: None,
        pod_namespace: "keda".to_owned(),
        cluster_object_namespace: None,
        leader_election: None,
        metrics_service_address: ([127, 0, 0, 1], port).into(),
        cert_dir: "/proc/nowhere".into(),
        certificate_names: Vec::new(),
        rotation: Some(Rotation {
            secret: SECRET.to_owned(),
            names: vec!["keda-operator".to_owned(), "localhost".to_owned()],
            api_service: false,
            webhooks: None,
            key: KeyKind::Rsa2048,
        }),
        controller: ControllerOptions::default(),
    }
}

/// Puts what the Secret holds into a client's folder, as the kubelet would; false while there is nothing.
fn project(server: &ApiServer, folder: &Folder) -> bool {
    let data = server.read::<Secret>("keda", SECRET).and_then(|secret| secret.data).unwrap_or_default();
    let text = |key: &str| data.get(key).map(|bytes| bytes.0.clone()).unwrap_or_default();
    folder.put(Some(&text("ca.crt")), &text("tls.crt"), &text("tls.key")).is_ok()
}

/// A new connection and one call on it.
async fn ask(connector: &Connector, port: u16) -> Result<String, String> {
    let endpoint = Endpoint::from_shared(format!("http://localhost:{port}")).unwrap();
    let channel =
        endpoint.connect_with_connector(connector.clone()).await.map_err(|error| format!("{error:?}"))?;
    let web = ScaledObjectRef {
        name: "web".to_owned(),
        namespace: "default".to_owned(),
        metric_name: "s0-prometheus".to_owned(),
    };
    let answer =
        MetricsServiceClient::new(channel).get_metrics(web).await.map_err(|error| format!("{error:?}"))?;
    let value = answer.into_inner().items.into_iter().next().and_then(|item| item.value);
    Ok(value.map(|quantity| quantity.string).unwrap_or_default())
}

async fn within(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: not within 20 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_made_served_and_renewed_without_a_restart() {
    keda_tls::install_provider();
    let server = ApiServer::starting_at(jiff::Timestamp::now());
    server.install_crds(keda_api::crds::all()).unwrap();
    server
        .seed(&serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keda"}}))
        .unwrap();
    let source = Source::new();
    source.set("load", 5.0);
    server.seed(&deployment("web", 1)).unwrap();
    server.seed(&scaled_object("web", &[prometheus("load")])).unwrap();

    let client = server.client_for("keda-operator");
    let metrics = Arc::new(metrics::Operator::new(&metrics::Registry::new(), false));
    let dependencies = Dependencies {
        client: client.clone(),
        registry: Arc::new(Registry::new(&[&keda_scalers_http::FAMILY])),
        environment: Environment {
            http: Arc::new(source),
            grpc: keda_scaler::grpc::Channels::new(keda_scaler::http::Settings::default()),
            clock: Clock::system(),
            kube: Arc::new(Reader::new(client)),
            tokens: Arc::new(keda_scaler::identity::NoTokens),
            telemetry: Arc::new(Instrument::new(Arc::clone(&metrics))),
        },
        metrics,
        decisions: None,
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let shutdown = CancellationToken::new();
    let operator =
        tokio::spawn(keda_operator::run(options(port), dependencies, Arc::default(), shutdown.clone()));

    let adapter = Folder::awaiting(Files::in_folder("/nonexistent"));
    within("the secret", async || project(&server, &adapter)).await;
    let connector = Connector::new(adapter.clone(), &Policy::default(), None);
    within("the first answer", async || ask(&connector, port).await.as_deref() == Ok("5")).await;

    // The leaf is lost: a new one by the same CA, served at once, to an adapter that still has the old one.
    let old: Secret = server.read("keda", SECRET).unwrap();
    server
        .merge::<Secret>("keda", SECRET, &serde_json::json!({"data": {"tls.crt": "", "tls.key": ""}}))
        .unwrap();
    let renewed = async || {
        assert_eq!(ask(&connector, port).await.as_deref(), Ok("5"), "not one call is refused");
        let now: Secret = server.read("keda", SECRET).unwrap();
        let leaf = |secret: &Secret| secret.data.as_ref().and_then(|data| data.get("tls.crt").cloned());
        leaf(&now).is_some_and(|leaf| !leaf.0.is_empty()) && leaf(&now) != leaf(&old)
    };
    within("the renewal", renewed).await;
    for _ in 0..20 {
        assert_eq!(ask(&connector, port).await.as_deref(), Ok("5"));
    }
    assert!(project(&server, &adapter) && adapter.status().generation == 2);
    assert_eq!(ask(&connector, port).await.as_deref(), Ok("5"));
    let year = Duration::from_secs(364 * 24 * 3600);
    assert!(adapter.status().not_after.is_some_and(|end| end > SystemTime::now() + year));

    assert!(!operator.is_finished(), "the same process all the while");
    shutdown.cancel();
    operator.await.unwrap().unwrap();
}
