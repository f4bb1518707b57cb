//! What is watched of the cluster: of every object only what a rule looks at.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use k8s_openapi::api::{
    autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec},
    core::v1::{LimitRange, PodTemplateSpec},
};
use keda_api::{ScaledObject, ScaledObjectSpec};
use keda_cluster::{
    ObjectKey, Shelf,
    follow::{self, Change, follow},
};
use keda_core::admission::{
    neighbours::{Autoscaler, Claim},
    requests::{Amounts, Containers},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, Object},
    core::NotUsed,
    runtime::watcher,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The kinds whose containers are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WorkloadKind {
    Deployment,
    StatefulSet,
}

impl WorkloadKind {
    const ALL: [Self; 2] = [Self::Deployment, Self::StatefulSet];

    pub(crate) fn of(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.kind() == kind)
    }

    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
        }
    }

    pub(crate) fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
        }
    }

    pub(crate) fn api_resource(self) -> ApiResource {
        ApiResource {
            group: "apps".into(),
            version: "v1".into(),
            api_version: "apps/v1".into(),
            kind: self.kind().into(),
            plural: self.resource().into(),
        }
    }
}

/// A workload as far as its containers go; the rest is dropped while decoding.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct WorkloadSpec {
    #[serde(default)]
    template: PodTemplateSpec,
}

/// Deployments and StatefulSets.
pub(crate) type Workload = Object<WorkloadSpec, NotUsed>;

/// The containers of a workload.
pub(crate) fn containers(workload: &Workload) -> Containers {
    Containers::of(&workload.spec.template)
}

/// A ScaledObject without its status, which changes often and decides nothing.
type WatchedObject = Object<ScaledObjectSpec, NotUsed>;
/// An HPA without its status.
type WatchedAutoscaler = Object<HorizontalPodAutoscalerSpec, NotUsed>;

/// The watched objects. Written by the watches alone.
#[derive(Default)]
pub(crate) struct Cache {
    pub(crate) claims: RwLock<Shelf<Claim>>,
    pub(crate) autoscalers: RwLock<Shelf<Autoscaler>>,
    workloads: RwLock<HashMap<(WorkloadKind, ObjectKey), Containers>>,
    limit_ranges: RwLock<HashMap<ObjectKey, Amounts>>,
    ready: RwLock<Vec<(&'static str, watch::Receiver<bool>)>>,
}

impl Cache {
    /// Starts the watches.
    pub(crate) fn start(client: &Client, shutdown: &CancellationToken) -> Arc<Self> {
        let cache = Arc::new(Self::default());
        let mut ready = Vec::new();

        let api = Api::<WatchedObject>::all_with(client.clone(), &ApiResource::erase::<ScaledObject>(&()));
        let it = Arc::clone(&cache);
        let watched = follow("scaledobjects", watcher(api, config()), shutdown, move |change| match change {
            Change::Found(object) | Change::Applied(object) => {
                let key = ObjectKey::of(&object);
                let claim =
                    Claim::of(&ScaledObject { metadata: object.metadata, spec: object.spec, status: None });
                write(&it.claims).put(&key, claim);
            }
            Change::Removed(key) => write(&it.claims).remove(&key),
        });
        ready.push(("scaledobjects", watched));

        let resource = ApiResource::erase::<HorizontalPodAutoscaler>(&());
        let api = Api::<WatchedAutoscaler>::all_with(client.clone(), &resource);
        let it = Arc::clone(&cache);
        let changes = watcher(api, config());
        let watched = follow("horizontalpodautoscalers", changes, shutdown, move |change| match change {
            Change::Found(autoscaler) | Change::Applied(autoscaler) => {
                let key = ObjectKey::of(&autoscaler);
                let (metadata, spec) = (autoscaler.metadata, Some(autoscaler.spec));
                let autoscaler = HorizontalPodAutoscaler { metadata, spec, status: None };
                write(&it.autoscalers).put(&key, Autoscaler::of(&autoscaler));
            }
            Change::Removed(key) => write(&it.autoscalers).remove(&key),
        });
        ready.push(("horizontalpodautoscalers", watched));

        for kind in WorkloadKind::ALL {
            let api = Api::<Workload>::all_with(client.clone(), &kind.api_resource());
            let it = Arc::clone(&cache);
            let watched =
                follow(kind.resource(), watcher(api, config()), shutdown, move |change| match change {
                    Change::Found(workload) | Change::Applied(workload) => {
                        let key = ObjectKey::of(&workload);
                        write(&it.workloads).insert((kind, key), containers(&workload));
                    }
                    Change::Removed(key) => {
                        write(&it.workloads).remove(&(kind, key));
                    }
                });
            ready.push((kind.resource(), watched));
        }

        let api = Api::<LimitRange>::all(client.clone());
        let it = Arc::clone(&cache);
        let watched = follow("limitranges", watcher(api, config()), shutdown, move |change| match change {
            Change::Found(range) | Change::Applied(range) => {
                let key = ObjectKey::new(&range.namespace().unwrap_or_default(), &range.name_any());
                write(&it.limit_ranges).insert(key, Amounts::of_limit_range(&range));
            }
            Change::Removed(key) => {
                write(&it.limit_ranges).remove(&key);
            }
        });
        ready.push(("limitranges", watched));
        *write(&cache.ready) = ready;
        cache
    }

    /// Whether a resource's first whole list has been seen.
    pub(crate) fn is_synced(&self, resource: &str) -> bool {
        read(&self.ready).iter().any(|(name, synced)| *name == resource && *synced.borrow())
    }

    /// Whether everything has; else what has not.
    pub(crate) fn synced(&self) -> Result<(), String> {
        let missing: Vec<_> =
            read(&self.ready).iter().filter(|(_, synced)| !*synced.borrow()).map(|(name, _)| *name).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("not listed yet: {}", missing.join(", "))) }
    }

    /// Waits for that.
    pub(crate) async fn wait(&self) {
        let receivers = read(&self.ready).iter().map(|(_, synced)| synced.clone()).collect();
        follow::wait(receivers).await;
    }

    pub(crate) fn containers(&self, kind: WorkloadKind, key: &ObjectKey) -> Option<Containers> {
        read(&self.workloads).get(&(kind, key.clone())).cloned()
    }

    /// What the LimitRanges of a namespace give containers.
    pub(crate) fn defaults(&self, namespace: &str) -> Amounts {
        // A cluster has few of them.
        let ranges = read(&self.limit_ranges);
        let ranges = ranges.iter().filter(|(key, _)| key.namespace == namespace);
        ranges.fold(Amounts::default(), |sum, (_, amounts)| sum.or(*amounts))
    }
}

/// `resourceVersion=0` lists from the API server's own cache; the watch that follows brings what it lacked.
fn config() -> watcher::Config {
    watcher::Config::default().any_semantic()
}

// A writer that panicked left a whole entry or none.
pub(crate) fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
