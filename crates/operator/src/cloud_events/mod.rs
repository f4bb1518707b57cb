//! CloudEvents: what the operator says about objects, sent to whom CloudEventSources name.
//!
//! [`Sources`] hears every event that is recorded (`keda_cluster::events`), and puts those that are CloudEvents
//! (`keda_core::cloud_events`) into the [`queue`] of each source that wants them. That is all that happens in the path of
//! whoever has something to say: a bounded queue and a task a [`source`] do the rest, so a receiver that is slow, away or
//! hostile costs its own source events and nobody anything else. Upstream has one queue for all, and hands every event to every source.
//!
//! A CloudEventSource gets the events of its own namespace, a ClusterCloudEventSource those of all.

mod emission;
mod queue;
mod sink;
mod source;
mod status;

use std::{
    collections::{BTreeMap, HashMap},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use k8s_openapi::api::core::v1::ObjectReference;
use keda_api::cloud_event_source::EventType;
use keda_auth::{Files, Stores};
use keda_core::cloud_events;
use keda_scaler::{Environment, destinations::Policy};
use keda_telemetry::metrics;
use kube::Client;
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{emission::Emission, queue::Queue, source::Source};
use crate::{
    authentications::{self, AuthenticationKey},
    events::{Listener, Notice},
    index::ObjectKey,
    reader::Reader,
};

pub(crate) use self::status::Declared;

/// How long a task that panicked rests.
const REST: Duration = Duration::from_secs(60);
/// Events under way at a time for one source while the process ends.
const LAST_CONCURRENCY: usize = 8;

/// What the process decides for all sources.
pub(crate) struct Settings {
    /// Name of the cluster where a source gives none.
    pub(crate) cluster_name: String,
    /// The operator's namespace, as it stands in the events; also where a ClusterTriggerAuthentication finds its Secrets.
    pub(crate) cluster_object_namespace: Option<String>,
    pub(crate) files: Files,
    pub(crate) stores: Stores,
    pub(crate) bound_token_lifetime: Duration,
    /// Where credentials of the cluster may be sent.
    pub(crate) destinations: Policy,
    /// The one namespace whose Secrets may be read, where there is one.
    pub(crate) secrets_of: Option<String>,
    /// The labels of the authentications that may be used.
    pub(crate) authentication_selector: Option<String>,
}

/// What all tasks share.
pub(crate) struct Context {
    client: Client,
    environment: Environment,
    metrics: Arc<metrics::Operator>,
    settings: Settings,
    handles: Arc<Handles>,
}

/// By namespace (empty for sources of the cluster) and name.
type Handles = RwLock<HashMap<String, BTreeMap<String, Arc<Handle>>>>;

/// One source, as others see it.
struct Handle {
    uid: String,
    inbox: watch::Sender<Input>,
    queue: Mutex<Queue>,
    /// Rung when something was put into the queue.
    wake: Notify,
    /// For the last events of a process.
    sink: Mutex<Option<sink::Shared>>,
    /// Events that were pushed out of the queue since one was delivered.
    dropped: AtomicU64,
}

/// What a source's task looks at.
#[derive(Clone)]
struct Input {
    declared: Arc<Declared>,
    /// Counts changes around it.
    nudges: u64,
    gone: bool,
}

impl Handle {
    fn new(declared: Declared) -> Self {
        Handle {
            uid: declared.uid.clone(),
            inbox: watch::Sender::new(Input { declared: Arc::new(declared), nudges: 0, gone: false }),
            queue: Mutex::default(),
            wake: Notify::new(),
            sink: Mutex::default(),
            dropped: AtomicU64::new(0),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_sink(&self, sink: Option<sink::Shared>) {
        *self.sink.lock().unwrap_or_else(PoisonError::into_inner) = sink;
    }

    fn sink(&self) -> Option<sink::Shared> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    fn wants(&self, event_type: &EventType) -> bool {
        let declared = Arc::clone(&self.inbox.borrow().declared);
        !declared.deleting && cloud_events::is_wanted(declared.spec.event_subscription.as_ref(), event_type)
    }
}

impl Context {
    fn handles(&self) -> std::sync::RwLockReadGuard<'_, HashMap<String, BTreeMap<String, Arc<Handle>>>> {
        self.handles.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader under the process's limits.
    fn reader(&self) -> Reader {
        Reader::new(self.client.clone())
            .secrets_of(self.settings.secrets_of.clone())
            .authentications_with(self.settings.authentication_selector.clone())
    }

    /// Keeps the metric of what waits for the sources of a namespace.
    fn count_waiting(&self, namespace: &str) {
        let handles = self.handles();
        match handles.get(namespace) {
            Some(sources) => {
                let waiting = sources.values().map(|handle| handle.queue().len()).sum();
                self.metrics.cloud_events_queued(namespace, waiting);
            }
            None => self.metrics.forget_cloud_event_queue(namespace),
        }
    }
}

/// The sources of the cluster.
pub(crate) struct Sources {
    context: Arc<Context>,
}

impl Sources {
    pub(crate) fn new(
        client: Client,
        environment: Environment,
        metrics: Arc<metrics::Operator>,
        settings: Settings,
    ) -> Self {
        let handles = Arc::default();
        Sources { context: Arc::new(Context { client, environment, metrics, settings, handles }) }
    }

    /// A source is there, new or different.
    pub(crate) fn applied(
        &self,
        declared: impl Into<Declared>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        let declared = declared.into();
        let ObjectKey { namespace, name } = declared.key.clone();
        let mut handles = self.context.handles.write().unwrap_or_else(PoisonError::into_inner);
        let sources = handles.entry(namespace.clone()).or_default();
        if let Some(handle) = sources.get(&name) {
            if handle.uid == declared.uid {
                handle.inbox.send_modify(|input| input.declared = Arc::new(declared));
                return;
            }
            handle.inbox.send_modify(|input| input.gone = true);
        } else {
            self.context.metrics.resources("cloudevent_source", &namespace, 1);
        }
        let handle = Arc::new(Handle::new(declared));
        sources.insert(name, Arc::clone(&handle));
        drop(handles);
        let supervised = supervise(Arc::clone(&self.context), handle);
        let shutdown = shutdown.clone();
        tasks.spawn(async move { shutdown.run_until_cancelled_owned(supervised).await });
    }

    /// A source is gone, and what waited for it.
    pub(crate) fn removed(&self, key: &ObjectKey) {
        let mut handles = self.context.handles.write().unwrap_or_else(PoisonError::into_inner);
        let Some(sources) = handles.get_mut(&key.namespace) else { return };
        let Some(handle) = sources.remove(&key.name) else { return };
        if sources.is_empty() {
            handles.remove(&key.namespace);
        }
        drop(handles);
        handle.inbox.send_modify(|input| input.gone = true);
        self.context.metrics.resources("cloudevent_source", &key.namespace, -1);
        self.context.count_waiting(&key.namespace);
    }

    /// A TriggerAuthentication was created, changed or deleted: the sources that refer to it resolve it again.
    pub(crate) fn authentication_changed(&self, key: &AuthenticationKey) {
        for handle in self.context.handles().values().flat_map(BTreeMap::values) {
            let declared = Arc::clone(&handle.inbox.borrow().declared);
            let reference = declared.spec.authentication_ref.as_ref();
            let target = reference.and_then(|it| authentications::target(it, &declared.key.namespace));
            if target.as_ref() == Some(key) {
                handle.inbox.send_modify(|input| input.nudges += 1);
            }
        }
    }

    /// Sends what still waits, within a time: for the end of the process, when nobody has anything to say any more.
    pub(crate) async fn flush(&self, within: Duration) {
        let handles: Vec<Arc<Handle>> =
            self.context.handles().values().flat_map(BTreeMap::values).cloned().collect();
        let flushed = handles.iter().map(|handle| self.flush_one(handle));
        // Not reached by all: what is left is said below.
        let _late = tokio::time::timeout(within, futures::future::join_all(flushed)).await;
        for handle in handles {
            let lost = handle.queue().len();
            if lost > 0 {
                let declared = Arc::clone(&handle.inbox.borrow().declared);
                tracing::warn!(
                    logger = "cloudevents",
                    kind = declared.kind(),
                    source = %declared.key,
                    lost,
                    "events not delivered, the process ends"
                );
            }
        }
    }

    /// Sends the events of one source until there are none or one is not taken.
    async fn flush_one(&self, handle: &Handle) {
        let Some(sink) = handle.sink() else { return };
        handle.queue().land(false);
        let mut flights = FuturesUnordered::new();
        let mut taken = true;
        loop {
            while taken && flights.len() < LAST_CONCURRENCY {
                let Some((place, emission)) = handle.queue().take() else { break };
                let (sink, context) = (&sink, &self.context);
                flights.push(async move {
                    let sent = sink.send(context, &emission).await.is_ok();
                    context.metrics.cloud_event(emission.namespace(), &name_of(handle), sink.name(), sent);
                    (place, sent)
                });
            }
            let Some((place, sent)) = flights.next().await else { break };
            if sent {
                handle.queue().done(place);
            } else {
                taken = false;
            }
        }
    }
}

fn name_of(handle: &Handle) -> String {
    handle.inbox.borrow().declared.key.name.clone()
}

impl Listener for Sources {
    fn hear(&self, regarding: &ObjectReference, notice: &Notice) {
        let kind = regarding.kind.as_deref().unwrap_or_default();
        let Some(event_type) = cloud_events::event_type(kind, notice.reason) else { return };
        let namespace = regarding.namespace.as_deref().unwrap_or_default();
        let handles = self.context.handles();
        let mut emission: Option<Arc<Emission>> = None;
        let mut touched = Vec::new();
        // Once, where the object has no namespace of its own.
        let own = handles.get(namespace).filter(|_| !namespace.is_empty());
        let everywhere = handles.get("");
        for (at, sources) in [(namespace, own), ("", everywhere)] {
            for handle in sources.into_iter().flat_map(BTreeMap::values).filter(|it| it.wants(&event_type)) {
                let emission = emission.get_or_insert_with(|| {
                    let now = self.context.environment.clock.now();
                    Arc::new(Emission::new(event_type.clone(), regarding, notice, now))
                });
                if let Some(pushed_out) = handle.queue().put(Arc::clone(emission)) {
                    self.dropped(handle, &pushed_out);
                }
                handle.wake.notify_one();
                touched.push(at);
            }
        }
        drop(handles);
        touched.dedup();
        for namespace in touched {
            self.context.count_waiting(namespace);
        }
    }
}

impl Sources {
    /// An event had to make room: counted each time, said once until events are delivered again.
    fn dropped(&self, handle: &Handle, emission: &Emission) {
        let declared = Arc::clone(&handle.inbox.borrow().declared);
        let sink = cloud_events::destination(&declared.spec).map_or("", cloud_events::Destination::name);
        self.context.metrics.cloud_event(emission.namespace(), &declared.key.name, sink, false);
        if handle.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                logger = "cloudevents",
                kind = declared.kind(),
                source = %declared.key,
                limit = queue::LIMIT,
                event = emission.event_type().as_str(),
                "too many events wait for this source, the oldest are dropped"
            );
        }
    }
}

/// Runs a source's task, and again after a panic.
async fn supervise(context: Arc<Context>, handle: Arc<Handle>) {
    loop {
        let task = Box::pin(Source::new(Arc::clone(&context), Arc::clone(&handle)).run());
        if AssertUnwindSafe(task).catch_unwind().await.is_ok() {
            return;
        }
        let given_up = handle.queue().land(true);
        // Not its text: it may hold anything.
        tracing::error!(
            logger = "cloudevents",
            source = name_of(&handle),
            given_up,
            "internal error in keda-rs, this source is tried again later"
        );
        tokio::time::sleep(REST).await;
    }
}
