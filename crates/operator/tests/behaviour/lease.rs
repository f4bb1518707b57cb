//! Two operators and one Lease, in real time and over a real socket for the metrics service.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::Lease;
use keda_api::ConditionStatus;
use keda_operator::{
    ControllerOptions, Decided, Dependencies, Health, Instrument, LeaderElection, Options, Reader,
};
use keda_scaler::{Clock, Environment, Registry};
use keda_telemetry::metrics;
use keda_testkit::ApiServer;
use tokio::{runtime::Runtime, sync::mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    condition,
    harness::{Source, deployment, prometheus, scaled_object},
};

const LEASE: &str = "operator.keda.sh";
/// Long enough that a hand-over and an expiry cannot be mistaken for each other, on a busy machine too.
const LEASE_DURATION: Duration = Duration::from_secs(6);

/// One operator process, as far as a test can have one: a runtime of its own.
struct Process {
    runtime: Runtime,
    shutdown: CancellationToken,
    health: Arc<Health>,
    decisions: mpsc::UnboundedReceiver<Decided>,
}

impl Process {
    fn start(identity: &str, server: &ApiServer, source: &Source, folder: &std::path::Path) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = server.client_for(identity);
        let (told, decisions) = mpsc::unbounded_channel();
        let registry = metrics::Registry::new();
        let metrics = Arc::new(metrics::Operator::new(&registry, false));
        let dependencies = Dependencies {
            client: client.clone(),
            registry: Arc::new(Registry::new(&[&keda_scalers_http::FAMILY])),
            environment: Environment {
                http: Arc::new(source.clone()),
                grpc: keda_scaler::grpc::Channels::new(keda_scaler::http::Settings::default()),
                clock: Clock::system(),
                kube: Arc::new(Reader::new(client)),
                tokens: Arc::new(keda_scaler::identity::NoTokens),
                telemetry: Arc::new(Instrument::new(Arc::clone(&metrics))),
            },
            metrics,
            decisions: Some(told),
        };
        let options = Options {
            inspector: Default::default(),
            watch_namespaces: Vec::new(),
            label_selector: None,
            trigger_authentication_selector: None,
            pod_namespace: "keda".to_owned(),
            cluster_object_namespace: None,
            leader_election: Some(LeaderElection {
                lease: LEASE.to_owned(),
                identity: identity.to_owned(),
                lease_duration: LEASE_DURATION,
                renew_deadline: Duration::from_secs(4),
                retry_period: Duration::from_millis(500),
            }),
            metrics_service_address: "127.0.0.1:0".parse().unwrap(),
            cert_dir: folder.to_owned(),
            certificate_names: vec!["localhost".to_owned()],
            rotation: None,
            controller: ControllerOptions::default(),
        };
        let (shutdown, health) = (CancellationToken::new(), Arc::new(Health::default()));
        runtime.spawn(keda_operator::run(options, dependencies, Arc::clone(&health), shutdown.clone()));
        Process { runtime, shutdown, health, decisions }
    }

    /// As `kill -9` ends it.
    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

fn holder(server: &ApiServer) -> Option<String> {
    let lease: Lease = server.read("keda", LEASE)?;
    lease.spec?.holder_identity.filter(|holder| !holder.is_empty())
}

/// Waits until it holds; how long that took.
fn wait(what: &str, holds: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

#[test]
fn a_standby_takes_over_at_once_after_a_clean_exit_and_soon_after_a_kill_4212_2836() {
    keda_tls::install_provider();
    let folder = std::env::temp_dir().join(format!("keda-rs-lease-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let names = ["localhost".to_owned()];
    let now = std::time::SystemTime::now();
    let kind = keda_tls::make::KeyKind::EcdsaP256;
    keda_tls::generate(&names, kind, now).unwrap().write_to(&folder).unwrap();

    // The cluster outlives the operators.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let server = ApiServer::starting_at(jiff::Timestamp::now());
    server.install_crds(keda_api::crds::all()).unwrap();
    let namespace =
        serde_json::json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "keda" } });
    server.seed(&namespace).unwrap();
    let source = Source::new();
    source.set("load", 5.0);
    server.seed(&deployment("web", 0)).unwrap();
    let mut object = scaled_object("web", &[prometheus("load")]);
    object["spec"]["pollingInterval"] = 1.into();
    server.seed(&object).unwrap();

    let first = Process::start("first", &server, &source, &folder);
    wait("the first leads", || holder(&server).as_deref() == Some("first"));
    wait("the object is ready", || {
        server
            .read::<keda_api::ScaledObject>("default", "web")
            .and_then(|object| object.status)
            .is_some_and(|status| status.conditions.is_some())
    });
    assert_eq!(condition(&server, "web", "Ready").status, ConditionStatus::True);
    let mut second = Process::start("second", &server, &source, &folder);
    wait("a standby is ready to serve", || second.health.ready().is_ok());
    std::thread::sleep(Duration::from_millis(1200));
    assert!(second.decisions.try_recv().is_err(), "a standby decides nothing");
    assert_eq!(holder(&server).as_deref(), Some("first"));

    first.shutdown.cancel();
    let handed_over = wait("the second leads", || holder(&server).as_deref() == Some("second"));
    assert!(handed_over < Duration::from_secs(4), "{handed_over:?} of a lease of {LEASE_DURATION:?}");
    wait("the second decides", || !second.decisions.is_empty());
    first.kill();

    let third = Process::start("third", &server, &source, &folder);
    wait("another standby", || third.health.ready().is_ok());
    second.kill();
    let took_over = wait("the third leads", || holder(&server).as_deref() == Some("third"));
    assert!(took_over < 2 * LEASE_DURATION, "{took_over:?} of a lease of {LEASE_DURATION:?}");
    wait("the third decides", || !third.decisions.is_empty());
    third.kill();
    let _left_behind = std::fs::remove_dir_all(&folder);
}
