//! What all tasks share, and the place where watches meet tasks.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use jiff::Timestamp;
use keda_auth::{Files, Stores};
use keda_core::{decide::Decision, invariants::Violation};
use keda_scaler::{Environment, Registry};
use keda_telemetry::metrics;
use kube::Client;
use tokio::{
    sync::{Semaphore, SemaphorePermit, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    authentications::{AuthenticationKind, Authentications},
    cloud_events::{self, Sources},
    cluster::Cluster,
    credentials::{Credentials, Read},
    events::{self, Listener, Notice, Recorder, Writer},
    index::{Index, ObjectKey},
    kind::{ObjectKind, Scaled},
    object::Object,
    options::ControllerOptions,
    raw_metrics::RawMetrics,
    reader::Reader,
    samples::{ObjectHandle, TriggerSet},
    status::Ledger,
    watch,
};

mod reports;

/// The first wait before a task that panicked is started again; it doubles up to [`LAST_RESTART`].
const FIRST_RESTART: Duration = Duration::from_secs(1);
const LAST_RESTART: Duration = Duration::from_secs(300);

/// What the controller is given.
pub struct Dependencies {
    /// The API server.
    pub client: Client,
    /// The known trigger types.
    pub registry: Arc<Registry>,
    /// What triggers may use.
    pub environment: Environment,
    /// Metrics under upstream's names.
    pub metrics: Arc<metrics::Operator>,
    /// Told of every decision, as it is made; for the demo, tests and tools.
    pub decisions: Option<mpsc::UnboundedSender<Decided>>,
}

/// A decision and what it was made of.
#[derive(Clone, Debug)]
pub struct Decided {
    /// When.
    pub time: Timestamp,
    /// For which ScaledObject.
    pub object: ObjectKey,
    /// What was decided, why, and on which readings.
    pub decision: Decision,
    /// Which promise of `keda_core::invariants` it breaks; never any, or there is a defect.
    pub broken: Option<Violation>,
}

/// The watch, reconcile, poll loop of one operator, without its sockets.
pub struct Controller {
    options: ControllerOptions,
    scope: Scope,
    registry: Arc<Registry>,
    environment: Environment,
    metrics: Arc<metrics::Operator>,
    reconciled: metrics::Reconciles,
    jobs_reconciled: metrics::Reconciles,
    raw_metrics: RawMetrics,
    decisions: Option<mpsc::UnboundedSender<Decided>>,
    cluster: Cluster,
    index: Index,
    authentications: Authentications,
    credentials: Credentials,
    stores: Stores,
    cloud_events: Arc<Sources>,
    recorder: Recorder,
    writer: std::sync::Mutex<Option<Writer>>,
    reconciles: Semaphore,
    job_reconciles: Semaphore,
    tasks: TaskTracker,
    epoch: Instant,
}

/// Which objects this operator looks after, and where cluster-wide secrets live.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Namespaces to watch; empty means all.
    pub namespaces: Vec<String>,
    /// Label selector for ScaledObjects and HPAs.
    pub label_selector: Option<String>,
    /// Label selector for TriggerAuthentications.
    pub trigger_authentication_selector: Option<String>,
    /// Where a ClusterTriggerAuthentication's Secrets and ConfigMaps live.
    pub cluster_object_namespace: Option<String>,
}

impl Scope {
    /// Whether this operator may see only some of the objects that refer to an authentication of this kind.
    pub(crate) fn is_partial(&self, kind: AuthenticationKind) -> bool {
        self.label_selector.is_some() || (kind == AuthenticationKind::Cluster && !self.namespaces.is_empty())
    }
}

impl Controller {
    /// A controller that has not started yet.
    #[must_use]
    pub fn new(options: ControllerOptions, scope: Scope, dependencies: Dependencies) -> Arc<Self> {
        let Dependencies { client, registry, environment, metrics, decisions } = dependencies;
        let (recorder, writer) = Recorder::new(client.clone(), environment.clock, "keda-operator");
        let stores = Stores::new(
            environment.http.clone(),
            environment.tokens.clone(),
            environment.kube.clone(),
            environment.clock,
            options.vault.clone(),
        );
        let settings = cloud_events::Settings {
            cluster_name: options.cluster_name.clone(),
            cluster_object_namespace: scope.cluster_object_namespace.clone(),
            files: options.file_root.clone().map_or(Files::Off, Files::Below),
            stores: stores.clone(),
            bound_token_lifetime: options.bound_token_lifetime,
            destinations: options.destinations.clone(),
            // As [`Controller::reader`] has them.
            secrets_of: options
                .restrict_secret_access
                .then(|| scope.cluster_object_namespace.clone().unwrap_or_default()),
            authentication_selector: scope.trigger_authentication_selector.clone(),
        };
        let cloud_events =
            Arc::new(Sources::new(client.clone(), environment.clone(), Arc::clone(&metrics), settings));
        Arc::new(Controller {
            reconciles: Semaphore::new(options.max_reconciles.max(1)),
            raw_metrics: RawMetrics::new(options.raw_metrics),
            job_reconciles: Semaphore::new(options.max_job_reconciles.max(1)),
            reconciled: metrics.reconciles("scaledobject", options.max_reconciles.max(1)),
            jobs_reconciled: metrics.reconciles("scaledjob", options.max_job_reconciles.max(1)),
            options,
            scope,
            registry,
            environment,
            metrics,
            decisions,
            cluster: Cluster::new(client),
            index: Index::default(),
            authentications: Authentications::default(),
            credentials: Credentials::default(),
            stores,
            recorder: recorder.heard_by(Arc::clone(&cloud_events) as Arc<dyn Listener>),
            cloud_events,
            writer: std::sync::Mutex::new(Some(writer)),
            tasks: TaskTracker::new(),
            epoch: Instant::now(),
        })
    }

    /// Starts the watches and, through them, a task an object. Returns when the first lists are complete; everything
    /// ends when `shutdown` is cancelled, and [`Controller::stopped`] waits for that.
    pub async fn start(self: &Arc<Self>, shutdown: &CancellationToken) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut writer) = writer {
            let (controller, shutdown) = (Arc::clone(self), shutdown.clone());
            self.tasks.spawn(async move {
                writer.run(&shutdown).await;
                // For the flush.
                *controller.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
            });
        }
        watch::start(self, shutdown).await;
        // Not before: until everything has been listed, whoever refers to an authentication may be missing.
        let controller = Arc::clone(self);
        let shutdown = shutdown.clone();
        self.tasks.spawn(async move {
            let work = Box::pin(controller.authentications.work(&controller));
            let follow = Box::pin(controller.credentials.follow(&controller));
            shutdown.run_until_cancelled(futures::future::join(work, follow)).await;
        });
    }

    /// Waits until every task has ended, after the shutdown. Nothing is decided or scaled from here on.
    pub async fn stopped(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// After [`Controller::stopped`]: writes the events that wait, and sends the CloudEvents, within a time for each.
    pub async fn flush(&self, within: Duration) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let write = async {
            if let Some(writer) = writer {
                writer.flush(within).await;
            }
        };
        futures::future::join(write, self.cloud_events.flush(within)).await;
    }

    pub(crate) fn options(&self) -> &ControllerOptions {
        &self.options
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(crate) fn metrics(&self) -> &metrics::Operator {
        &self.metrics
    }

    /// Who subscribed to values of triggers.
    pub(crate) fn raw_metrics(&self) -> &RawMetrics {
        &self.raw_metrics
    }

    /// Counts the reconciles of a kind.
    pub(crate) fn reconciled(&self, kind: ObjectKind) -> &metrics::Reconciles {
        match kind {
            ObjectKind::ScaledObject => &self.reconciled,
            ObjectKind::ScaledJob => &self.jobs_reconciled,
        }
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn client(&self) -> Client {
        self.cluster.client()
    }

    /// A reader under the process's limits, which remembers nothing yet.
    pub(crate) fn reader(&self) -> Reader {
        let own = self.scope.cluster_object_namespace.clone();
        // Without a namespace nothing may be read.
        let secrets_of = self.options.restrict_secret_access.then(|| own.unwrap_or_default());
        Reader::new(self.client())
            .secrets_of(secrets_of)
            .authentications_with(self.scope.trigger_authentication_selector.clone())
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The secret stores outside of the cluster.
    pub(crate) fn stores(&self) -> &Stores {
        &self.stores
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.environment.clock.now()
    }

    /// The watched namespaces; one `None` for all.
    pub(crate) fn namespaces(&self) -> Vec<Option<String>> {
        if self.scope.namespaces.is_empty() {
            return vec![None];
        }
        self.scope.namespaces.iter().cloned().map(Some).collect()
    }

    pub(crate) fn tell(&self, decided: Decided) {
        if let Some(decisions) = &self.decisions {
            // Nobody listens any more: a demo or a test that has seen enough.
            let _unheard = decisions.send(decided);
        }
    }

    /// A place among the reconciles that may be under way; never refused, as the semaphore is never closed.
    pub(crate) async fn reconcile_permit(&self, kind: ObjectKind) -> Option<SemaphorePermit<'_>> {
        let reconciles = match kind {
            ObjectKind::ScaledObject => &self.reconciles,
            ObjectKind::ScaledJob => &self.job_reconciles,
        };
        reconciles.acquire().await.ok()
    }

    /// The first instant after `from` that lies `offset` into an interval, counted from the start of this process.
    pub(crate) fn next_beat(&self, from: Instant, interval: Duration, offset: Duration) -> Instant {
        let elapsed = from.saturating_duration_since(self.epoch).as_nanos();
        let interval = interval.as_nanos().max(1);
        let offset = offset.as_nanos() % interval;
        let into = (elapsed + interval - offset) % interval;
        let wait = u64::try_from(interval - into).unwrap_or(u64::MAX);
        from + Duration::from_nanos(wait)
    }

    /// Gives an object other triggers, or none, and keeps the count of registered triggers and the series in line.
    pub(crate) fn use_triggers<K: Scaled>(
        &self,
        handle: &ObjectHandle<K>,
        triggers: Option<Arc<TriggerSet>>,
    ) {
        let before = handle.triggers();
        for slot in before.iter().flat_map(|set| &set.slots) {
            self.metrics.triggers(slot.parsed.trigger_type(), -1);
        }
        for slot in triggers.iter().flat_map(|set| &set.slots) {
            self.metrics.triggers(slot.parsed.trigger_type(), 1);
        }
        if before.is_some() {
            K::forget_triggers(&self.metrics, &handle.key);
        }
        if let Some(triggers) = &triggers {
            self.show_triggers(handle, triggers);
        }
        handle.set_triggers(triggers);
    }

    /// The series that are there before anything was sampled: errors at zero, and what the HPA reads by itself, which is
    /// always active. Under a formula no trigger is.
    fn show_triggers<K: Scaled>(&self, handle: &ObjectHandle<K>, triggers: &TriggerSet) {
        let ObjectKey { namespace, name } = &handle.key;
        K::succeeded(&self.metrics, &handle.key);
        let job = K::WORDS.kind == ObjectKind::ScaledJob;
        if triggers.modifiers.is_some() {
            return;
        }
        for slot in triggers.slots.iter().filter(|slot| !slot.parsed.is_sampled()) {
            let (scaler, index) = (slot.parsed.label(), slot.parsed.context().index);
            for spec in slot.parsed.specs() {
                let metric = spec.name();
                let trigger = metrics::Trigger { namespace, metric, object: name, scaler, index, job };
                self.metrics.active(&trigger, true);
            }
        }
    }

    /// Runs an object's task; a panic in it marks the object and starts the task again with backoff. The process and
    /// every other object go on (upstream issues 4413, 7863 and others).
    async fn supervise<K: Scaled>(self: Arc<Self>, handle: Arc<ObjectHandle<K>>) {
        let mut wait = FIRST_RESTART;
        loop {
            // Boxed, as is the rare report: a thousand tasks wait, and what waits should be small.
            let began = Instant::now();
            let task = Box::pin(Object::new(Arc::clone(&self), Arc::clone(&handle)).run());
            let Err(panic) = AssertUnwindSafe(task).catch_unwind().await else { break };
            self.use_triggers(&handle, None);
            Box::pin(self.report_panic(&handle, panic_text(panic.as_ref()))).await;
            if began.elapsed() > LAST_RESTART {
                // It ran well for long: this is a new story.
                wait = FIRST_RESTART;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LAST_RESTART);
        }
        self.use_triggers(&handle, None);
        K::ended(&self, &handle.uid);
        self.credentials.used_by(&(K::WORDS.kind, handle.key.clone()), Read::new());
        self.metrics.resources(K::WORDS.resource, &handle.key.namespace, -1);
        // A newer object of the same name has series of its own.
        if K::handles(&self.index).get(&handle.key).is_none_or(|current| current.uid == handle.uid) {
            K::forget(&self.metrics, &handle.key);
        }
    }

    async fn report_panic<K: Scaled>(&self, handle: &ObjectHandle<K>, text: &str) {
        let message = format!("internal error in keda-rs, this object is retried with backoff: {text}");
        tracing::error!(logger = "scale_handler", object = %handle.key, error = text, "the object's task panicked");
        let input = handle.inbox.borrow().clone();
        let object = input.object;
        let notice = Notice::warning(K::WORDS.check_failed, message.clone());
        self.recorder.publish(events::reference(object.as_ref()), notice);
        let mut status = Ledger::<K>::new(input.stored);
        status.set(K::check_failed(&message));
        if let Err(error) = status.flush(&self.cluster, &handle.key, &handle.uid).await {
            tracing::error!(logger = "scale_handler", object = %handle.key, error = %error, "failed to write the status");
        }
    }
}

/// What a panic said; panics of other types than text say nothing.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
