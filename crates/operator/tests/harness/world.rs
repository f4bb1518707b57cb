//! A cluster in memory with the operator in it, under tokio's paused time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use keda_auth::{Brokers, Settings, azure, gcp};
use keda_operator::{
    Controller, ControllerOptions, Dependencies, Inspector, Instrument, Metrics, Reader, Scope,
};
use keda_scaler::identity::ServiceAccount;
use keda_scaler::{Clock, Environment, Family, Registry, Telemetry, http};
use keda_telemetry::metrics;
use keda_testkit::{ApiServer, Backend, controllers};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    adapter,
    canaries::{self, Canary},
    history::{History, Log},
    kinds::{self, Reference},
    observe,
    source::Source,
};

/// Who does what, as the API server's request log shows it.
pub(crate) const OPERATOR: &str = "system:serviceaccount:keda:keda-operator";
pub(crate) const HPA: &str = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
const ROLLOUT: &str = "system:serviceaccount:kube-system:deployment-controller";
const JOBS: &str = "system:serviceaccount:kube-system:job-controller";
pub(crate) const USER: &str = "jane";
pub(crate) const OBSERVER: &str = "observer";

/// How long an operator that stops may take to say its last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a world is made of.
pub(crate) struct Setup {
    /// The time at which it begins.
    pub start: Timestamp,
    /// How often the HPA controller looks; `None` runs none.
    pub hpa: Option<controllers::HpaOptions>,
    /// Whether workloads follow their spec.
    pub rollout: bool,
    /// Whether they have pods.
    pub pods: bool,
    /// What becomes of Jobs; `None` leaves them as they are.
    pub jobs: Option<controllers::JobLife>,
    pub options: ControllerOptions,
    pub scope: Scope,
    pub families: Vec<&'static Family>,
    /// Puts something around the operator's telemetry.
    pub telemetry: fn(Arc<dyn Telemetry>) -> Arc<dyn Telemetry>,
    /// Keep every version of every object; off where there are thousands.
    pub observe: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            start: keda_testkit::Clock::START,
            hpa: Some(controllers::HpaOptions::default()),
            rollout: true,
            pods: false,
            jobs: None,
            options: ControllerOptions::default(),
            scope: Scope { cluster_object_namespace: Some("keda".to_owned()), ..Scope::default() },
            families: vec![&keda_scalers_http::FAMILY, &keda_scalers_kube::FAMILY],
            telemetry: |telemetry| telemetry,
            observe: true,
        }
    }
}

/// The cluster, the source, and what happened.
pub(crate) struct World {
    pub server: ApiServer,
    pub source: Source,
    pub log: Log,
    pub registry: metrics::Registry,
    setup: Setup,
    began: Instant,
    clock: Clock,
    end: CancellationToken,
    metrics: Arc<metrics::Operator>,
    serving: adapter::Serving,
    running: Option<(Arc<Controller>, CancellationToken)>,
    read: Arc<Mutex<keda_testkit::Mark>>,
    canaries: Mutex<Vec<Canary>>,
}

impl World {
    /// A cluster with KEDA's CRDs and the controllers that scaling needs; no operator yet.
    pub(crate) fn new(setup: Setup) -> Self {
        canaries::listen();
        let server = ApiServer::starting_at(setup.start);
        server.install_crds(keda_api::crds::all()).expect("the CRDs are accepted");
        let end = CancellationToken::new();
        let serving = adapter::Serving::default();
        let backend = Backend::service(adapter::service(serving.clone()));
        server.aggregate("v1beta1.external.metrics.k8s.io", backend).expect("the APIService is accepted");
        if setup.rollout {
            let rollout = controllers::Rollout { pods: setup.pods, ..controllers::Rollout::default() };
            tokio::spawn(controllers::deployments(server.client_for(ROLLOUT), rollout.clone(), end.clone()));
            tokio::spawn(controllers::stateful_sets(server.client_for(ROLLOUT), rollout, end.clone()));
        }
        if let Some(options) = setup.hpa.clone() {
            tokio::spawn(controllers::horizontal_pod_autoscalers(
                server.client_for(HPA),
                options,
                end.clone(),
            ));
        }
        if let Some(life) = setup.jobs.clone() {
            let life = controllers::JobLife { clock: server.clock(), ..life };
            tokio::spawn(controllers::jobs(server.client_for(JOBS), life, end.clone()));
        }
        let registry = metrics::Registry::new();
        let world = World {
            clock: Clock::tokio(setup.start),
            began: Instant::now(),
            source: Source::new(),
            log: Log::default(),
            metrics: Arc::new(metrics::Operator::new(&registry, false)),
            read: Arc::new(Mutex::new(server.mark())),
            registry,
            server,
            setup,
            end,
            serving,
            running: None,
            canaries: Mutex::default(),
        };
        if world.setup.observe {
            for kind in kinds::WATCHED {
                world.observe(kinds::resource(kind));
            }
        }
        world
    }

    /// Follows the objects of a kind in the history.
    pub(crate) fn observe(&self, resource: ApiResource) {
        tokio::spawn(observe::follow(
            self.server.clone(),
            resource,
            self.began,
            self.log.clone(),
            self.end.clone(),
        ));
    }

    /// Starts the operator and waits until its watches are in sync.
    pub(crate) async fn start_operator(&mut self) {
        assert!(self.running.is_none(), "the operator runs already");
        let client = self.server.client_for(OPERATOR);
        let (told, mut decisions) = mpsc::unbounded_channel();
        let http = Arc::new(http::Coalescing::new(self.source.clone()));
        let kube = Arc::new(Reader::new(client.clone()));
        // As in a pod that Azure's webhook left alone.
        let own = ServiceAccount { namespace: "keda".to_owned(), name: "keda-operator".to_owned() };
        let identities = Settings {
            aws: keda_auth::aws::Settings::read(|_| None),
            azure: azure::Settings::read(|_| None, Some(own.clone())),
            google: gcp::Settings::read(|_| None, Some(own)),
        };
        let environment = Environment {
            tokens: Arc::new(Brokers::new(identities, http.clone(), kube.clone(), self.clock)),
            http,
            grpc: keda_scaler::grpc::Channels::new(http::Settings::default()),
            clock: self.clock,
            kube,
            telemetry: (self.setup.telemetry)(Arc::new(Instrument::new(Arc::clone(&self.metrics)))),
        };
        let dependencies = Dependencies {
            client,
            registry: Arc::new(Registry::new(&self.setup.families)),
            environment,
            metrics: Arc::clone(&self.metrics),
            decisions: Some(told),
        };
        let controller = Controller::new(self.setup.options.clone(), self.setup.scope.clone(), dependencies);
        let shutdown = self.end.child_token();
        controller.start(&shutdown).await;
        self.serving.set(Some(Metrics::new(Arc::clone(&controller))));
        self.running = Some((controller, shutdown));
        let (log, began) = (self.log.clone(), self.began);
        tokio::spawn(async move {
            while let Some(decided) = decisions.recv().await {
                log.lock().decided(began.elapsed(), decided);
            }
        });
    }

    /// Stops the operator: with the chance to end what it is at, or as `kill -9` does it.
    pub(crate) async fn stop_operator(&mut self, killed: bool) {
        let Some((controller, shutdown)) = self.running.take() else { return };
        self.serving.set(None);
        shutdown.cancel();
        if !killed {
            controller.stopped().await;
            controller.flush(LAST_WORDS).await;
        }
    }

    /// The metrics service of the running operator.
    pub(crate) fn metrics(&self) -> Metrics {
        self.serving.get().expect("the operator runs")
    }

    /// What the running operator knows of its objects.
    pub(crate) fn inspector(&self) -> Inspector {
        Inspector::of(&self.running.as_ref().expect("the operator runs").0)
    }

    /// What has passed since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn start(&self) -> Timestamp {
        self.setup.start
    }

    /// Lets time pass until an offset from the start.
    pub(crate) async fn until(&self, offset: Duration) {
        tokio::time::sleep_until(self.began + offset).await;
    }

    /// Says something in the timeline.
    pub(crate) fn say(&self, line: impl Into<String>) {
        self.log.lock().say(self.elapsed(), line);
    }

    pub(crate) fn user(&self) -> Client {
        self.server.client_for(USER)
    }

    fn api(&self, reference: &Reference) -> Api<DynamicObject> {
        if reference.namespaced {
            Api::namespaced_with(self.user(), &reference.namespace, &reference.resource)
        } else {
            Api::all_with(self.user(), &reference.resource)
        }
    }

    /// Creates an object, or merges it into the one that is there: what `kubectl apply` comes to.
    pub(crate) async fn apply(&self, manifest: &Value) -> Result<(), kube::Error> {
        let reference = Reference::of(manifest);
        self.canaries.lock().unwrap_or_else(PoisonError::into_inner).extend(Canary::of(manifest));
        if reference.resource.kind == "CustomResourceDefinition" {
            self.server.seed(manifest).expect("the CRD is accepted");
            return Ok(());
        }
        let api = self.api(&reference);
        let object: DynamicObject = serde_json::from_value(manifest.clone()).expect("a manifest");
        match api.create(&PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
                let patch = Patch::Merge(manifest);
                api.patch(&reference.name, &PatchParams::default(), &patch).await.map(|_| ())
            }
            created => created.map(|_| ()),
        }
    }

    /// Merges a JSON merge patch into an object, as the user.
    pub(crate) async fn patch(&self, reference: &str, patch: &Value) -> Result<(), kube::Error> {
        let reference = Reference::parse(reference);
        let patch = Patch::Merge(patch);
        self.api(&reference).patch(&reference.name, &PatchParams::default(), &patch).await.map(|_| ())
    }

    /// Deletes an object, as the user.
    pub(crate) async fn delete(&self, reference: &str) -> Result<(), kube::Error> {
        let reference = Reference::parse(reference);
        self.api(&reference).delete(&reference.name, &DeleteParams::default()).await.map(|_| ())
    }

    /// Moves the operator's newest writes from the server's log into the history, which has no limit.
    pub(crate) fn collect_writes(&self) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = self.server.writes_since(*read);
        *read = self.server.mark();
        let mut history = self.log.lock();
        for write in writes.into_iter().filter(|write| write.user == OPERATOR) {
            let at = write.at.duration_since(self.setup.start).try_into().unwrap_or_default();
            history.wrote(at, write);
        }
    }

    /// Looks at the history.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        self.collect_writes();
        look(&self.log.lock())
    }

    /// Everything that the operator shows to anybody, by place.
    pub(crate) fn shown(&self) -> Vec<(String, String)> {
        let lines =
            |objects: Vec<&Value>| objects.iter().map(|object| format!("{object}\n")).collect::<String>();
        let stored = self.server.objects();
        let stored = stored.iter().filter(|object| object["kind"] != "Secret").collect();
        vec![
            ("log".to_owned(), canaries::heard()),
            ("metrics".to_owned(), self.registry.render()),
            ("objects".to_owned(), lines(stored)),
            ("history".to_owned(), self.seen(|history| lines(history.everything().collect()))),
        ]
    }

    /// Where secrets of this test are shown.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let mut canaries = self.canaries.lock().unwrap_or_else(PoisonError::into_inner).clone();
        canaries.extend(self.server.objects().iter().flat_map(Canary::of));
        canaries.dedup();
        if canaries.is_empty() {
            return Vec::new();
        }
        let shown = self.shown();
        canaries.iter().flat_map(|canary| canary.shown_in(&shown)).collect()
    }

    /// Puts a text into the metrics.
    pub(crate) fn show_in_metrics(&self, text: &str) {
        self.metrics.leader(text, true);
    }

    /// Ends everything.
    ///
    /// # Panics
    /// When a secret of the test was shown anywhere.
    pub(crate) async fn finish(&mut self) {
        self.stop_operator(false).await;
        self.collect_writes();
        self.end.cancel();
        for reason in self.seen(|history| history.reasons()) {
            let listed = keda_cluster::reasons::REASONS.iter().any(|known| known.word == reason);
            assert!(listed, "{reason} is not in the list of events (crates/cluster/src/reasons.rs)");
        }
        let leaks = self.leaks();
        assert!(leaks.is_empty(), "secrets were shown:\n{}", leaks.join("\n"));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end.cancel();
    }
}
